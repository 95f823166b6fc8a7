package train

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/sheet"
)

// Filmer is a Trainer whose clips are worth watching: frames are made one after
// another, each of those before it.
type Filmer interface {
	// Film shows every frame of a sample that the network makes, by its number.
	Film(ctx context.Context, s *Sample, show func(t int, fake *video.Frame) error) error
}

// sampleVideoFrames is how long sample videos are, at most: two seconds.
const sampleVideoFrames = 48

// writeVideo makes samples/step-<n>.mp4: input, made and real frames of a clip
// side by side.
func (r *run) writeVideo(ctx context.Context) (err error) {
	f, ok := r.o.Trainer.(Filmer)
	if !ok || r.o.Video == nil {
		return nil
	}
	if r.videoSample == nil {
		n, shown := sampleVideoFrames, r.o.shown()
		for n > 1 && shown.Windows(n) == 0 {
			n--
		}
		s, err := shown.Spread(ctx, 1, n)
		if err != nil {
			return fmt.Errorf("sample video: %w", err)
		}
		r.videoSample = s[0]
	}
	s := r.videoSample
	path := filepath.Join(r.dir.path, sampleDir, fmt.Sprintf("step-%06d.mp4", r.Step))
	var out video.Writer
	defer func() {
		if out != nil {
			err = errors.Join(err, out.Close())
		}
		if err != nil {
			err = fmt.Errorf("sample video: %w", err)
		}
	}()
	err = f.Film(ctx, s, func(t int, fake *video.Frame) error {
		both := sheet.Grid([][]*video.Frame{{s.Input(t), fake, s.B[t]}}, sheetGap)
		if out == nil {
			var err error
			if out, err = r.o.Video(ctx, path, both.W, both.H); err != nil {
				return err
			}
		}
		return out.Write(ctx, both)
	})
	if err != nil || out == nil {
		return err
	}
	if err := out.Commit(ctx); err != nil {
		return err
	}
	r.o.Events(VideoWritten{Step: r.Step, Path: path})
	return nil
}
