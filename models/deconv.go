package models

import (
	"fmt"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models/nn"
)

func init() {
	RegisterPicture("deconv", func() Picture {
		return &Deconv{PictureOptions{Size: 64, Channels: 3, Code: 100, Width: 32}}
	})
}

// Deconv makes pictures by upsampling and convolving (Odena et al. 2016,
// "Deconvolution and Checkerboard Artifacts") of codes that are learned with
// it, one for each training image, by regression and without an adversary
// (Bojanowski et al. 2018, "Optimizing the Latent Space of Generative
// Networks"). Parameters: model.0 (dense), .1 (norm), then a convolution and a
// norm for each doubling, and the last convolution.
type Deconv struct{ PictureOptions }

// Learned implements Picture.
func (*Deconv) Learned() bool { return true }

// Validate implements Picture.
func (d *Deconv) Validate() error { return d.check(true, true, false) }

// Build implements Picture.
func (d *Deconv) Build(b *nn.Builder, in Codes) *G.Node {
	top := d.channels(0)
	x := b.Reshape(b.Dense(in.Code, "model.0", 16*top), top, 4, 4)
	x = b.LeakyReLU(in.norm(b, x, "model.1"), 0.2) // (N,8*Width,4,4)
	for i := 1; i <= d.doublings(); i++ {
		side := 4 << i
		x = b.Conv(b.ResizeNearest(x, side, side), fmt.Sprint("model.", 2*i), d.channels(i), 3, nn.ConvOptions{Pad: 1, NoBias: true})
		x = b.LeakyReLU(in.norm(b, x, fmt.Sprint("model.", 2*i+1)), 0.2)
	}
	return b.Tanh(b.Conv(x, fmt.Sprint("model.", 2*d.doublings()+2), d.Channels, 3, nn.ConvOptions{Pad: 1}))
}
