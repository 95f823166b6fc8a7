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
	if class != nil {
		x = b.Concat(1, x, b.ResizeNearest(class, d.Size, d.Size))
	}
	var updates []nn.Update
	conv := func(name string, out int, o nn.ConvOptions) {
		o.NoBias = true
		if !d.Spectral {
			x = b.Conv(x, name, out, 4, o)
			return
		}
		var u []nn.Update
		x, u = b.SpectralConv(x, name, out, 4, o, learn)
		updates = append(updates, u...)
	}
	at, width := 0, d.Width
	for side := d.Size; side > 4; side /= 2 {
		conv(fmt.Sprint("main.", at), width, nn.ConvOptions{Stride: 2, Pad: 1})
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
		at++
		width = min(2*width, 8*d.Width)
	}
	conv(fmt.Sprint("main.", at), 1, nn.ConvOptions{})
	return x, updates
}
