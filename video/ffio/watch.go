package ffio

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/v2v/v2v/video"
)

// Watch makes a clip that another decoder reads end as what it is: beside it,
// ffmpeg decodes the same file to nowhere on one thread, and where that meets an
// error the last frame is followed by one wrapping video.ErrDamaged instead of
// io.EOF. It is for decoders that conceal broken pictures without a word, as
// OpenCV does. Closing the result closes r too; where Watch fails, r stays open.
func Watch(r video.Reader) (video.Reader, error) {
	c, err := startChild("ffmpeg", watchArgs(r.Info()), files{})
	if err != nil {
		return nil, fmt.Errorf("check %q: %w", r.Info().Path, err)
	}
	return &watched{Reader: r, child: c}, nil
}

func watchArgs(i video.Info) []string {
	return []string{"-nostdin", "-hide_banner", "-loglevel", "level+error", "-protocol_whitelist", "file,pipe",
		"-threads", "1", "-i", fileURL(i.Path), "-map", "0:V:0", "-fps_mode", "passthrough", "-f", "null", "-"}
}

type watched struct {
	video.Reader
	child *child
	n     int
	close sync.Once
}

// Next implements video.Reader.
func (w *watched) Next(ctx context.Context) (*video.Frame, error) {
	f, err := w.Reader.Next(ctx)
	switch {
	case err == nil:
		w.n++
	case err == io.EOF:
		err = w.verdict(ctx)
	}
	return f, err
}

// verdict is io.EOF where the whole clip decodes without an error.
func (w *watched) verdict(ctx context.Context) error {
	exit := w.child.wait(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	errs, first := w.child.stderr.broken()
	switch {
	case exit == nil && errs == 0:
		return io.EOF
	case first == "":
		first = w.child.failure(exit).Error()
	}
	i := w.Info()
	return fmt.Errorf("decode %q: %w: kept %d of %d frames, not all of them whole: %s", i.Path, video.ErrDamaged, w.n, i.Frames(), first)
}

// Close implements video.Reader.
func (w *watched) Close() error {
	w.close.Do(func() {
		w.child.kill()
		w.child.wait(context.Background()) // killed: its exit says nothing
	})
	return w.Reader.Close()
}
