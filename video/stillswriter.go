package video

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
)

// partFolder begins the name of the folder that a stills Writer fills before
// its Commit.
const partFolder = ".v2v-part-"

// maxStills keeps names of six digits in lexicographic order.
const maxStills = 1_000_000

var stillName = regexp.MustCompile(`^[0-9]{6}\.png$`)

// StillsWriterOptions say how a folder of pictures is written. The zero value
// works.
type StillsWriterOptions struct {
	Overwrite bool // replace an existing folder of numbered PNGs
	// PartDir is where the unfinished folder grows, on the same file system;
	// the final folder's parent when empty.
	PartDir string
}

// CreateStills starts a folder of PNG pictures named 000000.png and upwards. It
// is filled under a hidden name beside dir or in PartDir, and gets its name on
// Commit. A
// folder that holds anything is refused; with Overwrite, a folder that holds
// anything but numbered PNGs still is, so that no mistyped path loses data.
func CreateStills(dir string, o StillsWriterOptions) (Writer, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("create stills: %w", err)
	}
	if err := replaceable(dir, o.Overwrite); err != nil {
		return nil, fmt.Errorf("create stills: %w", err)
	}
	if o.PartDir == "" {
		o.PartDir = filepath.Dir(dir)
	}
	part, err := os.MkdirTemp(o.PartDir, partFolder)
	if err != nil {
		return nil, fmt.Errorf("create stills %q: %w", dir, err)
	}
	if err := os.Chmod(part, 0o755); err != nil {
		return nil, errors.Join(fmt.Errorf("create stills %q: %w", dir, err), os.RemoveAll(part))
	}
	return &stillsWriter{dir: dir, part: part, overwrite: o.Overwrite}, nil
}

func replaceable(dir string, overwrite bool) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(entries) > 0 && !overwrite {
		return fmt.Errorf("folder %q is not empty: choose another or allow overwriting", dir)
	}
	for _, e := range entries {
		if !stillName.MatchString(e.Name()) {
			return fmt.Errorf("folder %q holds %q, which v2v did not write: empty it first", dir, e.Name())
		}
	}
	return nil
}

type stillsWriter struct {
	dir, part string
	overwrite bool
	w, h, n   int
	rgba      image.NRGBA
	done      bool
}

func (w *stillsWriter) Write(ctx context.Context, f *Frame) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case w.done:
		return fmt.Errorf("write stills %q: already finished", w.dir)
	case w.n == maxStills:
		return fmt.Errorf("write stills %q: more than %d frames: write a video file instead", w.dir, maxStills)
	case w.n > 0 && (f.W != w.w || f.H != w.h):
		return fmt.Errorf("write stills %q: frame %d is %dx%d, the first is %dx%d", w.dir, w.n, f.W, f.H, w.w, w.h)
	}
	if err := writePNG(w.name(w.n), f, &w.rgba); err != nil {
		return fmt.Errorf("write stills %q: frame %d: %w", w.dir, w.n, err)
	}
	w.w, w.h = f.W, f.H
	w.n++
	return nil
}

func (w *stillsWriter) name(i int) string { return filepath.Join(w.part, fmt.Sprintf("%06d.png", i)) }

func (w *stillsWriter) Commit(ctx context.Context) error {
	if w.done {
		return fmt.Errorf("commit stills %q: already finished", w.dir)
	}
	if err := w.verify(ctx); err != nil {
		return fmt.Errorf("commit stills %q: %w", w.dir, err)
	}
	if err := w.swap(); err != nil {
		return fmt.Errorf("commit stills %q: %w", w.dir, err)
	}
	w.done = true
	return nil
}

// verify opens the folder as a reader would, which reads each header and counts,
// and decodes the last picture whole.
func (w *stillsWriter) verify(ctx context.Context) error {
	if w.n == 0 {
		return ErrNoFrames
	}
	r, err := OpenStills(ctx, w.part, StillsOptions{})
	if err != nil {
		return err
	}
	if i := r.Info(); i.Frames() != w.n || i.Width != w.w || i.Height != w.h {
		return fmt.Errorf("wrote %d pictures of %dx%d, found %d of %dx%d", w.n, w.w, w.h, i.Frames(), i.Width, i.Height)
	}
	if _, err := ReadImage(w.name(w.n - 1)); err != nil {
		return err
	}
	return errors.Join(r.Close(), syncPath(w.part))
}

// swap puts the finished folder in the place of an empty or replaceable one. A
// former folder is moved aside, and deleted only when its successor stands.
func (w *stillsWriter) swap() error {
	if err := replaceable(w.dir, w.overwrite); err != nil {
		return err
	}
	old, err := os.MkdirTemp(filepath.Dir(w.part), partFolder)
	if err != nil {
		return err
	}
	aside := filepath.Join(old, "old")
	if err := os.Rename(w.dir, aside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, os.Remove(old))
	}
	if err := os.Rename(w.part, w.dir); err != nil {
		if back := os.Rename(aside, w.dir); back == nil || errors.Is(back, fs.ErrNotExist) {
			return errors.Join(err, os.Remove(old))
		}
		return fmt.Errorf("%w (the former folder is kept as %q)", err, aside)
	}
	return errors.Join(syncPath(filepath.Dir(w.dir)), os.RemoveAll(old))
}

func (w *stillsWriter) Close() error {
	if w.done {
		return nil
	}
	w.done = true
	return os.RemoveAll(w.part)
}
