package nn

import (
	"fmt"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models/op"
)

// Convolution weights start as N(0,0.02) and normalisation's gamma as N(1,0.02)
// in pix2pix, pix2pixHD and vid2vid alike: what DCGAN found to train well.
var (
	convInit  = Normal(0, 0.02)
	gammaInit = Normal(1, 0.02)
)

// normEps is PyTorch's default, which all three keep.
const normEps = 1e-5

// ConvOptions are Conv's rarer choices.
type ConvOptions struct {
	Stride  int // 0 is 1
	Pad     int
	Reflect bool // pad by mirroring, not by zeros
	NoBias  bool
}

// Conv is Conv2d with outC kernels of k x k. Parameters: name.weight
// (outC,C,k,k) and name.bias (outC).
func (b *Builder) Conv(x *G.Node, name string, outC, k int, o ConvOptions) *G.Node {
	in := b.channels(name, x)
	if in == 0 {
		return nil
	}
	nodes := []*G.Node{x, b.Param(name+".weight", convInit, outC, in, k, k)}
	if !o.NoBias {
		nodes = append(nodes, b.Param(name+".bias", TorchBias(in*k*k), outC))
	}
	return b.apply(name, op.Conv{Stride: max(o.Stride, 1), Pad: o.Pad, Reflect: o.Reflect, Bias: !o.NoBias}, nodes...)
}

// ConvTOptions are ConvT's rarer choices.
type ConvTOptions struct {
	Stride      int // 0 is 1
	Pad, OutPad int
	NoBias      bool
}

// ConvT is ConvTranspose2d with k x k kernels. Parameters: name.weight
// (C,outC,k,k) and name.bias (outC).
func (b *Builder) ConvT(x *G.Node, name string, outC, k int, o ConvTOptions) *G.Node {
	in := b.channels(name, x)
	if in == 0 {
		return nil
	}
	nodes := []*G.Node{x, b.Param(name+".weight", convInit, in, outC, k, k)}
	if !o.NoBias {
		// PyTorch counts the fan-in along the weight's second axis, which is
		// the output here.
		nodes = append(nodes, b.Param(name+".bias", TorchBias(outC*k*k), outC))
	}
	return b.apply(name, op.ConvT{Stride: max(o.Stride, 1), Pad: o.Pad, OutPad: o.OutPad, Bias: !o.NoBias}, nodes...)
}

// NormKind is a way to normalise. Batch and Instance use the statistics of what
// they are given, as the published generators do when they run.
type NormKind uint8

// The kinds of normalisation.
const (
	Batch    NormKind = iota // BatchNorm2d: over N,H,W, with gamma and beta
	Instance                 // InstanceNorm2d: over H,W, without parameters
	Stored                   // BatchNorm2d in evaluation mode: by stored statistics, with gamma and beta
)

// String is the kind's name in a configuration.
func (k NormKind) String() string {
	switch k {
	case Batch:
		return "batch"
	case Instance:
		return "instance"
	case Stored:
		return "stored"
	}
	return fmt.Sprintf("NormKind(%d)", uint8(k))
}

// Norm normalises. Parameters of Batch: name.weight (C), name.bias (C); of
// Stored also name.running_mean (C), name.running_var (C).
func (b *Builder) Norm(x *G.Node, name string, kind NormKind) *G.Node {
	channels := b.channels(name, x)
	if channels == 0 {
		return nil
	}
	switch kind {
	case Batch:
		over := !b.opts.PerFrame
		moments := b.apply(name, op.Moments{Batch: over, Eps: normEps}, x)
		gamma, beta := b.Param(name+".weight", gammaInit, channels), b.Param(name+".bias", Zeros(), channels)
		return b.apply(name, op.Normalize{Batch: over, Affine: true}, x, moments, gamma, beta)
	case Stored:
		gamma, beta := b.Param(name+".weight", gammaInit, channels), b.Param(name+".bias", Zeros(), channels)
		mean, variance := b.Param(name+".running_mean", Zeros(), channels), b.Param(name+".running_var", Ones(), channels)
		moments := b.apply(name, op.StoredMoments{Eps: normEps}, mean, variance)
		return b.apply(name, op.Normalize{Batch: true, Affine: true}, x, moments, gamma, beta)
	case Instance:
		return b.apply(name, op.Normalize{}, x, b.apply(name, op.Moments{Eps: normEps}, x))
	}
	b.fail(name, fmt.Errorf("unknown normalisation %v", kind))
	return nil
}

// ReLU is max(x,0).
func (b *Builder) ReLU(x *G.Node) *G.Node { return b.apply("relu", op.Act{Kind: op.ReLU}, x) }

// LeakyReLU is x, times slope where x is negative.
func (b *Builder) LeakyReLU(x *G.Node, slope float32) *G.Node {
	return b.apply("leaky relu", op.Act{Kind: op.LeakyReLU, Slope: slope}, x)
}

// Tanh is the hyperbolic tangent.
func (b *Builder) Tanh(x *G.Node) *G.Node { return b.apply("tanh", op.Act{Kind: op.Tanh}, x) }

// Sigmoid is 1/(1+exp(-x)).
func (b *Builder) Sigmoid(x *G.Node) *G.Node { return b.apply("sigmoid", op.Act{Kind: op.Sigmoid}, x) }

// Add is x+y.
func (b *Builder) Add(x, y *G.Node) *G.Node { return b.apply("add", op.Add{}, x, y) }

// Sub is x-y.
func (b *Builder) Sub(x, y *G.Node) *G.Node { return b.apply("sub", op.Sub{}, x, y) }

// Mul is x*y; a y of (N,1,H,W) serves every channel of x.
func (b *Builder) Mul(x, y *G.Node) *G.Node { return b.apply("mul", op.Mul{}, x, y) }

// Scale is by*x+plus.
func (b *Builder) Scale(x *G.Node, by, plus float32) *G.Node {
	return b.apply("scale", op.Scale{By: by, Plus: plus}, x)
}

// Concat joins nodes along an axis: 1 for channels.
func (b *Builder) Concat(axis int, xs ...*G.Node) *G.Node {
	return b.apply("concat", op.Concat{Axis: axis, N: len(xs)}, xs...)
}

// Slice takes [from,to) of an axis.
func (b *Builder) Slice(x *G.Node, axis, from, to int) *G.Node {
	return b.apply("slice", op.Slice{Axis: axis, From: from, To: to}, x)
}

// AvgPool averages k x k windows; padding is not counted.
func (b *Builder) AvgPool(x *G.Node, k, stride, pad int) *G.Node {
	return b.apply("avgpool", op.AvgPool{K: k, Stride: stride, Pad: pad}, x)
}

// ResizeNearest takes the nearest pixel.
func (b *Builder) ResizeNearest(x *G.Node, h, w int) *G.Node {
	return b.apply("resize", op.Resize{H: h, W: w}, x)
}

// ResizeBilinear interpolates between pixel centres.
func (b *Builder) ResizeBilinear(x *G.Node, h, w int) *G.Node {
	return b.apply("resize", op.Resize{H: h, W: w, Bilinear: true}, x)
}

// Warp samples image where flow (N,2,H,W), in pixels, points.
func (b *Builder) Warp(image, flow *G.Node) *G.Node { return b.apply("warp", op.Warp{}, image, flow) }

// Blend is raw*w + warped*(1-w), w (N,1,H,W).
func (b *Builder) Blend(raw, warped, w *G.Node) *G.Node {
	return b.apply("blend", op.Blend{}, raw, warped, w)
}

// FromBytes makes pictures of uint8 (N,H,W,3) images in [-1,1] of outH x outW,
// the edge repeated; with luma one channel instead of three.
func (b *Builder) FromBytes(pictures *G.Node, outH, outW int, luma bool) *G.Node {
	return b.apply("frombytes", op.FromBytes{OutH: outH, OutW: outW, Luma: luma}, pictures)
}

// OneHot makes channels of index pictures (N,H,W,3), uint8, one a label, of
// outH x outW, the edge repeated.
func (b *Builder) OneHot(pictures *G.Node, labels, outH, outW int) *G.Node {
	return b.apply("onehot", op.OneHot{C: labels, OutH: outH, OutW: outW}, pictures)
}

// Edges marks the boundaries in pictures (N,H,W,3), uint8, in one channel of
// outH x outW, the edge repeated.
func (b *Builder) Edges(pictures *G.Node, outH, outW int) *G.Node {
	return b.apply("edges", op.Edges{OutH: outH, OutW: outW}, pictures)
}

// InstanceMean averages x over each instance of ids (N,3,H,W), pictures of
// FromBytes.
func (b *Builder) InstanceMean(x, ids *G.Node) *G.Node {
	return b.apply("instance mean", op.InstanceMean{}, x, ids)
}

// ToBytes makes images uint8 pictures (N,outH,outW,3) again.
func (b *Builder) ToBytes(x *G.Node, outH, outW int) *G.Node {
	return b.apply("tobytes", op.ToBytes{OutH: outH, OutW: outW}, x)
}
