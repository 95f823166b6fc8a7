package models

import (
	"slices"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models/nn"
)

// publishedFG is the foreground of the published models: the cars of
// Cityscapes' labelIds.
const publishedFG = 26

// publishedLocalBlocks is how many residual blocks a local scale has by default.
const publishedLocalBlocks = 3

// foregroundWidth is how wide the foreground's generator is at a scale.
func (v *Vid2Vid) foregroundWidth(width int) int {
	if v.Downs > 2 {
		return width / 2
	}
	return width
}

// foreground is (N,1,H,W), 1 where the current picture shows a foreground
// label, less than that where a coarser scale's pixel shows others too.
func (v *Vid2Vid) foreground(b *nn.Builder, labels *G.Node) *G.Node {
	which := slices.Clone(v.FGLabels)
	if len(which) == 0 {
		which = []int{publishedFG}
	}
	slices.Sort(which)
	current := v.Needs().Channels() * (v.Frames - 1)
	var sum *G.Node
	for _, l := range slices.Compact(which) {
		one := b.Slice(labels, 1, current+l, current+l+1)
		if sum == nil {
			sum = one
		} else {
			sum = b.Add(sum, one)
		}
	}
	return sum
}

// local is netG{s}, s >= 1: it sees pictures 2^s times as large as the
// coarsest scale does, and adds to what the next coarser scale has found out.
func (v *Vid2Vid) local(b *nn.Builder, s int, labels, prev *G.Node, coarse features) (Outputs, features) {
	norm, _ := normKind(v.Norm, v.Stats)
	width, blocks := v.NGF>>s, v.LocalBlocks
	if blocks == 0 {
		blocks = publishedLocalBlocks
	}
	down := func(x *G.Node, name string, width int) *G.Node {
		return b.Sequence(x, name, norm).Stem(width).Down(2 * width).Out() // (N,2*width,H/2,W/2)
	}
	up := func(x *G.Node, name string, width int) *G.Node {
		return b.Sequence(x, name, norm).Res(blocks).Up(width).Out() // (N,width,H,W)
	}
	x := b.Add(down(labels, "model_down_seg", width), down(prev, "model_down_img", width))
	f := features{img: up(b.Add(x, coarse.img), "model_up_img", width)}
	if !v.NoFlow {
		f.flow = up(b.Add(x, coarse.flow), "model_up_flow", width)
	}
	if v.FG {
		width := v.foregroundWidth(width)
		f.fg = up(b.Add(down(labels, "indv_down", width), coarse.fg), "indv_up", width)
	}
	return v.heads(b, s, labels, prev, f), f
}
