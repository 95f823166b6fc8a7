package ffio

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/v2v/v2v/video"
)

// Writer encodes one clip through an ffmpeg child. It is used by one goroutine;
// Close may come from another.
type Writer struct {
	plan      Plan
	overwrite bool
	part      string
	child     *child
	pipe      *os.File
	padded    []byte // scratch for odd sizes

	n           int
	first, last int64 // of the ticks written
	err         error // sticky
	closed      sync.Once
	finished    bool // Commit was called
}

var _ video.Writer = (*Writer)(nil)

// Create starts encoding a clip to path. Everything that can be refused is
// refused here, before the first frame.
func Create(ctx context.Context, path string, o WriteOptions) (*Writer, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	plan, err := NewPlan(path, o)
	if err != nil {
		return nil, err
	}
	for _, note := range plan.Notes {
		if o.Logger != nil {
			o.Logger.Info("writing", "path", path, "note", note)
		}
	}
	w := &Writer{plan: plan, overwrite: o.Overwrite, part: video.PartPath(o.PartDir, path)}
	if err := w.open(o.Source); err != nil {
		return nil, fmt.Errorf("create %q: %w", path, err)
	}
	return w, nil
}

func (w *Writer) open(source *video.Info) error {
	if err := checkOutput(w.plan.Path, source, w.overwrite); err != nil {
		return err
	}
	if err := claimPart(w.part, w.plan.Path); err != nil {
		return err
	}
	r, in, err := pipe()
	if err != nil {
		return errors.Join(err, os.Remove(w.part))
	}
	args := append(slices.Clone(w.plan.args), fileURL(w.part))
	w.child, err = startChild("ffmpeg", args, files{stdin: r})
	if err != nil {
		return errors.Join(err, in.Close(), os.Remove(w.part))
	}
	w.pipe = in
	return nil
}

// checkOutput refuses names that must not be replaced.
func checkOutput(path string, source *video.Info, overwrite bool) error {
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return plain(err)
	case st.IsDir():
		return errors.New("is a folder: name a file in it")
	case !st.Mode().IsRegular():
		return errors.New("is not a regular file")
	}
	if source != nil {
		if in, err := os.Stat(source.Path); err == nil && os.SameFile(st, in) {
			return errors.New("is the source itself: choose another name")
		}
	}
	if !overwrite {
		return fmt.Errorf("%w: allow overwriting to replace it", os.ErrExist)
	}
	return nil
}

// claimPart makes the part file, which shows whether its folder can be written, and
// sees to it that a rename will reach the final name.
func claimPart(part, final string) error {
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return fmt.Errorf("folder %q: %w", filepath.Dir(part), plain(err))
	}
	if err := f.Close(); err != nil {
		return errors.Join(err, os.Remove(part))
	}
	if filepath.Dir(part) == filepath.Dir(final) {
		return nil
	}
	// The rename that Publish will need is tried there and back.
	probe := video.PartPath("", final)
	if err := os.Rename(part, probe); err != nil {
		return errors.Join(fmt.Errorf("from folder %q to %q: %w", filepath.Dir(part), filepath.Dir(final), plain(err)), os.Remove(part))
	}
	return os.Rename(probe, part)
}

// plain drops the path from an error whose message names it already.
func plain(err error) error {
	var pe *os.PathError
	var le *os.LinkError
	switch {
	case errors.As(err, &pe):
		return pe.Err
	case errors.As(err, &le):
		return le.Err
	}
	return err
}

// Plan is what was decided before the first frame.
func (w *Writer) Plan() Plan { return w.plan }

// Notes say what of the source is not kept as it was.
func (w *Writer) Notes() []string { return slices.Clone(w.plan.Notes) }

// Write encodes one frame. When ctx ends the encoder is stopped for good.
func (w *Writer) Write(ctx context.Context, f *video.Frame) error {
	if w.err != nil {
		return w.err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := w.write(ctx, f); err != nil {
		w.err = fmt.Errorf("encode %q: frame %d: %w", w.plan.Path, w.n, err)
		return w.err
	}
	w.n++
	return nil
}

func (w *Writer) write(ctx context.Context, f *video.Frame) error {
	p := &w.plan
	switch {
	case w.finished:
		return errors.New("the clip is already finished")
	case f.W != p.frameW || f.H != p.frameH || len(f.Pix) != 3*f.W*f.H:
		return fmt.Errorf("is %dx%d (%d bytes), the clip is %dx%d", f.W, f.H, len(f.Pix), p.frameW, p.frameH)
	}
	tick := p.clock.ticks(w.n, f.PTS)
	if w.n > 0 && tick <= w.last {
		return fmt.Errorf("time %d does not come after the frame before it", f.PTS)
	}
	stop := context.AfterFunc(ctx, w.child.kill)
	defer stop()
	if err := w.send(tick, f); err != nil {
		return w.broke(ctx, err)
	}
	if w.n == 0 {
		w.first = tick
	}
	w.last = tick
	return nil
}

// send puts one frame on the pipe.
func (w *Writer) send(tick int64, f *video.Frame) error {
	p := &w.plan
	if w.n == 0 {
		if err := writeMKVHeader(w.pipe, p.Width, p.Height, p.clock.rate); err != nil {
			return err
		}
	}
	pix := f.Pix
	if p.Width != f.W || p.Height != f.H {
		w.padded = pad(w.padded, f, p.Width, p.Height)
		pix = w.padded
	}
	if _, err := w.pipe.Write(mkvCluster(p.clock.nanos(tick), len(pix))); err != nil {
		return err
	}
	_, err := w.pipe.Write(pix)
	return err
}

// pad repeats the last column and row up to w x h.
func pad(dst []byte, f *video.Frame, w, h int) []byte {
	dst = dst[:0]
	for y := range h {
		row := f.Pix[3*f.W*min(y, f.H-1):][:3*f.W]
		dst = append(dst, row...)
		for range w - f.W {
			dst = append(dst, row[len(row)-3:]...)
		}
	}
	return dst
}

// broke explains a failed write: the child has ended, or was killed.
func (w *Writer) broke(ctx context.Context, err error) error {
	w.pipe.Close() // lets a child that still runs come to its end
	exit := w.child.wait(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if exit == nil {
		exit = err
	}
	return w.child.failure(exit)
}

// Commit waits for the encoder, counts what it wrote and gives the file its name.
func (w *Writer) Commit(ctx context.Context) error {
	if w.err != nil {
		return w.err
	}
	if w.finished {
		return fmt.Errorf("finish %q: it is already finished", w.plan.Path)
	}
	w.finished = true
	if err := w.commit(ctx); err != nil {
		w.err = fmt.Errorf("finish %q: %w", w.plan.Path, err)
		return w.err
	}
	return nil
}

func (w *Writer) commit(ctx context.Context) error {
	if w.n == 0 {
		return video.ErrNoFrames
	}
	closeErr := w.pipe.Close()
	if err := w.child.wait(ctx); err != nil {
		if ctx.Err() != nil {
			return err
		}
		return w.child.failure(err)
	}
	if closeErr != nil {
		return closeErr
	}
	if err := w.verify(ctx); err != nil {
		// ffmpeg's Matroska muxer meets a full disk with silence and exit code 0.
		if ctx.Err() == nil && (w.child.stderr.full() || diskFull(w.part)) {
			return fmt.Errorf("%w: %w", syscall.ENOSPC, err)
		}
		return err
	}
	return video.Publish(w.part, w.plan.Path, w.overwrite)
}

// diskFull reports whether the file's disk has less room than one write of ffmpeg.
func diskFull(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && st.Bavail*uint64(st.Bsize) < 1<<16
}

// verify counts the frames of the part file and compares the time they span. An
// encoder's exit code alone proves nothing.
func (w *Writer) verify(ctx context.Context) error {
	got, err := probe(ctx, w.part)
	if err != nil {
		return fmt.Errorf("check what was written: %w", err)
	}
	if got.Frames() != w.n {
		return fmt.Errorf("check what was written: %d frames went in, %d are in the file", w.n, got.Frames())
	}
	c := w.plan.clock
	want := float64(w.last-w.first) * c.out.Float()
	is := float64(got.Times[w.n-1]-got.Times[0]) * got.TimeBase.Float()
	half := 0.5 / c.rate.Float()
	if d := is - want; d > half || d < -half {
		return fmt.Errorf("check what was written: the frames span %v instead of %v",
			time.Duration(is*float64(time.Second)), time.Duration(want*float64(time.Second)))
	}
	if got.Width != w.plan.Width || got.Height != w.plan.Height {
		return fmt.Errorf("check what was written: the size is %dx%d instead of %dx%d", got.Width, got.Height, w.plan.Width, w.plan.Height)
	}
	return nil
}

// Close stops the encoder if it still runs, waits until it is gone, and removes
// the part file if there was no successful Commit.
func (w *Writer) Close() error {
	var err error
	w.closed.Do(func() {
		w.child.kill()
		w.child.wait(context.Background()) // killed: its exit says nothing
		w.pipe.Close()                     // Commit has closed it already after a success
		if err = os.Remove(w.part); errors.Is(err, os.ErrNotExist) {
			err = nil
		}
	})
	return err
}
