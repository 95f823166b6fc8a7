package models

import (
	"fmt"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/nn"
)

// row is one clip's place in a program of several.
type row int

// whole is the only row of a program.
const whole row = -1

// of is the name that a row's input or output has.
func (r row) of(name string) string {
	if r == whole {
		return name
	}
	return fmt.Sprintf("%s@%d", name, int(r))
}

// rowsOf lists the rows of a program of n clips.
func rowsOf(n int) []row {
	if n == 1 {
		return []row{whole}
	}
	rows := make([]row, n)
	for k := range rows {
		rows[k] = row(k)
	}
	return rows
}

// rowsProgram is GeneratorProgram for n clips of one size that run as one
// batch. Each has inputs and outputs of its own, label0@2 those of the third:
// they are joined before the network and cut apart behind it, so that every
// clip keeps its own frames and is as far as it is. A share of every pixel is
// hallucinated, floor at least.
func rowsProgram(net Network, n, h, w int, floor float32) (*engine.Program, error) {
	needs := net.Needs()
	if err := needs.pictures(); err != nil {
		return nil, err
	}
	b := nn.NewBuilder(G.NewGraph(), nn.Options{PerFrame: true})
	var in []Inputs
	for _, r := range rowsOf(n) {
		in = append(in, needs.inputs(b, r, 1, h, w))
	}
	out := net.Build(b, stacked(b, in))
	src := source(b)
	for level, o := range append([]Outputs{out}, out.Coarse...) {
		switch {
		case floor > 0 && o.Mask == nil:
			return nil, fmt.Errorf("the network warps nothing: it has no mask to set a floor to")
		case floor > 0: // raw*m + warped*(1-m) with floor + (1-floor)*m for m
			o.Final = b.Add(b.Scale(o.Final, 1-floor, 0), b.Scale(o.Raw, floor, 0))
		}
		for _, r := range rowsOf(n) {
			src.Outputs = append(src.Outputs, scaleOutputs(b, part(b, o, r), r, level, h, w)...)
		}
	}
	if err := b.Err(); err != nil {
		return nil, fmt.Errorf("pictures of %dx%d: %w", w, h, err)
	}
	return engine.Lower(src)
}

// stacked joins what the clips of a batch give a network.
func stacked(b *nn.Builder, rows []Inputs) Inputs {
	join := func(of func(Inputs) *G.Node) *G.Node {
		var xs []*G.Node
		for _, in := range rows {
			xs = append(xs, of(in))
		}
		if len(xs) == 1 || xs[0] == nil {
			return xs[0]
		}
		return b.Concat(0, xs...)
	}
	in := Inputs{
		Labels:   join(func(in Inputs) *G.Node { return in.Labels }),
		Prev:     join(func(in Inputs) *G.Node { return in.Prev }),
		Features: join(func(in Inputs) *G.Node { return in.Features }),
	}
	for level := range rows[0].Coarse {
		in.Coarse = append(in.Coarse, join(func(in Inputs) *G.Node { return in.Coarse[level] }))
	}
	return in
}

// part is a row's share of the frames of a scale.
func part(b *nn.Builder, o Outputs, r row) Outputs {
	if r == whole {
		return o
	}
	cut := func(x *G.Node) *G.Node {
		if x == nil {
			return nil
		}
		return b.Slice(x, 0, int(r), int(r)+1)
	}
	mine := Outputs{Final: cut(o.Final)}
	if mine.Raw = mine.Final; o.Raw != o.Final {
		mine.Raw = cut(o.Raw)
	}
	return mine
}
