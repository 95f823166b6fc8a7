package op

import (
	"github.com/chewxy/hm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Add is a+b of two tensors of one shape.
type Add struct{}

// Arity implements Spec.
func (Add) Arity() int { return 2 }

// Result implements Spec.
func (Add) Result() hm.Type { return nil }

// Infer implements Spec.
func (Add) Infer(in []tensor.Shape) (tensor.Shape, error) { return same("add", in, 2) }

// Do implements Spec.
func (Add) Do(in []Tensor, out Tensor) {
	for i, a := range in[0].F {
		out.F[i] = a + in[1].F[i]
	}
}

// Diffable implements Differ.
func (Add) Diffable(inputs int) []bool { return every(inputs) }

// Diff implements Differ.
func (Add) Diff(_ G.Nodes, _, grad *G.Node) (G.Nodes, error) { return G.Nodes{grad, grad}, nil }

// Sub is a-b of two tensors of one shape.
type Sub struct{}

// Arity implements Spec.
func (Sub) Arity() int { return 2 }

// Result implements Spec.
func (Sub) Result() hm.Type { return nil }

// Infer implements Spec.
func (Sub) Infer(in []tensor.Shape) (tensor.Shape, error) { return same("sub", in, 2) }

// Do implements Spec.
func (Sub) Do(in []Tensor, out Tensor) {
	for i, a := range in[0].F {
		out.F[i] = a - in[1].F[i]
	}
}

// Diffable implements Differ.
func (Sub) Diffable(inputs int) []bool { return every(inputs) }

// Diff implements Differ.
func (Sub) Diff(_ G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	gb, err := Apply(Scale{By: -1}, grad)
	return G.Nodes{grad, gb}, err
}

// Mul is a*b. b has a's shape, or is (N,1,H,W) and serves every channel of a.
type Mul struct{}

// Arity implements Spec.
func (Mul) Arity() int { return 2 }

// Result implements Spec.
func (Mul) Result() hm.Type { return nil }

// Infer implements Spec.
func (Mul) Infer(in []tensor.Shape) (tensor.Shape, error) {
	if err := ranks("mul", in, anyRank, anyRank); err != nil {
		return nil, err
	}
	if a, b := in[0], in[1]; !equal(a, b) && !oneChannelOf(a, b) {
		return nil, bad("mul", "inputs %v and %v, want one shape or (N,C,H,W) and (N,1,H,W)", a, b)
	}
	return in[0].Clone(), nil
}

// oneChannelOf reports whether b is (N,1,H,W) for an a of (N,C,H,W).
func oneChannelOf(a, b tensor.Shape) bool {
	return len(a) == 4 && len(b) == 4 && b[1] == 1 && a[0] == b[0] && a[2] == b[2] && a[3] == b[3]
}

// Do implements Spec.
func (Mul) Do(in []Tensor, out Tensor) {
	a, b := in[0], in[1]
	if len(a.F) == len(b.F) {
		for i, v := range a.F {
			out.F[i] = v * b.F[i]
		}
		return
	}
	channels, size := a.Shape[1], a.Shape[2]*a.Shape[3]
	for i, v := range a.F {
		out.F[i] = v * b.F[i/(channels*size)*size+i%size]
	}
}

// Diffable implements Differ.
func (Mul) Diffable(inputs int) []bool { return every(inputs) }

// Diff implements Differ.
func (Mul) Diff(in G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	ga, err := Apply(Mul{}, grad, in[1])
	if err != nil {
		return nil, err
	}
	var ofB Spec = MulSum{}
	if equal(in[0].Shape(), in[1].Shape()) {
		ofB = Mul{}
	}
	gb, err := Apply(ofB, grad, in[0])
	return G.Nodes{ga, gb}, err
}

// MulSum is the gradient of Mul with respect to a b that served every channel:
// a*b added over the channels. Inputs: a, b (N,C,H,W). Output: (N,1,H,W).
type MulSum struct{}

// Arity implements Spec.
func (MulSum) Arity() int { return 2 }

// Result implements Spec.
func (MulSum) Result() hm.Type { return nil }

// Infer implements Spec.
func (MulSum) Infer(in []tensor.Shape) (tensor.Shape, error) {
	if err := ranks("mulsum", in, 4, 4); err != nil {
		return nil, err
	}
	s, err := same("mulsum", in, 2)
	if err != nil {
		return nil, err
	}
	s[1] = 1
	return s, nil
}

// Do implements Spec.
func (MulSum) Do(in []Tensor, out Tensor) {
	a, b := in[0], in[1]
	channels, size := a.Shape[1], a.Shape[2]*a.Shape[3]
	for i := range out.F {
		at := i/size*channels*size + i%size
		var sum float64
		for range channels {
			sum += float64(a.F[at]) * float64(b.F[at])
			at += size
		}
		out.F[i] = float32(sum)
	}
}

// Scale is By*x+Plus.
type Scale struct{ By, Plus float32 }

// Arity implements Spec.
func (Scale) Arity() int { return 1 }

// Result implements Spec.
func (Scale) Result() hm.Type { return nil }

// Infer implements Spec.
func (Scale) Infer(in []tensor.Shape) (tensor.Shape, error) { return same("scale", in, 1) }

// Do implements Spec.
func (s Scale) Do(in []Tensor, out Tensor) {
	for i, x := range in[0].F {
		out.F[i] = s.By*x + s.Plus
	}
}

// Diffable implements Differ.
func (Scale) Diffable(inputs int) []bool { return every(inputs) }

// Diff implements Differ.
func (s Scale) Diff(_ G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	g, err := Apply(Scale{By: s.By}, grad)
	return G.Nodes{g}, err
}
