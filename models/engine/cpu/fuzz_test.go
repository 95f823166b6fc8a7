//go:build cgo

package cpu_test

import (
	"fmt"
	"testing"

	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/cpu"
	"github.com/v2v/v2v/models/engine/enginetest"
	"github.com/v2v/v2v/models/engine/ref"
	"github.com/v2v/v2v/models/op"
)

// FuzzConvolution: whatever the geometry, ragged channels and single pixels
// included, all four directions agree with ref on both precisions.
func FuzzConvolution(f *testing.F) {
	for _, seed := range [][9]byte{
		{1, 1, 1, 1, 1, 1, 1, 0, 0}, {1, 64, 48, 9, 13, 3, 1, 1, 1}, {2, 63, 65, 7, 5, 3, 1, 1, 0}, {1, 64, 64, 11, 21, 3, 2, 1, 0},
		{1, 64, 64, 21, 11, 4, 2, 1, 0}, {2, 48, 3, 8, 9, 7, 1, 3, 1}, {1, 96, 2, 5, 5, 3, 1, 1, 1}, {1, 7, 32, 20, 3, 5, 1, 2, 0},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3], seed[4], seed[5], seed[6], seed[7], seed[8] == 1)
	}
	d, err := cpu.Open(cpu.Options{Threads: 2})
	if err != nil {
		f.Fatal(err)
	}
	defer d.Close()
	f.Fuzz(func(t *testing.T, n, c, o, h, w, k, stride, pad byte, reflect bool) {
		x := tensor.Shape{1 + int(n)%3, 1 + int(c)%100, 1 + int(h)%30, 1 + int(w)%30}
		kernel, s := 1+int(k)%7, 1+int(stride)%2
		p := int(pad) % kernel
		filters, filtersT := tensor.Shape{1 + int(o)%100, x[1], kernel, kernel}, tensor.Shape{x[1], 1 + int(o)%100, kernel, kernel}
		fwd := op.Conv{Stride: s, Pad: p, Reflect: reflect}
		for _, c := range []enginetest.Case{
			{Op: fwd, Shapes: []tensor.Shape{x, filters}, Const: []int{1}},
			{Op: op.ConvT{Stride: s, Pad: p, OutPad: (kernel + p) % 2 * (s - 1)}, Shapes: []tensor.Shape{x, filtersT}, Const: []int{1}},
		} {
			c.Name, c.Scale = fmt.Sprint(c.Shapes), map[int]float32{1: 0.1}
			y, err := c.Op.Infer(c.Shapes)
			if err != nil {
				continue // no such convolution
			}
			agree(t, d, c)
			if _, ok := c.Op.(op.Conv); ok {
				agree(t, d, enginetest.Case{Name: "x", Op: op.ConvGradX{Stride: s, Pad: p, Reflect: reflect, H: x[2], W: x[3]}, Shapes: []tensor.Shape{filters, y}})
				agree(t, d, enginetest.Case{Name: "w", Op: op.ConvGradW{Stride: s, Pad: p, Reflect: reflect, KH: kernel, KW: kernel}, Shapes: []tensor.Shape{x, y}})
			}
		}
	})
}

func agree(t *testing.T, d engine.Device, c enginetest.Case) {
	t.Helper()
	want, err := enginetest.Execute(ref.Open(), c, false, engine.Float32)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []struct {
		constant  bool
		precision engine.Precision
		tol       float64
	}{{false, engine.Float32, 2e-5}, {true, engine.Float32, 2e-5}, {true, engine.BFloat16, 2e-2}} {
		got, err := enginetest.Execute(d, c, v.constant && len(c.Const) > 0, v.precision)
		if err != nil && v.precision != engine.Float32 {
			continue // the processor lacks it
		} else if err != nil {
			t.Fatal(err)
		}
		if diff := enginetest.Difference(got, want); !(diff <= v.tol) {
			t.Errorf("%T%+v %v, constants %v, precision %v: relative difference %.3g", c.Op, c.Op, c.Shapes, v.constant, v.precision, diff)
		}
	}
}
