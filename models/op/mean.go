package op

import (
	"github.com/chewxy/hm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Mean is the mean of all elements, a scalar.
type Mean struct{}

// Arity implements Spec.
func (Mean) Arity() int { return 1 }

// Result implements Spec.
func (Mean) Result() hm.Type { return G.Float32 }

// Infer implements Spec.
func (Mean) Infer(in []tensor.Shape) (tensor.Shape, error) {
	if err := ranks("mean", in, anyRank); err != nil {
		return nil, err
	}
	return tensor.ScalarShape(), nil
}

// Do implements Spec.
func (Mean) Do(in []Tensor, out Tensor) {
	var sum float64
	for _, x := range in[0].F {
		sum += float64(x)
	}
	out.F[0] = float32(sum / float64(len(in[0].F)))
}

// Diffable implements Differ.
func (Mean) Diffable(inputs int) []bool { return every(inputs) }

// Diff implements Differ.
func (Mean) Diff(in G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	g, err := Apply(MeanGrad{}, in[0], grad)
	return G.Nodes{g}, err
}

// MeanGrad is the gradient of Mean. Inputs: x (for its shape), g (scalar).
type MeanGrad struct{}

// Arity implements Spec.
func (MeanGrad) Arity() int { return 2 }

// Result implements Spec.
func (MeanGrad) Result() hm.Type { return nil }

// Infer implements Spec.
func (MeanGrad) Infer(in []tensor.Shape) (tensor.Shape, error) {
	if err := ranks("mean gradient", in, anyRank, 0); err != nil {
		return nil, err
	}
	return in[0].Clone(), nil
}

// Do implements Spec.
func (MeanGrad) Do(in []Tensor, out Tensor) {
	g := in[1].F[0] / float32(len(out.F))
	for i := range out.F {
		out.F[i] = g
	}
}

// Combine is the weighted sum of N scalars, the total of several loss terms.
// The weights are written out one by one so that the hash holds them all.
type Combine struct {
	N       int
	Weights [MaxTerms]float32
}

// MaxTerms bounds the terms of one Combine; nest them for more.
const MaxTerms = 32

// Arity implements Spec.
func (c Combine) Arity() int { return c.N }

// Result implements Spec.
func (Combine) Result() hm.Type { return G.Float32 }

// Infer implements Spec.
func (c Combine) Infer(in []tensor.Shape) (tensor.Shape, error) {
	if c.N < 1 || c.N > MaxTerms || len(in) != c.N {
		return nil, bad("combine", "%d inputs for %d terms, want as many and 1 to %d", len(in), c.N, MaxTerms)
	}
	if err := scalars("combine", in); err != nil {
		return nil, err
	}
	return tensor.ScalarShape(), nil
}

// Do implements Spec.
func (c Combine) Do(in []Tensor, out Tensor) {
	var sum float64
	for i, t := range in {
		sum += float64(c.Weights[i]) * float64(t.F[0])
	}
	out.F[0] = float32(sum)
}

// Diffable implements Differ.
func (Combine) Diffable(inputs int) []bool { return every(inputs) }

// Diff implements Differ.
func (c Combine) Diff(in G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	grads := make(G.Nodes, len(in))
	for i := range in {
		g, err := Apply(Scale{By: c.Weights[i]}, grad)
		if err != nil {
			return nil, err
		}
		grads[i] = g
	}
	return grads, nil
}
