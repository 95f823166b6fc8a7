package train

import (
	"context"
	"errors"
	"fmt"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/flow"
	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/nn"
	"github.com/v2v/v2v/video"
)

// rendering is the generator alone, on the variables that training updates.
func (g vid2vidGraphs) rendering() (*step, error) {
	b := nn.NewBuilder(G.NewGraph(), nn.Options{PerFrame: true})
	f := g.inputs(b)
	out := g.generated(b, g.c.Generator, f)
	src := engine.Source{Outputs: []engine.Named{{Name: "final", Node: out.Final}, {Name: "raw", Node: out.Raw}}}
	if out.Flow != nil {
		src.Outputs = append(src.Outputs, engine.Named{Name: "made_flow", Node: out.Flow}, engine.Named{Name: "mask", Node: out.Mask})
	}
	for i, o := range out.Coarse {
		src.Outputs = append(src.Outputs, engine.Named{Name: levelled("final", i+1), Node: o.Final}, engine.Named{Name: levelled("raw", i+1), Node: o.Raw})
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	shared := map[string]bool{}
	for _, p := range b.Params() {
		shared[p.Name] = true
	}
	src.Variable = func(name string) bool { return shared[name] }
	p, err := engine.Lower(src)
	if err != nil {
		return nil, err
	}
	return &step{prog: p, params: b.Params()}, nil
}

// roll makes the frames of a sample and says when each is in the past.
func (v *Vid2Vid) roll(ctx context.Context, s *Sample, made func(t int) error) error {
	batch := make([]*Sample, v.c.Batch)
	for i := range batch {
		batch[i] = s
	}
	if err := errors.Join(v.forget(), v.begin(batch)); err != nil {
		return err
	}
	for t := v.c.begins(); t < len(s.A); t++ {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if err := v.renderFrame(batch, t); err != nil {
			return fmt.Errorf("render frame %d: %w", t, err)
		}
		if err := made(t); err != nil {
			return err
		}
	}
	return nil
}

// Film implements Filmer.
func (v *Vid2Vid) Film(ctx context.Context, s *Sample, show func(t int, fake *video.Frame) error) error {
	return v.roll(ctx, s, func(t int) error {
		fake, err := v.picture(v.fake[0][t%len(v.real)])
		if err != nil {
			return err
		}
		return show(t, fake)
	})
}

// Render implements Trainer. It takes the place of every sample of a batch, so
// that the program compiled for training's batch serves.
func (v *Vid2Vid) Render(ctx context.Context, s *Sample) ([]Picture, error) {
	if err := v.roll(ctx, s, func(int) error { return nil }); err != nil {
		return nil, err
	}
	last := len(s.A) - 1
	fake, err := v.picture(v.fake[0][last%len(v.real)])
	if err != nil {
		return nil, err
	}
	pictures := []Picture{{"input", s.Input(last)}, {"fake", fake}, {"real", s.B[last]}}
	if v.render.prog.Find("mask") < 0 || last == 0 {
		return pictures, nil
	}
	return v.motionPictures(pictures)
}

func (v *Vid2Vid) renderFrame(batch []*Sample, t int) error {
	if err := v.upload(batch, t, 0); err != nil {
		return err
	}
	name, other := "final", "raw"
	if t == 0 && v.render.prog.Find("mask") >= 0 { // nothing to warp: the raw frame counts
		name, other = other, name
	}
	err := v.point(v.render, t, 1)
	for l, ring := range v.fake {
		err = errors.Join(err, v.render.bind(levelled(other, l), v.raw[0][l]), v.render.bind(levelled(name, l), ring[t%len(ring)]))
	}
	if err != nil {
		return err
	}
	return v.render.exe.Run()
}

// picture reads the first item of a float buffer as a frame.
func (v *Vid2Vid) picture(b engine.Buffer) (*video.Frame, error) {
	x := make([]float32, engine.Value{Shape: b.Shape()}.Size())
	if err := b.Read(x); err != nil {
		return nil, err
	}
	h, w := v.c.Height, v.c.Width
	f := video.NewFrame(w, h)
	for i := range h * w {
		for c := range 3 {
			f.Pix[3*i+c] = toByte(x[c*h*w+i]*0.5 + 0.5)
		}
	}
	return f, nil
}

func toByte(x float32) byte { return byte(min(255, max(0, x*255+0.5))) }

// motionPictures adds the flow head on the colour wheel and the mask, white
// where the network hallucinates.
func (v *Vid2Vid) motionPictures(to []Picture) ([]Picture, error) {
	h, w := v.c.Height, v.c.Width
	uv, m := make([]float32, v.c.Batch*2*h*w), make([]float32, v.c.Batch*h*w)
	if err := errors.Join(v.render.exe.Output(2).Read(uv), v.render.exe.Output(3).Read(m)); err != nil {
		return nil, err
	}
	colours, mask := video.NewFrame(w, h), video.NewFrame(w, h)
	flow.Draw(colours, &flow.Field{W: w, H: h, U: uv[:h*w], V: uv[h*w : 2*h*w]}, 0)
	for i := range h * w {
		for c := range 3 {
			mask.Pix[3*i+c] = toByte(m[i])
		}
	}
	return append(to, Picture{"flow", colours}, Picture{"mask", mask}), nil
}
