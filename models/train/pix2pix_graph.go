package train

import (
	"fmt"
	"slices"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/nn"
)

// pix2pixGraphs builds the programs of a step on pairs. They share parameters
// by name: the generator's own, and the discriminator's under D. Each frame is
// normalised by its own statistics, as it will be when the model runs.
type pix2pixGraphs struct {
	c Pix2PixConfig
	p Pairs
	s *pairStage
}

func (g pix2pixGraphs) start() *pictureGraph {
	b := nn.NewBuilder(G.NewGraph(), nn.Options{PerFrame: true, Dropout: true})
	return &pictureGraph{b: b, terms: terms{b: b}}
}

// control is the control picture as the network sees it.
func (g pix2pixGraphs) control(b *nn.Builder) *G.Node {
	n, h, w := g.p.Net.Needs(), g.p.Height, g.p.Width
	all := n.Control(b, h, w, func(int) *G.Node { return b.InputBytes("control", g.p.Batch, h, w, 3) })
	x := all[0]
	if len(all) > 1 {
		x = b.Concat(1, all...)
	}
	return g.seenAt(b, x)
}

// seenAt is x as a stage sees it, reduced as a local enhancer reduces what it
// gives to the generator inside.
func (g pix2pixGraphs) seenAt(b *nn.Builder, x *G.Node) *G.Node {
	for range g.s.halved {
		x = b.AvgPool(x, 3, 2, 1)
	}
	return x
}

func (g pix2pixGraphs) real(b *nn.Builder) *G.Node {
	return g.seenAt(b, b.FromBytes(b.InputBytes("real", g.p.Batch, g.p.Height, g.p.Width, 3), g.p.Height, g.p.Width, false))
}

// judge applies the discriminator to a frame beside its control picture. The
// result is as MultiscaleD's; of a PatchGAN it is the logits alone.
func (g pix2pixGraphs) judge(b *nn.Builder, control, frame *G.Node) [][]*G.Node {
	return g.verdict(b, b.Concat(1, control, frame))
}

// verdict is that of the discriminator on control picture and frame together.
func (g pix2pixGraphs) verdict(b *nn.Builder, x *G.Node) [][]*G.Node {
	if b.Err() != nil {
		return nil
	}
	if g.c.D.NumD > 0 {
		return g.c.D.scales().Build(b.In("D."), x)
	}
	return [][]*G.Node{g.c.D.patches(x).Build(b.In("D."), models.Inputs{Labels: x}).Scores}
}

// verdicts adds what every scale's verdict is off by.
func (g pix2pixGraphs) verdicts(t *terms, name string, weight float32, all [][]*G.Node, of func(*G.Node) *G.Node) {
	for _, scale := range all {
		t.add(name, weight, of(scale[len(scale)-1]))
	}
}

// taken is how little a verdict takes a picture for real, as the generator
// counts it; seen is the same as the discriminator counts it.
func (g pix2pixGraphs) taken(b *nn.Builder) func(*G.Node) *G.Node {
	if g.c.Loss == "hinge" {
		return func(x *G.Node) *G.Node { return b.Scale(b.Mean(x), -1, 0) }
	}
	return g.off(b, 1)
}

func (g pix2pixGraphs) seen(b *nn.Builder, real bool) func(*G.Node) *G.Node {
	switch {
	case g.c.Loss == "hinge" && real:
		return func(x *G.Node) *G.Node { return b.Mean(b.ReLU(b.Scale(x, -1, 1))) }
	case g.c.Loss == "hinge":
		return func(x *G.Node) *G.Node { return b.Mean(b.ReLU(b.Scale(x, 1, 1))) }
	case real:
		return g.off(b, g.c.RealLabel)
	}
	return g.off(b, 0)
}

func (g pix2pixGraphs) off(b *nn.Builder, label float32) func(*G.Node) *G.Node {
	if g.c.Loss == "bce" {
		return func(x *G.Node) *G.Node { return b.BCE(x, label) }
	}
	return func(x *G.Node) *G.Node { return b.MSE(x, label) }
}

// generator is the G step. Extra output: fake, as it is before the step.
func (g pix2pixGraphs) generator() *pictureGraph {
	s := g.start()
	b := s.b
	control, real := g.control(b), g.real(b)
	fake := g.made(b, control)
	params := slices.DeleteFunc(b.Params(), func(p nn.Param) bool { return g.s.learns != nil && !g.s.learns(p.Name) }) // before the discriminator adds its own
	if g.c.GAN > 0 {
		verdict := g.judge(b, control, fake)
		g.verdicts(&s.terms, "G_GAN", g.c.GAN, verdict, g.taken(b))
		if g.c.Features > 0 {
			s.terms.features("G_FM", g.c.Features, verdict, g.judge(b, control, real))
		}
	}
	s.terms.add("G_L1", g.c.L1, b.L1(fake, real))
	s.terms.perceptual("G_VGG", g.c.PerceptualWeight, g.c.Perceptual.sees(b, fake), g.c.Perceptual.sees(b, real))
	s.output(g.s.fake(), fake)
	if b.Err() != nil {
		return s
	}
	s.descend(params, b.Grad(s.terms.total(), params), nn.AdamOptions{Beta1: g.c.Beta1, Beta2: g.c.Beta2}, "G_norm")
	return s
}

// discriminator is the D step on the frames in the input fake. Extra outputs:
// the verdicts, of_real and of_fake of each scale. With a penalty it pays for its
// slope.
func (g pix2pixGraphs) discriminator(penalty bool) *pictureGraph {
	s := g.start()
	b := s.b
	control, real := g.control(b), g.real(b)
	fake := b.Input(g.s.fake(), g.p.Batch, 3, g.p.Height>>g.s.halved, g.p.Width>>g.s.halved)
	ofReal, ofFake := g.judge(b, control, real), g.judge(b, control, fake)
	g.verdicts(&s.terms, "D_real", 0.5, ofReal, g.seen(b, true))
	g.verdicts(&s.terms, "D_fake", 0.5, ofFake, g.seen(b, false))
	if penalty {
		g.penalise(s, control, real)
	}
	if b.Err() != nil {
		return s
	}
	for i := range ofReal {
		s.output(fmt.Sprintf("of_real%d", i), ofReal[i][len(ofReal[i])-1])
		s.output(fmt.Sprintf("of_fake%d", i), ofFake[i][len(ofFake[i])-1])
	}
	params := b.Params()
	s.descend(params, b.Grad(s.terms.total(), params), nn.AdamOptions{Beta1: g.c.Beta1, Beta2: g.c.Beta2, Name: "dadam"}, "D_norm")
	return s
}

// rendering is the generator alone. Its last output is as large as the frames.
func (g pix2pixGraphs) rendering() *pictureGraph {
	s := g.start()
	fake := g.made(s.b, g.control(s.b))
	s.output(g.s.fake(), fake)
	if g.s.halved > 0 {
		s.output("shown", s.b.ResizeBilinear(fake, g.p.Height, g.p.Width))
	}
	return s
}
