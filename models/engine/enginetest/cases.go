package enginetest

import (
	"fmt"
	"math/rand/v2"

	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/op"
)

// Cases lists every operator at fixed shapes that cross a device's seams
// (whole blocks of channels, ragged ones, odd sizes, one pixel) and at random
// ones drawn from a fixed seed.
func Cases() []Case {
	var cs []Case
	cs = append(cs, convCases()...)
	cs = append(cs, convTCases()...)
	cs = append(cs, normCases()...)
	cs = append(cs, elementCases()...)
	cs = append(cs, planeCases()...)
	cs = append(cs, lossCases()...)
	cs = append(cs, labelCases()...)
	cs = append(cs, pictureCases()...)
	cs = append(cs, blockCases()...)
	for i := range cs {
		cs[i].Name = fmt.Sprintf("%T/%s#%d", cs[i].Op, cs[i].Name, i)
	}
	return cs
}

func s(d ...int) tensor.Shape { return d }

// infer is the output shape of an operator; the table is wrong if there is none.
func infer(o op.Spec, in ...tensor.Shape) tensor.Shape {
	out, err := o.Infer(in)
	if err != nil {
		panic(err)
	}
	return out
}

func convCases() []Case {
	type geo struct {
		n, c, o, h, w, k, stride, pad int
		reflect                       bool
	}
	gs := []geo{
		{1, 16, 32, 8, 8, 3, 1, 1, false}, {1, 32, 16, 9, 7, 3, 1, 1, true}, {2, 9, 16, 12, 10, 7, 1, 3, true},
		{1, 16, 3, 12, 10, 7, 1, 3, true}, {1, 16, 32, 11, 8, 3, 2, 1, false}, {1, 6, 16, 16, 16, 4, 2, 2, false},
		{2, 32, 64, 9, 9, 4, 1, 2, false}, {1, 64, 1, 9, 9, 4, 1, 2, false}, {1, 8, 24, 7, 5, 3, 1, 1, false},
		{1, 64, 64, 32, 32, 3, 1, 1, true}, {1, 1, 1, 4, 4, 3, 1, 1, false}, {1, 16, 16, 1, 1, 1, 1, 0, false},
		{1, 48, 48, 5, 6, 3, 1, 1, true}, {3, 16, 16, 6, 6, 3, 2, 1, false},
	}
	rng := rand.New(rand.NewPCG(3, 5))
	for range 12 {
		g := geo{1 + rng.IntN(2), 1 + rng.IntN(40), 1 + rng.IntN(40), 4 + rng.IntN(14), 4 + rng.IntN(14), 1 + rng.IntN(4), 1 + rng.IntN(2), 0, rng.IntN(2) == 0}
		g.pad = rng.IntN(min(g.k, 3))
		gs = append(gs, g)
	}
	var cs []Case
	for _, g := range gs {
		name := fmt.Sprintf("n%dc%do%d_%dx%d_k%ds%dp%d_reflect=%v", g.n, g.c, g.o, g.h, g.w, g.k, g.stride, g.pad, g.reflect)
		x, w := s(g.n, g.c, g.h, g.w), s(g.o, g.c, g.k, g.k)
		fwd := op.Conv{Stride: g.stride, Pad: g.pad, Reflect: g.reflect, Bias: true}
		y := infer(fwd, x, w, s(g.o))
		cs = append(cs,
			Case{Name: name, Op: fwd, Shapes: []tensor.Shape{x, w, s(g.o)}, Const: []int{1, 2}},
			Case{Name: name + "_nobias", Op: op.Conv{Stride: g.stride, Pad: g.pad, Reflect: g.reflect}, Shapes: []tensor.Shape{x, w}, Const: []int{1}},
			Case{Name: name, Op: op.ConvGradX{Stride: g.stride, Pad: g.pad, Reflect: g.reflect, H: g.h, W: g.w}, Shapes: []tensor.Shape{w, y}, Const: []int{0}},
			Case{Name: name, Op: op.ConvGradW{Stride: g.stride, Pad: g.pad, Reflect: g.reflect, KH: g.k, KW: g.k}, Shapes: []tensor.Shape{x, y}})
	}
	return cs
}

func convTCases() []Case {
	var cs []Case
	for _, g := range [][8]int{
		{1, 32, 16, 8, 8, 3, 1, 1}, {2, 16, 32, 5, 7, 3, 1, 1}, {1, 16, 8, 4, 4, 4, 1, 0}, {1, 9, 5, 3, 4, 3, 1, 1}, {1, 64, 64, 6, 6, 4, 1, 0},
	} {
		x, w := s(g[0], g[1], g[3], g[4]), s(g[1], g[2], g[5], g[5])
		name := fmt.Sprint(g)
		cs = append(cs,
			Case{Name: name, Op: op.ConvT{Stride: 2, Pad: g[6], OutPad: g[7], Bias: true}, Shapes: []tensor.Shape{x, w, s(g[2])}, Const: []int{1, 2}},
			Case{Name: name, Op: op.ConvT{Stride: 2, Pad: g[6], OutPad: g[7]}, Shapes: []tensor.Shape{x, w}, Const: []int{1}})
	}
	return cs
}

var pictures = []tensor.Shape{s(1, 16, 6, 5), s(2, 32, 7, 9), s(1, 3, 8, 8), s(2, 5, 1, 3), s(1, 64, 65, 64), s(3, 24, 4, 4)}

func normCases() []Case {
	var cs []Case
	for _, x := range pictures {
		for _, batch := range []bool{false, true} {
			m := s(x[0], x[1], 2)
			if batch {
				m[0] = 1
			}
			name := fmt.Sprintf("%v_batch=%v", x, batch)
			c := s(x[1])
			cs = append(cs,
				Case{Name: name, Op: op.Moments{Batch: batch, Eps: 1e-5}, Shapes: []tensor.Shape{x}},
				Case{Name: name, Op: op.Normalize{Batch: batch}, Shapes: []tensor.Shape{x, m}},
				Case{Name: name + "_affine", Op: op.Normalize{Batch: batch, Affine: true}, Shapes: []tensor.Shape{x, m, c, c}, Const: []int{2, 3}},
				Case{Name: name, Op: op.NormSums{Batch: batch}, Shapes: []tensor.Shape{x, m, x}},
				Case{Name: name, Op: op.NormGradX{Batch: batch}, Shapes: []tensor.Shape{x, m, x, m}},
				Case{Name: name + "_affine", Op: op.NormGradX{Batch: batch, Affine: true}, Shapes: []tensor.Shape{x, m, x, m, c}})
		}
		cs = append(cs,
			Case{Name: fmt.Sprint(x), Op: op.SumsPick{Index: 1}, Shapes: []tensor.Shape{s(x[0], x[1], 2)}},
			Case{Name: fmt.Sprint(x), Op: op.ChannelSum{}, Shapes: []tensor.Shape{x}})
	}
	return cs
}

func elementCases() []Case {
	var cs []Case
	for _, x := range append(pictures, s(7)) {
		name := fmt.Sprint(x)
		for k := op.ReLU; k <= op.Sigmoid; k++ {
			cs = append(cs,
				Case{Name: fmt.Sprint(name, k), Op: op.Act{Kind: k, Slope: 0.2}, Shapes: []tensor.Shape{x}},
				Case{Name: fmt.Sprint(name, k), Op: op.ActGrad{Kind: k, Slope: 0.2}, Shapes: []tensor.Shape{x, x}})
		}
		two := []tensor.Shape{x, x}
		cs = append(cs,
			Case{Name: name, Op: op.Add{}, Shapes: two}, Case{Name: name, Op: op.Sub{}, Shapes: two}, Case{Name: name, Op: op.Mul{}, Shapes: two},
			Case{Name: name, Op: op.Scale{By: -2, Plus: 1}, Shapes: two[:1]},
			Case{Name: name, Op: op.Detach{}, Shapes: two[:1]},
			Case{Name: name, Op: op.AdamM{Beta: 0.5}, Shapes: two}, Case{Name: name, Op: op.AdamV{Beta: 0.999}, Shapes: two, Positive: []int{0}},
			Case{Name: name, Op: op.AdamP{Eps: 1e-8}, Shapes: []tensor.Shape{x, x, x, s(2)}, Positive: []int{2, 3}})
	}
	return cs
}

func planeCases() []Case {
	var cs []Case
	for _, x := range []tensor.Shape{s(1, 16, 8, 6), s(2, 3, 7, 9), s(1, 32, 4, 4), s(1, 1, 5, 8), s(2, 20, 6, 6)} {
		name := fmt.Sprint(x)
		one, flow := s(x[0], 1, x[2], x[3]), s(x[0], 2, x[2], x[3])
		far := map[int]float32{1: 4}
		cs = append(cs,
			Case{Name: name + "_bcast", Op: op.Mul{}, Shapes: []tensor.Shape{x, one}},
			Case{Name: name, Op: op.MulSum{}, Shapes: []tensor.Shape{x, x}},
			Case{Name: name, Op: op.Blend{}, Shapes: []tensor.Shape{x, x, one}},
			Case{Name: name, Op: op.Warp{}, Shapes: []tensor.Shape{x, flow}, Scale: far},
			Case{Name: name, Op: op.WarpGradImage{}, Shapes: []tensor.Shape{flow, x}, Scale: map[int]float32{0: 4}},
			Case{Name: name, Op: op.WarpGradFlow{}, Shapes: []tensor.Shape{x, flow, x}, Scale: far},
			Case{Name: name, Op: op.Concat{Axis: 1, N: 3}, Shapes: []tensor.Shape{x, one, x}},
			Case{Name: name, Op: op.Concat{Axis: 1, N: 2}, Shapes: []tensor.Shape{x, x}},
			Case{Name: name, Op: op.Concat{Axis: 0, N: 2}, Shapes: []tensor.Shape{x, x}},
			Case{Name: name, Op: op.Concat{Axis: 3, N: 2}, Shapes: []tensor.Shape{x, x}},
			Case{Name: name, Op: op.Slice{Axis: 1, From: x[1] / 2, To: x[1]}, Shapes: []tensor.Shape{x}},
			Case{Name: name, Op: op.Slice{Axis: 0, From: x[0] - 1, To: x[0]}, Shapes: []tensor.Shape{x}},
			Case{Name: name, Op: op.Slice{Axis: 2, From: 1, To: 3}, Shapes: []tensor.Shape{x}},
			Case{Name: name, Op: op.Embed{Axis: 1, From: 16, Total: 16 + x[1]}, Shapes: []tensor.Shape{x}},
			Case{Name: name, Op: op.Embed{Axis: 3, From: 1, Total: 3 + x[3]}, Shapes: []tensor.Shape{x}},
			Case{Name: name, Op: op.AvgPool{K: 3, Stride: 2, Pad: 1}, Shapes: []tensor.Shape{x}},
			Case{Name: name, Op: op.AvgPool{K: 2, Stride: 2}, Shapes: []tensor.Shape{x}})
		for _, k := range []op.AvgPool{{K: 3, Stride: 2, Pad: 1}, {K: 2, Stride: 2}} {
			y := infer(k, x)
			cs = append(cs, Case{Name: name, Op: op.AvgPoolGrad{K: k.K, Stride: k.Stride, Pad: k.Pad, H: x[2], W: x[3]}, Shapes: []tensor.Shape{y}})
		}
		for _, bilinear := range []bool{false, true} {
			for _, hw := range [][2]int{{13, 5}, {3, 12}, {16, 12}} {
				cs = append(cs,
					Case{Name: fmt.Sprint(name, hw, bilinear), Op: op.Resize{H: hw[0], W: hw[1], Bilinear: bilinear}, Shapes: []tensor.Shape{x}},
					Case{Name: fmt.Sprint(name, hw, bilinear), Op: op.ResizeGrad{H: x[2], W: x[3], Bilinear: bilinear}, Shapes: []tensor.Shape{s(x[0], x[1], hw[0], hw[1])}})
			}
		}
	}
	return append(cs,
		Case{Name: "rgb", Op: op.FromBytes{OutH: 9, OutW: 8}, Shapes: []tensor.Shape{s(2, 7, 5, 3)}},
		Case{Name: "luma", Op: op.FromBytes{OutH: 7, OutW: 5, Luma: true}, Shapes: []tensor.Shape{s(1, 7, 5, 3)}},
		Case{Name: "crop", Op: op.ToBytes{OutH: 7, OutW: 5}, Shapes: []tensor.Shape{s(2, 3, 8, 8)}})
}

func lossCases() []Case {
	var cs []Case
	for _, x := range append(pictures, s(5)) {
		name := fmt.Sprint(x)
		one := tensor.ScalarShape()
		cs = append(cs,
			Case{Name: name, Op: op.L1{}, Shapes: []tensor.Shape{x, x}}, Case{Name: name, Op: op.L1Grad{}, Shapes: []tensor.Shape{x, x, one}},
			Case{Name: name, Op: op.MSE{Target: 1}, Shapes: []tensor.Shape{x}}, Case{Name: name, Op: op.MSEGrad{Target: 1}, Shapes: []tensor.Shape{x, one}},
			Case{Name: name, Op: op.Mean{}, Shapes: []tensor.Shape{x}}, Case{Name: name, Op: op.MeanGrad{}, Shapes: []tensor.Shape{x, one}})
	}
	w := op.Combine{N: 3}
	w.Weights[0], w.Weights[1], w.Weights[2] = 1, 10, -0.5
	one := tensor.ScalarShape()
	return append(cs, Case{Name: "three", Op: w, Shapes: []tensor.Shape{one, one, one}})
}
