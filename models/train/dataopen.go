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

	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/labelmap"
)

// OpenData reads the paired clips of one part of a data folder: train_A and
// train_B, or A and B, with a folder of stills or a video file for each clip,
// matched by name. The held-out part is test_A and test_B, or test/A and
// test/B. Everything that is wrong comes back in one *DataError.
func OpenData(ctx context.Context, dir string, o DataOptions) (*Data, error) {
	o = o.resolved()
	if err := o.Scaling.Validate(); err != nil {
		return nil, fmt.Errorf("open data %s: %w", dir, err)
	}
	d := &Data{o: o, dir: dir, frames: store{limit: o.Memory, dir: o.TempDir}, flows: store{limit: o.Memory, dir: o.TempDir}}
	l := &dataLoader{d: d, dir: dir}
	err := l.load(ctx)
	switch {
	case err != nil:
	case len(l.problems) > 0 && o.Loose:
		err = &DataError{Dir: dir, Problems: shortened(l.problems)}
	case len(l.problems) > 0:
		err = &DataError{Dir: dir, Problems: l.problems}
	case o.Loose && o.Split == TrainSplit && d.Frames() < leastPictures:
		err = fmt.Errorf("data %s holds one pair of pictures: to learn from takes at least %d, better hundreds", dir, leastPictures)
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// dataLoader fills a Data, noting what is wrong on the way.
type dataLoader struct {
	d        *Data
	dir      string
	problems []string
	pix      []byte
}

func (l *dataLoader) problem(format string, args ...any) {
	l.problems = append(l.problems, strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "; "))
}

func (l *dataLoader) load(ctx context.Context) error {
	var sides []string
	var err error
	if l.d.o.Alone {
		sides, err = l.alone()
	} else {
		sides, err = l.sides()
	}
	if err != nil || len(l.problems) > 0 {
		return err
	}
	lists := make([]map[string]string, len(sides))
	for i, side := range sides {
		lists[i] = l.list(side)
	}
	names := l.partners(sides, lists)
	for i, name := range names {
		paths := make([]string, len(sides))
		for k := range sides {
			paths[k] = lists[k][name]
		}
		if err := l.pair(ctx, name, paths); err != nil {
			return err
		}
		if l.d.o.Progress != nil {
			l.d.o.Progress(i+1, len(names))
		}
	}
	l.checkSizes()
	return nil
}

// partners are the names of the clips that every side has, in order; of the others
// it notes what they lack.
func (l *dataLoader) partners(sides []string, lists []map[string]string) (names []string) {
	real, clips := len(sides)-1, 0
	for i, list := range lists {
		clips += len(list)
		for name, path := range list {
			lacking := slices.IndexFunc(lists, func(other map[string]string) bool { _, ok := other[name]; return !ok })
			switch {
			case lacking >= 0:
				l.problem("%s has no partner in %s", path, sides[lacking])
			case i == real:
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	slices.Sort(l.problems)
	if clips == 0 && len(l.problems) == 0 {
		l.problem("%s", l.void(sides))
	}
	return names
}

// content names the first few things in the folder.
func (l *dataLoader) content() string {
	entries, err := os.ReadDir(l.dir)
	if err != nil || len(entries) == 0 {
		return "nothing"
	}
	var names []string
	for i, e := range entries {
		if i == maxListed {
			names = append(names, fmt.Sprintf("%d more", len(entries)-i))
			break
		}
		names = append(names, e.Name())
	}
	return strings.Join(names, ", ")
}

// list maps the clips of one side by name to their paths below dir.
func (l *dataLoader) list(side string) map[string]string {
	clips := map[string]string{}
	if fi, err := os.Stat(filepath.Join(l.dir, side)); err == nil && !fi.IsDir() { // where one file is all data
		clips[side] = side
		return clips
	}
	entries, err := os.ReadDir(filepath.Join(l.dir, side))
	if err != nil {
		l.problem("%v", err)
	}
	loose := 0
	for _, e := range entries {
		name, path := e.Name(), filepath.Join(side, e.Name())
		if strings.HasPrefix(name, ".") || side == "." && name == testFolder {
			continue
		}
		fi, err := os.Stat(filepath.Join(l.dir, path)) // a link counts as what it leads to
		if err != nil {
			l.problem("%v", err)
			continue
		}
		if !fi.IsDir() && l.drawn(side) {
			l.problem("%s: give a folder for each clip, with a file of a frame each", path)
			continue
		}
		if !fi.IsDir() {
			if isPicture(name) && !l.d.o.Loose {
				loose++
				continue
			}
			name = strings.TrimSuffix(name, filepath.Ext(name))
		}
		if other, ok := clips[name]; ok {
			l.problem("%s and %s have one name", other, path)
			continue
		}
		clips[name] = path
	}
	if loose > 0 {
		l.problem("%s holds %d loose pictures: put those of each clip into a folder of their own", side, loose)
	}
	return clips
}

func isPicture(name string) bool {
	return slices.Contains([]string{".png", ".jpg", ".jpeg"}, strings.ToLower(filepath.Ext(name)))
}

// pair reads all sides of a clip, the real frames last. Only ctx and the store can
// fail it; what is wrong with the clip is noted.
func (l *dataLoader) pair(ctx context.Context, name string, paths []string) error {
	real := len(paths) - 1
	p := &partner{l: l, c: &clip{name: name, control: paths[0]}, paths: paths}
	for i := range paths {
		if err := p.read(ctx, i); err != nil {
			return fmt.Errorf("open data: read %s: %w", paths[i], err)
		}
	}
	if l.d.o.Beside && l.d.o.Face == nil {
		if err := p.instances(); err != nil {
			return fmt.Errorf("open data: read instances of %s: %w", name, err)
		}
	}
	if p.bad {
		return nil // noted already
	}
	c, first := p.c, p.sides[0]
	c.a, c.b, c.n, c.size, c.from = first.first, p.sides[real].first, first.n, first.size, p.sides[real].from
	same := true
	for i, s := range p.sides[1:] {
		if s.size != c.size {
			l.problem("%s: frames of %s in %s, of %s in %s", name, dims(c.size), paths[0], dims(s.size), paths[i+1])
		}
		if s.n != c.n {
			same = false
			l.problem("%s: %d frames in %s, %d in %s", name, c.n, paths[0], s.n, paths[i+1])
		}
	}
	if same && c.n < l.d.o.Frames {
		l.problem("%s: %d frames, a sample takes %d", name, c.n, l.d.o.Frames)
	}
	l.d.clips = append(l.d.clips, c)
	return nil
}

// side decodes one clip into the store; once anything is known to be wrong,
// frames are only counted. bad is what is wrong with this clip.
func (l *dataLoader) side(ctx context.Context, path string, labels bool, change changeFrame) (size image.Point, n int, bad, err error) {
	r, bad := l.open(ctx, path, labels)
	if ctx.Err() != nil {
		if r != nil {
			r.Close()
		}
		return size, 0, nil, context.Cause(ctx)
	}
	if bad != nil {
		return size, 0, bad, nil
	}
	defer func() {
		if cerr := r.Close(); cerr != nil && bad == nil && err == nil {
			bad = cerr
		}
	}()
	size = image.Pt(r.Info().Width, r.Info().Height)
	for ; ; n++ {
		f, bad := r.Next(ctx)
		if bad == nil && change != nil {
			if f, bad = changedFrame(f, change); bad == nil && n == 0 {
				size = image.Pt(f.W, f.H)
			} else if bad != nil {
				name, _ := frameName(path, n)
				bad = fmt.Errorf("%s: %w", name, bad)
			}
		}
		switch {
		case ctx.Err() != nil:
			f.Release()
			return size, n, nil, context.Cause(ctx)
		case bad == io.EOF && n == 0:
			return size, n, video.ErrNoFrames, nil
		case bad == io.EOF:
			return size, n, nil, nil
		case bad != nil:
			return size, n, bad, nil
		}
		if f.W != size.X || f.H != size.Y {
			bad = fmt.Errorf("frame %d is %dx%d, the clip %s", n, f.W, f.H, dims(size))
		} else if len(l.problems) == 0 {
			_, err = l.d.frames.add(f.Pix)
		}
		f.Release()
		if bad != nil || err != nil {
			return size, n, bad, err
		}
	}
}

func (l *dataLoader) open(ctx context.Context, path string, labels bool) (video.Reader, error) {
	read := video.ReadImage
	if labels {
		read = labelmap.ReadLabels
	}
	if fi, err := os.Stat(path); err != nil {
		return nil, err
	} else if fi.IsDir() {
		return video.OpenStills(ctx, path, video.StillsOptions{InFlight: 1, Read: read})
	} else if isPicture(path) {
		return openPicture(path, read)
	}
	if l.d.o.Open == nil {
		return nil, errors.New("a file, and nothing here opens video files: give a folder of pictures")
	}
	r, err := l.d.o.Open(ctx, path)
	if err != nil {
		return nil, err // r may be a nil pointer in an interface
	}
	return r, nil
}

// checkSizes settles the size of samples.
func (l *dataLoader) checkSizes() {
	o := l.d.o
	if o.Scaling.on() {
		l.checkScaling()
		return
	}
	l.d.size = o.Crop
	if o.Crop == (image.Point{}) {
		l.d.size = o.Size
	}
	for i, c := range l.d.clips {
		switch {
		case o.Size != (image.Point{}) && c.size != o.Size:
			l.problem("%s: frames of %s, %s is wanted", c.name, dims(c.size), dims(o.Size))
		case o.Crop != (image.Point{}) && (o.Crop.X > c.size.X || o.Crop.Y > c.size.Y):
			l.problem("%s: frames of %s, samples of %s are to be cut out", c.name, dims(c.size), dims(o.Crop))
		case i == 0 && l.d.size == (image.Point{}):
			l.d.size = c.size
		case o.Crop == (image.Point{}) && c.size != l.d.size:
			l.problem("%s: frames of %s, those of %s are %s", c.name, dims(c.size), l.d.clips[0].name, dims(l.d.size))
		}
	}
}

// dims prints a size as width x height, as ffmpeg does.
func dims(p image.Point) string { return fmt.Sprintf("%dx%d", p.X, p.Y) }
