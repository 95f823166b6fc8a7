package op

import (
	"github.com/chewxy/hm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Warp samples an image at (x+u, y+v), clamped to the border, bilinear: the
// align_corners=True grid_sample of vid2vid, with the flow in pixels. A flow
// of NaN samples the first row or column.
// Inputs: image (N,C,H,W), flow (N,2,H,W). Output: (N,C,H,W).
type Warp struct{}

// Arity implements Spec.
func (Warp) Arity() int { return 2 }

// Result implements Spec.
func (Warp) Result() hm.Type { return nil }

// Infer implements Spec.
func (Warp) Infer(in []tensor.Shape) (tensor.Shape, error) {
	if err := ranks("warp", in, 4, 4); err != nil {
		return nil, err
	}
	if err := checkFlow("warp", in[0], in[1]); err != nil {
		return nil, err
	}
	return in[0].Clone(), nil
}

// checkFlow checks that flow is (N,2,H,W) for an image of (N,C,H,W).
func checkFlow(name string, image, flow tensor.Shape) error {
	if want := (tensor.Shape{image[0], 2, image[2], image[3]}); !equal(flow, want) {
		return bad(name, "flow %v, want %v for an image of %v", flow, want, image)
	}
	return nil
}

// sample is the four pixels, as places in a plane, and two weights that one
// pixel is warped from. moves says along which axes the flow moves it: not
// where it is at or over the border.
type sample struct {
	p00, p01, p10, p11 int
	x, y               float32
	movesX, movesY     bool
}

// sampleAt is the sample of pixel i of a plane of h x w.
func sampleAt(flow []float32, i, h, w int) sample {
	x, x0, movesX := clampTo(float32(i%w)+flow[i], w)
	y, y0, movesY := clampTo(float32(i/w)+flow[h*w+i], h)
	x1, y1 := min(x0+1, w-1), min(y0+1, h-1)
	return sample{
		p00: y0*w + x0, p01: y0*w + x1, p10: y1*w + x0, p11: y1*w + x1,
		x: x - float32(x0), y: y - float32(y0), movesX: movesX, movesY: movesY,
	}
}

// clampTo brings a position into [0,n-1].
func clampTo(at float32, n int) (clamped float32, floor int, inside bool) {
	last := float32(n - 1)
	switch {
	case at >= last:
		return last, n - 1, false
	case at > 0:
		return at, int(at), true
	}
	return 0, 0, false
}

// Do implements Spec.
func (Warp) Do(in []Tensor, out Tensor) {
	channels, h, w := out.Shape[1], out.Shape[2], out.Shape[3]
	size := h * w
	for i := range out.Shape[0] * size {
		n, at := i/size, i%size
		s := sampleAt(in[1].F[n*2*size:], at, h, w)
		for c := range channels {
			from := (n*channels + c) * size
			p := in[0].F[from:][:size]
			top := p[s.p00]*(1-s.x) + p[s.p01]*s.x
			bottom := p[s.p10]*(1-s.x) + p[s.p11]*s.x
			out.F[from+at] = top*(1-s.y) + bottom*s.y
		}
	}
}

// Diffable implements Differ.
func (Warp) Diffable(inputs int) []bool { return every(inputs) }

// Diff implements Differ.
func (Warp) Diff(in G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	gImage, err := Apply(WarpGradImage{}, in[1], grad)
	if err != nil {
		return nil, err
	}
	gFlow, err := Apply(WarpGradFlow{}, in[0], in[1], grad)
	return G.Nodes{gImage, gFlow}, err
}

// WarpGradImage is the gradient of Warp with respect to the image.
// Inputs: flow, gy. Output: (N,C,H,W).
type WarpGradImage struct{}

// Arity implements Spec.
func (WarpGradImage) Arity() int { return 2 }

// Result implements Spec.
func (WarpGradImage) Result() hm.Type { return nil }

// Infer implements Spec.
func (WarpGradImage) Infer(in []tensor.Shape) (tensor.Shape, error) {
	const name = "warp gradient image"
	if err := ranks(name, in, 4, 4); err != nil {
		return nil, err
	}
	if err := checkFlow(name, in[1], in[0]); err != nil {
		return nil, err
	}
	return in[1].Clone(), nil
}

// Do implements Spec.
func (WarpGradImage) Do(in []Tensor, out Tensor) {
	channels, h, w := out.Shape[1], out.Shape[2], out.Shape[3]
	size := h * w
	clear(out.F)
	for i := range out.Shape[0] * size {
		n, at := i/size, i%size
		s := sampleAt(in[0].F[n*2*size:], at, h, w)
		for c := range channels {
			from := (n*channels + c) * size
			p, g := out.F[from:][:size], in[1].F[from+at]
			p[s.p00] += g * (1 - s.y) * (1 - s.x)
			p[s.p01] += g * (1 - s.y) * s.x
			p[s.p10] += g * s.y * (1 - s.x)
			p[s.p11] += g * s.y * s.x
		}
	}
}

// WarpGradFlow is the gradient of Warp with respect to the flow; where a
// sample was clamped, or lies on the border, it is zero along that axis.
// Inputs: image, flow, gy. Output: (N,2,H,W).
type WarpGradFlow struct{}

// Arity implements Spec.
func (WarpGradFlow) Arity() int { return 3 }

// Result implements Spec.
func (WarpGradFlow) Result() hm.Type { return nil }

// Infer implements Spec.
func (WarpGradFlow) Infer(in []tensor.Shape) (tensor.Shape, error) {
	const name = "warp gradient flow"
	if err := ranks(name, in, 4, 4, 4); err != nil {
		return nil, err
	}
	if err := checkFlow(name, in[0], in[1]); err != nil {
		return nil, err
	}
	if !equal(in[0], in[2]) {
		return nil, bad(name, "gradient %v for an image of %v", in[2], in[0])
	}
	return in[1].Clone(), nil
}

// Do implements Spec.
func (WarpGradFlow) Do(in []Tensor, out Tensor) {
	channels, h, w := in[0].Shape[1], in[0].Shape[2], in[0].Shape[3]
	size := h * w
	for i := range in[0].Shape[0] * size {
		n, at := i/size, i%size
		s := sampleAt(in[1].F[n*2*size:], at, h, w)
		var gu, gv float64
		for c := range channels {
			from := (n*channels + c) * size
			p, g := in[0].F[from:][:size], float64(in[2].F[from+at])
			if s.movesX {
				gu += g * float64((p[s.p01]-p[s.p00])*(1-s.y)+(p[s.p11]-p[s.p10])*s.y)
			}
			if s.movesY {
				gv += g * float64((p[s.p10]-p[s.p00])*(1-s.x)+(p[s.p11]-p[s.p01])*s.x)
			}
		}
		out.F[n*2*size+at], out.F[(n*2+1)*size+at] = float32(gu), float32(gv)
	}
}
