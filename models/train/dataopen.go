package train

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/v2v/v2v/video"
)

// layouts are the pairs of folders that may hold a part, below the data folder.
var layouts = map[Split][][2]string{
	TrainSplit: {{"train_A", "train_B"}, {"train/A", "train/B"}, {"A", "B"}},
	TestSplit:  {{"test_A", "test_B"}, {"test/A", "test/B"}},
}

// OpenData reads the paired clips of one part of a data folder: train_A and
// train_B, or A and B, with a folder of stills or a video file for each clip,
// matched by name. The held-out part is test_A and test_B, or test/A and
// test/B. Everything that is wrong comes back in one *DataError.
func OpenData(ctx context.Context, dir string, o DataOptions) (*Data, error) {
	o = o.resolved()
	if err := o.Scaling.Validate(); err != nil {
		return nil, fmt.Errorf("open data %s: %w", dir, err)
	}
	d := &Data{o: o, frames: store{limit: o.Memory, dir: o.TempDir}, flows: store{limit: o.Memory, dir: o.TempDir}}
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
	var sides [2]string
	var err error
	if l.d.o.Alone {
		sides, err = l.alone()
	} else {
		sides, err = l.sides()
	}
	if err != nil || len(l.problems) > 0 {
		return err
	}
	a, b := l.list(sides[0]), l.list(sides[1])
	var names []string
	for name := range a {
		if _, ok := b[name]; ok {
			names = append(names, name)
		} else {
			l.problem("%s has no partner in %s", a[name], sides[1])
		}
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			l.problem("%s has no partner in %s", b[name], sides[0])
		}
	}
	slices.Sort(names)
	slices.Sort(l.problems)
	if len(a)+len(b) == 0 && len(l.problems) == 0 {
		l.problem("%s", l.void(sides))
	}
	for i, name := range names {
		if err := l.pair(ctx, name, a[name], b[name]); err != nil {
			return err
		}
		if l.d.o.Progress != nil {
			l.d.o.Progress(i+1, len(names))
		}
	}
	l.checkSizes()
	return nil
}

// sides finds the two folders of the part, as paths below dir.
func (l *dataLoader) sides() (found [2]string, err error) {
	if fi, err := os.Stat(l.dir); errors.Is(err, fs.ErrNotExist) {
		return found, fmt.Errorf("open data: there is no folder %s: v2v prepare makes one of a video", l.dir)
	} else if err != nil {
		return found, fmt.Errorf("open data: %w", err)
	} else if !fi.IsDir() {
		return found, fmt.Errorf("open data: %s is no folder", l.dir)
	}
	var there []string
	for _, pair := range layouts[l.d.o.Split] {
		n := 0
		for _, side := range pair {
			if fi, err := os.Stat(filepath.Join(l.dir, side)); err == nil && fi.IsDir() {
				n++
			}
		}
		switch n {
		case 1:
			l.problem("of %s and %s only one is there", pair[0], pair[1])
		case 2:
			there = append(there, pair[0])
			found = pair
		}
	}
	switch {
	case len(there) > 1:
		l.problem("it has several layouts at once (%s): keep one", strings.Join(there, ", "))
	case len(there) == 0 && len(l.problems) == 0:
		var want []string
		for _, pair := range layouts[l.d.o.Split] {
			want = append(want, pair[0]+" and "+pair[1])
		}
		return found, fmt.Errorf("open data %s: %w: it wants folders %s, and has %s: v2v prepare makes them of a video", l.dir, ErrNoSplit, strings.Join(want, ", or "), l.content())
	}
	return found, nil
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

// pair reads both sides of a clip. Only ctx and the store can fail it; what is
// wrong with the clip is noted.
func (l *dataLoader) pair(ctx context.Context, name string, paths ...string) error {
	c := &clip{name: name}
	var first, count [2]int
	var size, from [2]image.Point
	for i, path := range paths {
		first[i] = len(l.d.frames.blobs)
		var bad, err error
		maps := 0
		change := l.d.o.Scaling.change(i, [2]changeFrame{l.d.o.A, l.d.o.B}[i], &from[i])
		if i == 0 && l.d.o.Instances {
			change, maps, bad = l.packed(name, path, change)
		}
		if bad == nil {
			size[i], count[i], bad, err = l.side(ctx, filepath.Join(l.dir, path), change)
		}
		if err != nil {
			return fmt.Errorf("open data: read %s: %w", path, err)
		}
		if bad != nil {
			l.problem("%s: %v", path, bad)
			count[i] = 0
		} else if maps > count[i] {
			l.problem("%s: %d instance maps for %d frames", path, maps, count[i])
		}
	}
	c.a, c.b, c.n, c.size, c.from = first[0], first[1], count[0], size[0], from[0]
	if count[0] == 0 || count[1] == 0 {
		return nil // noted already
	}
	if size[0] != size[1] {
		l.problem("%s: frames of %s in %s, of %s in %s", name, dims(size[0]), paths[0], dims(size[1]), paths[1])
	}
	if count[0] != count[1] {
		l.problem("%s: %d frames in %s, %d in %s", name, count[0], paths[0], count[1], paths[1])
	} else if c.n < l.d.o.Frames {
		l.problem("%s: %d frames, a sample takes %d", name, c.n, l.d.o.Frames)
	}
	l.d.clips = append(l.d.clips, c)
	return nil
}

// side decodes one clip into the store; once anything is known to be wrong,
// frames are only counted. bad is what is wrong with this clip.
func (l *dataLoader) side(ctx context.Context, path string, change func(*video.Frame) (*video.Frame, error)) (size image.Point, n int, bad, err error) {
	r, bad := l.open(ctx, path)
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

func (l *dataLoader) open(ctx context.Context, path string) (video.Reader, error) {
	if fi, err := os.Stat(path); err != nil {
		return nil, err
	} else if fi.IsDir() {
		return video.OpenStills(ctx, path, video.StillsOptions{InFlight: 1})
	} else if isPicture(path) {
		return openPicture(path)
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
