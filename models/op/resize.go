package op

import (
	"github.com/chewxy/hm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Resize changes the size of (N,C,H,W), nearest or bilinear with pixel centres
// at half (PyTorch's interpolate with align_corners=False).
type Resize struct {
	H, W     int
	Bilinear bool
}

// Arity implements Spec.
func (Resize) Arity() int { return 1 }

// Result implements Spec.
func (Resize) Result() hm.Type { return nil }

// Infer implements Spec.
func (r Resize) Infer(in []tensor.Shape) (tensor.Shape, error) {
	return resized("resize", in, r.H, r.W)
}

func resized(name string, in []tensor.Shape, h, w int) (tensor.Shape, error) {
	if err := ranks(name, in, 4); err != nil {
		return nil, err
	}
	if h < 1 || w < 1 {
		return nil, bad(name, "%v to %dx%d, want positive sizes", in[0], h, w)
	}
	return tensor.Shape{in[0][0], in[0][1], h, w}, nil
}

// Do implements Spec.
func (r Resize) Do(in []Tensor, out Tensor) {
	h, w := in[0].Shape[2], in[0].Shape[3]
	ys, xs := taps(h, r.H, r.Bilinear), taps(w, r.W, r.Bilinear)
	for i := range out.F {
		plane := in[0].F[i/(r.H*r.W)*h*w:][:h*w]
		y, x := ys[i/r.W%r.H], xs[i%r.W]
		top := plane[y.lo*w+x.lo]*(1-x.part) + plane[y.lo*w+x.hi]*x.part
		bottom := plane[y.hi*w+x.lo]*(1-x.part) + plane[y.hi*w+x.hi]*x.part
		out.F[i] = top*(1-y.part) + bottom*y.part
	}
}

// tap is where one output pixel reads along an axis: lo*(1-part) + hi*part.
type tap struct {
	lo, hi int
	part   float32
}

// taps lists the taps of every one of the out pixels of an axis of in pixels.
func taps(in, out int, bilinear bool) []tap {
	scale := float32(in) / float32(out)
	ts := make([]tap, out)
	for i := range ts {
		if !bilinear {
			at := min(int(float32(i)*scale), in-1)
			ts[i] = tap{lo: at, hi: at}
			continue
		}
		at := max((float32(i)+0.5)*scale-0.5, 0)
		lo := min(int(at), in-1)
		ts[i] = tap{lo: lo, hi: min(lo+1, in-1), part: at - float32(lo)}
	}
	return ts
}

// Diffable implements Differ.
func (Resize) Diffable(inputs int) []bool { return every(inputs) }

// Diff implements Differ.
func (r Resize) Diff(in G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	s := in[0].Shape()
	g, err := Apply(ResizeGrad{H: s[2], W: s[3], Bilinear: r.Bilinear}, grad)
	return G.Nodes{g}, err
}

// ResizeGrad is the gradient of Resize. Input: gy. Output: (N,C,H,W).
type ResizeGrad struct {
	H, W     int // of what was resized
	Bilinear bool
}

// Arity implements Spec.
func (ResizeGrad) Arity() int { return 1 }

// Result implements Spec.
func (ResizeGrad) Result() hm.Type { return nil }

// Infer implements Spec.
func (r ResizeGrad) Infer(in []tensor.Shape) (tensor.Shape, error) {
	return resized("resize gradient", in, r.H, r.W)
}

// Do implements Spec.
func (r ResizeGrad) Do(in []Tensor, out Tensor) {
	h, w := in[0].Shape[2], in[0].Shape[3]
	ys, xs := taps(r.H, h, r.Bilinear), taps(r.W, w, r.Bilinear)
	clear(out.F)
	for i, gy := range in[0].F {
		plane := out.F[i/(h*w)*r.H*r.W:][:r.H*r.W]
		y, x := ys[i/w%h], xs[i%w]
		plane[y.lo*r.W+x.lo] += gy * (1 - y.part) * (1 - x.part)
		plane[y.lo*r.W+x.hi] += gy * (1 - y.part) * x.part
		plane[y.hi*r.W+x.lo] += gy * y.part * (1 - x.part)
		plane[y.hi*r.W+x.hi] += gy * y.part * x.part
	}
}
