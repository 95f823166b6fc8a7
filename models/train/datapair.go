package train

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/labelmap"
	"github.com/v2v/v2v/video/pose"
)

// partner is a clip while its sides are read, the real frames last.
type partner struct {
	l     *dataLoader
	c     *clip
	paths []string
	sides []sideFacts
	bad   bool // something that makes it no clip is noted
	faces []pose.Landmarks
}

// sideFacts is what a side of a clip measures.
type sideFacts struct {
	first   int         // blob of its first frame, where it has frames of its own
	n       int         // frames
	size    image.Point // of frames as they are held
	from    image.Point // size before Scaling, where there is such
	raw     image.Point // as they were read
	without bool        // it has no frames of its own: they are drawn
}

// read reads side i, after those before it.
func (p *partner) read(ctx context.Context, i int) (err error) {
	o, path, last := p.l.d.o, p.paths[i], len(p.paths)-1
	var s sideFacts
	var bad error
	switch dir := filepath.Join(p.l.dir, path); {
	case i == last:
		s, bad, err = p.frames(ctx, path, o.B, false)
		p.settle(s)
	case o.Face != nil:
		s, bad = p.landmarks(dir)
	case o.Pose != nil && isSide(filepath.Dir(path), openSide) && holds(dir, ".json"):
		s, bad = p.keypoints(dir)
	case o.Pose != nil && isSide(filepath.Dir(path), denseSide):
		s, bad, err = p.frames(ctx, path, densePose(o.A), true)
		p.c.layers = append(p.c.layers, pictures{first: s.first, ids: true, dense: true})
	case o.Pose != nil:
		s, bad, err = p.frames(ctx, path, o.B, false)
		p.c.layers = append(p.c.layers, pictures{first: s.first})
	default:
		s, bad, err = p.control(ctx, path)
		if o.Beside {
			p.c.layers = append(p.c.layers, pictures{first: s.first, ids: o.Scaling.Ids, dense: true})
		}
	}
	if bad != nil {
		p.l.problem("%s: %v", path, bad)
		s.n = 0
	}
	p.bad = p.bad || s.n == 0
	p.sides = append(p.sides, s)
	return err
}

// frames reads a side that has frames of its own.
func (p *partner) frames(ctx context.Context, path string, change changeFrame, ids bool) (s sideFacts, bad, err error) {
	s.first = len(p.l.d.frames.blobs)
	change = p.squared(&s.raw, p.l.d.o.Scaling.change(ids, change, &s.from))
	s.size, s.n, bad, err = p.l.side(ctx, filepath.Join(p.l.dir, path), false, change)
	return s, bad, err
}

// control reads control pictures, with instance maps packed into them where they
// hold labels.
func (p *partner) control(ctx context.Context, path string) (s sideFacts, bad, err error) {
	o, maps := p.l.d.o, 0
	s.first = len(p.l.d.frames.blobs)
	change := p.squared(&s.raw, o.Scaling.change(o.Scaling.Ids, o.A, &s.from))
	if o.Instances {
		if change, maps, bad = p.l.packed(p.c.name, path, change); bad != nil {
			return s, bad, nil
		}
	}
	s.size, s.n, bad, err = p.l.side(ctx, filepath.Join(p.l.dir, path), o.Labels, change)
	if bad == nil && maps > s.n {
		p.l.problem("%s: %d instance maps for %d frames", path, maps, s.n)
	}
	return s, bad, err
}

// squared notes what frames measure as they are read, cuts the square about the
// face out, where that is wanted, and then changes them.
func (p *partner) squared(raw *image.Point, change changeFrame) changeFrame {
	return func(f *video.Frame) (*video.Frame, error) {
		*raw = image.Pt(f.W, f.H)
		if p.l.d.o.Face != nil && p.l.d.o.Face.Square && len(p.faces) > 0 {
			r := p.faces[0].Square(f.W, f.H)
			cut := view{at: r.Min, size: r.Size()}.frame(f.Pix, f.W)
			cut.PTS = f.PTS
			f = cut
		}
		if change == nil {
			return f, nil
		}
		return change(f)
	}
}

// settle tells what is drawn how large the pictures are.
func (p *partner) settle(real sideFacts) {
	for i := range p.sides {
		if s := &p.sides[i]; s.without {
			s.size = real.size
		}
	}
	for i, of := range p.c.layers {
		switch of := of.(type) {
		case people:
			of.size = real.raw
			p.c.layers[i] = of
		case faces:
			of.size = real.raw
			if p.l.d.o.Face.Square && len(of.frames) > 0 && real.raw != (image.Point{}) {
				r := of.frames[0].Square(real.raw.X, real.raw.Y)
				for t := range of.frames {
					of.frames[t].Shift(-float64(r.Min.X), -float64(r.Min.Y))
				}
				of.size = r.Size()
			}
			p.c.layers[i] = of
		}
	}
}

// keypoints reads what OpenPose has found.
func (p *partner) keypoints(dir string) (s sideFacts, bad error) {
	files, bad := listed(dir, ".json")
	var of people
	var follow pose.Follower
	for _, file := range files {
		list, err := pose.ReadFile(file)
		if err != nil {
			return s, err
		}
		if one := follow.Pick(list); !p.l.d.o.Pose.All {
			if list = nil; one != nil {
				list = []pose.Person{*one}
			}
		}
		of.frames = append(of.frames, list)
	}
	p.c.layers = append(p.c.layers, of)
	return sideFacts{n: len(files), without: true}, bad
}

// landmarks reads faces.
func (p *partner) landmarks(dir string) (s sideFacts, bad error) {
	files, bad := listed(dir, ".txt")
	for _, file := range files {
		face, err := pose.ReadLandmarks(file)
		if err != nil {
			return s, err
		}
		p.faces = append(p.faces, *face)
	}
	p.c.layers = append(p.c.layers, faces{frames: p.faces, parts: p.l.d.o.Beside})
	return sideFacts{n: len(files), without: true}, bad
}

// instances reads the clip's instance maps as pictures of their own.
func (p *partner) instances() error {
	folder := besideFolder(filepath.Dir(p.paths[0]), "inst")
	files, bad := listed(filepath.Join(p.l.dir, folder, p.c.name), ".png")
	real := p.sides[len(p.sides)-1]
	if bad == nil && len(files) != real.n {
		bad = fmt.Errorf("%d instance maps for %d frames", len(files), real.n)
	}
	of := pictures{first: len(p.l.d.frames.blobs), ids: true}
	for _, file := range files {
		if bad != nil || len(p.l.problems) > 0 || p.bad {
			break
		}
		m, err := labelmap.ReadIndex(file)
		if err != nil {
			bad = err
			break
		}
		size := real.size
		if m.W*real.raw.Y != m.H*real.raw.X {
			bad = fmt.Errorf("%s is %dx%d, the frame %s", file, m.W, m.H, dims(real.raw))
			break
		}
		f := video.NewFrame(size.X, size.Y)
		if bad = labelmap.Pack(f, m.Resize(size.X, size.Y)); bad != nil {
			break
		}
		if _, err := p.l.d.frames.add(f.Pix); err != nil {
			return err
		}
	}
	if bad != nil {
		p.l.problem("%s: %v", filepath.Join(folder, p.c.name), bad)
		p.bad = true
	}
	p.c.layers = append(p.c.layers, of)
	return nil
}

// holds reports whether a folder has files of a kind.
func holds(dir, ext string) bool {
	files, err := listed(dir, ext)
	return err == nil && len(files) > 0
}

// listed are a folder's files of a kind, in order.
func listed(dir, ext string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		var at *fs.PathError
		if errors.As(err, &at) {
			err = at.Err
		}
		return nil, fmt.Errorf("its %s files: %w", ext, err)
	}
	var files []string
	for _, e := range entries {
		if !e.IsDir() && !strings.HasPrefix(e.Name(), ".") && strings.EqualFold(filepath.Ext(e.Name()), ext) {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no %s files", ext)
	}
	slices.Sort(files)
	return files, nil
}
