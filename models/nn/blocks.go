package nn

import (
	"strconv"

	G "gorgonia.org/gorgonia"
)

// ResBlock is the residual block of vid2vid, pix2pixHD and pix2pix: two 3x3
// convolutions with reflected padding, normalised, around the identity.
// Parameters: name.conv_block.1, .2 (norm), .5, .6 (norm).
func (b *Builder) ResBlock(x *G.Node, name string, kind NormKind) *G.Node {
	return b.resBlock(x, name, kind, SequenceOptions{})
}

func (b *Builder) resBlock(x *G.Node, name string, kind NormKind, o SequenceOptions) *G.Node {
	channels := b.channels(name, x)
	if channels == 0 {
		return nil
	}
	second := 5
	if o.Dropout {
		second++
	}
	block, reflected := b.In(name+".conv_block."), ConvOptions{Pad: 1, Reflect: true, NoBias: o.NoBias}
	y := block.Conv(x, "1", channels, 3, reflected)
	y = block.ReLU(block.Norm(y, "2", kind))
	if o.Dropout {
		y = block.Dropout(y, "4")
	}
	y = block.Conv(y, strconv.Itoa(second), channels, 3, reflected)
	return b.Add(x, block.Norm(y, strconv.Itoa(second+1), kind))
}

// SequenceOptions are the rarer choices of a Sequence.
type SequenceOptions struct {
	NoBias  bool // convolutions that a normalisation follows have no bias
	Dropout bool // residual blocks count a dropout layer
}

// Sequence builds an nn.Sequential of PyTorch: it numbers the layers as a
// checkpoint does, those without parameters included.
type Sequence struct {
	b    *Builder
	kind NormKind
	o    SequenceOptions
	next int // index of the next layer
	x    *G.Node
}

// Sequence starts one at index 0 on x. Parameters: name.0 and on.
func (b *Builder) Sequence(x *G.Node, name string, kind NormKind) *Sequence {
	return &Sequence{b: b.In(name + "."), kind: kind, x: x}
}

// With sets the rarer choices of the layers that follow.
func (s *Sequence) With(o SequenceOptions) *Sequence {
	s.o = o
	return s
}

// Out is the result so far.
func (s *Sequence) Out() *G.Node { return s.x }

// layer takes n indices and gives the name of the one at which.
func (s *Sequence) layer(n, which int) string {
	name := strconv.Itoa(s.next + which)
	s.next += n
	return name
}

// normReLU is a normalisation and a ReLU, two layers.
func (s *Sequence) normReLU() *Sequence {
	s.x = s.b.ReLU(s.b.Norm(s.x, s.layer(2, 0), s.kind))
	return s
}

// Stem is four layers: reflected padding, a 7x7 convolution, norm, ReLU.
func (s *Sequence) Stem(outC int) *Sequence { return s.wide(outC, s.o.NoBias).normReLU() }

// Head is two layers: reflected padding and a 7x7 convolution.
func (s *Sequence) Head(outC int) *Sequence { return s.wide(outC, false) }

func (s *Sequence) wide(outC int, noBias bool) *Sequence {
	s.x = s.b.Conv(s.x, s.layer(2, 1), outC, 7, ConvOptions{Pad: 3, Reflect: true, NoBias: noBias})
	return s
}

// Down is three layers: a 3x3 convolution that halves the picture, norm, ReLU.
func (s *Sequence) Down(outC int) *Sequence {
	s.x = s.b.Conv(s.x, s.layer(1, 0), outC, 3, ConvOptions{Stride: 2, Pad: 1, NoBias: s.o.NoBias})
	return s.normReLU()
}

// Up is three layers: a transposed 3x3 convolution that doubles the picture,
// norm, ReLU.
func (s *Sequence) Up(outC int) *Sequence {
	s.x = s.b.ConvT(s.x, s.layer(1, 0), outC, 3, ConvTOptions{Stride: 2, Pad: 1, OutPad: 1, NoBias: s.o.NoBias})
	return s.normReLU()
}

// Res is n residual blocks, a layer each.
func (s *Sequence) Res(n int) *Sequence {
	for range n {
		s.x = s.b.resBlock(s.x, s.layer(1, 0), s.kind, s.o)
	}
	return s
}

// Tanh is one layer.
func (s *Sequence) Tanh() *Sequence {
	s.next++
	s.x = s.b.Tanh(s.x)
	return s
}

// Sigmoid is one layer.
func (s *Sequence) Sigmoid() *Sequence {
	s.next++
	s.x = s.b.Sigmoid(s.x)
	return s
}
