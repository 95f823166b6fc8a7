package models

import (
	"fmt"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models/nn"
)

// MultiscaleD is the multi-scale PatchGAN discriminator of pix2pixHD (Wang et
// al. 2018, "High-Resolution Image Synthesis", section 3.2), which vid2vid uses
// for frames and for time. Parameters: scale{i}_layer{j}.0 (convolution), .1
// (norm); scale NumD-1 looks at the full resolution.
type MultiscaleD struct {
	NDF    int
	Layers int
	NumD   int
	Norm   nn.NormKind
}

// maxD bounds a discriminator's channels.
const maxD = 512

// Build applies the discriminator to x (N,C,H,W). The result holds, for each
// scale from the finest, the features of every layer, the last of them the
// logits (N,1,h,w).
func (d MultiscaleD) Build(b *nn.Builder, x *G.Node) [][]*G.Node {
	var all [][]*G.Node
	for i := range d.NumD {
		all = append(all, d.scale(b, x, d.NumD-1-i))
		if i+1 < d.NumD {
			x = b.AvgPool(x, 3, 2, 1)
		}
	}
	return all
}

// scale is one PatchGAN: 4x4 convolutions padded by two, the first Layers of
// them with stride two.
func (d MultiscaleD) scale(b *nn.Builder, x *G.Node, scale int) []*G.Node {
	var features []*G.Node
	channels := d.NDF
	for j := 0; j <= d.Layers+1; j++ {
		layer := b.In(fmt.Sprintf("scale%d_layer%d.", scale, j))
		o := nn.ConvOptions{Stride: 2, Pad: 2}
		if j >= d.Layers {
			o.Stride = 1
		}
		if j == d.Layers+1 {
			return append(features, layer.Conv(x, "0", 1, 4, o))
		}
		x = layer.Conv(x, "0", channels, 4, o)
		if j > 0 {
			x = layer.Norm(x, "1", d.Norm)
		}
		x = layer.LeakyReLU(x, 0.2)
		features = append(features, x)
		channels = min(2*channels, maxD)
	}
	return features
}
