package models

import (
	"fmt"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models/nn"
)

func init() { Register("vid2vid", func() Network { return DefaultVid2Vid() }) }

// Vid2Vid is the generator of vid2vid (Wang et al. 2018, "Video-to-Video
// Synthesis", section 3 and appendix A): the composite generator, and above it
// up to two local ones, each for pictures twice the size. Parameters carry the
// names of NVIDIA's checkpoints: those of netG0 as they are, those of the
// local scales after netG1. and netG2.
type Vid2Vid struct {
	InputNC int    `json:"input_nc" toml:"input_nc"`         // channels of a control picture: 3, or 1 for luminance
	NGF     int    `json:"ngf" toml:"ngf"`                   // channels after the first convolution of the coarsest scale
	Downs   int    `json:"n_downsample" toml:"n_downsample"` // halvings
	Blocks  int    `json:"n_blocks" toml:"n_blocks"`         // residual blocks, shared out between encoder and decoder
	Frames  int    `json:"n_frames" toml:"n_frames"`         // control pictures seen, the current one included
	Norm    string `json:"norm" toml:"norm"`                 // batch or instance
	NoFlow  bool   `json:"no_flow" toml:"no_flow"`           // hallucinate only

	Scales      int    `json:"n_scales_spatial,omitempty" toml:"n_scales_spatial,omitempty"` // spatial scales, 1 to 3; 0 is 1
	LocalBlocks int    `json:"n_blocks_local,omitempty" toml:"n_blocks_local,omitempty"`     // residual blocks of a local scale; 0 is 3
	FG          bool   `json:"fg,omitempty" toml:"fg,omitempty"`                             // a generator of its own for the foreground
	FGLabels    []int  `json:"fg_labels,omitempty" toml:"fg_labels,omitempty"`               // what the foreground is; none is 26, the cars of Cityscapes
	LabelNC     int    `json:"label_nc,omitempty" toml:"label_nc,omitempty"`                 // above 0: control pictures are index pictures of so many labels
	Edges       bool   `json:"use_instance,omitempty" toml:"use_instance,omitempty"`         // one more channel a control picture: its boundaries
	Instances   bool   `json:"inst,omitempty" toml:"inst,omitempty"`                         // they are those of a picture of instances, the last of a control frame; index pictures hold theirs already
	Stats       string `json:"norm_stats,omitempty" toml:"norm_stats,omitempty"`             // frame: the frame's own statistics; running: stored ones
}

// flowScale turns the flow head's output into pixels of the coarsest scale.
const flowScale = 20

// maxScales is how many spatial scales were published.
const maxScales = 3

// DefaultVid2Vid is the published default configuration for RGB input.
func DefaultVid2Vid() *Vid2Vid {
	return &Vid2Vid{InputNC: 3, NGF: 128, Downs: 3, Blocks: 9, Frames: 3, Norm: "batch"}
}

// Validate implements Network.
func (v *Vid2Vid) Validate() error {
	limits := append(channelLimits(v.InputNC, 3, v.LabelNC), limit{"ngf", v.NGF, 1, maxWidth},
		limit{"n_downsample", v.Downs, 0, maxDowns}, limit{"n_blocks", v.Blocks, 0, maxBlocks}, limit{"n_frames", v.Frames, 2, 9},
		limit{"n_scales_spatial", v.Scales, 0, maxScales}, limit{"n_blocks_local", v.LocalBlocks, 0, maxBlocks})
	for _, l := range v.FGLabels {
		limits = append(limits, limit{"a label in fg_labels", l, 0, v.LabelNC - 1})
	}
	if err := validate(v.Norm, v.Stats, limits...); err != nil {
		return err
	}
	even := 1 << (v.scales() - 1) // each finer scale is half as wide
	if v.FG {
		even *= 2 / v.foregroundWidth(2)
	}
	switch {
	case v.FG && v.LabelNC == 0:
		return fmt.Errorf("fg wants index pictures: give label_nc and fg_labels")
	case v.FG && len(v.FGLabels) == 0 && v.LabelNC <= publishedFG:
		return fmt.Errorf("fg wants fg_labels, of the labels 0 to %d", v.LabelNC-1)
	case v.Instances && (!v.Edges || v.LabelNC > 0):
		return fmt.Errorf("inst is for boundaries (use_instance) beside control pictures in colour; with label_nc index pictures hold their instances")
	case v.NGF%even != 0:
		return fmt.Errorf("ngf is %d; give a multiple of %d for %d spatial scales", v.NGF, even, v.scales())
	}
	return nil
}

func (v *Vid2Vid) scales() int { return max(v.Scales, 1) }

// Needs implements Network.
func (v *Vid2Vid) Needs() Needs {
	local := v.scales() - 1
	stride := 1 << (v.Downs + local)
	return Needs{Stride: stride, Least: max(2*stride, leastStem<<local), Window: v.Frames, Past: v.Frames - 1, Scales: v.scales(),
		InputNC: v.InputNC, OutputNC: 3, Luma: v.InputNC == 1 && v.LabelNC == 0, Labels: v.LabelNC, Edges: v.Edges, Instances: v.Instances}
}

// leastStem is the smallest side whose border of three can be mirrored.
const leastStem = 4

// Build implements Network: the coarsest scale, then each finer one with the
// features of the one before.
func (v *Vid2Vid) Build(b *nn.Builder, in Inputs) Outputs {
	if !checkInputs(b, v.Needs(), in) {
		return Outputs{}
	}
	top := v.scales() - 1
	labels := halved(b, in.Labels, top)
	prev := append([]*G.Node{in.Prev}, in.Coarse...)
	out, features := v.composite(b, labels[top], prev[top])
	var coarser []Outputs
	for s := 1; s <= top; s++ {
		coarser = append([]Outputs{out}, coarser...)
		out, features = v.local(b.In(fmt.Sprintf("netG%d.", s)), s, labels[top-s], prev[top-s], features)
	}
	out.Coarse = coarser
	return out
}

// features are what a scale hands on to the next finer one.
type features struct{ img, flow, fg *G.Node }

// composite is netG0: labels (N,C*Frames,H,W), prev (N,3*(Frames-1),H,W).
func (v *Vid2Vid) composite(b *nn.Builder, labels, prev *G.Node) (Outputs, features) {
	norm, _ := normKind(v.Norm, v.Stats)
	down := func(x *G.Node, name string, width int) *nn.Sequence {
		s := b.Sequence(x, name, norm).Stem(width)
		for i := range v.Downs {
			s.Down(width << (i + 1))
		}
		return s
	}
	up := func(x *G.Node, name string, width int) *G.Node {
		s := b.Sequence(x, name, norm)
		for i := range v.Downs {
			s.Up(width << v.Downs >> (i + 1))
		}
		return s.Out() // (N,width,H,W)
	}
	half := v.Blocks / 2
	encode := func(x *G.Node, name string) *G.Node {
		return down(x, name, v.NGF).Res(v.Blocks - half).Out() // (N,NGF*2^d,H/2^d,W/2^d)
	}
	decode := func(x *G.Node, branch string) *G.Node {
		return up(b.Sequence(x, "model_res_"+branch, norm).Res(half).Out(), "model_up_"+branch, v.NGF)
	}
	x := b.Add(encode(labels, "model_down_seg"), encode(prev, "model_down_img"))
	f := features{img: decode(x, "img")}
	if !v.NoFlow {
		f.flow = decode(x, "flow")
	}
	if v.FG {
		width := v.foregroundWidth(v.NGF)
		y := down(labels, "indv_down", width).Out()
		f.fg = up(b.Sequence(y, "indv_res", norm).Res(v.Blocks).Out(), "indv_up", width)
	}
	return v.heads(b, 0, labels, prev, f), f
}

// heads make a scale's pictures of its features; s is 0 for the coarsest.
func (v *Vid2Vid) heads(b *nn.Builder, s int, labels, prev *G.Node, f features) Outputs {
	norm, _ := normKind(v.Norm, v.Stats)
	head := func(x *G.Node, name string, channels int) *nn.Sequence {
		return b.Sequence(x, name, norm).Head(channels)
	}
	raw := head(f.img, "model_final_img", 3).Tanh().Out()
	out := Outputs{Final: raw, Raw: raw}
	if !v.NoFlow {
		out.Flow = b.Scale(head(f.flow, "model_final_flow", 2).Out(), flowScale*float32(int(1)<<s), 0)
		out.Mask = head(f.flow, "model_final_w", 1).Sigmoid().Out()
		last := 3 * (v.Frames - 1)
		out.Warped = b.Warp(b.Slice(prev, 1, last-3, last), out.Flow)
		out.Final = b.Blend(raw, out.Warped, out.Mask)
	}
	if v.FG {
		fg, where := head(f.fg, "indv_final", 3).Tanh().Out(), v.foreground(b, labels)
		out.Final, out.Raw = b.Blend(fg, out.Final, where), b.Blend(fg, raw, where)
	}
	return out
}
