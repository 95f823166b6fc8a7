package models

import (
	"context"
	"fmt"

	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/op"
	"github.com/v2v/v2v/video"
)

// firstPrefix stands before the names of an image network's weights in the
// file of the video network that it makes the first frames for.
const firstPrefix = "first."

// firstFits checks that an image network makes first frames for a network.
func firstFits(net, first Network) error {
	n, f := net.Needs(), first.Needs()
	if err := f.pictures(); err != nil {
		return err
	}
	switch {
	case n.Past == 0:
		return fmt.Errorf("the network looks back at no frames: it needs no first one")
	case f.Past > 0 || f.Window != 1:
		return fmt.Errorf("the network of first frames looks at more than one picture: give an image network")
	case f.Instances && !n.Instances || (n.Tiles() > 1 || f.Tiles() > 1) && n.InputNC != f.InputNC:
		return fmt.Errorf("the network of first frames sees control pictures of %d channels, the video network of %d", f.Channels(), n.Channels())
	case n.Labels != f.Labels:
		return fmt.Errorf("the network of first frames knows %d labels, the video network %d", f.Labels, n.Labels)
	}
	return nil
}

// still runs an image network, frame by frame.
type still struct {
	exe  engine.Executable
	in   []engine.Buffer // the tiles of a control picture
	rest []engine.Buffer // features, in the middle of their range
	out  [2]int          // numbers of the outputs: the frame in numbers and as a picture
}

func newStill(dev engine.Device, m *Model, h, w int, precision engine.Precision) (_ *still, err error) {
	p, err := GeneratorProgram(m.First, 1, h, w)
	if err != nil {
		return nil, err
	}
	s := &still{}
	for i, v := range p.Outputs {
		switch p.Values[v].Name {
		case "final":
			s.out[0] = i
		case "final_rgb":
			s.out[1] = i
		}
	}
	weight := func(name string, dst []float32) error { return m.Weight(firstPrefix+name, dst) }
	if s.exe, err = dev.Compile(p, engine.Options{Precision: precision, Constants: weight, Source: fmt.Sprintf("%p first", m)}); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	for tile := range m.First.Needs().Tiles() {
		in, err := dev.Alloc(tensor.Shape{1, h, w, 3}, engine.U8)
		if err != nil {
			return nil, err
		}
		s.in = append(s.in, in)
		if err := s.exe.Bind(at("label0", tile), in); err != nil {
			return nil, err
		}
	}
	if v := p.Find("features"); v >= 0 {
		val := p.Values[v]
		b, err := dev.Alloc(val.Shape, engine.F32)
		if err != nil {
			return nil, err
		}
		s.rest = append(s.rest, b)
		if err := b.Write(make([]float32, val.Size())); err != nil {
			return nil, err
		}
		if err := s.exe.Bind("features", b); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// run fills dst with the picture, and img, which may be padded to another size,
// with its numbers before they were rounded. It sees the first pictures of a control
// frame, as many as it wants.
func (s *still) run(src, dst *video.Frame, img op.Tensor) error {
	for tile, in := range s.in {
		size := len(dst.Pix)
		if err := in.Write(src.Pix[tile*size:][:size]); err != nil {
			return err
		}
	}
	if err := s.exe.Run(); err != nil {
		return err
	}
	final := s.exe.Output(s.out[0])
	from := final.Shape()
	x := make([]float32, from.TotalSize())
	if err := final.Read(x); err != nil {
		return err
	}
	h, w := img.Shape[2], img.Shape[3]
	for i := range img.F {
		c, y, x0 := i/(h*w)%from[1], min(i/w%h, dst.H-1), min(i%w, dst.W-1)
		img.F[i] = x[(c*from[2]+y)*from[3]+x0]
	}
	return s.exe.Output(s.out[1]).Read(dst.Pix)
}

// close frees everything and returns the first thing that went wrong.
func (s *still) close() error {
	err := s.exe.Close()
	for _, b := range append(s.rest, s.in...) {
		if b == nil {
			continue
		}
		if cerr := b.Close(); err == nil {
			err = cerr
		}
	}
	return err
}

// seeded reports whether the next frame is a seed: one that is not made by the
// video network.
func (r *Runner) seeded() bool {
	return r.age() < r.needs.Past && (r.o.Seed != nil || r.fromImages())
}

// fromImages reports whether the model's own image network makes the seeds.
func (r *Runner) fromImages() bool {
	return r.model.First != nil && r.o.Seed == nil && r.o.First == nil && !r.o.Blank
}

// seedFrame makes frame t without the video network, which goes on from it.
func (r *Runner) seedFrame(ctx context.Context, src, dst *video.Frame) (err error) {
	var img op.Tensor
	switch {
	case r.o.Seed != nil:
		if err = r.o.Seed(ctx, r.t, dst); err == nil {
			img = r.picture(dst)
		}
	default:
		img = r.picture(nil)
		if r.still == nil {
			if r.still, err = newStill(r.dev, r.model, r.h, r.w, r.o.Precision); err != nil {
				return fmt.Errorf("prepare the network of first frames: %w", err)
			}
		}
		err = r.still.run(src, dst, img)
	}
	if err != nil {
		return fmt.Errorf("first frames: %w", err)
	}
	if err := r.remember(img, func(ring ring) []engine.Buffer { return []engine.Buffer{ring.at(r.t)} }); err != nil {
		return err
	}
	r.t++
	if s := r.o.Steady; !r.seeded() && s.Every == 0 && !s.Cuts {
		return r.dropStill() // its memory is worth more than the time to make it again for the next clip
	}
	return nil
}

func (r *Runner) dropStill() error {
	if r.still == nil {
		return nil
	}
	err := r.still.close()
	r.still = nil
	return err
}

// picture is a frame as the finest scale sees it, padded, or nil's: zeros.
func (r *Runner) picture(f *video.Frame) op.Tensor {
	shape := r.own.shapes.levels[0]
	img := op.Tensor{Shape: shape, F: make([]float32, shape.TotalSize())}
	if f != nil {
		picture := op.Tensor{Shape: tensor.Shape{1, f.H, f.W, 3}, B: f.Pix}
		op.FromBytes{OutH: shape[2], OutW: shape[3]}.Do([]op.Tensor{picture}, img)
	}
	return img
}

// remember writes a picture to places of the rings of every scale, reduced for
// coarser ones as control pictures are.
func (r *Runner) remember(img op.Tensor, places func(ring) []engine.Buffer) error {
	for level, ring := range r.own.prev {
		if level > 0 {
			half := op.Tensor{Shape: ring[0].Shape(), F: make([]float32, ring[0].Shape().TotalSize())}
			Pooling.Do([]op.Tensor{img}, half)
			img = half
		}
		for _, b := range places(ring) {
			if err := b.Write(img.F); err != nil {
				return err
			}
		}
	}
	return nil
}
