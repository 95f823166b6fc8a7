package op

import (
	"github.com/chewxy/hm"
	"gorgonia.org/tensor"
)

// OneHot turns index pictures into channels. Input: uint8 (N,H,W,3), the first
// byte of a pixel its label. Output: (N,C,OutH,OutW) float32, 1 in the label's
// channel and 0 in the others, in all where the label is C or more. OutH >= H
// and OutW >= W: what is more than the picture repeats its bottom row and right
// column.
type OneHot struct{ C, OutH, OutW int }

// Arity implements Spec.
func (OneHot) Arity() int { return 1 }

// Result implements Spec.
func (OneHot) Result() hm.Type { return Rank4 }

// Infer implements Spec.
func (o OneHot) Infer(in []tensor.Shape) (tensor.Shape, error) {
	if o.C < 1 {
		return nil, bad("onehot", "%d channels, want at least 1", o.C)
	}
	return padPicture("onehot", in, o.C, o.OutH, o.OutW)
}

// padPicture is the shape of an operator that makes a tensor of a padded
// picture.
func padPicture(name string, in []tensor.Shape, channels, h, w int) (tensor.Shape, error) {
	if err := ranks(name, in, 4); err != nil {
		return nil, err
	}
	s := in[0]
	if s[3] != 3 {
		return nil, bad(name, "picture %v, want (N,H,W,3)", s)
	}
	if h < s[1] || w < s[2] {
		return nil, bad(name, "picture %v is larger than the output %dx%d", s, h, w)
	}
	return tensor.Shape{s[0], channels, h, w}, nil
}

// Do implements Spec.
func (o OneHot) Do(in []Tensor, out Tensor) {
	n, size := in[0].Shape[0], o.OutH*o.OutW
	clear(out.F)
	for i := range n * size {
		if id := int(pixel(in[0], i/size, i%size/o.OutW, i%o.OutW)[0]); id < o.C {
			out.F[(i/size*o.C+id)*size+i%size] = 1
		}
	}
}

// pixel is a pixel of a picture (N,H,W,3), the edge repeated.
func pixel(t Tensor, item, y, x int) []byte {
	h, w := t.Shape[1], t.Shape[2]
	return t.B[((item*h+min(max(y, 0), h-1))*w+min(max(x, 0), w-1))*3:][:3]
}

// Edges marks boundaries. Input: uint8 pictures (N,H,W,3), instance maps or
// index pictures. Output: (N,1,OutH,OutW) float32, 1 where a pixel is not equal
// to one of its four neighbours, on both sides of the boundary, else 0. Padding
// is as in OneHot.
type Edges struct{ OutH, OutW int }

// Arity implements Spec.
func (Edges) Arity() int { return 1 }

// Result implements Spec.
func (Edges) Result() hm.Type { return Rank4 }

// Infer implements Spec.
func (e Edges) Infer(in []tensor.Shape) (tensor.Shape, error) {
	return padPicture("edges", in, 1, e.OutH, e.OutW)
}

// Do implements Spec.
func (e Edges) Do(in []Tensor, out Tensor) {
	size := e.OutH * e.OutW
	for i := range out.F {
		item, y, x := i/size, i%size/e.OutW, i%e.OutW
		at := [3]byte(pixel(in[0], item, y, x))
		out.F[i] = 0
		for _, d := range [4][2]int{{-1, 0}, {1, 0}, {0, -1}, {0, 1}} {
			if [3]byte(pixel(in[0], item, y+d[0], x+d[1])) != at {
				out.F[i] = 1
			}
		}
	}
}
