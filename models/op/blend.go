package op

import (
	"github.com/chewxy/hm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Blend is raw*w + warped*(1-w), vid2vid's choice between hallucinating (w=1)
// and warping (w=0). Inputs: raw, warped (N,C,H,W), w (N,1,H,W).
type Blend struct{}

// Arity implements Spec.
func (Blend) Arity() int { return 3 }

// Result implements Spec.
func (Blend) Result() hm.Type { return nil }

// Infer implements Spec.
func (Blend) Infer(in []tensor.Shape) (tensor.Shape, error) {
	if err := ranks("blend", in, 4, 4, 4); err != nil {
		return nil, err
	}
	if !equal(in[0], in[1]) || !oneChannelOf(in[0], in[2]) {
		return nil, bad("blend", "inputs %v, want (N,C,H,W) twice and (N,1,H,W)", in)
	}
	return in[0].Clone(), nil
}

// Do implements Spec.
func (Blend) Do(in []Tensor, out Tensor) {
	raw, warped, weight := in[0].F, in[1].F, in[2].F
	channels, size := out.Shape[1], out.Shape[2]*out.Shape[3]
	for i := range out.F {
		w := weight[i/(channels*size)*size+i%size]
		out.F[i] = raw[i]*w + warped[i]*(1-w)
	}
}

// Diffable implements Differ.
func (Blend) Diffable(inputs int) []bool { return every(inputs) }

// Diff implements Differ.
func (Blend) Diff(in G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	raw, warped, w := in[0], in[1], in[2]
	gRaw, err := Apply(Mul{}, grad, w)
	if err != nil {
		return nil, err
	}
	rest, err := Apply(Scale{By: -1, Plus: 1}, w)
	if err != nil {
		return nil, err
	}
	gWarped, err := Apply(Mul{}, grad, rest)
	if err != nil {
		return nil, err
	}
	difference, err := Apply(Sub{}, raw, warped)
	if err != nil {
		return nil, err
	}
	gW, err := Apply(MulSum{}, grad, difference)
	return G.Nodes{gRaw, gWarped, gW}, err
}
