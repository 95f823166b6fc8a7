package models

import (
	"strconv"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models/nn"
)

func init() { Register("multiscale", func() Network { return DefaultMultiscale() }) }

// Multiscale is the discriminator of pix2pixHD and vid2vid as a network of its
// own; see MultiscaleD. Parameters: scale{i}_layer{j}.0, or with NoFeatures
// layer{i}.0, layer{i}.2 and on.
type Multiscale struct {
	InputNC    int    `json:"input_nc" toml:"input_nc"`                                   // channels of control picture and frame together
	NDF        int    `json:"ndf" toml:"ndf"`                                             // channels after the first convolution
	Layers     int    `json:"n_layers_D" toml:"n_layers_D"`                               // halvings
	NumD       int    `json:"num_D" toml:"num_D"`                                         // scales
	Norm       string `json:"norm" toml:"norm"`                                           // batch or instance
	NoFeatures bool   `json:"no_ganFeat_loss,omitempty" toml:"no_ganFeat_loss,omitempty"` // named as where features are not matched
	Widens     bool   `json:"ndf_doubles,omitempty" toml:"ndf_doubles,omitempty"`         // each coarser scale is twice as wide, up to 64, as in vid2vid
	Stats      string `json:"norm_stats,omitempty" toml:"norm_stats,omitempty"`           // frame or running
}

// DefaultMultiscale is pix2pixHD's, for 35 labels, edges and a frame.
func DefaultMultiscale() *Multiscale {
	return &Multiscale{InputNC: 39, NDF: 64, Layers: 3, NumD: 2, Norm: "instance"}
}

// Validate implements Network.
func (d *Multiscale) Validate() error {
	one := PatchGAN{InputNC: d.InputNC, NDF: d.NDF, Layers: d.Layers}
	return validate(d.Norm, d.Stats, append(one.limits(), limit{"num_D", d.NumD, 1, 8})...)
}

// Needs implements Network.
func (d *Multiscale) Needs() Needs {
	return Needs{Role: RoleDiscriminator, Stride: 1, Least: 2 << d.NumD, Window: 1, Scales: 1, InputNC: d.InputNC}
}

// Build implements Network.
func (d *Multiscale) Build(b *nn.Builder, in Inputs) Outputs {
	if !checkInputs(b, d.Needs(), in) {
		return Outputs{}
	}
	norm, _ := normKind(d.Norm, d.Stats)
	net := MultiscaleD{NDF: d.NDF, Layers: d.Layers, NumD: d.NumD, Norm: norm, NoFeatures: d.NoFeatures, Widens: d.Widens}
	var out Outputs
	for _, layers := range net.Build(b, in.Labels) {
		out.Scores = append(out.Scores, layers[len(layers)-1])
	}
	return out
}

// MultiscaleD is the multi-scale PatchGAN discriminator of pix2pixHD (Wang et
// al. 2018, "High-Resolution Image Synthesis", section 3.2), which vid2vid uses
// for frames and for time. Parameters: scale{i}_layer{j}.0 (convolution), .1
// (norm); scale NumD-1 looks at the full resolution.
type MultiscaleD struct {
	NDF    int
	Layers int
	NumD   int
	Norm   nn.NormKind

	NoFeatures bool // the names of a discriminator whose features are not matched
	Widens     bool // each coarser scale is twice as wide, up to 64
	Plain      bool // no normalisation
	Spectral   bool // weights over their spectral norm
}

// The most channels of a discriminator, and of its first layer where scales
// widen.
const (
	maxD      = 512
	maxWidenD = 64
)

// Build applies the discriminator to x (N,C,H,W). The result holds, for each
// scale from the finest, the features of every layer, the last of them the
// logits (N,1,h,w).
func (d MultiscaleD) Build(b *nn.Builder, x *G.Node) [][]*G.Node {
	all, _, _ := d.layers(b, x, nil, false)
	return all
}

// Learn is Build that, with Spectral, improves the directions of the norms on
// the way; the updates keep them.
func (d MultiscaleD) Learn(b *nn.Builder, x *G.Node) ([][]*G.Node, []nn.Update) {
	all, _, updates := d.layers(b, x, nil, true)
	return all, updates
}

// Along is by how much the logits of every scale, from the finest, change along
// v, a direction of x's shape in which x changes: the derivative, pushed forward
// through the layers (Pearlmutter 1994, the R operator), their normalisations
// included. Its gradient with respect to the weights, v held fixed, is the second
// derivative that the R1 penalty needs. Weights are those that Learn uses.
func (d MultiscaleD) Along(b *nn.Builder, x, v *G.Node) []*G.Node {
	_, along, _ := d.layers(b, x, v, true)
	return along
}

// layers builds the discriminator and, where v is not nil, its derivative along
// v.
func (d MultiscaleD) layers(b *nn.Builder, x, v *G.Node, learn bool) (all [][]*G.Node, along []*G.Node, updates []nn.Update) {
	for i := range d.NumD {
		scale := d.NumD - 1 - i
		p := patches{Layers: d.Layers, NDF: d.NDF, Most: maxD, Norm: d.Norm, Pad: 2, Plain: d.Plain}
		if d.Spectral {
			p.conv = func(b *nn.Builder, x *G.Node, name string, out, k int, o nn.ConvOptions) *G.Node {
				y, u := b.SpectralConv(x, name, out, k, o, learn)
				updates = append(updates, u...)
				return y
			}
		}
		name := inLayers(scale)
		if d.NoFeatures {
			name = flat("layer" + strconv.Itoa(scale))
		}
		if d.Widens {
			p.NDF = min(maxWidenD, d.NDF<<i)
		}
		layers, pushed := p.push(b, x, v, name)
		all, along = append(all, layers), append(along, pushed)
		if i+1 < d.NumD {
			x = b.AvgPool(x, 3, 2, 1)
			if v != nil {
				v = b.AvgPool(v, 3, 2, 1)
			}
		}
	}
	return all, along, updates
}
