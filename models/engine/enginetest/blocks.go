package enginetest

import (
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/op"
)

// chain applies operators one after another, with an error that sticks.
type chain struct{ err error }

func (c *chain) do(s op.Spec, in ...*G.Node) *G.Node {
	if c.err != nil {
		return nil
	}
	var n *G.Node
	n, c.err = op.Apply(s, in...)
	return n
}

// blockCases are the groups of operators that devices make in one pass: a
// convolution, the statistics of its result, normalisation, activation and
// residual addition; and heads that read the same features.
func blockCases() []Case {
	type geo struct {
		n, c, o, h, w, k, stride, pad   int
		reflect, batch, transposed, add bool
	}
	var cs []Case
	for _, g := range []geo{
		{1, 64, 64, 12, 12, 3, 1, 1, true, true, false, true}, {2, 64, 48, 9, 13, 3, 1, 1, false, true, false, false},
		{3, 48, 80, 5, 4, 3, 1, 1, true, false, false, false}, {1, 512, 64, 32, 50, 3, 1, 1, true, false, false, false},
		{1, 288, 64, 7, 7, 3, 1, 0, false, true, false, false}, {2, 64, 64, 1, 1, 3, 1, 1, false, false, false, true},
		{1, 64, 128, 16, 16, 3, 2, 1, false, true, false, false}, {2, 16, 48, 13, 9, 3, 2, 1, false, true, false, false},
		{2, 16, 48, 13, 9, 4, 2, 1, false, false, false, false}, {1, 9, 64, 20, 33, 7, 1, 3, true, true, false, false},
		{2, 3, 16, 9, 10, 7, 1, 3, true, false, false, false}, {3, 15, 96, 37, 70, 7, 1, 3, false, true, false, false},
		{2, 1, 32, 5, 3, 7, 1, 3, false, false, false, false}, {1, 128, 64, 8, 15, 3, 2, 1, false, true, true, false},
		{2, 64, 80, 9, 13, 3, 2, 1, false, true, false, false}, {1, 64, 64, 2, 3, 3, 2, 1, false, false, false, false},
		{2, 64, 48, 7, 5, 3, 2, 1, false, true, true, false}, {1, 288, 64, 33, 20, 3, 2, 1, false, false, true, false},
		{2, 64, 80, 25, 21, 4, 2, 2, false, true, false, false}, {1, 144, 64, 22, 26, 4, 2, 1, false, false, false, false},
		{2, 64, 48, 11, 13, 4, 2, 1, false, true, true, false}, {1, 160, 64, 16, 17, 4, 2, 1, false, false, true, false},
		{2, 64, 80, 23, 31, 3, 2, 1, false, true, false, false}, {2, 64, 48, 15, 9, 3, 2, 1, false, true, true, false},
		{2, 32, 48, 5, 5, 3, 2, 1, false, false, true, false}, {2, 32, 16, 6, 7, 4, 2, 1, false, true, true, false},
	} {
		x, w, conv := s(g.n, g.c, g.h, g.w), s(g.o, g.c, g.k, g.k), op.Spec(op.Conv{Stride: g.stride, Pad: g.pad, Reflect: g.reflect, Bias: true})
		if g.transposed {
			w, conv = s(g.c, g.o, g.k, g.k), op.ConvT{Stride: g.stride, Pad: g.pad, OutPad: 4 - g.k, Bias: true}
		}
		cs = append(cs, Case{
			Name: fmt.Sprintf("block_%+v", g), Op: conv, Shapes: []tensor.Shape{x, w, s(g.o), s(g.o), s(g.o)}, Const: []int{1, 2, 3, 4},
			Scale: map[int]float32{1: 0.2},
			Graph: func(in []*G.Node) (*G.Node, error) {
				var c chain
				y := c.do(conv, in[:3]...)
				y = c.do(op.Normalize{Batch: g.batch, Affine: true}, y, c.do(op.Moments{Batch: g.batch, Eps: 1e-5}, y), in[3], in[4])
				y = c.do(op.Act{Kind: op.ReLU}, y)
				if g.add {
					y = c.do(op.Add{}, y, in[0])
				}
				return y, c.err
			},
		})
	}
	return append(cs, headCases()...)
}

func headCases() []Case {
	var cs []Case
	for _, n := range []int{1, 2} {
		head := op.Conv{Stride: 1, Pad: 3, Reflect: true, Bias: true}
		cs = append(cs, Case{
			Name: fmt.Sprintf("heads_%d", n), Op: head, Const: []int{1, 2, 3, 4},
			Shapes: []tensor.Shape{s(n, 32, 10, 21), s(2, 32, 7, 7), s(2), s(1, 32, 7, 7), s(1), s(3, 32, 7, 7)},
			Scale:  map[int]float32{1: 0.1, 3: 0.1, 5: 0.1},
			Graph: func(in []*G.Node) (*G.Node, error) {
				var c chain
				flow := c.do(head, in[0], in[1], in[2])
				mask := c.do(op.Act{Kind: op.Sigmoid}, c.do(head, in[0], in[3], in[4]))
				raw := c.do(op.Act{Kind: op.Tanh}, c.do(op.Conv{Stride: 1, Pad: 3, Reflect: true}, in[0], in[5]))
				return c.do(op.Concat{Axis: 1, N: 3}, flow, mask, raw), c.err
			},
		})
	}
	for _, x := range []tensor.Shape{{1, 64, 9, 17}, {2, 16, 5, 1}} {
		last := op.ConvT{Stride: 2, Pad: 1, Bias: true}
		cs = append(cs, Case{
			Name: fmt.Sprintf("last_%v", x), Op: last, Const: []int{1, 2}, Shapes: []tensor.Shape{x, {x[1], 3, 4, 4}, {3}}, Scale: map[int]float32{1: 0.1},
			Graph: func(in []*G.Node) (*G.Node, error) {
				var c chain
				return c.do(op.Act{Kind: op.Tanh}, c.do(last, in...)), c.err
			},
		})
	}
	return cs
}
