package op

import (
	"github.com/chewxy/hm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// AvgPool averages K x K windows at a stride, PyTorch's AvgPool2d with
// count_include_pad=False: padding is not counted. Pad is at most K/2.
// Output: (N,C,OH,OW), OH = (H+2*Pad-K)/Stride+1.
type AvgPool struct{ K, Stride, Pad int }

// Arity implements Spec.
func (AvgPool) Arity() int { return 1 }

// Result implements Spec.
func (AvgPool) Result() hm.Type { return nil }

// Infer implements Spec.
func (p AvgPool) Infer(in []tensor.Shape) (tensor.Shape, error) {
	if err := ranks("avgpool", in, 4); err != nil {
		return nil, err
	}
	s := in[0]
	oh, ow, err := p.out(s[2], s[3])
	if err != nil {
		return nil, err
	}
	return tensor.Shape{s[0], s[1], oh, ow}, nil
}

// out is the size of the pooled picture.
func (p AvgPool) out(h, w int) (oh, ow int, err error) {
	if p.K < 1 || p.Stride < 1 || p.Pad < 0 || p.Pad > p.K/2 {
		return 0, 0, bad("avgpool", "%+v, want K and Stride of at least 1 and Pad of at most K/2", p)
	}
	if h+2*p.Pad < p.K || w+2*p.Pad < p.K {
		return 0, 0, bad("avgpool", "picture %dx%d is smaller than the window of %+v", h, w, p)
	}
	return (h+2*p.Pad-p.K)/p.Stride + 1, (w+2*p.Pad-p.K)/p.Stride + 1, nil
}

// span is the part of window i that lies inside a side of n pixels.
func (p AvgPool) span(i, n int) (from, to int) {
	from = i*p.Stride - p.Pad
	return max(from, 0), min(from+p.K, n)
}

// Do implements Spec.
func (p AvgPool) Do(in []Tensor, out Tensor) {
	h, w := in[0].Shape[2], in[0].Shape[3]
	oh, ow := out.Shape[2], out.Shape[3]
	for i := range out.F {
		plane := in[0].F[i/(oh*ow)*h*w:][:h*w]
		y0, y1 := p.span(i/ow%oh, h)
		x0, x1 := p.span(i%ow, w)
		var sum float64
		for y := y0; y < y1; y++ {
			for _, v := range plane[y*w+x0 : y*w+x1] {
				sum += float64(v)
			}
		}
		out.F[i] = float32(sum / float64((y1-y0)*(x1-x0)))
	}
}

// Diffable implements Differ.
func (AvgPool) Diffable(inputs int) []bool { return every(inputs) }

// Diff implements Differ.
func (p AvgPool) Diff(in G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	s := in[0].Shape()
	g, err := Apply(AvgPoolGrad{K: p.K, Stride: p.Stride, Pad: p.Pad, H: s[2], W: s[3]}, grad)
	return G.Nodes{g}, err
}

// AvgPoolGrad is the gradient of AvgPool. Input: gy. Output: (N,C,H,W).
type AvgPoolGrad struct{ K, Stride, Pad, H, W int }

// Arity implements Spec.
func (AvgPoolGrad) Arity() int { return 1 }

// Result implements Spec.
func (AvgPoolGrad) Result() hm.Type { return nil }

// Infer implements Spec.
func (p AvgPoolGrad) Infer(in []tensor.Shape) (tensor.Shape, error) {
	if err := ranks("avgpool gradient", in, 4); err != nil {
		return nil, err
	}
	s := in[0]
	oh, ow, err := p.forward().out(p.H, p.W)
	if err != nil {
		return nil, err
	}
	if s[2] != oh || s[3] != ow {
		return nil, bad("avgpool gradient", "gradient %v, want %dx%d for a picture of %dx%d", s, oh, ow, p.H, p.W)
	}
	return tensor.Shape{s[0], s[1], p.H, p.W}, nil
}

func (p AvgPoolGrad) forward() AvgPool { return AvgPool{K: p.K, Stride: p.Stride, Pad: p.Pad} }

// Do implements Spec.
func (p AvgPoolGrad) Do(in []Tensor, out Tensor) {
	oh, ow := in[0].Shape[2], in[0].Shape[3]
	clear(out.F)
	for i, gy := range in[0].F {
		plane := out.F[i/(oh*ow)*p.H*p.W:][:p.H*p.W]
		y0, y1 := p.forward().span(i/ow%oh, p.H)
		x0, x1 := p.forward().span(i%ow, p.W)
		share := gy / float32((y1-y0)*(x1-x0))
		for y := y0; y < y1; y++ {
			for x := x0; x < x1; x++ {
				plane[y*p.W+x] += share
			}
		}
	}
}
