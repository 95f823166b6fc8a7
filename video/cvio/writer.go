//go:build cgo

package cvio

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"gocv.io/x/gocv"

	"github.com/v2v/v2v/video"
)

// fourccs are what OpenCV 4.6 on Debian writes into each container, best first.
var fourccs = map[string][]string{
	".mp4": {"avc1", "mp4v"}, ".mov": {"avc1", "mp4v"}, ".mkv": {"X264", "MJPG"}, ".avi": {"MJPG"}, ".webm": {"VP90", "VP80"},
}

// Notes says what is lost against an ffmpeg on PATH.
func Notes(o WriteOptions) []string {
	notes := []string{"ffmpeg is not installed: OpenCV writes without colour tags and at its own quality"}
	if s := o.Source; s != nil {
		if s.Audio+s.Subtitles > 0 {
			notes = append(notes, fmt.Sprintf("%d sound and %d subtitle streams are lost", s.Audio, s.Subtitles))
		}
		if s.Variable {
			notes = append(notes, fmt.Sprintf("the varying frame times are lost: all frames follow at %s a second", s.Rate))
		}
	}
	return notes
}

// Create starts encoding a clip to path with OpenCV, for machines without ffmpeg.
// Frames follow each other at one rate whatever their PTS, see Notes.
func Create(ctx context.Context, path string, o WriteOptions) (video.Writer, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	w, err := create(path, o)
	if err != nil {
		return nil, fmt.Errorf("create %q: %w", path, err)
	}
	if o.Logger != nil {
		for _, note := range Notes(o) {
			o.Logger.Info("writing", "path", path, "note", note)
		}
	}
	return w, nil
}

func create(path string, o WriteOptions) (*writer, error) {
	codes, ok := fourccs[strings.ToLower(filepath.Ext(path))]
	if !ok {
		return nil, fmt.Errorf("unknown video file extension %q: choose one of .mp4, .mov, .mkv, .webm, .avi", filepath.Ext(path))
	}
	if err := fill(&o); err != nil {
		return nil, err
	}
	if err := free(path, o); err != nil {
		return nil, err
	}
	w := &writer{path: path, overwrite: o.Overwrite, w: o.Width, h: o.Height, part: video.PartPath(o.PartDir, path)}
	// OpenCV tells nobody that a folder cannot be written.
	f, err := os.OpenFile(w.part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, errors.Join(err, os.Remove(w.part))
	}
	if w.out = openWriter(w.part, codes, o); w.out == nil {
		return nil, errors.Join(fmt.Errorf("OpenCV has no encoder for it (tried %s): install ffmpeg", strings.Join(codes, ", ")), os.Remove(w.part))
	}
	w.rgb = gocv.NewMatWithSize(w.h, w.w, gocv.MatTypeCV8UC3)
	w.bgr = gocv.NewMat()
	return w, nil
}

// fill completes size and rate from the source.
func fill(o *WriteOptions) error {
	if s := o.Source; s != nil {
		if o.Width == 0 && o.Height == 0 {
			o.Width, o.Height = s.Width, s.Height
		}
		o.Rate = s.Rate
	}
	if o.Rate.Num == 0 {
		o.Rate = video.Rational{Num: 25, Den: 1}
	}
	switch {
	case o.Rate.Num < 0 || o.Rate.Den <= 0:
		return fmt.Errorf("frame rate %s is not usable", o.Rate)
	case o.Width <= 0 || o.Height <= 0:
		return fmt.Errorf("size %dx%d cannot be written", o.Width, o.Height)
	case o.Width%2+o.Height%2 > 0:
		return fmt.Errorf("OpenCV cannot write the odd size %dx%d: install ffmpeg or choose an even one", o.Width, o.Height)
	}
	return nil
}

// free refuses names that must not be replaced.
func free(path string, o WriteOptions) error {
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !st.Mode().IsRegular():
		return errors.New("is not a regular file")
	}
	if o.Source != nil {
		if in, err := os.Stat(o.Source.Path); err == nil && os.SameFile(st, in) {
			return errors.New("is the source itself: choose another name")
		}
	}
	if !o.Overwrite {
		return fmt.Errorf("%w: allow overwriting to replace it", os.ErrExist)
	}
	return nil
}

func openWriter(path string, codes []string, o WriteOptions) *gocv.VideoWriter {
	path, err := filepath.Abs(path) // "a:b.mp4" would be a protocol
	if err != nil {
		return nil
	}
	for _, code := range codes {
		w, err := gocv.VideoWriterFile(path, code, o.Rate.Float(), o.Width, o.Height, true)
		if err == nil && w.IsOpened() {
			return w
		}
		if w != nil {
			w.Close()
		}
	}
	return nil
}

type writer struct {
	path, part string
	overwrite  bool
	w, h, n    int
	out        *gocv.VideoWriter // nil once it is closed
	rgb, bgr   gocv.Mat
	finished   bool
	closed     bool
}

func (w *writer) Write(ctx context.Context, f *video.Frame) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case w.finished || w.closed:
		return fmt.Errorf("encode %q: the clip is already finished", w.path)
	case f.W != w.w || f.H != w.h || len(f.Pix) != 3*f.W*f.H:
		return fmt.Errorf("encode %q: frame %d is %dx%d (%d bytes), the clip is %dx%d", w.path, w.n, f.W, f.H, len(f.Pix), w.w, w.h)
	}
	pix, err := w.rgb.DataPtrUint8()
	if err != nil {
		return fmt.Errorf("encode %q: frame %d: %w", w.path, w.n, err)
	}
	copy(pix, f.Pix)
	gocv.CvtColor(w.rgb, &w.bgr, gocv.ColorBGRToRGB)
	if err := w.out.Write(w.bgr); err != nil {
		return fmt.Errorf("encode %q: frame %d: %w", w.path, w.n, err)
	}
	w.n++
	return nil
}

// Commit closes the file, counts the frames in it and gives it its name.
func (w *writer) Commit(ctx context.Context) error {
	if w.finished || w.closed {
		return fmt.Errorf("finish %q: it is already finished", w.path)
	}
	w.finished = true
	if err := w.commit(ctx); err != nil {
		return fmt.Errorf("finish %q: %w", w.path, err)
	}
	return nil
}

func (w *writer) commit(ctx context.Context) error {
	if w.n == 0 {
		return video.ErrNoFrames
	}
	if err := w.end(); err != nil {
		return err
	}
	n, err := count(ctx, w.part, w.w, w.h)
	if err != nil {
		return fmt.Errorf("check what was written: %w", err)
	}
	if n != w.n {
		return fmt.Errorf("check what was written: %d frames went in, %d are in the file; is the disk full?", w.n, n)
	}
	return video.Publish(w.part, w.path, w.overwrite)
}

// end lets OpenCV finish the file.
func (w *writer) end() error {
	if w.out == nil {
		return nil
	}
	out := w.out
	w.out = nil
	return out.Close()
}

// count decodes the whole file: OpenCV's own frame count is a guess.
func count(ctx context.Context, path string, width, height int) (int, error) {
	c, err := openCapture(path)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	m := gocv.NewMat()
	defer m.Close()
	n := 0
	for c.Read(&m) && !m.Empty() {
		if ctx.Err() != nil {
			return n, context.Cause(ctx)
		}
		if m.Cols() != width || m.Rows() != height {
			return n, fmt.Errorf("the size is %dx%d instead of %dx%d", m.Cols(), m.Rows(), width, height)
		}
		n++
	}
	return n, nil
}

func (w *writer) Close() error {
	if w.closed {
		return nil
	}
	w.closed = true
	err := errors.Join(w.end(), w.rgb.Close(), w.bgr.Close())
	if rm := os.Remove(w.part); rm != nil && !errors.Is(rm, os.ErrNotExist) {
		err = errors.Join(err, rm)
	}
	return err
}
