package video

import (
	"bufio"
	"context"
	"fmt"
	"image"
	"image/color"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// StillsOptions say how a folder of pictures is read. The zero value works.
type StillsOptions struct {
	Rate     Rational // frames a second; 25/1 when zero
	InFlight int      // most frames lent out at a time; unbounded when zero
	// Read reads a picture in place of ReadImage, in the size that its header says.
	Read func(path string) (*Frame, error)
}

// stillsRate is what pictures without a clock play at: PAL, and ffmpeg's own
// default for a sequence of images.
var stillsRate = Rational{25, 1}

// OpenStills opens a folder of PNG and JPEG pictures as a clip, in
// lexicographic order of their names. Hidden files and files of other kinds
// are passed over. All pictures must be of one size: their headers are read
// before the first frame.
func OpenStills(ctx context.Context, dir string, o StillsOptions) (Reader, error) {
	paths, err := listStills(dir)
	if err != nil {
		return nil, fmt.Errorf("open stills: %w", err)
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("open stills: %w: folder %q holds no .png or .jpg picture", ErrNoFrames, dir)
	}
	if o.Rate.Num <= 0 || o.Rate.Den <= 0 {
		o.Rate = stillsRate
	}
	r := &stillsReader{paths: paths, info: stillsInfo(dir, len(paths), o.Rate), read: o.Read}
	for _, p := range paths {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		if err := r.addHeader(p); err != nil {
			return nil, fmt.Errorf("open stills: %w", err)
		}
	}
	if o.InFlight > 0 {
		r.pool = NewPool(r.info.Width, r.info.Height, o.InFlight)
	}
	return r, nil
}

func listStills(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir) // sorted by name
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, e := range entries {
		if !e.IsDir() && !strings.HasPrefix(e.Name(), ".") && isStill(e.Name()) {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths, nil
}

func isStill(name string) bool {
	ext := strings.ToLower(filepath.Ext(name))
	return slices.Contains([]string{".png", ".jpg", ".jpeg"}, ext)
}

func stillsInfo(dir string, n int, rate Rational) Info {
	i := Info{
		Path: dir, Stills: true, BitDepth: 8,
		SampleAspect: Rational{1, 1},
		Rate:         rate, TimeBase: Rational{rate.Den, rate.Num},
		Times:    make([]int64, n),
		Duration: time.Duration(float64(n) / rate.Float() * float64(time.Second)),
	}
	for t := range i.Times {
		i.Times[t] = int64(t)
	}
	return i
}

type stillsReader struct {
	info  Info
	paths []string
	pool  *Pool
	next  int
	read  func(path string) (*Frame, error) // nil for pictures as they are
}

// addHeader checks one picture's size against the first and notes its depth.
func (r *stillsReader) addHeader(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	c, format, err := image.DecodeConfig(bufio.NewReader(file))
	if err != nil {
		return fmt.Errorf("picture %q: %w", path, err)
	}
	switch i := &r.info; {
	case i.Width == 0:
		i.Width, i.Height, i.Codec = c.Width, c.Height, format
	case i.Width != c.Width || i.Height != c.Height:
		return fmt.Errorf("picture %q is %dx%d, the pictures before it are %dx%d: a clip has one size",
			path, c.Width, c.Height, i.Width, i.Height)
	}
	switch c.ColorModel {
	case color.Gray16Model, color.RGBA64Model, color.NRGBA64Model:
		r.info.BitDepth = 16
	}
	return nil
}

func (r *stillsReader) Info() Info { return r.info }

func (r *stillsReader) Next(ctx context.Context) (*Frame, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if r.next == len(r.paths) {
		return nil, io.EOF
	}
	size, fill, err := r.picture(r.paths[r.next])
	if err != nil && r.read != nil {
		if _, _, broken := decodeImage(r.paths[r.next]); broken == nil {
			return nil, err // the picture is whole, but not what is looked for
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w: kept %d of %d frames: %w", ErrDamaged, r.next, len(r.paths), err)
	}
	w, h := r.info.Width, r.info.Height
	if size.X != w || size.Y != h {
		return nil, fmt.Errorf("%w: picture %q changed to %dx%d while reading", ErrDamaged, r.paths[r.next], size.X, size.Y)
	}
	f := NewFrame(0, 0)
	if r.pool == nil {
		f = NewFrame(w, h)
	} else if f, err = r.pool.Get(ctx); err != nil {
		return nil, err
	}
	fill(f)
	f.PTS = r.info.Times[r.next]
	r.next++
	return f, nil
}

// picture reads one, and says how large it is and how a frame becomes it.
func (r *stillsReader) picture(path string) (size image.Point, fill func(*Frame), err error) {
	if r.read != nil {
		own, err := r.read(path)
		if err != nil {
			return size, nil, err
		}
		return image.Pt(own.W, own.H), func(f *Frame) { copy(f.Pix, own.Pix) }, nil
	}
	img, _, err := decodeImage(path)
	if err != nil {
		return size, nil, err
	}
	return img.Bounds().Size(), func(f *Frame) { copyImage(f, img) }, nil
}

func (r *stillsReader) Close() error { return nil }
