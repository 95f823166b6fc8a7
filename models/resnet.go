package models

import "github.com/v2v/v2v/models/nn"

func init() { Register("resnet", func() Network { return DefaultResNet() }) }

// ResNet is the residual generator of CycleGAN and pix2pix (Johnson et al.
// 2016, as Zhu et al. 2017 use it): two halvings, blocks, two doublings.
// Parameters: model.1 and on.
type ResNet struct {
	InputNC  int    `json:"input_nc" toml:"input_nc"`                         // channels of a control picture
	OutputNC int    `json:"output_nc" toml:"output_nc"`                       // channels of a frame
	NGF      int    `json:"ngf" toml:"ngf"`                                   // channels after the first convolution
	Blocks   int    `json:"n_blocks" toml:"n_blocks"`                         // residual blocks: 9, or 6 for pictures of 128
	Norm     string `json:"norm" toml:"norm"`                                 // batch or instance
	Dropout  bool   `json:"dropout,omitempty" toml:"dropout,omitempty"`       // trained with dropout, which moves names
	Stats    string `json:"norm_stats,omitempty" toml:"norm_stats,omitempty"` // frame: the frame's own statistics; running: stored ones
}

// resnetDowns is how often a ResNet halves its picture.
const resnetDowns = 2

// DefaultResNet is the published resnet_9blocks of CycleGAN.
func DefaultResNet() *ResNet {
	return &ResNet{InputNC: 3, OutputNC: 3, NGF: 64, Blocks: 9, Norm: "instance"}
}

// Validate implements Network.
func (r *ResNet) Validate() error {
	return validate(r.Norm, r.Stats, append(channelLimits(r.InputNC, r.OutputNC, 0), limit{"ngf", r.NGF, 1, maxWidth},
		limit{"n_blocks", r.Blocks, 0, maxBlocks})...)
}

// Needs implements Network.
func (r *ResNet) Needs() Needs {
	return Needs{Stride: 1 << resnetDowns, Least: 2 << resnetDowns, Window: 1, Scales: 1, InputNC: r.InputNC, OutputNC: r.OutputNC, Luma: r.InputNC == 1}
}

// Build implements Network.
func (r *ResNet) Build(b *nn.Builder, in Inputs) Outputs {
	if !checkInputs(b, r.Needs(), in) {
		return Outputs{}
	}
	norm, _ := normKind(r.Norm, r.Stats)
	o := nn.SequenceOptions{NoBias: norm != nn.Instance, Dropout: r.Dropout}
	s := b.Sequence(in.Labels, "model", norm).With(o).Stem(r.NGF)
	for i := range resnetDowns {
		s.Down(r.NGF << (i + 1))
	}
	s.Res(r.Blocks) // (N,4*NGF,H/4,W/4)
	for i := range resnetDowns {
		s.Up(r.NGF << (resnetDowns - 1 - i))
	}
	return Outputs{Final: s.Head(r.OutputNC).Tanh().Out()}
}
