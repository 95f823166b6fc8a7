package op_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/op"
)

// machine interprets a graph by calling Do, each node once per feed.
type machine struct {
	feed    map[string]op.Tensor // by input name
	done    map[*G.Node]op.Tensor
	foreign map[string]bool // operators that are not ours
}

func newMachine(feed map[string]op.Tensor) *machine {
	return &machine{feed: feed, done: map[*G.Node]op.Tensor{}, foreign: map[string]bool{}}
}

func (m *machine) value(n *G.Node) op.Tensor {
	if v, ok := m.done[n]; ok {
		return v
	}
	v := m.compute(n)
	m.done[n] = v
	return v
}

func (m *machine) compute(n *G.Node) op.Tensor {
	if n.Op() == nil {
		v, ok := m.feed[n.Name()]
		if !ok {
			panic("no feed for " + n.Name())
		}
		return v
	}
	var in []op.Tensor
	for children := n.Graph().From(n.ID()); children.Next(); {
		in = append(in, m.value(children.Node().(*G.Node)))
	}
	if o, ok := n.Op().(op.Op); ok {
		return do(o.Spec, in...)
	}
	m.foreign[n.Op().String()] = true
	switch n.Op().String() {
	case "const 1":
		return op.Tensor{Shape: tensor.ScalarShape(), F: []float32{1}}
	case "+ false":
		return do(op.Add{}, in...)
	}
	panic(fmt.Sprintf("foreign operator %v", n.Op()))
}

// do runs a Spec on its own; it panics where Infer refuses.
func do(s op.Spec, in ...op.Tensor) op.Tensor {
	shapes := make([]tensor.Shape, len(in))
	for i, t := range in {
		shapes[i] = t.Shape
	}
	shape, err := s.Infer(shapes)
	if err != nil {
		panic(err)
	}
	out := op.Tensor{Shape: shape}
	if op.BytesOut(s) {
		out.B = make([]byte, shape.TotalSize())
		for i := range out.B {
			out.B[i] = 99 // "holds anything"
		}
	} else {
		out.F = make([]float32, shape.TotalSize())
		for i := range out.F {
			out.F[i] = 99
		}
	}
	s.Do(in, out)
	return out
}

// input makes a float32 input node.
func input(g *G.ExprGraph, name string, shape tensor.Shape) *G.Node {
	if len(shape) == 0 {
		return G.NewScalar(g, G.Float32, G.WithName(name))
	}
	return G.NewTensor(g, G.Float32, len(shape), G.WithShape(shape...), G.WithName(name))
}

// cost is the sum of y*weights for a y that is not scalar, else y itself.
func cost(y, weights *G.Node) (*G.Node, error) {
	if y.IsScalar() {
		return y, nil
	}
	product, err := op.Apply(op.Mul{}, y, weights)
	if err != nil {
		return nil, err
	}
	mean, err := op.Apply(op.Mean{}, product)
	if err != nil {
		return nil, err
	}
	sum := op.Combine{N: 1}
	sum.Weights[0] = float32(y.Shape().TotalSize())
	return op.Apply(sum, mean)
}

func normal(r *rand.Rand, shape ...int) op.Tensor {
	t := op.Tensor{Shape: shape, F: make([]float32, tensor.Shape(shape).TotalSize())}
	for i := range t.F {
		t.F[i] = float32(r.NormFloat64())
	}
	return t
}

func floats(shape tensor.Shape, values ...float32) op.Tensor {
	return op.Tensor{Shape: shape, F: values}
}

// must fails the test on an error and passes the value on.
func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
