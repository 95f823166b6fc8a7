package op

import (
	"math"

	"github.com/chewxy/hm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Moments gathers the statistics that Normalize uses.
// Input: x (N,C,H,W). Output: (N,C,2), or (1,C,2) with Batch, holding the mean
// and 1/sqrt(biased variance + Eps) over H,W, or with Batch over N,H,W.
// It has no derivative of its own: Normalize's accounts for the path through
// the statistics.
type Moments struct {
	Batch bool
	Eps   float32
}

// Arity implements Spec.
func (Moments) Arity() int { return 1 }

// Result implements Spec.
func (Moments) Result() hm.Type { return rank3 }

// rank3 is the gorgonia type of statistics.
var rank3 hm.Type = G.TensorType{Dims: 3, Of: tensor.Float32}

// Infer implements Spec.
func (m Moments) Infer(in []tensor.Shape) (tensor.Shape, error) {
	if err := ranks("moments", in, 4); err != nil {
		return nil, err
	}
	return statShape(in[0], m.Batch), nil
}

// statShape is the shape of the moments and sums of x.
func statShape(x tensor.Shape, batch bool) tensor.Shape {
	if batch {
		return tensor.Shape{1, x[1], 2}
	}
	return tensor.Shape{x[0], x[1], 2}
}

// Do implements Spec.
func (m Moments) Do(in []Tensor, out Tensor) {
	x, rows := in[0], len(out.F)/2
	count := float64(len(x.F) / rows)
	mean, variance := make([]float64, rows), make([]float64, rows)
	eachPlane(x, rows, func(row int, at []float32, _ int) {
		for _, v := range at {
			mean[row] += float64(v) / count
		}
	})
	eachPlane(x, rows, func(row int, at []float32, _ int) {
		for _, v := range at {
			d := float64(v) - mean[row]
			variance[row] += d * d / count
		}
	})
	for i := range rows {
		out.F[2*i] = float32(mean[i])
		out.F[2*i+1] = float32(1 / math.Sqrt(variance[i]+float64(m.Eps)))
	}
}

// eachPlane visits the N*C planes of x in order, with the row of the statistics
// each belongs to and its place in x. There are N*C rows, or C for a batch.
func eachPlane(x Tensor, rows int, f func(row int, plane []float32, from int)) {
	size := x.Shape[2] * x.Shape[3]
	for p := range x.Shape[0] * x.Shape[1] {
		f(p%rows, x.F[p*size:][:size], p*size)
	}
}

// Normalize computes (x-mean)*rstd, times gamma plus beta with Affine
// (InstanceNorm2d, and BatchNorm2d in training mode).
// Inputs: x (N,C,H,W), moments of x (N or 1,C,2) and, with Affine, gamma (C),
// beta (C). Output: (N,C,H,W).
type Normalize struct {
	Batch  bool
	Affine bool
}

// Arity implements Spec.
func (n Normalize) Arity() int {
	if n.Affine {
		return 4
	}
	return 2
}

// Result implements Spec.
func (Normalize) Result() hm.Type { return nil }

// Infer implements Spec.
func (n Normalize) Infer(in []tensor.Shape) (tensor.Shape, error) {
	const name = "normalize"
	if err := ranks(name, in, []int{4, 3, 1, 1}[:n.Arity()]...); err != nil {
		return nil, err
	}
	x := in[0]
	if want := statShape(x, n.Batch); !equal(in[1], want) {
		return nil, bad(name, "moments %v, want %v for x %v", in[1], want, x)
	}
	if n.Affine && (in[2][0] != x[1] || in[3][0] != x[1]) {
		return nil, bad(name, "gamma %v and beta %v for x %v", in[2], in[3], x)
	}
	return x.Clone(), nil
}

// Do implements Spec.
func (n Normalize) Do(in []Tensor, out Tensor) {
	x, moments := in[0], in[1].F
	eachPlane(x, len(moments)/2, func(row int, plane []float32, from int) {
		mean, rstd := moments[2*row], moments[2*row+1]
		gamma, beta := float32(1), float32(0)
		if n.Affine {
			gamma, beta = in[2].F[row%x.Shape[1]], in[3].F[row%x.Shape[1]]
		}
		for i, v := range plane {
			out.F[from+i] = (v-mean)*rstd*gamma + beta
		}
	})
}

// Diffable implements Differ.
func (Normalize) Diffable(inputs int) []bool { return []bool{true, false, true, true}[:inputs] }

// Diff implements Differ.
func (n Normalize) Diff(in G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	x, moments := in[0], in[1]
	sums, err := Apply(NormSums{Batch: n.Batch}, x, moments, grad)
	if err != nil {
		return nil, err
	}
	back := G.Nodes{x, moments, grad, sums}
	if n.Affine {
		back = append(back, in[2])
	}
	gx, err := Apply(NormGradX(n), back...)
	if err != nil || !n.Affine {
		return G.Nodes{gx, nil}, err
	}
	gGamma, err := Apply(SumsPick{Index: 1}, sums)
	if err != nil {
		return nil, err
	}
	gBeta, err := Apply(SumsPick{Index: 0}, sums)
	return G.Nodes{gx, nil, gGamma, gBeta}, err
}
