package train

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/v2v/v2v/video"
)

// Halves are the two pictures that lie side by side in one.
func Halves(f *video.Frame) (left, right *video.Frame, err error) {
	if f.W%2 != 0 {
		return nil, nil, fmt.Errorf("%dx%d is no two pictures side by side: the width is odd", f.W, f.H)
	}
	w := f.W / 2
	left, right = video.NewFrame(w, f.H), video.NewFrame(w, f.H)
	for y := range f.H {
		row := f.Pix[3*y*f.W:][:3*f.W]
		copy(left.Pix[3*y*w:], row[:3*w])
		copy(right.Pix[3*y*w:], row[3*w:])
	}
	left.PTS, right.PTS = f.PTS, f.PTS
	return left, right, nil
}

// changedFrame hands f over to change.
func changedFrame(f *video.Frame, change func(*video.Frame) (*video.Frame, error)) (*video.Frame, error) {
	made, err := change(f)
	if made != f {
		f.Release()
	}
	return made, err
}

// pictureReader is a clip of one picture.
type pictureReader struct {
	path string
	f    *video.Frame
	w, h int
}

func openPicture(path string, read func(string) (*video.Frame, error)) (video.Reader, error) {
	f, err := read(path)
	if err != nil {
		return nil, err
	}
	return &pictureReader{path, f, f.W, f.H}, nil
}

func (r *pictureReader) Info() video.Info { return video.Info{Path: r.path, Width: r.w, Height: r.h} }
func (r *pictureReader) Close() error     { return nil }

func (r *pictureReader) Next(context.Context) (*video.Frame, error) {
	if r.f == nil {
		return nil, io.EOF
	}
	f := r.f
	r.f = nil
	return f, nil
}

// testFolder is what is held out of clips that have both sides.
const testFolder = "test"

// alone finds the folder, or the file, that has both sides, as paths below dir.
func (l *dataLoader) alone() ([]string, error) {
	fi, err := os.Stat(l.dir)
	if err != nil {
		return nil, fmt.Errorf("open data: %w", err)
	}
	folder := func(name string) bool {
		fi, err := os.Stat(filepath.Join(l.dir, name))
		return err == nil && fi.IsDir()
	}
	side := "train"
	if l.d.o.Split == TestSplit {
		side = testFolder
	}
	switch {
	case fi.IsDir() && folder(side):
	case l.d.o.Split == TestSplit:
		return nil, fmt.Errorf("open data %s: %w: it wants a folder %s", l.dir, ErrNoSplit, side)
	case !fi.IsDir():
		l.dir, side = filepath.Dir(l.dir), filepath.Base(l.dir)
	default:
		side = "."
	}
	return []string{side, side}, nil
}

// void says that nothing was found.
func (l *dataLoader) void(sides []string) string {
	switch {
	case l.d.o.Alone:
		return sides[0] + " holds no picture (.png, .jpg) and no video"
	case l.d.o.Loose:
		return sides[0] + " and " + sides[1] + " hold no picture (.png, .jpg), no folder of pictures and no video"
	}
	return together(sides) + " hold no clip"
}

// HoldOut takes the end of every clip away from the data and returns it as
// held-out data: that share of the frames, and of clips of one frame the last of
// them. It is nil where that is no frame at all. Its frames are the data's: it
// needs no Close, and is not to be used after that of the data.
func (d *Data) HoldOut(share float64) *Data {
	held := &Data{o: d.o, size: d.size, frames: d.frames}
	held.o.Split, held.o.Flip, held.o.Flow = TestSplit, false, nil
	var singles []*clip
	for _, c := range d.clips {
		if c.n == 1 {
			singles = append(singles, c)
			continue
		}
		n := int(share * float64(c.n))
		if n == 0 {
			continue
		}
		end := *c
		end.a, end.b, end.n, end.flow = c.a+c.n-n, c.b+c.n-n, n, nil
		held.clips = append(held.clips, &end)
		c.n -= n
	}
	last := map[*clip]bool{}
	for _, c := range singles[len(singles)-int(share*float64(len(singles))):] {
		last[c] = true
		held.clips = append(held.clips, c)
	}
	var left []*clip
	for _, c := range d.clips {
		if !last[c] {
			left = append(left, c)
		}
	}
	d.clips = left
	if len(held.clips) == 0 {
		return nil
	}
	return held
}
