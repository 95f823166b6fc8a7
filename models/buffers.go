package models

import (
	"fmt"

	"github.com/v2v/v2v/models/engine"
)

// buffers are what one clip has on the device.
type buffers struct {
	shapes   bufferShapes
	labels   []engine.Buffer // ring of Window control pictures, uint8, the tiles of each one after another
	prev     []ring          // by level, the finest first
	unseen   []engine.Buffer // by level: the frame, raw or final, that the next one is not made of
	picture  engine.Buffer   // the frame that is shown, uint8
	hidden   engine.Buffer   // the other
	features engine.Buffer   // nil where the network wants none
	all      []engine.Buffer
}

// ring holds the Past+1 last frames of a scale, float32: those the next frame
// is made of, and room for it.
type ring []engine.Buffer

// at is the place of frame t.
func (r ring) at(t int) engine.Buffer { return r[t%len(r)] }

func newBuffers(dev engine.Device, s bufferShapes) (b *buffers, err error) {
	b = &buffers{shapes: s}
	defer func() {
		if err != nil {
			b.close()
			b = nil
		}
	}()
	alloc := func(level int, t engine.Type) (buf engine.Buffer) {
		if err != nil {
			return nil
		}
		shape := s.picture
		if t == engine.F32 {
			shape = s.levels[level]
		}
		if buf, err = dev.Alloc(shape, t); err == nil {
			b.all = append(b.all, buf)
		}
		return buf
	}
	for range s.needs.Window * s.needs.Tiles() {
		b.labels = append(b.labels, alloc(0, engine.U8))
	}
	b.picture = alloc(0, engine.U8)
	for level := range s.levels {
		var ring ring
		for range s.needs.Past + 1 {
			ring = append(ring, alloc(level, engine.F32))
		}
		b.prev = append(b.prev, ring)
		if s.raw {
			b.unseen = append(b.unseen, alloc(level, engine.F32))
		}
	}
	if s.raw {
		b.hidden = alloc(0, engine.U8)
	}
	if s.features != nil && err == nil {
		if b.features, err = dev.Alloc(s.features, engine.F32); err == nil {
			b.all = append(b.all, b.features)
		}
	}
	return b, err
}

// frameAt is which frame of a clip is to be made.
type frameAt struct {
	t     int
	shown int  // first frame that the window may show
	raw   bool // it is the raw one: there is nothing to warp
}

// bind points a row of a program at the frame that it makes: at the control
// pictures it sees, the frames made before, and where it goes, at every scale.
func (b *buffers) bind(p *rowProgram, r row, f frameAt) (err error) {
	bind := func(name string, level int, buf engine.Buffer) {
		if err == nil {
			err = p.Bind(r.of(at(name, level)), buf)
		}
	}
	n, tiles := b.shapes.needs.Window, b.shapes.needs.Tiles()
	for tile := range tiles {
		for i := range n {
			bind(fmt.Sprintf("label%d", i), tile, b.labels[max(f.shown, f.t-n+1+i)%n*tiles+tile])
		}
	}
	final, raw := "final", "raw"
	if f.raw {
		final, raw = raw, final
	}
	for level, ring := range b.prev {
		bind(final, level, ring.at(f.t))
		for i := range b.shapes.needs.Past {
			bind(fmt.Sprintf("prev%d", i), level, ring.at(f.t+1+i))
		}
		if b.shapes.raw {
			bind(raw, level, b.unseen[level])
		}
	}
	bind(final+"_rgb", 0, b.picture)
	if b.shapes.raw {
		bind(raw+"_rgb", 0, b.hidden)
	}
	if b.features != nil {
		bind("features", 0, b.features)
	}
	return err
}

func (b *buffers) close() error {
	if b == nil {
		return nil
	}
	var first error
	for _, buf := range b.all {
		if err := buf.Close(); first == nil {
			first = err
		}
	}
	b.all = nil
	return first
}
