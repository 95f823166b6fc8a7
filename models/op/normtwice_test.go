package op_test

import (
	"math/rand/v2"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models/op"
)

// randomNormSlope pushes its second input through the derivative of a
// normalisation of its first.
func randomNormSlope(r *rand.Rand, n op.NormGradX) instance {
	x := normal(r, 1+r.IntN(2), 1+r.IntN(3), side(r, 3), side(r, 3))
	in := []op.Tensor{x, normal(r, x.Shape...), normal(r, x.Shape[1])}
	if !n.Affine {
		in = in[:2]
	}
	return instance{in, func(in G.Nodes) (*G.Node, error) {
		moments, err := op.Apply(op.Moments{Batch: n.Batch, Eps: 1e-5}, in[0])
		if err != nil {
			return nil, err
		}
		sums, err := op.Apply(op.NormSums{Batch: n.Batch}, in[0], moments, in[1])
		if err != nil {
			return nil, err
		}
		return op.Apply(n, append(G.Nodes{in[0], moments, in[1], sums}, in[2:]...)...)
	}}
}
