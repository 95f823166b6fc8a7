package nn

import (
	"fmt"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models/op"
)

// numbers is how many an item of x has; for what has no items it fails and
// gives 0.
func (b *Builder) numbers(name string, x *G.Node) int {
	switch {
	case b.err != nil:
		return 0
	case x == nil || x.Dims() < 2:
		b.fail(name, fmt.Errorf("input %v, want items of several numbers: %w", x, op.ErrShape))
		return 0
	}
	return x.Shape().TotalSize() / x.Shape()[0]
}

// Dense is PyTorch's Linear over every number of an item: (N,...) becomes
// (N,outC,1,1). It is a convolution of pictures of one pixel. Parameters:
// name.weight (outC,numbers,1,1) and name.bias (outC), starting as Linear's.
func (b *Builder) Dense(x *G.Node, name string, outC int) *G.Node {
	n := b.numbers(name, x)
	if n == 0 {
		return nil
	}
	w, bias := b.Param(name+".weight", TorchBias(n), outC, n, 1, 1), b.Param(name+".bias", TorchBias(n), outC)
	return b.apply(name, op.Conv{Stride: 1, Bias: true}, b.Reshape(x, n, 1, 1), w, bias)
}

// Reshape gives every item the shape (c,h,w).
func (b *Builder) Reshape(x *G.Node, c, h, w int) *G.Node {
	return b.apply("reshape", op.Reshape{C: c, H: h, W: w}, x)
}

// Codes looks up rows of a learned table that starts as N(0,1): index (N) gives
// (N,d,1,1). Parameter: name.weight (rows,d), as PyTorch's Embedding.
func (b *Builder) Codes(index *G.Node, name string, rows, d int) *G.Node {
	return b.Reshape(b.apply(name, op.Gather{}, b.Param(name+".weight", Normal(0, 1), rows, d), index), d, 1, 1)
}

// BatchMoments are the statistics (1,C,2) that Norm of kind Batch takes of x.
func (b *Builder) BatchMoments(x *G.Node) *G.Node {
	return b.apply("moments", op.Moments{Batch: true, Eps: normEps}, x)
}

// NormBy is Norm of kind Batch by given statistics, with its parameters.
func (b *Builder) NormBy(x *G.Node, name string, moments *G.Node) *G.Node {
	channels := b.channels(name, x)
	if channels == 0 {
		return nil
	}
	gamma, beta := b.Param(name+".weight", gammaInit, channels), b.Param(name+".bias", Zeros(), channels)
	return b.apply(name, op.Normalize{Batch: true, Affine: true}, x, moments, gamma, beta)
}

// BCE is the mean binary cross entropy of logits against a target.
func (b *Builder) BCE(x *G.Node, target float32) *G.Node {
	return b.apply("bce", op.BCE{Target: target}, x)
}

// Jitter changes brightness, saturation and contrast of each picture by factors
// (N,3).
func (b *Builder) Jitter(x, factors *G.Node) *G.Node {
	return b.apply("jitter", op.Jitter{}, x, factors)
}

// LeakyReLUSlope is the derivative of LeakyReLU where its output was y: 1 or
// slope. It is a constant to every gradient.
func (b *Builder) LeakyReLUSlope(y *G.Node, slope float32) *G.Node {
	return b.apply("leaky relu slope", op.ActGrad{Kind: op.LeakyReLU, Slope: slope}, y, b.Scale(y, 0, 1))
}

// SpectralConv is Conv with its weights over their spectral norm (Miyato et al.
// 2018), by the direction in the variable name.weight_v (C*k*k), which must
// start as anything but zeros. With learn the direction is improved by one step
// of the power method first, and the Update keeps it.
func (b *Builder) SpectralConv(x *G.Node, name string, outC, k int, o ConvOptions, learn bool) (*G.Node, []Update) {
	in := b.channels(name, x)
	if in == 0 {
		return nil, nil
	}
	w := b.Param(name+".weight", convInit, outC, in, k, k)
	v := b.Input(name+".weight_v", in*k*k)
	direction := v
	var updates []Update
	if learn {
		direction = b.apply(name, op.SpectralStep{}, w, v)
		updates = []Update{{Var: v, New: b.Scale(direction, 1, 0)}}
	}
	nodes := []*G.Node{x, b.apply(name, op.Spectral{}, w, direction)}
	if !o.NoBias {
		nodes = append(nodes, b.Param(name+".bias", TorchBias(in*k*k), outC))
	}
	return b.apply(name, op.Conv{Stride: max(o.Stride, 1), Pad: o.Pad, Reflect: o.Reflect, Bias: !o.NoBias}, nodes...), updates
}
