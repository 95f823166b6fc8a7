//go:build cgo

package cuda_test

import (
	"errors"
	"fmt"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/cuda"
	"github.com/v2v/v2v/models/engine/enginetest"
	"github.com/v2v/v2v/models/op"
)

// behind is what a normalisation may have behind it.
var behind = map[string][]op.Spec{
	"none": nil, "relu": {op.Act{Kind: op.ReLU}}, "leaky": {op.Act{Kind: op.LeakyReLU, Slope: 0.2}}, "add": {op.Add{}},
	"relu_add": {op.Act{Kind: op.ReLU}, op.Add{}}, "tanh": {op.Act{Kind: op.Tanh}},
}

// normalized is a normalisation of x by moments of its own, and what is behind it.
func normalized(x tensor.Shape, batch bool, steps []op.Spec) enginetest.Case {
	c := tensor.Shape{x[1]}
	return enginetest.Case{
		Op: op.Normalize{Batch: batch, Affine: true}, Shapes: []tensor.Shape{x, c, c, x},
		Graph: func(in []*G.Node) (*G.Node, error) {
			b := &graph{}
			y := b.do(op.Normalize{Batch: batch, Affine: true}, in[0], b.do(op.Moments{Batch: batch, Eps: 1e-5}, in[0]), in[1], in[2])
			for _, s := range steps {
				if s == (op.Add{}) {
					y = b.do(s, y, in[3])
				} else {
					y = b.do(s, y)
				}
			}
			if steps == nil {
				y = b.do(op.Sub{}, y, in[3]) // every input is read
			}
			return y, b.err
		},
	}
}

// TestNormalizeLines: normalisation four channels at a time, at the edges of what
// a block goes through, with all that may be behind it, against ref.
func TestNormalizeLines(t *testing.T) {
	d := open(t)
	for _, x := range []tensor.Shape{{1, 4, 7, 5}, {2, 8, 9, 11}, {3, 12, 5, 5}, {2, 128, 7, 9}, {1, 192, 3, 3}, {2, 4, 37, 31}, {1, 132, 1, 1}, {2, 6, 5, 3}} {
		for _, batch := range []bool{false, true} {
			for name, steps := range behind {
				t.Run(fmt.Sprint(x, batch, name), func(t *testing.T) {
					if x[1] == 6 || len(steps) > 0 && steps[0] == (op.Act{Kind: op.Tanh}) {
						compare(t, d, normalized(x, batch, steps), engine.Float32, 1e-5)
						return
					}
					p, err := enginetest.Build(normalized(x, batch, steps), false)
					if err != nil {
						t.Fatal(err)
					}
					if n := launches(t, d, p); n["normalize_lines"] != 1 || n["gather_lines"] != 1 || n["finish_stats"] != 1 {
						t.Errorf("launches: %v", n)
					}
					compare(t, d, normalized(x, batch, steps), engine.Float32, 1e-5)
				})
			}
		}
	}
}

// TestNormGradLines: gradients of normalisation, by both ways, against ref.
func TestNormGradLines(t *testing.T) {
	d := open(t)
	for _, x := range []tensor.Shape{{1, 4, 7, 5}, {2, 8, 9, 11}, {3, 12, 5, 5}, {2, 128, 7, 9}, {2, 4, 37, 31}, {2, 6, 5, 3}} {
		for _, batch := range []bool{false, true} {
			m := tensor.Shape{x[0], x[1], 2}
			if batch {
				m[0] = 1
			}
			for _, c := range []enginetest.Case{
				{Op: op.NormSums{Batch: batch}, Shapes: []tensor.Shape{x, m, x}},
				{Op: op.NormGradX{Batch: batch}, Shapes: []tensor.Shape{x, m, x, m}},
				{Op: op.NormGradX{Batch: batch, Affine: true}, Shapes: []tensor.Shape{x, m, x, m, {x[1]}}},
				{Op: op.ChannelSum{}, Shapes: []tensor.Shape{x}},
			} {
				t.Run(fmt.Sprintf("%T %v %v", c.Op, x, batch), func(t *testing.T) { compare(t, d, c, engine.Float32, 1e-5) })
			}
		}
	}
}

// once runs an operator over what it reads, given by name.
func once(t *testing.T, d engine.Device, c enginetest.Case, vals [][]float32) []float32 {
	t.Helper()
	p, err := enginetest.Build(c, false)
	if err != nil {
		t.Fatal(err)
	}
	e, err := d.Compile(p, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for i, v := range vals {
		b, err := d.Alloc(c.Shapes[i], engine.F32)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		if err := errors.Join(b.Write(v), e.Bind(fmt.Sprint("x", i), b)); err != nil {
			t.Fatal(err)
		}
	}
	out := make([]float32, engine.Value{Shape: e.Output(0).Shape()}.Size())
	if err := errors.Join(e.Run(), e.Output(0).Read(out)); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestStatisticsAlone: an item's statistics are the same to the bit alone and
// among others.
func TestStatisticsAlone(t *testing.T) {
	d := open(t)
	for _, channels := range []int{3, 12, 128} {
		const items, h, w = 3, 33, 21
		x, one := tensor.Shape{items, channels, h, w}, tensor.Shape{1, channels, h, w}
		m, oneM := tensor.Shape{items, channels, 2}, tensor.Shape{1, channels, 2}
		for name, c := range map[string][2]enginetest.Case{
			"moments": {{Op: op.Moments{Eps: 1e-5}, Shapes: []tensor.Shape{x}}, {Op: op.Moments{Eps: 1e-5}, Shapes: []tensor.Shape{one}}},
			"sums":    {{Op: op.NormSums{}, Shapes: []tensor.Shape{x, m, x}}, {Op: op.NormSums{}, Shapes: []tensor.Shape{one, oneM, one}}},
		} {
			vals := enginetest.Values(c[0])
			got := once(t, d, c[0], vals)
			for k := range items {
				var part [][]float32
				for i, s := range c[1].Shapes {
					n := s.TotalSize()
					part = append(part, vals[i][k*n:(k+1)*n])
				}
				for i, want := range once(t, d, c[1], part) {
					if v := got[k*2*channels+i]; v != want {
						t.Fatalf("%s of %d channels: item %d has %g among others, %g alone", name, channels, k, v, want)
					}
				}
			}
		}
	}
}

// residual is a normalisation with addition behind it that convolutions alone
// read, or that is an output too.
func residual(channels int, shown bool) (*engine.Program, error) {
	b := &graph{g: G.NewGraph(), leaves: map[string]*G.Node{}}
	x := b.leaf("x", 2, 5, 12, 14)
	y := b.do(op.Conv{Stride: 2, Pad: 1}, x, b.leaf("w0", channels, 5, 3, 3))
	one := b.do(op.Normalize{Affine: true}, y, b.do(op.Moments{Eps: 1e-5}, y), b.leaf("gamma", channels), b.leaf("beta", channels))
	one = b.do(op.Add{}, b.do(op.Act{Kind: op.LeakyReLU, Slope: 0.2}, one), y)
	two := b.do(op.Normalize{}, y, b.do(op.Moments{Eps: 1e-5}, one))
	z := b.do(op.Add{}, b.do(op.Conv{Stride: 1, Pad: 1}, one, b.leaf("w1", 3, channels, 3, 3)), b.do(op.Conv{Stride: 1, Pad: 1}, two, b.leaf("w2", 3, channels, 3, 3)))
	if b.err != nil {
		return nil, b.err
	}
	s := engine.Source{Outputs: []engine.Named{{Name: "z", Node: z}}, Constant: func(name string) bool { return name != "x" }}
	if shown {
		s.Outputs = append(s.Outputs, engine.Named{Name: "two", Node: two})
	}
	return engine.Lower(s)
}

// TestHalfLines: what normalisation writes in two bytes, four numbers at once, is
// to the bit what convolutions make of it in four.
func TestHalfLines(t *testing.T) {
	d := open(t)
	for _, channels := range []int{4, 6, 12, 128} {
		var got [2][]float32
		for i, shown := range []bool{false, true} {
			p, err := residual(channels, shown)
			if err != nil {
				t.Fatal(err)
			}
			got[i] = drawn(t, d, p, engine.BFloat16, func(e engine.Executable) {
				if n := cuda.Halves(e); n != 1-i {
					t.Errorf("%d channels: %d values lie as bfloat16, want %d", channels, n, 1-i)
				}
			})
		}
		if diff := enginetest.Difference(got[0], got[1]); diff != 0 {
			t.Errorf("%d channels: relative difference %g to values in float32", channels, diff)
		}
	}
}

// TestPictureLines: bytes and labels of pictures as large as what is made of them
// and smaller, whose numbers are no multiple of four, against ref.
func TestPictureLines(t *testing.T) {
	d := open(t)
	for _, s := range []tensor.Shape{{1, 7, 5, 3}, {2, 6, 4, 3}, {3, 1, 1, 3}, {1, 33, 45, 3}} {
		x := tensor.Shape{s[0], 3, s[1], s[2]}
		for _, c := range []enginetest.Case{
			{Op: op.FromBytes{OutH: s[1], OutW: s[2]}, Shapes: []tensor.Shape{s}},
			{Op: op.FromBytes{OutH: s[1] + 1, OutW: s[2] + 2}, Shapes: []tensor.Shape{s}},
			{Op: op.FromBytes{OutH: s[1] + 1, OutW: s[2] + 2, Luma: true}, Shapes: []tensor.Shape{s}},
			{Op: op.ToBytes{OutH: s[1], OutW: s[2]}, Shapes: []tensor.Shape{x}},
			{Op: op.ToBytes{OutH: (s[1] + 1) / 2, OutW: (s[2] + 1) / 2}, Shapes: []tensor.Shape{x}},
			{Op: op.OneHot{C: 1, OutH: s[1], OutW: s[2]}, Shapes: []tensor.Shape{s}},
			{Op: op.OneHot{C: 3, OutH: s[1], OutW: s[2]}, Shapes: []tensor.Shape{s}},
			{Op: op.OneHot{C: 35, OutH: s[1] + 1, OutW: s[2] + 2}, Shapes: []tensor.Shape{s}},
			{Op: op.Edges{OutH: s[1] + 1, OutW: s[2] + 2}, Shapes: []tensor.Shape{s}},
		} {
			t.Run(fmt.Sprintf("%#v %v", c.Op, s), func(t *testing.T) { compare(t, d, c, engine.Float32, 0) })
		}
	}
}
