package models

import (
	"fmt"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/nn"
)

// at is the name of an input or output of a scale that sees pictures halved
// level times.
func at(name string, level int) string {
	if level == 0 {
		return name
	}
	return fmt.Sprintf("%s.%d", name, level)
}

// GeneratorProgram is the graph that runs a network on uint8 pictures of h x w:
// inputs label0.. (oldest first; the second picture of a control picture of
// several is label0.1), prev0.. (oldest first) and, where the network
// wants them, features; outputs final, raw (float32, padded to the stride) and
// their uint8 pictures final_rgb, raw_rgb. Coarser scales have inputs prev0.1..
// and outputs final.1, raw.1, the number counting the halvings. The program of
// a discriminator or an encoder has a float input labels and outputs score0.. or
// final.
func GeneratorProgram(net Network, batch, h, w int) (*engine.Program, error) {
	n := net.Needs()
	if n.Role != "" {
		return tensorProgram(net, batch, h, w)
	}
	if err := n.pictures(); err != nil {
		return nil, err
	}
	b := nn.NewBuilder(G.NewGraph(), nn.Options{PerFrame: true})
	out := net.Build(b, n.inputs(b, whole, batch, h, w))
	src := source(b)
	for level, o := range append([]Outputs{out}, out.Coarse...) {
		src.Outputs = append(src.Outputs, scaleOutputs(b, o, whole, level, h, w)...)
	}
	if err := b.Err(); err != nil {
		return nil, fmt.Errorf("pictures of %dx%d: %w", w, h, err)
	}
	return engine.Lower(src)
}

// source is what a program is made of, but for its outputs: the parameters
// built so far are constants.
func source(b *nn.Builder) engine.Source {
	params := map[string]bool{}
	for _, p := range b.Params() {
		params[p.Name] = true
	}
	return engine.Source{Constant: func(name string) bool { return params[name] }}
}

// scaleOutputs are the outputs of one scale; only the finest makes pictures.
func scaleOutputs(b *nn.Builder, o Outputs, r row, level, h, w int) []engine.Named {
	named := func(name string, x *G.Node) []engine.Named {
		list := []engine.Named{{Name: r.of(at(name, level)), Node: x}}
		if level == 0 {
			list = append(list, engine.Named{Name: r.of(name + "_rgb"), Node: b.ToBytes(rgb(b, x), h, w)})
		}
		return list
	}
	list := named("final", o.Final)
	if o.Raw != nil && o.Raw != o.Final {
		list = append(list, named("raw", o.Raw)...)
	}
	return list
}

// rgb is a frame in three channels; a grey one has them equal.
func rgb(b *nn.Builder, x *G.Node) *G.Node {
	if x != nil && x.Shape()[1] == 1 {
		return b.Concat(1, x, x, x)
	}
	return x
}

// pictures checks that the network sees and makes what clips consist of.
func (n Needs) pictures() error {
	switch {
	case n.Role != "":
		return fmt.Errorf("the network is no generator but a kind of %s: it makes no frames", n.Role)
	case n.Labels == 0 && n.InputNC != 1 && n.InputNC%3 != 0:
		return fmt.Errorf("the network wants control pictures of %d channels; clips have 3 each, or 1 by their luminance, or with label_nc are index pictures", n.InputNC)
	case n.Edges && n.Tiles() > 1 && !n.Instances:
		return fmt.Errorf("the network wants the boundaries of control pictures of %d channels; clips have those of 3", n.InputNC)
	case n.OutputNC != 1 && n.OutputNC != 3:
		return fmt.Errorf("the network makes pictures of %d channels; clips have 3, or 1 for grey", n.OutputNC)
	}
	return nil
}

// inputs are a generator's, made of bytes where they are pictures.
func (n Needs) inputs(b *nn.Builder, r row, batch, h, w int) Inputs {
	ph, pw := n.Pad(h, w)
	var labels []*G.Node
	for i := range n.Window {
		labels = append(labels, n.Control(b, ph, pw, func(tile int) *G.Node {
			return b.InputBytes(r.of(at(fmt.Sprintf("label%d", i), tile)), batch, h, w, 3)
		})...)
	}
	in := Inputs{Labels: concat(b, labels)}
	for level := range n.Scales {
		var prev []*G.Node
		for i := range n.Past {
			prev = append(prev, b.Input(r.of(at(fmt.Sprintf("prev%d", i), level)), batch, 3, ph>>level, pw>>level))
		}
		if level == 0 {
			in.Prev = concat(b, prev)
		} else {
			in.Coarse = append(in.Coarse, concat(b, prev))
		}
	}
	if n.Features > 0 {
		in.Features = b.Input(r.of("features"), batch, n.Features, ph, pw)
	}
	return in
}

// Control makes the channels of one control picture, (N,C,h,w) each, Channels of
// them in all, of its Tiles uint8 pictures (N,H,W,3).
func (n Needs) Control(b *nn.Builder, h, w int, tile func(k int) *G.Node) (all []*G.Node) {
	last := n.Tiles() - 1
	bytes := tile(0)
	switch {
	case n.Labels > 0:
		all = append(all, b.OneHot(bytes, n.Labels, h, w))
	default:
		all = append(all, n.picture(b, bytes, h, w))
	}
	for k := 1; k <= last; k++ {
		if bytes = tile(k); k < last || !n.Instances {
			all = append(all, n.picture(b, bytes, h, w))
		}
	}
	if n.Edges {
		all = append(all, b.Edges(bytes, h, w))
	}
	return all
}

// picture is one of a control picture's.
func (n Needs) picture(b *nn.Builder, x *G.Node, h, w int) *G.Node {
	x = b.FromBytes(x, h, w, n.Luma)
	if n.InputNC == faceChannels {
		x = b.Scale(x, 0.5, 0.5)
	}
	return x
}

func concat(b *nn.Builder, xs []*G.Node) *G.Node {
	switch len(xs) {
	case 0:
		return nil
	case 1:
		return xs[0]
	}
	return b.Concat(1, xs...)
}

// tensorProgram runs a network that makes no frames.
func tensorProgram(net Network, batch, h, w int) (*engine.Program, error) {
	b := nn.NewBuilder(G.NewGraph(), nn.Options{PerFrame: true})
	h, w = net.Needs().Pad(h, w)
	out := net.Build(b, leaves(b, net.Needs(), batch, h, w))
	if err := b.Err(); err != nil {
		return nil, fmt.Errorf("tensors of %dx%d: %w", w, h, err)
	}
	src := source(b)
	if out.Final != nil {
		src.Outputs = append(src.Outputs, engine.Named{Name: "final", Node: out.Final})
	}
	for i, s := range out.Scores {
		src.Outputs = append(src.Outputs, engine.Named{Name: fmt.Sprintf("score%d", i), Node: s})
	}
	return engine.Lower(src)
}
