package train

import (
	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/nn"
	"github.com/v2v/v2v/models/op"
)

// ganGraphs builds the programs of a GAN's step. They share parameters by name:
// the generator's own, and the discriminator's under D.
type ganGraphs struct {
	c GANConfig
	p Pictures
	d models.GANDiscriminator
	a augmenter
}

func newGANGraphs(c GANConfig, p Pictures) ganGraphs {
	o := p.Net.Options()
	return ganGraphs{c: c, p: p, a: newAugmenter(c.Augment, p.Batch, o.Size),
		d: models.GANDiscriminator{Size: o.Size, Width: c.D.Width, Norm: c.D.Norm, Spectral: c.D.Spectral}}
}

// emaPrefix is before the names of the means of the generator's weights.
const emaPrefix = "ema."

// codes are the inputs of the generator.
func (g ganGraphs) codes(b *nn.Builder) models.Codes {
	in := models.Codes{Code: b.Input("code", g.p.Batch, g.p.Net.Options().Code, 1, 1)}
	in.Class = g.class(b, "class")
	return in
}

// class is an input of one-hot classes, nil where there are none. What the
// generator is asked for and what the real pictures are is not the same.
func (g ganGraphs) class(b *nn.Builder, name string) *G.Node {
	n := len(g.p.Net.Options().Classes)
	if n == 0 {
		return nil
	}
	return b.Input(name, g.p.Batch, n, 1, 1)
}

// judge applies the discriminator.
func (g ganGraphs) judge(b *nn.Builder, x, class *G.Node, learn bool) (*G.Node, []nn.Update) {
	return g.d.Build(b.In("D."), x, class, learn)
}

// generator is the G step. Extra output: fake, as it is before the step.
func (g ganGraphs) generator() *pictureGraph {
	s := newPictureGraph()
	b := s.b
	in := g.codes(b)
	fake := g.p.Net.Build(b, in)
	params := b.Params() // before the discriminator adds its own
	verdict, _ := g.judge(b, g.a.graph(b, "made", fake), in.Class, false)
	switch g.c.Loss {
	case "bce": // the one that does not saturate
		s.terms.add("G", 1, b.BCE(verdict, 1))
	case "lsgan":
		s.terms.add("G", 1, b.MSE(verdict, 1))
	default:
		s.terms.add("G", 1, b.Scale(b.Mean(verdict), -1, 0))
	}
	s.output("fake", fake)
	if b.Err() != nil {
		return s
	}
	s.descend(params, b.Grad(s.terms.total(), params), nn.AdamOptions{Beta1: g.c.Beta1, Beta2: g.c.Beta2}, "G_norm")
	if g.c.EMA > 0 {
		g.follow(s, params)
	}
	return s
}

// follow updates the means of the weights. They are Adam's first moment of what
// the weights become.
func (g ganGraphs) follow(s *pictureGraph, params []nn.Param) {
	for _, u := range s.updates {
		for _, p := range params {
			if u.Var != p.Node {
				continue
			}
			mean := s.b.Input(emaPrefix+p.Name, p.Shape...)
			next, err := op.Apply(op.AdamM{Beta: g.c.EMA}, mean, u.New)
			if err != nil {
				s.b.Fail(p.Name, err)
				return
			}
			s.updates = append(s.updates, nn.Update{Var: mean, New: next})
		}
	}
}

// discriminator is the D step on the pictures that the G step left in the input
// fake. Extra outputs: the verdicts.
func (g ganGraphs) discriminator(penalty bool) *pictureGraph {
	s := newPictureGraph()
	b := s.b
	o := g.p.Net.Options()
	class := g.class(b, "class")
	real := b.FromBytes(b.InputBytes("real", g.p.Batch, o.Size, o.Size, 3), o.Size, o.Size, o.Channels == 1)
	fake := b.Input("fake", g.p.Batch, o.Channels, o.Size, o.Size)
	ofReal, updates := g.judge(b, g.a.graph(b, "real", real), g.class(b, "real_class"), true)
	ofFake, _ := g.judge(b, g.a.graph(b, "fake", fake), class, true)
	switch g.c.Loss {
	case "bce":
		s.terms.add("D_real", 1, b.BCE(ofReal, g.c.RealLabel))
		s.terms.add("D_fake", 1, b.BCE(ofFake, 0))
	case "lsgan":
		s.terms.add("D_real", 0.5, b.MSE(ofReal, g.c.RealLabel))
		s.terms.add("D_fake", 0.5, b.MSE(ofFake, 0))
	default:
		s.terms.add("D_real", 1, b.Mean(b.ReLU(b.Scale(ofReal, -1, 1))))
		s.terms.add("D_fake", 1, b.Mean(b.ReLU(b.Scale(ofFake, 1, 1))))
	}
	if penalty && b.Err() == nil {
		g.penalise(s, real)
	}
	s.output("of_real", ofReal)
	s.output("of_fake", ofFake)
	if b.Err() != nil {
		return s
	}
	params := b.Params()
	s.descend(params, b.Grad(s.terms.total(), params), nn.AdamOptions{Beta1: g.c.Beta1, Beta2: g.c.Beta2, Name: "dadam"}, "D_norm")
	s.updates = append(s.updates, updates...)
	return s
}

// penalise adds the R1 penalty (Mescheder et al. 2018, "Which Training Methods
// for GANs do actually Converge?", equation 9): half the squared slope of D at
// real pictures, r1/2 |dD/dx|^2. Its gradient is a second derivative, and the
// operators have first ones only; but with g = dD/dx, which the input slope
// holds, it is that of dD/dx*g with g held fixed, and dD/dx*g is what
// GANDiscriminator.Along builds of operators that have a gradient. The value of
// the term is twice the penalty's, its gradient is the penalty's own.
func (g ganGraphs) penalise(s *pictureGraph, real *G.Node) {
	b := s.b
	v := b.Input("slope", real.Shape()...)
	along := g.d.Along(b.In("D."), real, g.class(b, "real_class"), v, true)
	s.terms.add("R1", g.penaltyWeight(), b.Mean(along))
}

// penaltyWeight makes up for the steps without a penalty.
func (g ganGraphs) penaltyWeight() float32 { return g.c.R1 * float32(g.c.R1Every) }

// slope is D's gradient with respect to real pictures, of the sum of the
// verdicts. Output: slope.
func (g ganGraphs) slope() *pictureGraph {
	s := newPictureGraph()
	b := s.b
	o := g.p.Net.Options()
	x := b.Input("flat", g.p.Batch, o.Channels, o.Size, o.Size)
	verdict, _ := g.judge(b, x, g.class(b, "real_class"), true)
	sum := b.Scale(b.Mean(verdict), float32(g.p.Batch), 0)
	if b.Err() == nil {
		if grads := b.Grad(sum, []nn.Param{{Name: "flat", Shape: x.Shape(), Node: x}}); grads != nil {
			s.output("slope", grads[0])
		}
	}
	return s
}

// rendering is the generator alone.
func (g ganGraphs) rendering() *pictureGraph {
	s := newPictureGraph()
	s.output("made", g.p.Net.Build(s.b, g.codes(s.b)))
	return s
}
