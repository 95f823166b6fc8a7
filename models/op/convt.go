package op

import (
	"github.com/chewxy/hm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// ConvT is a transposed convolution as PyTorch's ConvTranspose2d.
// Inputs: x (N,I,H,W), w (I,O,KH,KW) and, with Bias, b (O).
// Output: (N,O,OH,OW), OH = (H-1)*Stride-2*Pad+KH+OutPad; OutPad < Stride.
// Its gradients are Conv{Stride,Pad} of gy by w, and ConvGradW with x and gy
// in exchanged places.
type ConvT struct {
	Stride, Pad, OutPad int
	Bias                bool
}

// Arity implements Spec.
func (c ConvT) Arity() int {
	if c.Bias {
		return 3
	}
	return 2
}

// Result implements Spec.
func (ConvT) Result() hm.Type { return nil }

// Infer implements Spec.
func (c ConvT) Infer(in []tensor.Shape) (tensor.Shape, error) {
	if err := ranks("convt", in, []int{4, 4, 1}[:c.Arity()]...); err != nil {
		return nil, err
	}
	x, w := in[0], in[1]
	switch {
	case x[1] != w[0]:
		return nil, bad("convt", "x %v and w %v differ in their channels", x, w)
	case c.Bias && in[2][0] != w[1]:
		return nil, bad("convt", "b %v for w %v", in[2], w)
	case c.Stride < 1 || c.Pad < 0 || c.OutPad < 0 || c.OutPad >= c.Stride:
		return nil, bad("convt", "%+v, want Stride of at least 1, no negative Pad and OutPad below Stride", c)
	}
	oh := (x[2]-1)*c.Stride - 2*c.Pad + w[2] + c.OutPad
	ow := (x[3]-1)*c.Stride - 2*c.Pad + w[3] + c.OutPad
	if oh < 1 || ow < 1 {
		return nil, bad("convt", "x %v and w %v leave %dx%d", x, w, oh, ow)
	}
	return tensor.Shape{x[0], w[1], oh, ow}, nil
}

// Do implements Spec.
func (c ConvT) Do(in []Tensor, out Tensor) {
	w := in[1].Shape
	win := window{stride: c.Stride, pad: c.Pad, kh: w[2], kw: w[3]}
	var bias []float32
	if c.Bias {
		bias = in[2].F
	}
	win.scatter(in[0], in[1], bias, out)
}

// Diffable implements Differ.
func (ConvT) Diffable(inputs int) []bool { return every(inputs) }

// Diff implements Differ.
func (c ConvT) Diff(in G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	x, w := in[0], in[1]
	gx, err := Apply(Conv{Stride: c.Stride, Pad: c.Pad}, grad, w)
	if err != nil {
		return nil, err
	}
	gw, err := Apply(ConvGradW{Stride: c.Stride, Pad: c.Pad, KH: w.Shape()[2], KW: w.Shape()[3]}, grad, x)
	if err != nil {
		return nil, err
	}
	return withBias(c.Bias, grad, gx, gw)
}

// ChannelSum adds over all axes but the channel: (N,C,H,W) to (C). It is the
// gradient of a bias.
type ChannelSum struct{}

// Arity implements Spec.
func (ChannelSum) Arity() int { return 1 }

// Result implements Spec.
func (ChannelSum) Result() hm.Type { return vector }

// vector is the gorgonia type of a (C) float32 tensor.
var vector hm.Type = G.TensorType{Dims: 1, Of: tensor.Float32}

// Infer implements Spec.
func (ChannelSum) Infer(in []tensor.Shape) (tensor.Shape, error) {
	if err := ranks("channelsum", in, 4); err != nil {
		return nil, err
	}
	return tensor.Shape{in[0][1]}, nil
}

// Do implements Spec.
func (ChannelSum) Do(in []Tensor, out Tensor) {
	channels, size := in[0].Shape[1], in[0].Shape[2]*in[0].Shape[3]
	sums := make([]float64, channels)
	for p := range len(in[0].F) / size {
		for _, x := range in[0].F[p*size:][:size] {
			sums[p%channels] += float64(x)
		}
	}
	for c, s := range sums {
		out.F[c] = float32(s)
	}
}

// Work is the number of floating-point operations of the convolution family,
// a multiply-add counted as two; 0 for every other operator. The input shapes
// have passed Infer.
func Work(s Spec, in []tensor.Shape) (flops int64) {
	var small, kernel tensor.Shape // the tensor every element of which meets the kernel; the kernel's other axes
	switch s := s.(type) {
	case Conv:
		out, err := s.Infer(in)
		if err != nil {
			return 0
		}
		small, kernel = out, in[1][1:]
	case ConvT:
		small, kernel = in[0], in[1][1:]
	case ConvGradX:
		small, kernel = in[1], in[0][1:]
	case ConvGradW:
		small, kernel = in[1], tensor.Shape{in[0][1], s.KH, s.KW}
	default:
		return 0
	}
	flops = 2
	for _, d := range append(small.Clone(), kernel...) {
		flops *= int64(d)
	}
	return flops
}
