package models

import (
	"github.com/v2v/v2v/models/nn"
)

func init() {
	Register("pix2pixHD_z", func() Network { return DefaultGlobalZ() })
	Register("pix2pixHD_encoder", func() Network { return DefaultEncoder() })
}

// GlobalZ is the generator that vid2vid makes the first frame of a face with: a
// global generator that sees an encoder's features, or noise, at its input,
// before its residual blocks, after them and before its last convolution.
// Parameters: model_downsample, model_resnet, model_upsample,
// model_upsample_conv.
type GlobalZ struct {
	InputNC  int    `json:"input_nc" toml:"input_nc"`                             // channels of a control picture where label_nc is 0
	OutputNC int    `json:"output_nc" toml:"output_nc"`                           // channels of a frame
	Z        int    `json:"nz" toml:"nz"`                                         // channels of the features
	NGF      int    `json:"ngf" toml:"ngf"`                                       // channels after the first convolution
	Downs    int    `json:"n_downsample_global" toml:"n_downsample_global"`       // halvings
	Blocks   int    `json:"n_blocks_global" toml:"n_blocks_global"`               // residual blocks
	Norm     string `json:"norm" toml:"norm"`                                     // batch or instance
	LabelNC  int    `json:"label_nc,omitempty" toml:"label_nc,omitempty"`         // above 0: control pictures are index pictures of so many labels
	Edges    bool   `json:"use_instance,omitempty" toml:"use_instance,omitempty"` // one more channel: the control picture's boundaries
	Stats    string `json:"norm_stats,omitempty" toml:"norm_stats,omitempty"`     // frame: the frame's own statistics; running: stored ones
}

// DefaultGlobalZ is the published configuration of the first frame of a face.
func DefaultGlobalZ() *GlobalZ {
	return &GlobalZ{InputNC: 15, OutputNC: 3, Z: 16, NGF: 64, Downs: 3, Blocks: 9, Norm: "instance"}
}

// Validate implements Network.
func (g *GlobalZ) Validate() error {
	return validate(g.Norm, g.Stats, append(channelLimits(g.InputNC, g.OutputNC, g.LabelNC), limit{"nz", g.Z, 1, maxInput}, limit{"ngf", g.NGF, 1, maxWidth},
		// Without a halving there would be no place to take the features in after the blocks.
		limit{"n_downsample_global", g.Downs, 1, maxDowns}, limit{"n_blocks_global", g.Blocks, 0, maxBlocks})...)
}

// Needs implements Network.
func (g *GlobalZ) Needs() Needs {
	return Needs{Stride: 1 << g.Downs, Least: max(2<<g.Downs, leastStem), Window: 1, Scales: 1, InputNC: g.InputNC, OutputNC: g.OutputNC,
		Luma: g.InputNC == 1 && g.LabelNC == 0, Labels: g.LabelNC, Edges: g.Edges, Features: g.Z}
}

// Build implements Network.
func (g *GlobalZ) Build(b *nn.Builder, in Inputs) Outputs {
	if !checkInputs(b, g.Needs(), in) {
		return Outputs{}
	}
	norm, _ := normKind(g.Norm, g.Stats)
	z := halved(b, in.Features, g.Downs)[g.Downs] // (N,Z,H/2^d,W/2^d)
	s := b.Sequence(b.Concat(1, in.Labels, in.Features), "model_downsample", norm).Stem(g.NGF)
	for i := range g.Downs {
		s.Down(g.NGF << (i + 1))
	}
	x := b.Sequence(b.Concat(1, s.Out(), z), "model_resnet", norm).Res(g.Blocks).Out() // (N,NGF*2^d+Z,...)
	s = b.Sequence(b.Concat(1, x, z), "model_upsample", norm)
	for i := range g.Downs {
		s.Up(g.NGF << (g.Downs - 1 - i))
	}
	x = b.Concat(1, s.Out(), in.Features) // (N,NGF+Z,H,W)
	return Outputs{Final: b.Sequence(x, "model_upsample_conv", norm).Head(g.OutputNC).Tanh().Out()}
}

// Encoder is the feature encoder of pix2pixHD (section 3.4): it turns a real
// picture into a few channels in [-1,1], which are averaged over each object
// afterwards. Parameters: model.1 and on.
type Encoder struct {
	InputNC  int    `json:"input_nc" toml:"input_nc"`                         // channels of a picture
	OutputNC int    `json:"feat_num" toml:"feat_num"`                         // channels of the features
	NEF      int    `json:"nef" toml:"nef"`                                   // channels after the first convolution
	Downs    int    `json:"n_downsample_E" toml:"n_downsample_E"`             // halvings
	Norm     string `json:"norm" toml:"norm"`                                 // batch or instance
	Stats    string `json:"norm_stats,omitempty" toml:"norm_stats,omitempty"` // frame or running
}

// DefaultEncoder is the published default configuration.
func DefaultEncoder() *Encoder {
	return &Encoder{InputNC: 3, OutputNC: 3, NEF: 16, Downs: 4, Norm: "instance"}
}

// global is the same network under its other name.
func (e *Encoder) global() *Global {
	return &Global{InputNC: e.InputNC, OutputNC: e.OutputNC, NGF: e.NEF, Downs: e.Downs, Norm: e.Norm, Stats: e.Stats}
}

// Validate implements Network.
func (e *Encoder) Validate() error {
	return validate(e.Norm, e.Stats, limit{"input_nc", e.InputNC, 1, maxInput}, limit{"feat_num", e.OutputNC, 1, maxInput},
		limit{"nef", e.NEF, 1, maxWidth}, limit{"n_downsample_E", e.Downs, 0, maxDowns})
}

// Needs implements Network.
func (e *Encoder) Needs() Needs {
	n := e.global().Needs()
	n.Role = RoleEncoder
	return n
}

// Build implements Network: Final is the features (N,OutputNC,H,W).
func (e *Encoder) Build(b *nn.Builder, in Inputs) Outputs { return e.global().Build(b, in) }
