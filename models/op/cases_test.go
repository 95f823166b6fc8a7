package op_test

import (
	"math"
	"math/rand/v2"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/op"
)

// instance is a differentiable operator with random parameters on random
// inputs that keep off its kinks.
type instance struct {
	in    []op.Tensor
	build func(in G.Nodes) (*G.Node, error)
}

func of(s op.Spec, in ...op.Tensor) instance {
	return instance{in, func(nodes G.Nodes) (*G.Node, error) { return op.Apply(s, nodes...) }}
}

// differentiable makes instances, by what is tested.
var differentiable = map[string]func(r *rand.Rand) instance{
	"conv":         func(r *rand.Rand) instance { return randomConv(r, false) },
	"conv reflect": func(r *rand.Rand) instance { return randomConv(r, true) },
	"convt":        randomConvT,
	"batch norm": func(r *rand.Rand) instance {
		return randomNorm(r, op.Normalize{Batch: true, Affine: r.IntN(2) == 0})
	},
	"instance norm": func(r *rand.Rand) instance {
		return randomNorm(r, op.Normalize{Affine: r.IntN(2) == 0})
	},
	"batch norm's slope": func(r *rand.Rand) instance {
		return randomNormSlope(r, op.NormGradX{Batch: true, Affine: r.IntN(2) == 0})
	},
	"instance norm's slope": func(r *rand.Rand) instance {
		return randomNormSlope(r, op.NormGradX{Affine: r.IntN(2) == 0})
	},
	"relu": func(r *rand.Rand) instance { return of(op.Act{}, apart(r, picture(r), nil)) },
	"leaky relu": func(r *rand.Rand) instance {
		return of(op.Act{Kind: op.LeakyReLU, Slope: .2}, apart(r, picture(r), nil))
	},
	"tanh":    func(r *rand.Rand) instance { return of(op.Act{Kind: op.Tanh}, picture(r)) },
	"sigmoid": func(r *rand.Rand) instance { return of(op.Act{Kind: op.Sigmoid}, picture(r)) },
	"add":     func(r *rand.Rand) instance { return of(op.Add{}, alike(r, 2)...) },
	"sub":     func(r *rand.Rand) instance { return of(op.Sub{}, alike(r, 2)...) },
	"mul":     func(r *rand.Rand) instance { return of(op.Mul{}, alike(r, 2)...) },
	"mul by one channel": func(r *rand.Rand) instance {
		x := picture(r)
		return of(op.Mul{}, x, normal(r, x.Shape[0], 1, x.Shape[2], x.Shape[3]))
	},
	"scale": func(r *rand.Rand) instance { return of(op.Scale{By: -1.5, Plus: .3}, picture(r)) },
	"blend": func(r *rand.Rand) instance {
		in := alike(r, 2)
		s := in[0].Shape
		return of(op.Blend{}, in[0], in[1], normal(r, s[0], 1, s[2], s[3]))
	},
	"concat":           randomConcat,
	"slice":            randomSlice,
	"avgpool":          randomPool,
	"resize nearest":   func(r *rand.Rand) instance { return randomResize(r, false) },
	"resize bilinear":  func(r *rand.Rand) instance { return randomResize(r, true) },
	"warp":             randomWarp,
	"l1":               func(r *rand.Rand) instance { b := picture(r); return of(op.L1{}, apart(r, b, b.F), b) },
	"mse":              func(r *rand.Rand) instance { return of(op.MSE{Target: .7}, picture(r)) },
	"mean":             func(r *rand.Rand) instance { return of(op.Mean{}, picture(r)) },
	"combine":          randomCombine,
	"one pixel, twice": randomShared,
}

func side(r *rand.Rand, atLeast int) int { return atLeast + r.IntN(6) }

func picture(r *rand.Rand) op.Tensor {
	return normal(r, 1+r.IntN(2), 1+r.IntN(3), side(r, 1), side(r, 1))
}

func alike(r *rand.Rand, n int) []op.Tensor {
	in := []op.Tensor{picture(r)}
	for len(in) < n {
		in = append(in, normal(r, in[0].Shape...))
	}
	return in
}

// apart is a tensor of t's shape at least 0.1 away from given values or zero.
func apart(r *rand.Rand, t op.Tensor, from []float32) op.Tensor {
	out := normal(r, t.Shape...)
	for i, v := range out.F {
		out.F[i] = v + float32(math.Copysign(.1, float64(v)))
		if from != nil {
			out.F[i] += from[i]
		}
	}
	return out
}

func randomConv(r *rand.Rand, reflect bool) instance {
	c := op.Conv{Stride: 1 + r.IntN(3), Pad: r.IntN(3), Reflect: reflect, Bias: r.IntN(2) == 0}
	kh, kw := 1+r.IntN(4), 1+r.IntN(4)
	x := normal(r, 1+r.IntN(2), 1+r.IntN(3), side(r, 4), side(r, 4))
	outC := 1 + r.IntN(3)
	in := []op.Tensor{x, normal(r, outC, x.Shape[1], kh, kw), normal(r, outC)}
	return of(c, in[:c.Arity()]...)
}

func randomConvT(r *rand.Rand) instance {
	c := op.ConvT{Stride: 1 + r.IntN(3), Pad: r.IntN(2), Bias: r.IntN(2) == 0}
	c.OutPad = r.IntN(c.Stride)
	x := normal(r, 1+r.IntN(2), 1+r.IntN(3), side(r, 2), side(r, 2))
	outC := 1 + r.IntN(3)
	in := []op.Tensor{x, normal(r, x.Shape[1], outC, 2+r.IntN(3), 2+r.IntN(3)), normal(r, outC)}
	return of(c, in[:c.Arity()]...)
}

func randomNorm(r *rand.Rand, n op.Normalize) instance {
	x := normal(r, 1+r.IntN(2), 1+r.IntN(3), side(r, 3), side(r, 3))
	in := []op.Tensor{x, normal(r, x.Shape[1]), normal(r, x.Shape[1])}
	if !n.Affine {
		in = in[:1]
	}
	return instance{in, normalized(n)}
}

// normalized normalises its first input by the input's own moments.
func normalized(n op.Normalize) func(in G.Nodes) (*G.Node, error) {
	return func(in G.Nodes) (*G.Node, error) {
		moments, err := op.Apply(op.Moments{Batch: n.Batch, Eps: 1e-5}, in[0])
		if err != nil {
			return nil, err
		}
		return op.Apply(n, append(G.Nodes{in[0], moments}, in[1:]...)...)
	}
}

func randomConcat(r *rand.Rand) instance {
	c := op.Concat{Axis: r.IntN(4), N: 1 + r.IntN(3)}
	in := alike(r, c.N)
	for i := range in {
		shape := in[0].Shape.Clone()
		shape[c.Axis] = 1 + r.IntN(3)
		in[i] = normal(r, shape...)
	}
	return of(c, in...)
}

func randomSlice(r *rand.Rand) instance {
	x := picture(r)
	axis := r.IntN(4)
	from := r.IntN(x.Shape[axis])
	return of(op.Slice{Axis: axis, From: from, To: from + 1 + r.IntN(x.Shape[axis]-from)}, x)
}

func randomPool(r *rand.Rand) instance {
	p := op.AvgPool{K: 1 + r.IntN(4), Stride: 1 + r.IntN(3)}
	p.Pad = r.IntN(p.K/2 + 1)
	return of(p, normal(r, 1+r.IntN(2), 1+r.IntN(3), side(r, 4), side(r, 4)))
}

func randomResize(r *rand.Rand, bilinear bool) instance {
	return of(op.Resize{H: side(r, 1), W: side(r, 1), Bilinear: bilinear}, picture(r))
}

// randomWarp keeps sampled positions off whole pixels, where the derivative
// jumps; some lie outside the picture.
func randomWarp(r *rand.Rand) instance {
	image := normal(r, 1+r.IntN(2), 1+r.IntN(3), side(r, 1), side(r, 1))
	flow := normal(r, image.Shape[0], 2, image.Shape[2], image.Shape[3])
	for i, v := range flow.F {
		flow.F[i] = float32(math.Floor(float64(2*v))) + .1 + .8*r.Float32()
	}
	return of(op.Warp{}, image, flow)
}

func randomCombine(r *rand.Rand) instance {
	c := op.Combine{N: 1 + r.IntN(op.MaxTerms)}
	in := make([]op.Tensor, c.N)
	for i := range in {
		c.Weights[i] = float32(r.NormFloat64())
		in[i] = normal(r, tensor.ScalarShape()...)
	}
	return of(c, in...)
}

// randomShared uses each input more than once, down to a single channel, so that
// gorgonia adds gradients up.
func randomShared(r *rand.Rand) instance {
	x, b := normal(r, 1, 1, 1, 1), normal(r, 1)
	w := normal(r, 1, 1, 1, 1)
	return instance{[]op.Tensor{x, w, b}, func(in G.Nodes) (*G.Node, error) {
		y := in[0]
		for range 3 {
			var err error
			if y, err = op.Apply(op.Conv{Stride: 1, Bias: true}, y, in[1], in[2]); err != nil {
				return nil, err
			}
		}
		return op.Apply(op.Add{}, y, in[0])
	}}
}
