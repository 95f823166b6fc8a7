package op

import (
	"math"

	"github.com/chewxy/hm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// FromBytes turns pictures into tensors. Input: uint8 (N,H,W,3) RGB. Output:
// (N,C,OutH,OutW) float32, byte/127.5-1; C is 3, or 1 with Luma (BT.601
// weights .299 .587 .114). OutH >= H and OutW >= W: what is more than the
// picture repeats its bottom row and right column.
type FromBytes struct {
	OutH, OutW int
	Luma       bool
}

// Arity implements Spec.
func (FromBytes) Arity() int { return 1 }

// Result implements Spec.
func (FromBytes) Result() hm.Type { return Rank4 }

// Infer implements Spec.
func (b FromBytes) Infer(in []tensor.Shape) (tensor.Shape, error) {
	channels := 3
	if b.Luma {
		channels = 1
	}
	return padPicture("frombytes", in, channels, b.OutH, b.OutW)
}

// Do implements Spec.
func (b FromBytes) Do(in []Tensor, out Tensor) {
	n, h, w := in[0].Shape[0], in[0].Shape[1], in[0].Shape[2]
	channels, size := out.Shape[1], b.OutH*b.OutW
	for i := range n * size {
		item, y, x := i/size, i%size/b.OutW, i%b.OutW
		pixel := in[0].B[((item*h+min(y, h-1))*w+min(x, w-1))*3:][:3]
		r, g, blue := float32(pixel[0]), float32(pixel[1]), float32(pixel[2])
		dst := out.F[item*channels*size+i%size:]
		if b.Luma {
			dst[0] = (0.299*r+0.587*g+0.114*blue)/127.5 - 1
			continue
		}
		dst[0], dst[size], dst[2*size] = r/127.5-1, g/127.5-1, blue/127.5-1
	}
}

// ToBytes is the way back: (N,3,H,W) float32 in [-1,1] to uint8
// (N,OutH,OutW,3), round((x+1)*127.5) clamped to [0,255], the top left
// OutH x OutW of the picture. Halves round to even; NaN becomes 0.
type ToBytes struct{ OutH, OutW int }

// Arity implements Spec.
func (ToBytes) Arity() int { return 1 }

// Result implements Spec.
func (ToBytes) Result() hm.Type { return G.TensorType{Dims: 4, Of: tensor.Uint8} }

// Infer implements Spec.
func (b ToBytes) Infer(in []tensor.Shape) (tensor.Shape, error) {
	if err := ranks("tobytes", in, 4); err != nil {
		return nil, err
	}
	s := in[0]
	if s[1] != 3 {
		return nil, bad("tobytes", "input %v, want (N,3,H,W)", s)
	}
	if b.OutH < 1 || b.OutW < 1 || b.OutH > s[2] || b.OutW > s[3] {
		return nil, bad("tobytes", "output %dx%d does not lie in the input %v", b.OutH, b.OutW, s)
	}
	return tensor.Shape{s[0], b.OutH, b.OutW, 3}, nil
}

// Do implements Spec.
func (b ToBytes) Do(in []Tensor, out Tensor) {
	h, w := in[0].Shape[2], in[0].Shape[3]
	for i := range out.B {
		c, x, y, item := i%3, i/3%b.OutW, i/(3*b.OutW)%b.OutH, i/(3*b.OutW*b.OutH)
		v := (in[0].F[((item*3+c)*h+y)*w+x] + 1) * 127.5
		switch {
		case v >= 255:
			out.B[i] = 255
		case v > 0:
			out.B[i] = byte(math.RoundToEven(float64(v)))
		default:
			out.B[i] = 0
		}
	}
}
