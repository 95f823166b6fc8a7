package models

import (
	"fmt"
	"strconv"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models/nn"
)

func init() { Register("patchgan", func() Network { return DefaultPatchGAN() }) }

// PatchGAN is the discriminator of pix2pix (Isola et al. 2017, section 3.2.2),
// padded by one. It sees the control picture and the frame, real or made.
// Parameters: model.0, model.2, model.3 (norm) and on.
type PatchGAN struct {
	InputNC int    `json:"input_nc" toml:"input_nc"`     // channels of control picture and frame together
	NDF     int    `json:"ndf" toml:"ndf"`               // channels after the first convolution
	Layers  int    `json:"n_layers_D" toml:"n_layers_D"` // halvings
	Norm    string `json:"norm" toml:"norm"`             // batch or instance
	Stats   string `json:"norm_stats,omitempty" toml:"norm_stats,omitempty"`
}

// DefaultPatchGAN is the published basic discriminator, of 70x70 patches.
func DefaultPatchGAN() *PatchGAN {
	return &PatchGAN{InputNC: 6, NDF: 64, Layers: 3, Norm: "batch"}
}

// maxDInput bounds what a discriminator sees: labels, edges, frames.
const maxDInput = 1024

func (d *PatchGAN) limits() []limit {
	return []limit{{"input_nc", d.InputNC, 1, maxDInput}, {"ndf", d.NDF, 1, maxWidth}, {"n_layers_D", d.Layers, 1, 8}}
}

// Validate implements Network.
func (d *PatchGAN) Validate() error { return validate(d.Norm, d.Stats, d.limits()...) }

// Needs implements Network.
func (d *PatchGAN) Needs() Needs {
	return Needs{Role: RoleDiscriminator, Stride: 1, Least: 3 << d.Layers, Window: 1, Scales: 1, InputNC: d.InputNC}
}

// Build implements Network: 4x4 convolutions, the first Layers of them with
// stride two.
func (d *PatchGAN) Build(b *nn.Builder, in Inputs) Outputs {
	if !checkInputs(b, d.Needs(), in) {
		return Outputs{}
	}
	layers := d.patches().build(b, in.Labels, flat("model"))
	return Outputs{Scores: layers[len(layers)-1:]}
}

// Along is by how much the logits on x (N,InputNC,H,W) change along v, a
// direction in which x changes; see MultiscaleD.Along.
func (d *PatchGAN) Along(b *nn.Builder, x, v *G.Node) *G.Node {
	_, along := d.patches().push(b, x, v, flat("model"))
	return along
}

func (d *PatchGAN) patches() patches {
	norm, _ := normKind(d.Norm, d.Stats)
	return patches{Layers: d.Layers, NDF: d.NDF, Most: 8 * d.NDF, Norm: norm, Pad: 1, NoBias: norm != nn.Instance}
}

// flat names the layers of one Sequential: convolutions 0, 2, 5, 8 and on, each
// normalisation after its convolution.
func flat(name string) func(layer, which int) string {
	return func(layer, which int) string { return name + "." + strconv.Itoa(max(0, 3*layer-1)+which) }
}

// patches is a discriminator that judges patches, at one scale.
type patches struct {
	Layers, NDF int
	Most        int // channels
	Norm        nn.NormKind
	Pad         int
	NoBias      bool                                                                              // of convolutions that a normalisation follows
	Plain       bool                                                                              // no normalisation
	conv        func(b *nn.Builder, x *G.Node, name string, out, k int, o nn.ConvOptions) *G.Node // nil is Builder.Conv
}

// build gives the result of every layer, the logits last. The name of a
// layer's convolution is name(layer, 0), of its normalisation name(layer, 1).
func (p patches) build(b *nn.Builder, x *G.Node, name func(layer, which int) string) []*G.Node {
	layers, _ := p.push(b, x, nil, name)
	return layers
}

// push is build, and where v is not nil by how much the logits change along v.
func (p patches) push(b *nn.Builder, x, v *G.Node, name func(layer, which int) string) (layers []*G.Node, along *G.Node) {
	channels, conv := p.NDF, p.conv
	if conv == nil {
		conv = (*nn.Builder).Conv
	}
	for j := 0; j <= p.Layers+1; j++ {
		o := nn.ConvOptions{Stride: 2, Pad: p.Pad}
		if j >= p.Layers {
			o.Stride = 1
		}
		out, last := channels, j == p.Layers+1
		if last {
			out = 1
		}
		o.NoBias = p.NoBias && j > 0 && !last
		x = conv(b, x, name(j, 0), out, 4, o)
		if v != nil {
			o.NoBias = true
			v = conv(b, v, name(j, 0), out, 4, o)
		}
		if last {
			return append(layers, x), v
		}
		if j > 0 && !p.Plain {
			if v != nil {
				v = b.NormAlong(x, name(j, 1), p.Norm, v)
			}
			x = b.Norm(x, name(j, 1), p.Norm)
		}
		x = b.LeakyReLU(x, 0.2)
		if v != nil {
			v = b.Mul(v, b.LeakyReLUSlope(x, 0.2))
		}
		layers = append(layers, x)
		channels = min(2*channels, p.Most)
	}
	return layers, v
}

// inLayers names the layers of a discriminator whose features are matched:
// each a Sequential of its own.
func inLayers(scale int) func(layer, which int) string {
	return func(layer, which int) string { return fmt.Sprintf("scale%d_layer%d.%d", scale, layer, which) }
}
