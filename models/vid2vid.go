package models

import (
	"fmt"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models/nn"
)

func init() { Register("vid2vid", func() Network { return DefaultVid2Vid() }) }

// Vid2Vid is the composite generator of vid2vid at one spatial scale (Wang et
// al. 2018, "Video-to-Video Synthesis", section 3 and appendix A). Parameters
// carry the names of NVIDIA's checkpoints (netG0).
type Vid2Vid struct {
	InputNC int    `json:"input_nc" toml:"input_nc"`         // channels of a control picture: 3, or 1 for luminance
	NGF     int    `json:"ngf" toml:"ngf"`                   // channels after the first convolution
	Downs   int    `json:"n_downsample" toml:"n_downsample"` // halvings
	Blocks  int    `json:"n_blocks" toml:"n_blocks"`         // residual blocks, shared out between encoder and decoder
	Frames  int    `json:"n_frames" toml:"n_frames"`         // control pictures seen, the current one included
	Norm    string `json:"norm" toml:"norm"`                 // batch or instance, both by the frame's own statistics
	NoFlow  bool   `json:"no_flow" toml:"no_flow"`           // hallucinate only
}

// flowScale turns the flow head's output into pixels.
const flowScale = 20

// DefaultVid2Vid is the published default configuration for RGB input.
func DefaultVid2Vid() *Vid2Vid {
	return &Vid2Vid{InputNC: 3, NGF: 128, Downs: 3, Blocks: 9, Frames: 3, Norm: "batch"}
}

// Validate implements Network.
func (v *Vid2Vid) Validate() error {
	switch {
	case v.InputNC != 1 && v.InputNC != 3:
		return fmt.Errorf("input_nc is %d; control pictures have 3 channels, or 1", v.InputNC)
	case v.NGF < 1 || v.NGF > 1024:
		return fmt.Errorf("ngf is %d; give 1 to 1024", v.NGF)
	case v.Downs < 0 || v.Downs > 6:
		return fmt.Errorf("n_downsample is %d; give 0 to 6", v.Downs)
	case v.Blocks < 0 || v.Blocks > 64:
		return fmt.Errorf("n_blocks is %d; give 0 to 64", v.Blocks)
	case v.Frames < 2 || v.Frames > 9:
		return fmt.Errorf("n_frames is %d; give 2 to 9", v.Frames)
	}
	_, err := normKind(v.Norm)
	return err
}

func normKind(name string) (nn.NormKind, error) {
	switch name {
	case "batch":
		return nn.Batch, nil
	case "instance":
		return nn.Instance, nil
	}
	return 0, fmt.Errorf("norm is %q; give batch or instance", name)
}

// Needs implements Network.
func (v *Vid2Vid) Needs() Needs {
	return Needs{Stride: 1 << v.Downs, Window: v.Frames, Past: v.Frames - 1, Luma: v.InputNC == 1}
}

// Build implements Network: labels (N,InputNC*Frames,H,W) and the previous
// frames (N,3*(Frames-1),H,W).
func (v *Vid2Vid) Build(b *nn.Builder, in Inputs) Outputs {
	norm, _ := normKind(v.Norm)
	top := v.NGF << v.Downs
	encode := func(x *G.Node, name string) *G.Node {
		s := b.Sequence(x, name, norm).Stem(v.NGF)
		for i := range v.Downs {
			s.Down(v.NGF << (i + 1))
		}
		return s.Res(v.Blocks - v.Blocks/2).Out() // (N,top,H/2^d,W/2^d)
	}
	decode := func(x *G.Node, branch string) *G.Node {
		x = b.Sequence(x, "model_res_"+branch, norm).Res(v.Blocks / 2).Out()
		s := b.Sequence(x, "model_up_"+branch, norm)
		for i := range v.Downs {
			s.Up(top >> (i + 1))
		}
		return s.Out() // (N,NGF,H,W)
	}
	x := b.Add(encode(in.Labels, "model_down_seg"), encode(in.Prev, "model_down_img"))
	raw := b.Sequence(decode(x, "img"), "model_final_img", norm).Head(3).Tanh().Out()
	if v.NoFlow {
		return Outputs{Final: raw, Raw: raw}
	}
	features := decode(x, "flow")
	flow := b.Scale(b.Sequence(features, "model_final_flow", norm).Head(2).Out(), flowScale, 0)
	mask := b.Sequence(features, "model_final_w", norm).Head(1).Sigmoid().Out()
	last := 3 * (v.Frames - 1)
	warped := b.Warp(b.Slice(in.Prev, 1, last-3, last), flow)
	return Outputs{Final: b.Blend(raw, warped, mask), Raw: raw, Flow: flow, Mask: mask, Warped: warped}
}
