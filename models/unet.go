package models

import (
	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models/nn"
)

func init() { Register("unet", func() Network { return DefaultUNet() }) }

// UNet is the generator of pix2pix (Isola et al. 2017, section 3.2.1): a
// picture is halved until one pixel is left and doubled again, each size on the
// way up seeing the same size on the way down. A level's parameters lie in the
// name of the level around it: model.model.0, model.model.1.model.1,
// model.model.1.model.3.model.1 and so on.
type UNet struct {
	InputNC  int    `json:"input_nc" toml:"input_nc"`                         // channels of a control picture
	OutputNC int    `json:"output_nc" toml:"output_nc"`                       // channels of a frame
	NGF      int    `json:"ngf" toml:"ngf"`                                   // channels of the outermost level
	Levels   int    `json:"num_downs" toml:"num_downs"`                       // halvings: 8 for unet_256, 7 for unet_128
	Norm     string `json:"norm" toml:"norm"`                                 // batch or instance
	Dropout  bool   `json:"dropout,omitempty" toml:"dropout,omitempty"`       // trained with dropout in the innermost levels
	Stats    string `json:"norm_stats,omitempty" toml:"norm_stats,omitempty"` // frame: the frame's own statistics; running: stored ones
}

// widestLevel is from which level on a UNet grows no wider than 2^3 times its
// outermost; there are at least two of them.
const widestLevel = 3

// DefaultUNet is the published unet_256.
func DefaultUNet() *UNet {
	return &UNet{InputNC: 3, OutputNC: 3, NGF: 64, Levels: 8, Norm: "batch", Dropout: true}
}

// Validate implements Network.
func (u *UNet) Validate() error {
	return validate(u.Norm, u.Stats, append(channelLimits(u.InputNC, u.OutputNC, 0), limit{"ngf", u.NGF, 1, maxWidth},
		limit{"num_downs", u.Levels, widestLevel + 2, 10})...)
}

// Needs implements Network.
func (u *UNet) Needs() Needs {
	return Needs{Stride: 1 << u.Levels, Window: 1, Scales: 1, InputNC: u.InputNC, OutputNC: u.OutputNC, Luma: u.InputNC == 1}
}

// Build implements Network.
func (u *UNet) Build(b *nn.Builder, in Inputs) Outputs {
	if !checkInputs(b, u.Needs(), in) {
		return Outputs{}
	}
	norm, _ := normKind(u.Norm, u.Stats)
	outer := b.In("model.model.")
	x := outer.Conv(in.Labels, "0", u.NGF, 4, u.down(norm))
	x = u.level(outer.In("1.model."), x, 1, norm)
	return Outputs{Final: b.Tanh(outer.ConvT(x, "3", u.OutputNC, 4, nn.ConvTOptions{Stride: 2, Pad: 1}))}
}

// down is a halving convolution: normalisation by batch brings its own bias.
func (u *UNet) down(norm nn.NormKind) nn.ConvOptions {
	return nn.ConvOptions{Stride: 2, Pad: 1, NoBias: norm != nn.Instance}
}

// level k is given what the level above made, x (N,C,h,w), and returns that
// beside its own result, both rectified: (N,2C,h,w).
func (u *UNet) level(b *nn.Builder, x *G.Node, k int, norm nn.NormKind) *G.Node {
	if b.Err() != nil {
		return nil
	}
	leaky := b.LeakyReLU(x, 0.2)
	y := b.Conv(leaky, "1", u.NGF<<min(k, widestLevel), 4, u.down(norm))
	up := "3" // the innermost level has no normalisation below and nothing inside
	upNorm := "4"
	if k < u.Levels-1 {
		y = u.level(b.In("3.model."), b.Norm(y, "2", norm), k+1, norm)
		up, upNorm = "5", "6"
	} else {
		y = b.ReLU(y)
	}
	y = b.ConvT(y, up, u.NGF<<min(k-1, widestLevel), 4, nn.ConvTOptions{Stride: 2, Pad: 1, NoBias: norm != nn.Instance})
	y = b.Norm(y, upNorm, norm)
	if u.Dropout && k > widestLevel && k < u.Levels-1 {
		y = b.Dropout(y, "7")
	}
	// The level above rectifies everything, and the leak is rectified away.
	return b.Concat(1, b.ReLU(leaky), b.ReLU(y))
}
