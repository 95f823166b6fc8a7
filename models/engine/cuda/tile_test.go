//go:build cgo

package cuda_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/cuda"
	"github.com/v2v/v2v/models/engine/enginetest"
	"github.com/v2v/v2v/models/op"
)

// force has a tile serve until the test ends.
func force(t *testing.T, name string) {
	cuda.Force(name)
	t.Cleanup(usual)
}

// alone is a device whose convolutions are by own kernels, on a card too.
func alone(t *testing.T) engine.Device {
	t.Helper()
	d := open(t)
	if err := cuda.Alone(d); err != nil {
		t.Fatal(err)
	}
	return d
}

// usual is how tiles are chosen: by rule on the fake.
func usual() {
	cuda.Force("")
	if onCard {
		cuda.ByClock()
	}
}

// convolutions are enginetest's, forward and backward.
func convolutions() (cases []enginetest.Case) {
	for _, c := range enginetest.Cases() {
		switch c.Op.(type) {
		case op.Conv, op.ConvT, op.ConvGradX, op.ConvGradW:
			if !large(c) {
				cases = append(cases, c)
			}
		}
	}
	return cases
}

// precisions are those with tiles of their own, how near they come to ref, and
// which part of the cases they get.
var precisions = []struct {
	kind      string
	precision engine.Precision
	tolerance float64
	part      int
}{{"f32", engine.Float32, 1e-4, 1}, {"tf32", engine.TF32, 2e-3, 2}, {"bf16", engine.BFloat16, 3e-2, 2}}

// TestTileOperators: convolutions in every tile but those of numbers that lie as
// bfloat16 (TestTileOperatorsHalf); tiles take turns over the cases.
func TestTileOperators(t *testing.T) {
	d, cases := alone(t), convolutions()
	for _, p := range precisions {
		names := cuda.Tiles(p.kind)
		for i := 0; i < len(cases); i += p.part {
			name, c := names[i/p.part%len(names)], cases[i]
			t.Run(name+" "+c.Name, func(t *testing.T) {
				force(t, name)
				compare(t, d, c, p.precision, p.tolerance)
			})
		}
	}
}

// TestTileOperatorsAgree: whatever the tile, a sum is added up in one order, so that a
// choice by time does not change what is drawn or learnt.
func TestTileOperatorsAgree(t *testing.T) {
	d := alone(t)
	x, w := tensor.Shape{2, 12, 13, 11}, tensor.Shape{20, 12, 3, 3}
	y := tensor.Shape{2, 20, 7, 6}
	cases := []enginetest.Case{
		{Op: op.Conv{Stride: 2, Pad: 1}, Shapes: []tensor.Shape{x, w}},
		{Op: op.ConvT{Stride: 2, Pad: 1}, Shapes: []tensor.Shape{y, w}},
		{Op: op.ConvGradW{Stride: 2, Pad: 1, KH: 3, KW: 3}, Shapes: []tensor.Shape{x, y}},
	}
	for _, p := range precisions {
		for _, c := range cases {
			var first []float32
			for _, name := range cuda.Tiles(p.kind) {
				force(t, name)
				got, err := enginetest.Execute(d, c, false, p.precision)
				if err != nil {
					t.Fatal(err)
				}
				if first == nil {
					first = got
				}
				if !slices.Equal(got, first) {
					t.Errorf("%T in %s differs from %s by %g", c.Op, name, cuda.Tiles(p.kind)[0], enginetest.Difference(got, first))
				}
			}
		}
	}
}

// readBehind is a convolution behind another, which writes bfloat16; the picture
// between is an output too where shown says so, which keeps it in float32.
func readBehind(o op.Spec, w tensor.Shape, shown bool) (*engine.Program, error) {
	b := &graph{g: G.NewGraph(), leaves: map[string]*G.Node{}}
	c := w[1]
	if _, turned := o.(op.ConvT); turned {
		c = w[0]
	}
	y := b.do(op.Conv{Stride: 1, Pad: 1}, b.leaf("x", 2, 5, 12, 14), b.leaf("w0", c, 5, 3, 3))
	z := b.do(o, y, b.leaf("w1", w...))
	if b.err != nil {
		return nil, b.err
	}
	s := engine.Source{Outputs: []engine.Named{{Name: "z", Node: z}}, Constant: func(name string) bool { return name != "x" }}
	if shown {
		s.Outputs = append(s.Outputs, engine.Named{Name: "y", Node: y})
	}
	return engine.Lower(s)
}

// halfCases read pictures of bfloat16, eight channels at a time.
var halfCases = []struct {
	op op.Spec
	w  tensor.Shape
}{
	{op.Conv{Stride: 1, Pad: 1}, tensor.Shape{24, 16, 3, 3}}, {op.Conv{Stride: 2, Pad: 1}, tensor.Shape{72, 8, 3, 3}},
	{op.Conv{Stride: 1, Pad: 3, Reflect: true}, tensor.Shape{3, 24, 7, 7}}, {op.Conv{Stride: 1}, tensor.Shape{136, 40, 1, 1}},
	{op.ConvT{Stride: 2, Pad: 1, OutPad: 1}, tensor.Shape{24, 16, 3, 3}}, {op.ConvT{Stride: 1, Pad: 1}, tensor.Shape{8, 32, 3, 3}},
	{op.ConvT{Stride: 2, Pad: 1}, tensor.Shape{16, 8, 4, 4}},
}

// TestTileOperatorsHalf: what lies as bfloat16 is copied as it is, in every tile, and
// gives to the bit what is rounded on its way from float32.
func TestTileOperatorsHalf(t *testing.T) {
	d := alone(t)
	for _, c := range halfCases {
		t.Run(fmt.Sprintf("%T%+v %v", c.op, c.op, c.w), func(t *testing.T) {
			p, err := readBehind(c.op, c.w, false)
			if err != nil {
				t.Fatal(err)
			}
			shown, err := readBehind(c.op, c.w, true)
			if err != nil {
				t.Fatal(err)
			}
			force(t, "bf16_128x64x32")
			want := output(t, d, shown, engine.BFloat16, "bf16")
			exact := output(t, d, shown, engine.Float32, "f32")
			if diff := enginetest.Difference(want, exact); !(diff > 1e-5 && diff <= 3e-2) {
				t.Errorf("relative difference %g to f32", diff)
			}
			for _, name := range cuda.Tiles("half") {
				force(t, name)
				if got := output(t, d, p, engine.BFloat16, name); !slices.Equal(got, want) {
					t.Errorf("%s: relative difference %g to what is rounded on its way", name, enginetest.Difference(got, want))
				}
			}
		})
	}
}

// output runs a program whose last convolution a tile must serve and returns its
// first output.
func output(t *testing.T, d engine.Device, p *engine.Program, precision engine.Precision, tile string) []float32 {
	t.Helper()
	return drawn(t, d, p, precision, func(e engine.Executable) {
		names := cuda.ConvKernels(e)
		if last := names[len(names)-1]; !strings.Contains(last, "_"+tile) {
			t.Errorf("%s serves, want %s", last, tile)
		}
	})
}

// TestTilePipeline: the fake copies what is copied asynchronously when it is waited
// for. One group waited for too few, and results are wrong.
func TestTilePipeline(t *testing.T) {
	needFake(t)
	d := open(t)
	c := enginetest.Case{Op: op.Conv{Stride: 1, Pad: 1}, Shapes: []tensor.Shape{{1, 16, 9, 7}, {24, 16, 3, 3}}}
	for _, p := range precisions[:2] {
		for _, name := range cuda.Tiles(p.kind) {
			force(t, name)
			want, err := enginetest.Execute(d, c, false, p.precision)
			if err != nil {
				t.Fatal(err)
			}
			t.Setenv("FAKE_CUDA", "late=1")
			got, err := enginetest.Execute(d, c, false, p.precision)
			t.Setenv("FAKE_CUDA", "")
			if err != nil {
				t.Fatal(err)
			}
			if diff := enginetest.Difference(got, want); diff < 1 {
				t.Errorf("%s: a group too few is waited for, and results differ by %g", name, diff)
			}
		}
	}
	p, err := readBehind(halfCases[0].op, halfCases[0].w, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range cuda.Tiles("half") {
		force(t, name)
		want := output(t, d, p, engine.BFloat16, name)
		t.Setenv("FAKE_CUDA", "late=1")
		got := output(t, d, p, engine.BFloat16, name)
		t.Setenv("FAKE_CUDA", "")
		if diff := enginetest.Difference(got, want); diff < 1 {
			t.Errorf("%s: a group too few is waited for, and results differ by %g", name, diff)
		}
	}
}

// TestTileFitting: few rows get small tiles, few columns narrow ones, much of both
// large ones, and no more tiles are tried than are worth their time.
func TestTileFitting(t *testing.T) {
	for _, c := range []struct {
		kind       string
		rows, cols int
		want       string
	}{
		{"half", 1 << 19, 3, "half_256x16x32"}, {"half", 1 << 19, 128, "half_256x128x32"}, {"half", 64, 1024, "half_64x64x32"},
		{"tf32", 1 << 19, 2, "tf32_256x16x32"}, {"f32", 1 << 19, 128, "f32_128x128x16"},
	} {
		if got := cuda.Fitting(c.kind, c.rows, c.cols, 1, 132); got[0] != c.want || len(got) > 4 {
			t.Errorf("%+v gets %v", c, got)
		}
	}
}
