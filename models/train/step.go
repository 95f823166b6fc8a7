package train

import (
	"fmt"
	"maps"
	"slices"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/nn"
)

// The graphs of a vid2vid step. Each lives in a graph of its own, because
// gorgonia differentiates a graph once; they share parameters by name. The
// first frame of a clip has no past: it is hallucinated whole, and the terms
// about motion and time fall away.

// step is one program and what is bound to it.
type step struct {
	prog   *engine.Program
	exe    engine.Executable
	params []nn.Param
	losses []string // names of the outputs that are losses, after extra outputs
	extra  int
}

// frame are the inputs that a frame brings to the graphs.
type frame struct {
	labels, prev            []*G.Node // oldest first
	real                    *G.Node
	realPrev                []*G.Node
	flow, flowPrev, visible *G.Node
}

type vid2vidGraphs struct {
	c  Vid2VidConfig
	d  discriminator
	dt discriminator
}

func newGraphs(c Vid2VidConfig) vid2vidGraphs {
	return vid2vidGraphs{c: c, d: discriminator{"D.", c.D.net()}, dt: discriminator{"DT.", c.D.net()}}
}

func (g vid2vidGraphs) adversarial() bool { return g.c.Weights.GAN != 0 || g.c.Weights.Features != 0 }
func (g vid2vidGraphs) temporal() bool    { return g.c.Weights.Temporal != 0 && !g.c.Generator.NoFlow }

// inputs makes the leaves of a graph. Pictures come as bytes, what was made
// before as the float buffers it was left in.
func (g vid2vidGraphs) inputs(b *nn.Builder) frame {
	n, h, w := g.c.Batch, g.c.Height, g.c.Width
	needs := g.c.Generator.Needs()
	var f frame
	for i := range needs.Window {
		f.labels = append(f.labels, b.FromBytes(b.InputBytes(fmt.Sprintf("label%d", i), n, h, w, 3), h, w, needs.Luma))
	}
	for i := range needs.Past {
		f.prev = append(f.prev, b.Input(fmt.Sprintf("prev%d", i), n, 3, h, w))
		f.realPrev = append(f.realPrev, b.Input(fmt.Sprintf("realprev%d", i), n, 3, h, w))
	}
	f.real = b.FromBytes(b.InputBytes("real", n, h, w, 3), h, w, false)
	f.flow, f.flowPrev = b.Input("flow", n, 2, h, w), b.Input("flowprev", n, 2, h, w)
	f.visible = b.Input("visible", n, 1, h, w)
	return f
}

// time is what the temporal discriminator sees: three frames, and the measured
// flows between them in units of the flow head.
func (f frame) time(b *nn.Builder, past []*G.Node, now *G.Node) []*G.Node {
	k := len(past)
	two := past[max(0, k-2):]
	return append(slices.Clone(two), now, b.Scale(f.flowPrev, 1.0/20, 0), b.Scale(f.flow, 1.0/20, 0))
}

// generator is the G step: extra outputs final, raw and real, then the losses.
func (g vid2vidGraphs) generator(first bool) (*step, error) {
	b := nn.NewBuilder(G.NewGraph(), nn.Options{PerFrame: true})
	f := g.inputs(b)
	net := g.c.Generator
	if first {
		net.NoFlow = true
	}
	out := net.Build(b, models.Inputs{Labels: b.Concat(1, f.labels...), Prev: b.Concat(1, f.prev...)})
	params := b.Params() // before the discriminators add theirs
	t := &terms{b: b}
	g.picture(b, t, f, out)
	if out.Flow != nil {
		g.motion(b, t, f, out)
	}
	if out.Flow != nil && g.temporal() {
		fake, real := g.dt.on(b, f.time(b, f.prev, out.Final)...), g.dt.on(b, f.time(b, f.realPrev, f.real)...)
		t.gan("GT_GAN", g.c.Weights.Temporal, fake, 1)
		t.features("GT_FM", g.c.Weights.Features*g.c.Weights.Temporal, fake, real)
	}
	extra := []engine.Named{{Name: "final", Node: out.Final}, {Name: "raw", Node: out.Raw}, {Name: "real_f", Node: f.real}}
	return g.finish(b, t, params, "adam", extra)
}

// picture are the terms about the frame itself, for the blend and for what was
// hallucinated.
func (g vid2vidGraphs) picture(b *nn.Builder, t *terms, f frame, out models.Outputs) {
	pictures := []*G.Node{out.Final}
	if out.Raw != out.Final {
		pictures = append(pictures, out.Raw)
	}
	now := f.labels[len(f.labels)-1]
	var real [][]*G.Node
	if g.adversarial() {
		real = g.d.on(b, now, f.real)
	}
	for _, p := range pictures {
		t.add("G_L1", g.c.Weights.L1, b.L1(p, f.real))
		if g.adversarial() {
			fake := g.d.on(b, now, p)
			t.gan("G_GAN", g.c.Weights.GAN, fake, 1)
			t.features("G_FM", g.c.Weights.Features, fake, real)
		}
	}
}

// motion are the terms about flow and mask.
func (g vid2vidGraphs) motion(b *nn.Builder, t *terms, f frame, out models.Outputs) {
	w, last := g.c.Weights, len(f.prev)-1
	t.masked("F_Flow", w.Flow, out.Flow, f.flow, f.visible)
	t.masked("F_Warp", w.FlowWarp, b.Warp(f.realPrev[last], out.Flow), f.real, f.visible)
	t.masked("G_Warp", w.Warp, out.Final, b.Warp(f.prev[last], f.flow), f.visible)
	// The mask lies in [0,1], so that its mean is its L1 norm.
	t.add("W", w.Mask, b.Mean(b.Mul(out.Mask, f.visible)))
}

// judge is the step of the discriminators: they see what the G step left in
// the inputs fake and fakeraw.
func (g vid2vidGraphs) judge(first bool) (*step, error) {
	b := nn.NewBuilder(G.NewGraph(), nn.Options{PerFrame: true})
	f := g.inputs(b)
	n, h, w := g.c.Batch, g.c.Height, g.c.Width
	pictures := []*G.Node{b.Input("fake", n, 3, h, w)}
	if !first && !g.c.Generator.NoFlow {
		pictures = append(pictures, b.Input("fakeraw", n, 3, h, w))
	}
	now := f.labels[len(f.labels)-1]
	t := &terms{b: b}
	if g.adversarial() {
		real := g.d.on(b, now, f.real)
		for _, p := range pictures {
			t.gan("D_fake", 0.5, g.d.on(b, now, p), 0)
			t.gan("D_real", 0.5, real, 1)
		}
	}
	if !first && g.temporal() {
		t.gan("DT_fake", 0.5, g.dt.on(b, f.time(b, f.prev, pictures[0])...), 0)
		t.gan("DT_real", 0.5, g.dt.on(b, f.time(b, f.realPrev, f.real)...), 1)
	}
	return g.finish(b, t, b.Params(), "dadam", nil)
}

// finish differentiates, adds the optimiser and lowers.
func (g vid2vidGraphs) finish(b *nn.Builder, t *terms, params []nn.Param, adam string, extra []engine.Named) (*step, error) {
	total := t.total()
	updates := nn.Adam(b, params, b.Grad(total, params), nn.AdamOptions{Beta1: g.c.Beta1, Beta2: g.c.Beta2, Name: adam})
	if err := b.Err(); err != nil {
		return nil, err
	}
	shared := map[string]bool{}
	for _, p := range b.Params() {
		shared[p.Name] = true
	}
	src := engine.Source{Outputs: extra, Variable: func(name string) bool { return shared[name] }}
	for i, name := range t.names {
		src.Outputs = append(src.Outputs, engine.Named{Name: "loss " + name, Node: t.parts[i].Node})
	}
	for _, u := range updates {
		src.Updates = append(src.Updates, engine.Update(u))
	}
	p, err := engine.Lower(src)
	if err != nil {
		return nil, err
	}
	return &step{prog: p, params: b.Params(), losses: t.names, extra: len(extra)}, nil
}

// variables lists the names of a program's variables.
func (s *step) variables() []string {
	names := map[string]bool{}
	for _, v := range s.prog.Values {
		if v.Role == engine.Variable {
			names[v.Name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// read appends the losses of the last run.
func (s *step) read(to []Loss) ([]Loss, error) {
	x := make([]float32, 1)
	for i, name := range s.losses {
		if err := s.exe.Output(s.extra + i).Read(x); err != nil {
			return nil, err
		}
		to = append(to, Loss{name, float64(x[0])})
	}
	return to, nil
}
