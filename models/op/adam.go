package op

import (
	"math"

	"github.com/chewxy/hm"
	"gorgonia.org/tensor"
)

// The three parts of an Adam step (Kingma and Ba 2015, algorithm 1). Each is a
// pure function; the engine writes the results over the variables they update.

// AdamM is Beta*m + (1-Beta)*g. Inputs: m, g.
type AdamM struct{ Beta float32 }

// Arity implements Spec.
func (AdamM) Arity() int { return 2 }

// Result implements Spec.
func (AdamM) Result() hm.Type { return nil }

// Infer implements Spec.
func (AdamM) Infer(in []tensor.Shape) (tensor.Shape, error) { return same("adam m", in, 2) }

// Do implements Spec.
func (a AdamM) Do(in []Tensor, out Tensor) {
	for i, m := range in[0].F {
		out.F[i] = a.Beta*m + (1-a.Beta)*in[1].F[i]
	}
}

// AdamV is Beta*v + (1-Beta)*g^2. Inputs: v, g.
type AdamV struct{ Beta float32 }

// Arity implements Spec.
func (AdamV) Arity() int { return 2 }

// Result implements Spec.
func (AdamV) Result() hm.Type { return nil }

// Infer implements Spec.
func (AdamV) Infer(in []tensor.Shape) (tensor.Shape, error) { return same("adam v", in, 2) }

// Do implements Spec.
func (a AdamV) Do(in []Tensor, out Tensor) {
	for i, v := range in[0].F {
		g := in[1].F[i]
		out.F[i] = a.Beta*v + (1-a.Beta)*g*g
	}
}

// AdamP is p - h0*m/(sqrt(v)*h1 + Eps), PyTorch's order of roundings, with
// h = (lr/(1-beta1^t), 1/sqrt(1-beta2^t)) set by the caller at every step.
// Inputs: p, new m, new v, h (2).
type AdamP struct{ Eps float32 }

// Arity implements Spec.
func (AdamP) Arity() int { return 4 }

// Result implements Spec.
func (AdamP) Result() hm.Type { return nil }

// Infer implements Spec.
func (AdamP) Infer(in []tensor.Shape) (tensor.Shape, error) {
	if err := ranks("adam p", in, anyRank, anyRank, anyRank, 1); err != nil {
		return nil, err
	}
	if in[3][0] != 2 {
		return nil, bad("adam p", "h is %v, want (2)", in[3])
	}
	return same("adam p", in[:3], 3)
}

// Do implements Spec.
func (a AdamP) Do(in []Tensor, out Tensor) {
	m, v, h := in[1].F, in[2].F, in[3].F
	for i, p := range in[0].F {
		out.F[i] = p - h[0]*m[i]/(float32(math.Sqrt(float64(v[i])))*h[1]+a.Eps)
	}
}
