package op

import (
	"github.com/chewxy/hm"
	"gorgonia.org/tensor"
)

// NormSums are the two sums that every gradient of Normalize is made of.
// Inputs: x, moments, gy. Output: (N or 1,C,2): the sums of gy and of gy*xhat
// over the axes that the moments were taken over, xhat = (x-mean)*rstd.
type NormSums struct{ Batch bool }

// Arity implements Spec.
func (NormSums) Arity() int { return 3 }

// Result implements Spec.
func (NormSums) Result() hm.Type { return rank3 }

// Infer implements Spec.
func (n NormSums) Infer(in []tensor.Shape) (tensor.Shape, error) {
	const name = "normsums"
	if err := ranks(name, in, 4, 3, 4); err != nil {
		return nil, err
	}
	want := statShape(in[0], n.Batch)
	if !equal(in[1], want) || !equal(in[2], in[0]) {
		return nil, bad(name, "moments %v and gradient %v for x %v", in[1], in[2], in[0])
	}
	return want, nil
}

// Do implements Spec.
func (NormSums) Do(in []Tensor, out Tensor) {
	moments, gy := in[1].F, in[2].F
	sums := make([]float64, len(out.F))
	eachPlane(in[0], len(sums)/2, func(row int, plane []float32, from int) {
		mean, rstd := float64(moments[2*row]), float64(moments[2*row+1])
		for i, x := range plane {
			g := float64(gy[from+i])
			sums[2*row] += g
			sums[2*row+1] += g * (float64(x) - mean) * rstd
		}
	})
	for i, s := range sums {
		out.F[i] = float32(s)
	}
}

// NormGradX is the gradient of Normalize with respect to x, the path through
// the statistics included (Ioffe and Szegedy 2015):
// gx = gamma*rstd*(gy - mean(gy) - xhat*mean(gy*xhat)).
// Inputs: x, moments, gy, sums of NormSums and, with Affine, gamma (C).
type NormGradX struct {
	Batch  bool
	Affine bool
}

// Arity implements Spec.
func (n NormGradX) Arity() int {
	if n.Affine {
		return 5
	}
	return 4
}

// Result implements Spec.
func (NormGradX) Result() hm.Type { return nil }

// Infer implements Spec.
func (n NormGradX) Infer(in []tensor.Shape) (tensor.Shape, error) {
	const name = "normalize gradient"
	if err := ranks(name, in, []int{4, 3, 4, 3, 1}[:n.Arity()]...); err != nil {
		return nil, err
	}
	x, want := in[0], statShape(in[0], n.Batch)
	if !equal(in[1], want) || !equal(in[2], x) || !equal(in[3], want) {
		return nil, bad(name, "moments %v, gradient %v and sums %v for x %v", in[1], in[2], in[3], x)
	}
	if n.Affine && in[4][0] != x[1] {
		return nil, bad(name, "gamma %v for x %v", in[4], x)
	}
	return x.Clone(), nil
}

// Do implements Spec.
func (n NormGradX) Do(in []Tensor, out Tensor) {
	x, moments, gy, sums := in[0], in[1].F, in[2].F, in[3].F
	rows := len(moments) / 2
	count := float64(len(x.F) / rows)
	eachPlane(x, rows, func(row int, plane []float32, from int) {
		mean, rstd := float64(moments[2*row]), float64(moments[2*row+1])
		gMean, gxMean := float64(sums[2*row])/count, float64(sums[2*row+1])/count
		scale := rstd
		if n.Affine {
			scale *= float64(in[4].F[row%x.Shape[1]])
		}
		for i, v := range plane {
			xhat := (float64(v) - mean) * rstd
			out.F[from+i] = float32(scale * (float64(gy[from+i]) - gMean - xhat*gxMean))
		}
	})
}

// SumsPick adds sums (N or 1,C,2) over the first axis and takes one of the two:
// 0 is the gradient of beta, 1 that of gamma. Output: (C).
type SumsPick struct{ Index int }

// Arity implements Spec.
func (SumsPick) Arity() int { return 1 }

// Result implements Spec.
func (SumsPick) Result() hm.Type { return vector }

// Infer implements Spec.
func (s SumsPick) Infer(in []tensor.Shape) (tensor.Shape, error) {
	if err := ranks("sumspick", in, 3); err != nil {
		return nil, err
	}
	if in[0][2] != 2 || s.Index < 0 || s.Index > 1 {
		return nil, bad("sumspick", "sums %v and index %d, want (N,C,2) and 0 or 1", in[0], s.Index)
	}
	return tensor.Shape{in[0][1]}, nil
}

// Do implements Spec.
func (s SumsPick) Do(in []Tensor, out Tensor) {
	batch, channels := in[0].Shape[0], in[0].Shape[1]
	for c := range channels {
		var sum float64
		for n := range batch {
			sum += float64(in[0].F[(n*channels+c)*2+s.Index])
		}
		out.F[c] = float32(sum)
	}
}
