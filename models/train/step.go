package train

import (
	"fmt"
	"maps"
	"slices"
	"strings"

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
	prog     *engine.Program
	exe      engine.Executable // nil until it is first run, where programs are many
	params   []nn.Param
	learned  []learned
	losses   []string // names of the outputs that are losses, after extra outputs
	extra    int
	verdicts []verdict
}

type vid2vidGraphs struct {
	c    Vid2VidConfig
	d    discriminator
	time []timeScale
}

func newGraphs(c Vid2VidConfig) vid2vidGraphs {
	return vid2vidGraphs{c: c, d: discriminator{"D.", c.D.net()}, time: c.timeScales()}
}

func (g vid2vidGraphs) adversarial() bool { return g.c.Weights.GAN != 0 || g.c.Weights.Features != 0 }

// levelled is the name of what belongs to pictures halved so many times.
func levelled(name string, level int) string {
	if level == 0 {
		return name
	}
	return fmt.Sprintf("%s.%d", name, level)
}

// control are the channels of control picture i, (N,C,H,W).
func (g vid2vidGraphs) control(b *nn.Builder, i int) *G.Node {
	all := g.c.Generator.Needs().Control(b, g.c.Height, g.c.Width, func(tile int) *G.Node {
		return b.InputBytes(levelled(fmt.Sprintf("label%d", i), tile), g.c.Batch, g.c.Height, g.c.Width, 3)
	})
	if len(all) == 1 {
		return all[0]
	}
	return b.Concat(1, all...)
}

// start begins a graph of a training step.
func (g vid2vidGraphs) start() *terms {
	return &terms{b: nn.NewBuilder(G.NewGraph(), nn.Options{PerFrame: true}), loss: g.c.Loss}
}

// generated applies the generator.
func (g vid2vidGraphs) generated(b *nn.Builder, net models.Vid2Vid, f frame) models.Outputs {
	in := models.Inputs{Labels: b.Concat(1, f.labels...), Prev: b.Concat(1, f.prev...)}
	for _, prev := range f.coarse {
		in.Coarse = append(in.Coarse, b.Concat(1, prev...))
	}
	return net.Build(b, in)
}

// generator is the G step: extra outputs of each frame final, raw and real_f and
// the coarser scales' final, then the losses.
func (g vid2vidGraphs) generator(k kind) (*step, error) {
	t := g.start()
	b := t.b
	params, made, extra := g.film(t, k)
	params = slices.DeleteFunc(b.Reached(t.total(), params), func(p nn.Param) bool { return !g.learns(p.Name, k) })
	optimiser, err := g.optimiser(k)
	if err != nil {
		return nil, err
	}
	var masks []nn.Term
	for _, out := range made {
		if out.Mask != nil {
			masks = append(masks, nn.Term{Weight: 1, Node: b.Mean(out.Mask)})
		}
	}
	var measured []engine.Named
	if len(masks) > 0 {
		for i := range masks {
			masks[i].Weight /= float32(len(masks))
		}
		measured = append(measured, engine.Named{Name: maskMean, Node: b.Combine(masks...)})
	}
	return g.finish(b, t, params, optimiser, extra, measured...)
}

// film makes the frames of a chunk and the terms about them, of the generator's
// parameters.
func (g vid2vidGraphs) film(t *terms, k kind) (params []nn.Param, made []models.Outputs, extra []engine.Named) {
	b := t.b
	fs, made := g.unroll(b, k)
	params = b.Params() // those of discriminators come later
	for j, f := range fs {
		t.over = k.frames()
		g.picture(b, t, f, made[j])
		if made[j].Flow != nil {
			g.motion(b, t, f, made[j])
		}
		g.face(t, f, made[j].Final)
		for _, s := range k.judging(g.time, j) {
			t.over = k.judged(g.time, s)
			fake, real := s.d.on(b, s.sees(b, f, f.past, "past", made[j].Final)...), s.d.on(b, s.sees(b, f, f.realPast, "realpast", f.real)...)
			t.fool("G"+s.name()+"_GAN", g.c.Weights.Temporal, fake)
			t.features("G"+s.name()+"_FM", g.c.Weights.Features*g.c.Weights.Temporal, fake, real)
		}
		extra = append(extra, engine.Named{Name: nth("final", j), Node: made[j].Final},
			engine.Named{Name: nth("raw", j), Node: made[j].Raw}, engine.Named{Name: nth("real_f", j), Node: f.real})
		for i, o := range made[j].Coarse {
			extra = append(extra, engine.Named{Name: nth(levelled("final", i+1), j), Node: o.Final})
		}
	}
	return params, made, extra
}

// learns reports whether a parameter of the generator takes part in a step that
// reaches it: where the finest scale alone learns those of others do not. What
// makes the pictures of a coarser scale is reached through time alone, since no
// loss sees them.
func (g vid2vidGraphs) learns(name string, k kind) bool {
	top := g.c.Generator.Needs().Scales - 1
	return !k.fixed || top == 0 || strings.HasPrefix(name, fmt.Sprintf("netG%d.", top))
}

// picture are the terms about the frame itself, for the blend and for what was
// hallucinated.
func (g vid2vidGraphs) picture(b *nn.Builder, t *terms, f frame, out models.Outputs) {
	pictures := []*G.Node{out.Final}
	if out.Raw != out.Final {
		pictures = append(pictures, out.Raw)
	}
	now := f.labels[len(f.labels)-1]
	features := g.c.Perceptual.sees(b, f.real)
	var real [][]*G.Node
	if g.adversarial() {
		real = g.d.on(b, now, f.real)
	}
	for _, p := range pictures {
		t.add("G_L1", g.c.Weights.L1, b.L1(p, f.real))
		t.perceptual("G_VGG", g.c.Weights.Perceptual, g.c.Perceptual.sees(b, p), features)
		if g.adversarial() {
			fake := g.d.on(b, now, p)
			t.fool("G_GAN", g.c.Weights.GAN, fake)
			t.features("G_FM", g.c.Weights.Features, fake, real)
		}
	}
}

// motion are the terms about flow and mask.
func (g vid2vidGraphs) motion(b *nn.Builder, t *terms, f frame, out models.Outputs) {
	w, last := g.c.Weights, len(f.prev)-1
	flow := w.Flow / float32(int(1)<<(g.c.Generator.Needs().Scales-1)) // of finer pixels there are more to a motion
	t.masked("F_Flow", flow, out.Flow, f.flow, f.visible)
	t.masked("F_Warp", w.FlowWarp, b.Warp(f.realPrev[last], out.Flow), f.real, f.visible)
	t.masked("G_Warp", w.Warp, out.Final, b.Warp(b.Detach(f.prev[last]), f.flow), f.visible)
	// The mask lies in [0,1], so that its mean is its L1 norm.
	t.add("W", w.Mask, b.Mean(b.Mul(out.Mask, f.visible)))
}

// judge is the step of the discriminators: they see what the G step left in
// the inputs fake and fakeraw of each frame, and pay for their slope with a
// penalty. It is nil where none of them judges.
func (g vid2vidGraphs) judge(k kind, penalty bool) (*step, error) {
	judging := k.judging(g.time, -1)
	if !g.adversarial() && len(judging) == 0 {
		return nil, nil
	}
	t := g.start()
	b := t.b
	var seen verdicts
	fs := g.watched(b, k)
	for j, f := range fs {
		t.over = k.frames()
		pictures := []*G.Node{f.made}
		if !(k.first && j == 0) && !g.c.Generator.NoFlow {
			pictures = append(pictures, b.Input(nth("fakeraw", j), f.made.Shape()...))
		}
		now := f.labels[len(f.labels)-1]
		if g.adversarial() {
			real := t.learns(g.d, now, f.real)
			seen.add("D", true, real)
			for i, p := range pictures {
				fake := t.learns(g.d, now, p)
				if i == 0 {
					seen.add("D", false, fake)
				}
				t.gan("D_fake", 0.5, fake, false)
				t.gan("D_real", 0.5, real, true)
			}
		}
		g.judgeFace(t, f, &seen)
		for _, s := range k.judging(g.time, j) {
			t.over = k.judged(g.time, s)
			fake, real := t.learns(s.d, s.sees(b, f, f.past, "past", f.made)...), t.learns(s.d, s.sees(b, f, f.realPast, "realpast", f.real)...)
			seen.add("D"+s.name(), true, real)
			seen.add("D"+s.name(), false, fake)
			t.gan("D"+s.name()+"_fake", 0.5, fake, false)
			t.gan("D"+s.name()+"_real", 0.5, real, true)
		}
	}
	if penalty {
		g.penalise(t, k, fs)
	}
	optimiser := func(name string) string {
		for _, s := range judging {
			if strings.HasPrefix(name, s.d.prefix) {
				return s.adam
			}
		}
		return "dadam"
	}
	st, err := g.finish(b, t, b.Params(), optimiser, seen.extra)
	if err == nil {
		st.verdicts = seen.all
	}
	return st, err
}

// learned are parameters and the optimiser that moves them.
type learned struct {
	adam   string
	params []nn.Param
}

// finish differentiates, adds the optimiser of each parameter and lowers.
// Measured are read like losses.
func (g vid2vidGraphs) finish(b *nn.Builder, t *terms, params []nn.Param, optimiser func(string) string, extra []engine.Named, measured ...engine.Named) (*step, error) {
	grads := b.Grad(t.total(), params)
	var updates []nn.Update
	var all []learned
	for i := 0; i < len(grads); {
		name, from := optimiser(params[i].Name), i
		for ; i < len(grads) && optimiser(params[i].Name) == name; i++ {
		}
		l := learned{name, params[from:i]}
		all = append(all, l)
		if g.c.accumulate() > 1 {
			updates = append(updates, g.collect(b, l, grads[from:i])...)
			continue
		}
		updates = append(updates, nn.Adam(b, l.params, grads[from:i], g.adam(name))...)
	}
	updates = append(updates, t.keeps...)
	s, names := engine.Source{Outputs: extra}, slices.Clone(t.names)
	for i, name := range t.names {
		s.Outputs = append(s.Outputs, engine.Named{Name: "loss " + name, Node: t.parts[i].Node})
	}
	for _, m := range append(measured, gradientLengths(b, params, grads)...) {
		names = append(names, m.Name)
		s.Outputs = append(s.Outputs, engine.Named{Name: "loss " + m.Name, Node: m.Node})
	}
	p, err := lower(b, s, updates)
	if err != nil {
		return nil, err
	}
	if g.c.Recompute {
		engine.Recompute(p)
	}
	return &step{prog: p, params: b.Params(), learned: all, losses: names, extra: len(extra)}, nil
}

// adam are the constants of an optimiser.
func (g vid2vidGraphs) adam(name string) nn.AdamOptions {
	o := nn.AdamOptions{Name: name}
	if o.Beta1, o.Beta2 = g.c.temporalBetas(); name == "adam" || name == lateAdam || name == "dadam" {
		o.Beta1, o.Beta2 = g.c.betas()
	}
	if o.Beta1 == 0 {
		o.Beta1 = -1
	}
	return o
}

// lower makes a program of a graph whose parameters other programs share.
func lower(b *nn.Builder, src engine.Source, updates []nn.Update) (*engine.Program, error) {
	if err := b.Err(); err != nil {
		return nil, err
	}
	shared := map[string]bool{}
	for _, p := range b.Params() {
		shared[p.Name] = true
	}
	src.Constant = isPerceptual
	src.Variable = func(name string) bool { return shared[name] || isDirection(name) }
	for _, u := range updates {
		src.Updates = append(src.Updates, engine.Update(u))
	}
	return engine.Lower(src)
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
