//go:build cgo

package cuda_test

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"gorgonia.org/tensor"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/cuda"
	"github.com/v2v/v2v/models/engine/enginetest"
	"github.com/v2v/v2v/models/op"
)

// moments is a convolution and the statistics of its results.
func moments(o op.Spec, batch bool, x, w tensor.Shape) (*engine.Program, error) {
	b := &graph{g: G.NewGraph(), leaves: map[string]*G.Node{}}
	y := b.do(o, b.leaf("x", x...), b.leaf("w", w...))
	m := b.do(op.Moments{Batch: batch, Eps: 1e-5}, y)
	if b.err != nil {
		return nil, b.err
	}
	return engine.Lower(engine.Source{Outputs: []engine.Named{{Name: "m", Node: m}, {Name: "y", Node: y}}, Constant: func(name string) bool { return name != "x" }})
}

// TestBulkStats: what Hopper's convolutions sum up as they go is what is summed of their
// results afterwards; blocks at every border, of every phase, few and many.
func TestBulkStats(t *testing.T) {
	needHopper(t)
	t.Cleanup(usual)
	d := alone(t)
	for _, c := range []struct {
		op        op.Spec
		batch     bool
		x, w      tensor.Shape
		form      string
		sums      bool // by the convolution
		joined    int
		precision engine.Precision
	}{
		{op.Conv{Stride: 1, Pad: 1}, false, tensor.Shape{2, 40, 19, 35}, tensor.Shape{136, 40, 3, 3}, "", true, 0, engine.BFloat16},
		{op.Conv{Stride: 1, Pad: 1}, true, tensor.Shape{2, 40, 19, 35}, tensor.Shape{136, 40, 3, 3}, "", true, 0, engine.TF32},
		{op.Conv{Stride: 1, Pad: 1, Reflect: true}, false, tensor.Shape{2, 40, 19, 35}, tensor.Shape{136, 40, 3, 3}, "winograd", true, 0, engine.BFloat16},
		{op.Conv{Stride: 1, Pad: 1, Reflect: true}, true, tensor.Shape{2, 40, 19, 35}, tensor.Shape{136, 40, 3, 3}, "winograd", true, 0, engine.BFloat16},
		{op.Conv{Stride: 2, Pad: 1}, false, tensor.Shape{1, 24, 33, 37}, tensor.Shape{72, 24, 3, 3}, "", true, 0, engine.BFloat16},
		{op.ConvT{Stride: 2, Pad: 1}, false, tensor.Shape{2, 24, 33, 31}, tensor.Shape{24, 20, 3, 3}, "", true, 0, engine.BFloat16}, // of 65x61: phases differ
		{op.Conv{Stride: 1, Pad: 1}, false, tensor.Shape{8, 40, 3, 5}, tensor.Shape{136, 40, 3, 3}, "", false, 0, engine.BFloat16},  // blocks have several items
		{op.Conv{Stride: 1}, false, tensor.Shape{1, 8, 400, 350}, tensor.Shape{4, 8, 1, 1}, "", true, 1, engine.BFloat16},
	} {
		t.Run(fmt.Sprintf("%T%+v batch %v %s %v", c.op, c.op, c.batch, c.form, c.x), func(t *testing.T) {
			p, err := moments(c.op, c.batch, c.x, c.w)
			if err != nil {
				t.Fatal(err)
			}
			cuda.ForceHopper(c.form)
			got := drawnAll(t, d, p, c.precision, func(e engine.Executable) {
				if n := cuda.Steps(e, "gather_lines"); (n == 0) != c.sums {
					t.Errorf("results are read %d times for their statistics", n)
				}
				if n := cuda.Steps(e, "join_parts"); n != c.joined {
					t.Errorf("%d launches join parts", n)
				}
			})
			want := plainMoments(got[1], p.Values[p.Outputs[1]].Shape, c.batch)
			if diff := enginetest.Difference(got[0], want); !(diff <= 1e-5) {
				t.Errorf("relative difference %g to the results' moments", diff)
			}
		})
	}
}

// TestBulkStatsTwice: of statistics in two ways of the same results, both are right.
func TestBulkStatsTwice(t *testing.T) {
	needHopper(t)
	t.Cleanup(usual)
	cuda.ForceHopper("")
	b := &graph{g: G.NewGraph(), leaves: map[string]*G.Node{}}
	y := b.do(op.Conv{Stride: 1, Pad: 1}, b.leaf("x", 2, 40, 19, 35), b.leaf("w", 136, 40, 3, 3))
	items, all := b.do(op.Moments{Eps: 1e-5}, y), b.do(op.Moments{Batch: true, Eps: 1e-5}, y)
	if b.err != nil {
		t.Fatal(b.err)
	}
	p, err := engine.Lower(engine.Source{Outputs: []engine.Named{{Name: "items", Node: items}, {Name: "all", Node: all}, {Name: "y", Node: y}}, Constant: func(name string) bool { return name != "x" }})
	if err != nil {
		t.Fatal(err)
	}
	got := drawnAll(t, alone(t), p, engine.BFloat16, func(e engine.Executable) {
		if n := cuda.Steps(e, "gather_lines"); n != 1 {
			t.Errorf("results are read %d times for their statistics", n)
		}
	})
	for i, batch := range []bool{false, true} {
		want := plainMoments(got[2], p.Values[p.Outputs[2]].Shape, batch)
		if diff := enginetest.Difference(got[i], want); !(diff <= 1e-5) {
			t.Errorf("batch %v: relative difference %g to the results' moments", batch, diff)
		}
	}
}

// drawnAll runs a program and returns its outputs.
func drawnAll(t *testing.T, d engine.Device, p *engine.Program, precision engine.Precision, look func(engine.Executable)) (outs [][]float32) {
	t.Helper()
	e, err := d.Compile(p, engine.Options{Precision: precision, Constants: numbers})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	look(e)
	shape := p.Values[p.Find("x")].Shape
	x, err := d.Alloc(shape, engine.F32)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	in := make([]float32, shape.TotalSize())
	if err := errors.Join(numbers("x", in), x.Write(in), e.Bind("x", x), e.Run(), e.Run(), e.Run()); err != nil {
		t.Fatal(err)
	}
	for i := range p.Outputs {
		out := make([]float32, engine.Value{Shape: e.Output(i).Shape()}.Size())
		if err := e.Output(i).Read(out); err != nil {
			t.Fatal(err)
		}
		outs = append(outs, out)
	}
	return outs
}

// plainMoments is mean and 1/sqrt(variance+1e-5) of each channel of y, of each item or
// of all.
func plainMoments(y []float32, shape tensor.Shape, batch bool) (m []float32) {
	n, channels, pixels := shape[0], shape[1], shape[2]*shape[3]
	for first := 0; first < n; first++ {
		items := 1
		if batch {
			items = n
		}
		for c := range channels {
			var a, b float64
			for i := first; i < first+items; i++ {
				for _, v := range y[(i*channels+c)*pixels:][:pixels] {
					a += float64(v)
					b += float64(v) * float64(v)
				}
			}
			size := float64(items * pixels)
			a /= size
			m = append(m, float32(a), float32(1/math.Sqrt(b/size-a*a+1e-5)))
		}
		if batch {
			break
		}
	}
	return m
}
