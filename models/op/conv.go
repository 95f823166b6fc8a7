package op

import (
	"github.com/chewxy/hm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Conv is a 2-D cross-correlation as PyTorch's Conv2d.
// Inputs: x (N,C,H,W), w (O,C,KH,KW) and, with Bias, b (O).
// Output: (N,O,OH,OW), OH = (H+2*Pad-KH)/Stride+1.
// With Reflect the padding mirrors the picture without its edge pixel
// (ReflectionPad2d) and needs Pad < H and Pad < W; otherwise it is zeros.
type Conv struct {
	Stride, Pad int
	Reflect     bool
	Bias        bool
}

// Arity implements Spec.
func (c Conv) Arity() int {
	if c.Bias {
		return 3
	}
	return 2
}

// Result implements Spec.
func (Conv) Result() hm.Type { return nil }

// Infer implements Spec.
func (c Conv) Infer(in []tensor.Shape) (tensor.Shape, error) {
	if err := ranks("conv", in, []int{4, 4, 1}[:c.Arity()]...); err != nil {
		return nil, err
	}
	x, w := in[0], in[1]
	if x[1] != w[1] {
		return nil, bad("conv", "x %v and w %v differ in their channels", x, w)
	}
	if c.Bias && in[2][0] != w[0] {
		return nil, bad("conv", "b %v for w %v", in[2], w)
	}
	win := window{stride: c.Stride, pad: c.Pad, reflect: c.Reflect, kh: w[2], kw: w[3]}
	oh, ow, err := win.out("conv", x[2], x[3])
	if err != nil {
		return nil, err
	}
	return tensor.Shape{x[0], w[0], oh, ow}, nil
}

// Do implements Spec.
func (c Conv) Do(in []Tensor, out Tensor) {
	w := in[1].Shape
	win := window{stride: c.Stride, pad: c.Pad, reflect: c.Reflect, kh: w[2], kw: w[3]}
	var bias []float32
	if c.Bias {
		bias = in[2].F
	}
	win.correlate(in[0], in[1], bias, out)
}

// Diffable implements Differ.
func (Conv) Diffable(inputs int) []bool { return every(inputs) }

// Diff implements Differ.
func (c Conv) Diff(in G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	x, w := in[0], in[1]
	gx, err := Apply(ConvGradX{
		Stride: c.Stride, Pad: c.Pad, Reflect: c.Reflect, H: x.Shape()[2], W: x.Shape()[3],
	}, w, grad)
	if err != nil {
		return nil, err
	}
	gw, err := Apply(ConvGradW{
		Stride: c.Stride, Pad: c.Pad, Reflect: c.Reflect, KH: w.Shape()[2], KW: w.Shape()[3],
	}, x, grad)
	if err != nil {
		return nil, err
	}
	return withBias(c.Bias, grad, gx, gw)
}

// withBias appends the gradient of a bias where there is one.
func withBias(bias bool, grad *G.Node, grads ...*G.Node) (G.Nodes, error) {
	if !bias {
		return grads, nil
	}
	gb, err := Apply(ChannelSum{}, grad)
	return append(grads, gb), err
}

// ConvGradX is the gradient of Conv with respect to x.
// Inputs: w (O,C,KH,KW), gy (N,O,OH,OW). Output: (N,C,H,W).
type ConvGradX struct {
	Stride, Pad int
	Reflect     bool
	H, W        int // of x
}

// Arity implements Spec.
func (ConvGradX) Arity() int { return 2 }

// Result implements Spec.
func (ConvGradX) Result() hm.Type { return nil }

// Infer implements Spec.
func (c ConvGradX) Infer(in []tensor.Shape) (tensor.Shape, error) {
	const name = "conv gradient x"
	if err := ranks(name, in, 4, 4); err != nil {
		return nil, err
	}
	w, gy := in[0], in[1]
	win := window{stride: c.Stride, pad: c.Pad, reflect: c.Reflect, kh: w[2], kw: w[3]}
	oh, ow, err := win.out(name, c.H, c.W)
	if err != nil {
		return nil, err
	}
	if gy[1] != w[0] || gy[2] != oh || gy[3] != ow {
		return nil, bad(name, "gradient %v, want (N,%d,%d,%d) for w %v", gy, w[0], oh, ow, w)
	}
	return tensor.Shape{gy[0], w[1], c.H, c.W}, nil
}

// Do implements Spec.
func (c ConvGradX) Do(in []Tensor, out Tensor) {
	w := in[0].Shape
	win := window{stride: c.Stride, pad: c.Pad, reflect: c.Reflect, kh: w[2], kw: w[3]}
	win.scatter(in[1], in[0], nil, out)
}

// ConvGradW is the gradient of Conv with respect to w.
// Inputs: x (N,C,H,W), gy (N,O,OH,OW). Output: (O,C,KH,KW).
type ConvGradW struct {
	Stride, Pad int
	Reflect     bool
	KH, KW      int
}

// Arity implements Spec.
func (ConvGradW) Arity() int { return 2 }

// Result implements Spec.
func (ConvGradW) Result() hm.Type { return nil }

// Infer implements Spec.
func (c ConvGradW) Infer(in []tensor.Shape) (tensor.Shape, error) {
	const name = "conv gradient w"
	if err := ranks(name, in, 4, 4); err != nil {
		return nil, err
	}
	x, gy := in[0], in[1]
	oh, ow, err := c.window().out(name, x[2], x[3])
	if err != nil {
		return nil, err
	}
	if gy[0] != x[0] || gy[2] != oh || gy[3] != ow {
		return nil, bad(name, "gradient %v, want (%d,O,%d,%d) for x %v", gy, x[0], oh, ow, x)
	}
	return tensor.Shape{gy[1], x[1], c.KH, c.KW}, nil
}

func (c ConvGradW) window() window {
	return window{stride: c.Stride, pad: c.Pad, reflect: c.Reflect, kh: c.KH, kw: c.KW}
}

// Do implements Spec.
func (c ConvGradW) Do(in []Tensor, out Tensor) { c.window().gradW(in[0], in[1], out) }
