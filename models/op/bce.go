package op

import (
	"math"

	"github.com/chewxy/hm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// BCE is the mean binary cross entropy of logits x against Target, a scalar:
// softplus(x) - Target*x, PyTorch's BCEWithLogitsLoss. Target lies in [0,1].
type BCE struct{ Target float32 }

// Arity implements Spec.
func (BCE) Arity() int { return 1 }

// Result implements Spec.
func (BCE) Result() hm.Type { return G.Float32 }

// Infer implements Spec.
func (BCE) Infer(in []tensor.Shape) (tensor.Shape, error) {
	if err := ranks("bce", in, anyRank); err != nil {
		return nil, err
	}
	return tensor.ScalarShape(), nil
}

// Do implements Spec.
func (b BCE) Do(in []Tensor, out Tensor) {
	var sum float64
	for _, v := range in[0].F {
		x := float64(v)
		// softplus without overflow
		sum += max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) - float64(b.Target)*x
	}
	out.F[0] = float32(sum / float64(len(in[0].F)))
}

// Diffable implements Differ.
func (BCE) Diffable(inputs int) []bool { return every(inputs) }

// Diff implements Differ.
func (b BCE) Diff(in G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	g, err := Apply(BCEGrad(b), in[0], grad)
	return G.Nodes{g}, err
}

// BCEGrad is the gradient of BCE: g*(sigmoid(x)-Target)/n.
// Inputs: x, g (scalar).
type BCEGrad struct{ Target float32 }

// Arity implements Spec.
func (BCEGrad) Arity() int { return 2 }

// Result implements Spec.
func (BCEGrad) Result() hm.Type { return nil }

// Infer implements Spec.
func (BCEGrad) Infer(in []tensor.Shape) (tensor.Shape, error) {
	if err := ranks("bce gradient", in, anyRank, 0); err != nil {
		return nil, err
	}
	return in[0].Clone(), nil
}

// Do implements Spec.
func (b BCEGrad) Do(in []Tensor, out Tensor) {
	g := in[1].F[0] / float32(len(out.F))
	for i, x := range in[0].F {
		out.F[i] = g * (float32(1/(1+math.Exp(-float64(x)))) - b.Target)
	}
}
