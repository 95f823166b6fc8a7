package ffio

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/v2v/v2v/video"
)

// ReadOptions say how a clip is decoded. The zero value works.
type ReadOptions struct {
	InFlight int          // most frames lent out at a time; unbounded when zero
	Logger   *slog.Logger // notes go here at level Info; nil is silent
}

// Reader decodes one clip through an ffmpeg child. It is used by one goroutine;
// Close may come from another.
type Reader struct {
	info   video.Info
	notes  []string
	pool   *video.Pool
	child  *child
	frames *os.File // raw RGB
	clock  *os.File // the decoder's own time of each frame
	ticks  *bufio.Scanner

	n    int   // frames handed out
	last int64 // the time of the last one
	err  error // sticky

	close sync.Once
}

var _ video.Reader = (*Reader)(nil)

// Open probes the clip at path and starts decoding it.
func Open(ctx context.Context, path string, o ReadOptions) (*Reader, error) {
	info, err := Probe(ctx, path)
	if err != nil {
		return nil, err
	}
	return OpenProbed(ctx, info, o)
}

// OpenProbed starts decoding a clip that Probe has described.
func OpenProbed(ctx context.Context, info video.Info, o ReadOptions) (*Reader, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	r := &Reader{info: info}
	filter, notes := decodeFilter(info)
	r.notes = notes
	for _, note := range notes {
		if o.Logger != nil {
			o.Logger.Info("reading", "path", info.Path, "note", note)
		}
	}
	if o.InFlight > 0 {
		r.pool = video.NewPool(info.Width, info.Height, o.InFlight)
	}
	if err := r.start(filter); err != nil {
		return nil, fmt.Errorf("decode %q: %w", info.Path, err)
	}
	return r, nil
}

func (r *Reader) start(filter string) error {
	frames, framesIn, err := pipe()
	if err != nil {
		return err
	}
	clock, clockIn, err := pipe()
	if err != nil {
		return errors.Join(err, frames.Close(), framesIn.Close())
	}
	r.frames, r.clock, r.ticks = frames, clock, bufio.NewScanner(clock)
	r.child, err = startChild("ffmpeg", decodeArgs(r.info, filter), files{stdout: framesIn, extra: clockIn})
	if err != nil {
		return errors.Join(err, frames.Close(), clock.Close())
	}
	return nil
}

// decodeArgs makes ffmpeg write raw frames to descriptor 1 and, before each, its
// time to descriptor 3: raw video carries no clock, and in a damaged clip the
// packets do not tell which frames survive.
func decodeArgs(i video.Info, filter string) []string {
	clock := `metadata=mode=add:key=v2v:value=1,metadata=mode=print:key=v2v:file='pipe\:3':direct=1`
	args := []string{"-nostdin", "-hide_banner", "-loglevel", "level+error", "-protocol_whitelist", "file,pipe"}
	if i.Rotation == 0 {
		args = append(args, "-noautorotate") // an odd angle stays as it was filmed
	}
	return append(args, "-i", fileURL(i.Path), "-map", "0:V:0", "-copyts", "-fps_mode", "passthrough",
		"-enc_time_base", fmt.Sprintf("%d/%d", i.TimeBase.Num, i.TimeBase.Den), "-vf", clock+","+filter, "-f", "rawvideo", "pipe:1")
}

// Info describes the clip.
func (r *Reader) Info() video.Info { return r.info }

// Notes say what had to be assumed or lost in reading this clip: an untagged
// colour matrix, tone mapping.
func (r *Reader) Notes() []string { return slices.Clone(r.notes) }

// Next returns the next frame, io.EOF after the last of a sound clip, or an
// error wrapping video.ErrDamaged after the last of a damaged one. When ctx ends
// the decoder is stopped for good.
func (r *Reader) Next(ctx context.Context) (*video.Frame, error) {
	if r.err != nil {
		return nil, r.err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	f, err := r.lend(ctx)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, r.child.kill)
	_, err = io.ReadFull(r.frames, f.Pix)
	if err == nil {
		err = r.stamp(f)
	}
	stop()
	if err == nil {
		r.n++
		return f, nil
	}
	f.Release()
	r.err = r.end(ctx, err)
	return nil, r.err
}

func (r *Reader) lend(ctx context.Context) (*video.Frame, error) {
	if r.pool != nil {
		return r.pool.Get(ctx)
	}
	return video.NewFrame(r.info.Width, r.info.Height), nil
}

// stamp gives the frame the time that the decoder printed before it. Where the
// container keeps none, or it is none of the clip's, the frame's number decides.
func (r *Reader) stamp(f *video.Frame) error {
	pts, ok := r.printed()
	if err := r.ticks.Err(); err != nil {
		return err
	}
	t := r.info.Times
	if _, listed := slices.BinarySearch(t, pts); !ok || !listed || r.info.Counted || r.n > 0 && pts <= r.last {
		if r.n < len(t) {
			pts = t[r.n]
		}
		if r.n > 0 && pts <= r.last {
			pts = r.last + frameTicks(&r.info, 1)
		}
	}
	f.PTS, r.last = pts, pts
	return nil
}

// printed reads the lines about one frame: "frame:7 pts:42 pts_time:..", "v2v=1".
func (r *Reader) printed() (pts int64, ok bool) {
	for r.ticks.Scan() {
		line := r.ticks.Text()
		if strings.HasPrefix(line, "v2v=") {
			return pts, ok
		}
		if _, rest, found := strings.Cut(line, "pts:"); found {
			v, _, _ := strings.Cut(rest, " ")
			n, err := strconv.ParseInt(v, 10, 64)
			pts, ok = n, err == nil
		}
	}
	return 0, false
}

// end decides what the end of the child's output means.
func (r *Reader) end(ctx context.Context, readErr error) error {
	exit := r.child.wait(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	errs, first := r.child.stderr.broken()
	announced := max(r.n, r.info.Frames())
	switch {
	case readErr != io.EOF && readErr != io.ErrUnexpectedEOF:
		return fmt.Errorf("decode %q: frame %d: %w", r.info.Path, r.n, readErr)
	case r.n == 0:
		if exit == nil {
			exit = errors.New("the decoder gave no reason")
		}
		return fmt.Errorf("decode %q: %w: none of %d can be decoded: %w", r.info.Path, video.ErrNoFrames, announced, r.child.failure(exit))
	case exit == nil && errs == 0 && readErr == io.EOF && r.n == announced:
		return io.EOF
	case first == "" && exit != nil:
		first = r.child.failure(exit).Error()
	case first == "":
		first = "the rest is missing"
	}
	return fmt.Errorf("decode %q: %w: kept %d of %d frames: %s", r.info.Path, video.ErrDamaged, r.n, announced, first)
}

// Close stops the decoder and waits until it is gone.
func (r *Reader) Close() error {
	var err error
	r.close.Do(func() {
		r.child.kill()
		r.child.wait(context.Background()) // killed: its exit says nothing
		err = errors.Join(r.frames.Close(), r.clock.Close())
	})
	return err
}
