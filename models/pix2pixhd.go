package models

import (
	"errors"
	"fmt"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models/nn"
)

func init() {
	Register("pix2pixHD_global", func() Network { return DefaultGlobal() })
	Register("pix2pixHD_local", func() Network { return DefaultLocal() })
}

// Global is the global generator of pix2pixHD (Wang et al. 2018,
// "High-Resolution Image Synthesis", section 3.2): it makes a frame of the
// current control picture alone. Parameters: model.1 and on.
type Global struct {
	InputNC  int    `json:"input_nc" toml:"input_nc"`                                 // channels of a control picture where label_nc is 0
	OutputNC int    `json:"output_nc" toml:"output_nc"`                               // channels of a frame
	NGF      int    `json:"ngf" toml:"ngf"`                                           // channels after the first convolution
	Downs    int    `json:"n_downsample_global" toml:"n_downsample_global"`           // halvings
	Blocks   int    `json:"n_blocks_global" toml:"n_blocks_global"`                   // residual blocks
	Norm     string `json:"norm" toml:"norm"`                                         // batch or instance
	LabelNC  int    `json:"label_nc,omitempty" toml:"label_nc,omitempty"`             // above 0: control pictures are index pictures of so many labels
	Edges    bool   `json:"use_instance,omitempty" toml:"use_instance,omitempty"`     // one more channel: the control picture's boundaries
	FeatNC   int    `json:"feat_num,omitempty" toml:"feat_num,omitempty"`             // channels of an encoder's features
	NEF      int    `json:"nef,omitempty" toml:"nef,omitempty"`                       // above 0: the encoder is in the model file, with so many channels after its first convolution
	DownsE   int    `json:"n_downsample_E,omitempty" toml:"n_downsample_E,omitempty"` // halvings of the encoder
	Stats    string `json:"norm_stats,omitempty" toml:"norm_stats,omitempty"`         // frame: the frame's own statistics; running: stored ones
}

// DefaultGlobal is the published default configuration, without labels.
func DefaultGlobal() *Global {
	return &Global{InputNC: 3, OutputNC: 3, NGF: 64, Downs: 4, Blocks: 9, Norm: "instance"}
}

func (g *Global) limits() []limit {
	return append(channelLimits(g.InputNC, g.OutputNC, g.LabelNC), limit{"ngf", g.NGF, 1, maxWidth},
		limit{"n_downsample_global", g.Downs, 0, maxDowns}, limit{"n_blocks_global", g.Blocks, 0, maxBlocks}, limit{"feat_num", g.FeatNC, 0, maxInput})
}

// Validate implements Network.
func (g *Global) Validate() error {
	return errors.Join(validate(g.Norm, g.Stats, g.limits()...), g.validateEncoder(g.Downs))
}

// validateEncoder checks the encoder of a generator that halves its pictures so
// often.
func (g *Global) validateEncoder(downs int) error {
	switch {
	case g.NEF == 0 && g.DownsE == 0:
		return nil
	case g.FeatNC == 0 || g.LabelNC == 0:
		return fmt.Errorf("nef is %d: an encoder wants feat_num above 0, and label_nc, by which its features are sorted", g.NEF)
	case g.DownsE > downs:
		return fmt.Errorf("n_downsample_E is %d; give at most the generator's %d", g.DownsE, downs)
	}
	return (&Encoder{InputNC: g.OutputNC, OutputNC: g.FeatNC, NEF: g.NEF, Downs: g.DownsE, Norm: g.Norm, Stats: g.Stats}).Validate()
}

// Needs implements Network.
func (g *Global) Needs() Needs {
	return Needs{Stride: 1 << g.Downs, Least: max(2<<g.Downs, leastStem), Window: 1, Scales: 1, InputNC: g.InputNC, OutputNC: g.OutputNC,
		Luma: g.InputNC == 1 && g.LabelNC == 0, Labels: g.LabelNC, Edges: g.Edges, Features: g.FeatNC}
}

// Build implements Network.
func (g *Global) Build(b *nn.Builder, in Inputs) Outputs {
	if !checkInputs(b, g.Needs(), in) {
		return Outputs{}
	}
	return Outputs{Final: g.body(b, withFeatures(b, in), g.NGF).Head(g.OutputNC).Tanh().Out()}
}

// withFeatures are all channels that pix2pixHD's generators see.
func withFeatures(b *nn.Builder, in Inputs) *G.Node {
	if in.Features == nil {
		return in.Labels
	}
	return b.Concat(1, in.Labels, in.Features)
}

// body is the generator up to its last features (N,width,H,W).
func (g *Global) body(b *nn.Builder, x *G.Node, width int) *nn.Sequence {
	norm, _ := normKind(g.Norm, g.Stats)
	s := b.Sequence(x, "model", norm).Stem(width)
	for i := range g.Downs {
		s.Down(width << (i + 1))
	}
	s.Res(g.Blocks) // (N,width*2^d,H/2^d,W/2^d)
	for i := range g.Downs {
		s.Up(width << (g.Downs - 1 - i))
	}
	return s
}

// Local is the local enhancer of pix2pixHD (the same, section 3.2): a global
// generator on the reduced picture and, for each doubling, a generator around
// it that adds detail. Parameters: model.1 and on, model{n}_1, model{n}_2.
type Local struct {
	Global
	LocalEnhancers int `json:"n_local_enhancers" toml:"n_local_enhancers"` // doublings
	LocalBlocks    int `json:"n_blocks_local" toml:"n_blocks_local"`       // residual blocks of each
}

// DefaultLocal is the published default configuration, without labels.
func DefaultLocal() *Local {
	l := &Local{Global: *DefaultGlobal(), LocalEnhancers: 1, LocalBlocks: publishedLocalBlocks}
	l.NGF = 32
	return l
}

// Validate implements Network.
func (l *Local) Validate() error {
	return errors.Join(validate(l.Norm, l.Stats, append(l.limits(), limit{"n_local_enhancers", l.LocalEnhancers, 1, 4},
		limit{"n_blocks_local", l.LocalBlocks, 0, maxBlocks})...), l.validateEncoder(l.Downs+l.LocalEnhancers))
}

// Needs implements Network.
func (l *Local) Needs() Needs {
	n := l.Global.Needs()
	n.Stride <<= l.LocalEnhancers
	n.Least <<= l.LocalEnhancers
	return n
}

// Build implements Network.
func (l *Local) Build(b *nn.Builder, in Inputs) Outputs {
	if !checkInputs(b, l.Needs(), in) {
		return Outputs{}
	}
	norm, _ := normKind(l.Norm, l.Stats)
	levels := halved(b, withFeatures(b, in), l.LocalEnhancers)
	x := l.body(b, levels[l.LocalEnhancers], l.NGF<<l.LocalEnhancers).Out()
	var up *nn.Sequence
	for n := 1; n <= l.LocalEnhancers; n++ {
		width := l.NGF << (l.LocalEnhancers - n)
		down := b.Sequence(levels[l.LocalEnhancers-n], fmt.Sprintf("model%d_1", n), norm).Stem(width).Down(2 * width).Out()
		up = b.Sequence(b.Add(down, x), fmt.Sprintf("model%d_2", n), norm).Res(l.LocalBlocks).Up(width)
		x = up.Out() // (N,width,h,w)
	}
	return Outputs{Final: up.Head(l.OutputNC).Tanh().Out()}
}
