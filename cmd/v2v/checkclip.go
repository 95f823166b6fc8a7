package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/labelmap"
)

// clipFacts are what is known of one side of a clip.
type clipFacts struct {
	path  string // below the data folder
	n     int    // pictures, the unreadable ones included
	size  size   // of the first that can be read
	names []string
	role  string
}

// look reads one side of a clip; side 0 is that of control pictures. Only ctx
// can fail it.
func (s *audit) look(ctx context.Context, path string, side int, role string) (*clipFacts, error) {
	f := &clipFacts{path: path, role: role}
	var err error
	ending := s.pointed(f)
	switch {
	case ending != "":
		err = s.lookAtPoints(ctx, f, ending)
	case s.isDir(path):
		err = s.lookAtStills(ctx, f, side)
	default:
		err = s.lookAtVideo(ctx, f, side)
	}
	if err != nil {
		return f, err
	}
	switch {
	case f.n == 0 && ending != "":
		s.problem("%s holds no file *%s", path, ending)
	case f.n == 0:
		s.problem("%s holds no picture", path)
	case f.n == 1 && side == 0: // the others are compared with it
		s.problem("%s is of one frame, a clip of two or more", path)
	}
	return f, nil
}

func (s *audit) lookAtStills(ctx context.Context, f *clipFacts, side int) error {
	entries, err := os.ReadDir(filepath.Join(s.dir, f.path))
	if err != nil {
		s.problem("%v", err)
		return nil
	}
	for _, e := range entries {
		if !e.IsDir() && !strings.HasPrefix(e.Name(), ".") && isStill(e.Name()) {
			f.names = append(f.names, e.Name())
		}
	}
	f.n = len(f.names)
	for i := range f.names[:max(0, f.n-1)] {
		if disordered(f.names[i], f.names[i+1]) {
			s.problem("%s: %s comes before %s: pad the numbers with zeros", f.path, f.names[i], f.names[i+1])
			break
		}
	}
	for _, name := range f.names {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		s.picture(f, filepath.Join(f.path, name), side)
	}
	return nil
}

// disordered reports whether of two names that follow one another by letters
// the second has the lower number.
func disordered(a, b string) bool {
	split := func(name string) (before string, number []byte) {
		bare := strings.TrimSuffix(name, filepath.Ext(name))
		at := lastNumber.FindAllStringIndex(bare, -1)
		if len(at) == 0 {
			return name, nil
		}
		last := at[len(at)-1]
		return bare[:last[0]], []byte(strings.TrimLeft(bare[last[0]:last[1]], "0"))
	}
	before, x := split(a)
	other, y := split(b)
	if before != other || x == nil || y == nil {
		return false
	}
	return len(x) > len(y) || len(x) == len(y) && slices.Compare(x, y) > 0
}

// picture decodes one picture and compares it with the first.
func (s *audit) picture(f *clipFacts, path string, side int) {
	full := filepath.Join(s.dir, path)
	p, err := video.ReadImage(full)
	if err != nil {
		s.problem("%s cannot be read: %v", path, lastOf(err))
		return
	}
	if f.size == (size{}) {
		f.size = size{H: p.H, W: p.W}
	}
	if f.size.H != p.H || f.size.W != p.W {
		s.problem("%s is %dx%d, the pictures before it are %s (height x width)", path, p.H, p.W, f.size.String())
	}
	if f.role == "densepose" {
		if err := labelmap.DensePose(p, p); err != nil {
			s.problem("%s: %v", path, err)
		}
		return
	}
	if f.role == "inst" {
		if why := notIndex(full); why != nil {
			s.problem("%s holds no instances: %v", path, why)
		}
		return
	}
	if side != 0 {
		return
	}
	if s.colors != nil {
		s.ids(path, p)
		return
	}
	if s.o.clip.labels.labels == 0 {
		return
	}
	if p, err = labelmap.ReadLabels(full); err != nil {
		s.problem("%s: %v", path, errors.Unwrap(err)) // which names the file, too
		return
	}
	s.ids(path, p)
}

// ids says what is wrong with the labels of a control picture, which are
// numbers or colours.
func (s *audit) ids(where string, p *video.Frame) {
	if s.colors != nil {
		ids := video.NewFrame(p.W, p.H)
		if _, err := s.colors.Convert(ids, p); err != nil {
			s.problem("%s: %v", where, err)
			return
		}
		p = ids
	}
	if n := s.o.clip.labels.labels; n > 0 {
		if err := labelmap.CheckFrame(p, n); err != nil {
			s.problem("%s: %v", where, err)
		}
	}
}

// notIndex says why a picture is none whose samples are numbers.
func notIndex(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = labelmap.DecodeIndex(file)
	return err
}

// lastOf is the innermost error of a chain: what is wrong, without who says
// so.
func lastOf(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

func (s *audit) lookAtVideo(ctx context.Context, f *clipFacts, side int) error {
	damage, err := s.o.clip.allFrames(ctx, filepath.Join(s.dir, f.path), func(n int, p *video.Frame) error {
		f.n = n + 1
		f.size = size{H: p.H, W: p.W}
		if side == 0 {
			s.ids(fmt.Sprintf("%s frame %d", f.path, n), p)
		}
		return nil
	})
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		s.problem("%s cannot be read: %v", f.path, err)
	case damage != "":
		s.problem("%s is damaged: %s", f.path, damage)
	}
	return nil
}

// mostNames is how many pictures without a partner are named a clip.
const mostNames = 20

// compare notes where two sides of a clip do not fit together.
func (s *audit) compare(a, b *clipFacts, sameSize bool) {
	if a.n == 0 || b.n == 0 {
		return // reported
	}
	if a.n != b.n {
		s.problem("%s has %d frames, %s has %d", a.path, a.n, b.path, b.n)
	}
	if sameSize && a.size != b.size && a.size != (size{}) && b.size != (size{}) {
		s.problem("%s is %s, %s is %s (height x width)", a.path, a.size.String(), b.path, b.size.String())
	}
	bare := func(names []string) map[string]bool {
		set := map[string]bool{}
		for _, name := range names {
			set[strings.TrimSuffix(name, filepath.Ext(name))] = true
		}
		return set
	}
	inA, inB := bare(a.names), bare(b.names)
	var alone []string
	for _, side := range []struct {
		of    *clipFacts
		in    map[string]bool
		other *clipFacts
	}{{a, inB, b}, {b, inA, a}} {
		for _, name := range side.of.names {
			if !side.in[strings.TrimSuffix(name, filepath.Ext(name))] {
				alone = append(alone, fmt.Sprintf("%s has no partner in %s", filepath.Join(side.of.path, name), side.other.path))
			}
		}
	}
	if len(alone) == len(a.names)+len(b.names) {
		return // named in two ways: they go by their order
	}
	for _, line := range alone[:min(len(alone), mostNames)] {
		s.problem("%s", line)
	}
	if more := len(alone) - mostNames; more > 0 {
		s.problem("%s and %s: %d more pictures have no partner", a.path, b.path, more)
	}
}
