package models

import (
	"fmt"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models/nn"
)

func init() {
	RegisterPicture("gan", func() Picture {
		return &GAN{PictureOptions{Size: 64, Channels: 3, Code: 100, Width: 64}}
	})
}

// GAN is the generator of DCGAN (Radford et al. 2016, "Unsupervised
// Representation Learning with Deep Convolutional GANs"): noise becomes a
// picture of 4x4, and transposed 4x4 convolutions double it until it is whole.
// A class is a one-hot vector beside the noise (Mirza and Osindero 2014).
// Parameters carry the names of PyTorch's example: main.0 and on.
type GAN struct{ PictureOptions }

// Learned implements Picture.
func (*GAN) Learned() bool { return false }

// Validate implements Picture.
func (g *GAN) Validate() error { return g.check(false, true, false) }

// channels is the width after n doublings from 4x4: it halves as the picture
// doubles, from eight times Width at most to Width.
func (o *PictureOptions) channels(n int) int {
	return min(o.Width<<max(o.doublings()-1-n, 0), 8*o.Width)
}

// Build implements Picture.
func (g *GAN) Build(b *nn.Builder, in Codes) *G.Node {
	x := in.Code
	if in.Class != nil {
		x = b.Concat(1, x, in.Class)
	}
	x = b.ConvT(x, "main.0", g.channels(0), 4, nn.ConvTOptions{NoBias: true}) // (N,8*Width,4,4)
	for i := 1; i <= g.doublings(); i++ {
		x = b.ReLU(in.norm(b, x, fmt.Sprint("main.", 3*i-2)))
		out := g.Channels
		if i < g.doublings() {
			out = g.channels(i)
		}
		x = b.ConvT(x, fmt.Sprint("main.", 3*i), out, 4, nn.ConvTOptions{Stride: 2, Pad: 1, NoBias: true})
	}
	return b.Tanh(x)
}

// GANDiscriminator is DCGAN's discriminator: 4x4 convolutions halve a picture
// down to 4x4, and one more makes the verdict. A class is one-hot planes beside
// the picture.
type GANDiscriminator struct {
	Size     int
	Width    int    // channels after the first convolution
	Norm     string // batch, instance or none
	Spectral bool   // weights over their spectral norm
}

// Validate checks the configuration.
func (d GANDiscriminator) Validate() error {
	switch {
	case d.Width < 1 || d.Width > maxUnits:
		return fmt.Errorf("width is %d; give 1 to %d", d.Width, maxUnits)
	case d.Norm != "batch" && d.Norm != "instance" && d.Norm != "none":
		return fmt.Errorf("norm is %q; give batch, instance or none", d.Norm)
	}
	return nil
}

// Build applies the discriminator to pictures x (N,C,Size,Size) and gives the
// logits (N,1,1,1). Learn, with Spectral, improves the directions of the norms
// on the way; the updates keep them.
func (d GANDiscriminator) Build(b *nn.Builder, x, class *G.Node, learn bool) (*G.Node, []nn.Update) {
	y, _, updates := d.layers(b, x, class, nil, learn)
	return y, updates
}

// Along is by how much the logits of x change along v, the picture's own
// direction of change: the derivative, pushed forward through the layers
// (Pearlmutter 1994, the R operator). Its own gradient with respect to the
// weights, v held fixed, is the second derivative that the R1 penalty needs.
// Norm must be none: then all between LeakyReLU's kinks is linear in x.
func (d GANDiscriminator) Along(b *nn.Builder, x, class, v *G.Node, learn bool) *G.Node {
	_, along, _ := d.layers(b, x, class, v, learn)
	return along
}

// layers builds the discriminator and, where v is not nil, its derivative
// along v.
func (d GANDiscriminator) layers(b *nn.Builder, x, class, v *G.Node, learn bool) (y, along *G.Node, updates []nn.Update) {
	if class != nil {
		class = b.ResizeNearest(class, d.Size, d.Size)
		x = b.Concat(1, x, class)
		if v != nil {
			v = b.Concat(1, v, b.Scale(class, 0, 0))
		}
	}
	conv := func(x *G.Node, name string, out int, o nn.ConvOptions) *G.Node {
		o.NoBias = true
		if !d.Spectral {
			return b.Conv(x, name, out, 4, o)
		}
		y, u := b.SpectralConv(x, name, out, 4, o, learn)
		updates = append(updates, u...)
		return y
	}
	at, width := 0, d.Width
	for side := d.Size; side > 4; side /= 2 {
		name, o := fmt.Sprint("main.", at), nn.ConvOptions{Stride: 2, Pad: 1}
		x = conv(x, name, width, o)
		at++
		if side < d.Size && d.Norm != "none" {
			kind := nn.Batch
			if d.Norm == "instance" {
				kind = nn.Instance
			}
			x = b.Norm(x, fmt.Sprint("main.", at), kind)
			at++
		}
		x = b.LeakyReLU(x, 0.2)
		if v != nil {
			v = b.Mul(conv(v, name, width, o), b.LeakyReLUSlope(x, 0.2))
		}
		at++
		width = min(2*width, 8*d.Width)
	}
	last := fmt.Sprint("main.", at)
	y = conv(x, last, 1, nn.ConvOptions{})
	if v != nil {
		along = conv(v, last, 1, nn.ConvOptions{})
	}
	return y, along, updates
}
