package op

import (
	"math"

	"github.com/chewxy/hm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// L1 is the mean of |a-b|, a scalar.
type L1 struct{}

// Arity implements Spec.
func (L1) Arity() int { return 2 }

// Result implements Spec.
func (L1) Result() hm.Type { return G.Float32 }

// Infer implements Spec.
func (L1) Infer(in []tensor.Shape) (tensor.Shape, error) {
	if _, err := same("l1", in, 2); err != nil {
		return nil, err
	}
	return tensor.ScalarShape(), nil
}

// Do implements Spec.
func (L1) Do(in []Tensor, out Tensor) {
	var sum float64
	for i, a := range in[0].F {
		sum += math.Abs(float64(a) - float64(in[1].F[i]))
	}
	out.F[0] = float32(sum / float64(len(in[0].F)))
}

// Diffable implements Differ.
func (L1) Diffable(inputs int) []bool { return every(inputs) }

// Diff implements Differ.
func (L1) Diff(in G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	ga, err := Apply(L1Grad{}, in[0], in[1], grad)
	if err != nil {
		return nil, err
	}
	gb, err := Apply(Scale{By: -1}, ga)
	return G.Nodes{ga, gb}, err
}

// L1Grad is the gradient of L1 with respect to a: g*sign(a-b)/n.
// Inputs: a, b, g (scalar). That with respect to b is its negative.
type L1Grad struct{}

// Arity implements Spec.
func (L1Grad) Arity() int { return 3 }

// Result implements Spec.
func (L1Grad) Result() hm.Type { return nil }

// Infer implements Spec.
func (L1Grad) Infer(in []tensor.Shape) (tensor.Shape, error) {
	if err := ranks("l1 gradient", in, anyRank, anyRank, 0); err != nil {
		return nil, err
	}
	return same("l1 gradient", in[:2], 2)
}

// Do implements Spec.
func (L1Grad) Do(in []Tensor, out Tensor) {
	g := in[2].F[0] / float32(len(out.F))
	for i, a := range in[0].F {
		switch b := in[1].F[i]; {
		case a > b:
			out.F[i] = g
		case a < b:
			out.F[i] = -g
		default:
			out.F[i] = 0
		}
	}
}

// MSE is the mean of (x-Target)^2, a scalar: a least-squares GAN's term.
type MSE struct{ Target float32 }

// Arity implements Spec.
func (MSE) Arity() int { return 1 }

// Result implements Spec.
func (MSE) Result() hm.Type { return G.Float32 }

// Infer implements Spec.
func (MSE) Infer(in []tensor.Shape) (tensor.Shape, error) {
	if err := ranks("mse", in, anyRank); err != nil {
		return nil, err
	}
	return tensor.ScalarShape(), nil
}

// Do implements Spec.
func (m MSE) Do(in []Tensor, out Tensor) {
	var sum float64
	for _, x := range in[0].F {
		d := float64(x) - float64(m.Target)
		sum += d * d
	}
	out.F[0] = float32(sum / float64(len(in[0].F)))
}

// Diffable implements Differ.
func (MSE) Diffable(inputs int) []bool { return every(inputs) }

// Diff implements Differ.
func (m MSE) Diff(in G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	g, err := Apply(MSEGrad(m), in[0], grad)
	return G.Nodes{g}, err
}

// MSEGrad is the gradient of MSE: 2*g*(x-Target)/n. Inputs: x, g (scalar).
type MSEGrad struct{ Target float32 }

// Arity implements Spec.
func (MSEGrad) Arity() int { return 2 }

// Result implements Spec.
func (MSEGrad) Result() hm.Type { return nil }

// Infer implements Spec.
func (MSEGrad) Infer(in []tensor.Shape) (tensor.Shape, error) {
	if err := ranks("mse gradient", in, anyRank, 0); err != nil {
		return nil, err
	}
	return in[0].Clone(), nil
}

// Do implements Spec.
func (m MSEGrad) Do(in []Tensor, out Tensor) {
	g := 2 * in[1].F[0] / float32(len(out.F))
	for i, x := range in[0].F {
		out.F[i] = g * (x - m.Target)
	}
}
