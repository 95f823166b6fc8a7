package train

import (
	"fmt"
	"strings"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/nn"
)

// The R1 penalty (Mescheder et al. 2018, "Which Training Methods for GANs do
// actually Converge?", equation 9) of discriminators that see pictures beside
// what they are to be true to: r1/2 |dD/dx|^2, x being the real pictures alone
// and D the sum over scales of the mean verdict. Its gradient is a second
// derivative, and a graph is differentiated once: one program finds g = dD/dx,
// another descends along the gradient of dD/dx*g with g held fixed, which is the
// penalty's own. The value of that term is twice the penalty's.

// sight is what a discriminator is shown: pictures, among what has no slope.
type sight struct {
	name                    string
	before, pictures, after []*G.Node
}

// The names of a sight's slope, and of the zeros that are added to its pictures
// so that there is something to differentiate by.
const (
	slopePrefix = "slope."
	nudgePrefix = "nudge."
)

func (s sight) whole(b *nn.Builder) *G.Node {
	return b.Concat(1, append(append(append([]*G.Node{}, s.before...), s.pictures...), s.after...)...)
}

// joined are the pictures (N,3*pictures,H,W).
func (s sight) joined(b *nn.Builder) *G.Node {
	if len(s.pictures) == 1 {
		return s.pictures[0]
	}
	return b.Concat(1, s.pictures...)
}

// nudged is whole, with the zeros by which it is differentiated.
func (s sight) nudged(b *nn.Builder) (*G.Node, nn.Param) {
	pictures := s.joined(b)
	if b.Err() != nil {
		return nil, nn.Param{}
	}
	p := nn.Param{Name: nudgePrefix + s.name, Shape: pictures.Shape()}
	p.Node = b.Input(p.Name, p.Shape...)
	s.pictures = []*G.Node{b.Add(pictures, p.Node)}
	return s.whole(b), p
}

// direction is the slope that was found, and none of what is beside pictures.
func (s sight) direction(b *nn.Builder) *G.Node {
	pictures := s.joined(b)
	if b.Err() != nil {
		return nil
	}
	none := func(xs []*G.Node) (zeros []*G.Node) {
		for _, x := range xs {
			zeros = append(zeros, b.Scale(x, 0, 0))
		}
		return zeros
	}
	v := b.Input(slopePrefix+s.name, pictures.Shape()...)
	return sight{before: none(s.before), pictures: []*G.Node{v}, after: none(s.after)}.whole(b)
}

// verdictSum is the sum over a batch of n and over scales of the mean verdict.
func verdictSum(b *nn.Builder, n int, scales [][]*G.Node) (all []nn.Term) {
	for _, layers := range scales {
		all = append(all, nn.Term{Weight: float32(n), Node: b.Mean(layers[len(layers)-1])})
	}
	return all
}

// slopes are the derivatives of a sum by what nudges its sights.
func slopes(b *nn.Builder, sum []nn.Term, nudges []nn.Param) (all []engine.Named) {
	for i, g := range b.Grad(b.Combine(sum...), nudges) {
		all = append(all, engine.Named{Name: slopePrefix + strings.TrimPrefix(nudges[i].Name, nudgePrefix), Node: g})
	}
	return all
}

// r1Every is from how many steps one pays the penalty of all (Karras et al. 2020,
// "Analyzing and Improving the Image Quality of StyleGAN").
func r1Every(n int) int {
	orElse(&n, 16)
	return n
}

func checkR1(r1 float32, every int, judged bool) error {
	switch {
	case !(r1 >= 0):
		return fmt.Errorf("r1 is %g; give at least 0", r1)
	case every < 0:
		return fmt.Errorf("r1 is paid every %d steps; give r1_every at least 1, or 0 for 16", every)
	case r1 > 0 && !judged:
		return fmt.Errorf("r1 is %g, but there is no discriminator to pay it: give its loss a weight, or set r1 to 0", r1)
	}
	return nil
}

// asSlopes turns the penalties among losses, which weigh so much, into mean
// squared slopes: they say more.
func asSlopes(losses []Loss, weight float32) {
	for i, l := range losses {
		if strings.HasSuffix(l.Name, "R1") {
			losses[i].Value /= float64(weight)
		}
	}
}
