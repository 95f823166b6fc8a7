package train

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/image/draw"

	"github.com/v2v/v2v/video"
)

// PictureDataOptions say which pictures OpenPictures reads and how.
type PictureDataOptions struct {
	Size int // side of the pictures: a square from the middle of each, resized
	// Every takes every so manieth frame of a video; all when zero.
	Every int
	// Classes makes a class of each folder in the data folder.
	Classes bool
	// Flip mirrors every other sample.
	Flip bool
	// Open opens a video; without it only pictures are read.
	Open func(ctx context.Context, path string) (video.Reader, error)
	// Progress, where set, is told how many pictures are read.
	Progress func(done int)
}

// PictureData is a set of pictures of one size. A sample of it is one picture,
// as A and B alike.
type PictureData struct {
	*Data
	Classes []string // names, in order; nil where the pictures have none
	Notes   []string // what was done to the pictures that a person may not expect
}

// Index is the number of a sample's picture in the data, and of its class.
func (d *PictureData) Index(s *Sample) (picture, class int) {
	for i, c := range d.clips {
		if c.name == s.Clip {
			return c.a + s.Start, i
		}
	}
	return 0, 0
}

// Pictures calls f with every picture, in order. The frame is f's to keep.
func (d *PictureData) Pictures(ctx context.Context, f func(*video.Frame) error) error {
	for i := range d.Frames() {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		pix, err := d.frames.get(i, nil)
		if err != nil {
			return err
		}
		frame := video.NewFrame(d.size.X, d.size.Y)
		copy(frame.Pix, pix)
		if err := f(frame); err != nil {
			return err
		}
	}
	return nil
}

// videos are the extensions of files that are opened as videos.
var videos = []string{".mp4", ".mkv", ".mov", ".avi", ".webm", ".m4v", ".mpg", ".mpeg", ".ts"}

func isVideo(name string) bool {
	return slices.Contains(videos, strings.ToLower(filepath.Ext(name)))
}

// leastPictures is how few pictures a network can learn anything from but
// themselves.
const leastPictures = 2

// OpenPictures reads pictures: those of folders, of the folders in them, and the
// frames of videos there or named themselves. Each loses what is outside the
// square in its middle. What cannot be read comes back in one *DataError.
func OpenPictures(ctx context.Context, paths []string, o PictureDataOptions) (*PictureData, error) {
	size := image.Pt(o.Size, o.Size)
	d := &PictureData{Data: &Data{o: DataOptions{Flip: o.Flip}, size: size, frames: store{limit: defaultMemory}, flows: store{limit: defaultMemory}}}
	l := &pictureLoader{d: d, o: o, sizes: map[image.Point]int{}}
	err := l.load(ctx, paths)
	name := strings.Join(paths, ", ")
	switch {
	case err != nil:
		err = fmt.Errorf("open data: %w", err)
	case len(l.problems) > 0:
		err = &DataError{Dir: name, Problems: shortened(l.problems)}
	case d.Frames() == 0:
		err = fmt.Errorf("data %s holds no picture (.png, .jpg) and no video", name)
	case d.Frames() < leastPictures:
		err = fmt.Errorf("data %s holds one picture: a network that is to make others needs at least %d, better hundreds", name, leastPictures)
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	l.note()
	return d, nil
}

// maxProblems bounds how many broken pictures are listed.
const maxProblems = 8

func shortened(problems []string) []string {
	if more := len(problems) - maxProblems; more > 0 {
		return append(problems[:maxProblems:maxProblems], fmt.Sprintf("and %d more", more))
	}
	return problems
}

// pictureLoader fills a PictureData.
type pictureLoader struct {
	d        *PictureData
	o        PictureDataOptions
	problems []string
	sizes    map[image.Point]int // how many pictures had each size
	wide     *image.NRGBA        // the picture before it is resized
	small    *image.NRGBA
}

func (l *pictureLoader) load(ctx context.Context, paths []string) error {
	var loose []string // files of no class
	folders := map[string][]string{}
	var classes []string
	for _, path := range paths {
		files, below, err := l.list(path)
		if err != nil {
			return err
		}
		loose = append(loose, files...)
		for _, b := range below {
			files, _, err := l.list(b)
			if err != nil {
				return err
			}
			name := filepath.Base(b)
			if _, ok := folders[name]; !ok {
				classes = append(classes, name)
			}
			folders[name] = append(folders[name], files...)
		}
	}
	if !l.o.Classes {
		for _, c := range classes {
			loose = append(loose, folders[c]...)
		}
		return l.group(ctx, "pictures", loose)
	}
	if len(loose) > 0 || len(classes) < 2 {
		return fmt.Errorf("%s has %d folders and %d files beside them: classes are two folders or more, and nothing else", strings.Join(paths, ", "), len(classes), len(loose))
	}
	slices.Sort(classes)
	for _, c := range classes {
		if err := l.group(ctx, c, folders[c]); err != nil {
			return err
		}
		if n := len(l.d.clips); n == 0 || l.d.clips[n-1].name != c {
			l.problems = append(l.problems, fmt.Sprintf("class %s has no picture", c))
		}
	}
	l.d.Classes = classes
	return nil
}

// list finds the pictures and videos of a path, and the folders in it.
func (l *pictureLoader) list(path string) (files, folders []string, err error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	if !fi.IsDir() {
		return []string{path}, nil, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		p := filepath.Join(path, e.Name())
		switch fi, err := os.Stat(p); {
		case err != nil:
			return nil, nil, err
		case fi.IsDir():
			folders = append(folders, p)
		case isPicture(p) || isVideo(p):
			files = append(files, p)
		}
	}
	return files, folders, nil
}

// group reads the pictures of one class.
func (l *pictureLoader) group(ctx context.Context, name string, files []string) error {
	c := &clip{name: name, size: l.d.size, a: len(l.d.frames.blobs), b: len(l.d.frames.blobs)}
	for _, path := range files {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		bad, err := l.file(ctx, path)
		if err != nil {
			return err
		}
		if bad != nil {
			l.problems = append(l.problems, strings.ReplaceAll(bad.Error(), "\n", "; "))
		}
	}
	c.n = len(l.d.frames.blobs) - c.a
	if c.n > 0 {
		l.d.clips = append(l.d.clips, c)
	}
	return nil
}

// file reads one file; bad is what is wrong with it.
func (l *pictureLoader) file(ctx context.Context, path string) (bad, err error) {
	if isPicture(path) {
		f, err := video.ReadImage(path)
		if err != nil {
			return err, nil
		}
		return nil, l.add(f)
	}
	if l.o.Open == nil {
		return fmt.Errorf("%s: nothing here opens video files", path), nil
	}
	r, err := l.o.Open(ctx, path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err), context.Cause(ctx)
	}
	defer r.Close() // it was only read, and what is wrong with it Next has said
	for n := 0; ; n++ {
		f, err := r.Next(ctx)
		switch {
		case err == io.EOF && n == 0:
			return fmt.Errorf("%s: %w", path, video.ErrNoFrames), nil
		case err == io.EOF:
			return nil, nil
		case err != nil:
			return fmt.Errorf("%s: %w", path, err), context.Cause(ctx)
		}
		if n%max(l.o.Every, 1) == 0 {
			err = l.add(f)
		}
		f.Release()
		if err != nil {
			return nil, err
		}
	}
}

// add keeps the square in the middle of a picture, resized.
func (l *pictureLoader) add(f *video.Frame) error {
	l.sizes[image.Pt(f.W, f.H)]++
	if l.wide == nil || l.wide.Rect != image.Rect(0, 0, f.W, f.H) {
		l.wide = image.NewNRGBA(image.Rect(0, 0, f.W, f.H))
	}
	for i, o := 0, 0; i < len(f.Pix); i, o = i+3, o+4 {
		copy(l.wide.Pix[o:o+3], f.Pix[i:i+3])
		l.wide.Pix[o+3] = 255
	}
	if l.small == nil {
		l.small = image.NewNRGBA(image.Rectangle{Max: l.d.size})
	}
	side := min(f.W, f.H)
	at := image.Pt((f.W-side)/2, (f.H-side)/2)
	// A triangle as wide as an output pixel: it neither aliases nor rings.
	draw.BiLinear.Scale(l.small, l.small.Rect, l.wide, image.Rect(0, 0, side, side).Add(at), draw.Src, nil)
	pix := make([]byte, 0, 3*l.o.Size*l.o.Size)
	for o := 0; o < len(l.small.Pix); o += 4 {
		pix = append(pix, l.small.Pix[o:o+3]...)
	}
	_, err := l.d.frames.add(pix)
	if l.o.Progress != nil {
		l.o.Progress(len(l.d.frames.blobs))
	}
	return err
}

// note says what cropping and resizing have done.
func (l *pictureLoader) note() {
	small, cropped := 0, 0
	for s, n := range l.sizes {
		if min(s.X, s.Y) < l.o.Size {
			small += n
		}
		if s.X != s.Y {
			cropped += n
		}
	}
	add := func(n int, format string, args ...any) {
		if n > 0 {
			l.d.Notes = append(l.d.Notes, fmt.Sprintf(format, args...))
		}
	}
	add(len(l.sizes)-1, "pictures of %d sizes: each is cropped and resized to %dx%d on its own", len(l.sizes), l.o.Size, l.o.Size)
	add(cropped, "%d of %d pictures are no squares: what is outside the square in their middle is cut off", cropped, l.d.Frames())
	add(small, "%d of %d pictures are smaller than %dx%d and were enlarged: they will look soft", small, l.d.Frames(), l.o.Size, l.o.Size)
}
