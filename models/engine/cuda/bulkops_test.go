//go:build cgo

package cuda_test

import (
	"fmt"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/cuda"
	"github.com/v2v/v2v/models/engine/enginetest"
	"github.com/v2v/v2v/models/op"
)

// bulkKinds are the kinds of Hopper's tiles, and the tile that others are held
// against: both round alike, and sums differ in their order alone.
var bulkKinds = []struct {
	kind, plain string
	precision   engine.Precision
	cases       func() []enginetest.Case
}{{"bulk", "bf16_128x64x32", engine.BFloat16, bulkCases}, {"bulk32", "tf32_128x64x32", engine.TF32, bulkCases}, {"bulkw", "bf16_128x64x32", engine.BFloat16, filterCases}}

// needHopper skips a test on a card without Hopper's instructions.
func needHopper(t *testing.T) {
	t.Helper()
	if d := open(t); !cuda.Hopper(d) {
		t.Skip("compute capability 9.0 is missing: the card has another")
	}
}

// bulkCases are convolutions that meet every part of Hopper's kernels.
func bulkCases() []enginetest.Case {
	of := func(o op.Spec, shapes ...tensor.Shape) enginetest.Case {
		return enginetest.Case{Name: fmt.Sprintf("%T%+v %v", o, o, shapes), Op: o, Shapes: shapes, Const: []int{1}}
	}
	x := tensor.Shape{2, 40, 19, 35}
	cases := []enginetest.Case{
		of(op.Conv{Stride: 1, Pad: 1}, x, tensor.Shape{136, 40, 3, 3}),
		of(op.Conv{Stride: 1, Pad: 1, Reflect: true}, tensor.Shape{1, 136, 9, 12}, tensor.Shape{264, 136, 3, 3}),
		of(op.Conv{Stride: 2, Pad: 1}, x, tensor.Shape{72, 40, 3, 3}),
		of(op.Conv{Stride: 2, Pad: 2}, tensor.Shape{1, 9, 18, 18}, tensor.Shape{64, 9, 4, 4}),
		of(op.Conv{Stride: 1, Pad: 3, Reflect: true}, tensor.Shape{1, 15, 20, 14}, tensor.Shape{32, 15, 7, 7}),
		of(op.Conv{Stride: 1, Pad: 3, Reflect: true}, tensor.Shape{2, 72, 10, 14}, tensor.Shape{3, 72, 7, 7}),
		of(op.Conv{Stride: 1, Pad: 2}, tensor.Shape{2, 24, 11, 14}, tensor.Shape{1, 24, 4, 4}),
		of(op.Conv{Stride: 1}, tensor.Shape{3, 70, 5, 3}, tensor.Shape{33, 70, 1, 1}),
		of(op.ConvT{Stride: 2, Pad: 1, OutPad: 1}, tensor.Shape{2, 136, 9, 7}, tensor.Shape{136, 66, 3, 3}),
		of(op.ConvT{Stride: 2, Pad: 1}, tensor.Shape{1, 24, 9, 7}, tensor.Shape{24, 17, 4, 4}),
	}
	return append(cases, some(func(c enginetest.Case) bool {
		_, filters := c.Op.(op.ConvGradW)
		return !filters
	})...)
}

// filterCases are gradients of filters that meet every part of their kernels.
func filterCases() []enginetest.Case {
	of := func(o op.ConvGradW, x, y tensor.Shape) enginetest.Case {
		return enginetest.Case{Name: fmt.Sprintf("%T%+v %v %v", o, o, x, y), Op: o, Shapes: []tensor.Shape{x, y}}
	}
	cases := []enginetest.Case{
		of(op.ConvGradW{Stride: 1, Pad: 1, KH: 3, KW: 3}, tensor.Shape{2, 72, 9, 35}, tensor.Shape{2, 130, 9, 35}),
		of(op.ConvGradW{Stride: 1, Pad: 1, KH: 3, KW: 3, Reflect: true}, tensor.Shape{1, 264, 9, 12}, tensor.Shape{1, 40, 9, 12}),
		of(op.ConvGradW{Stride: 2, Pad: 1, KH: 3, KW: 3}, tensor.Shape{2, 66, 19, 35}, tensor.Shape{2, 72, 10, 18}),
		of(op.ConvGradW{Stride: 2, Pad: 2, KH: 4, KW: 4}, tensor.Shape{3, 9, 18, 17}, tensor.Shape{3, 64, 10, 9}),
		of(op.ConvGradW{Stride: 1, Pad: 3, KH: 7, KW: 7, Reflect: true}, tensor.Shape{1, 15, 20, 14}, tensor.Shape{1, 33, 20, 14}),
		of(op.ConvGradW{Stride: 1, Pad: 3, KH: 7, KW: 7, Reflect: true}, tensor.Shape{2, 64, 10, 14}, tensor.Shape{2, 3, 10, 14}),
		of(op.ConvGradW{Stride: 1, KH: 1, KW: 1}, tensor.Shape{3, 70, 5, 3}, tensor.Shape{3, 33, 5, 3}),
	}
	return append(cases, some(func(c enginetest.Case) bool {
		_, filters := c.Op.(op.ConvGradW)
		return filters
	})...)
}

// some is every fourth of enginetest's convolutions of a kind.
func some(of func(enginetest.Case) bool) (cases []enginetest.Case) {
	n := 0
	for _, c := range convolutions() {
		if of(c) {
			if n++; n%4 == 0 {
				cases = append(cases, c)
			}
		}
	}
	return cases
}

// TestBulkOperatorsApart: where the driver refuses windows, taps are read one by one.
func TestBulkOperatorsApart(t *testing.T) {
	needFake(t)
	t.Setenv("FAKE_CUDA", "overlap=1")
	d := alone(t)
	for _, k := range bulkKinds {
		for _, c := range k.cases()[3:5] { // of 9 and 15 channels
			force(t, k.plain)
			want, err := enginetest.Execute(d, c, false, k.precision)
			if err != nil {
				t.Fatal(err)
			}
			force(t, cuda.Tiles(k.kind)[1])
			got, err := enginetest.Execute(d, c, false, k.precision)
			if err != nil {
				t.Fatal(err)
			}
			if diff := enginetest.Difference(got, want); !(diff <= 1e-5) {
				t.Errorf("%s: relative difference %g", c.Name, diff)
			}
		}
	}
}

// TestBulkOperators: Hopper's kernels make what the others make, but for the order
// of sums; tiles take turns over enginetest's cases, and each other case is met by
// all that fit it.
func TestBulkOperators(t *testing.T) {
	needHopper(t)
	d := alone(t)
	for _, k := range bulkKinds {
		names := cuda.Tiles(k.kind)
		for i, c := range k.cases() {
			force(t, k.plain)
			want, err := enginetest.Execute(d, c, false, k.precision)
			if err != nil {
				t.Fatal(err)
			}
			for j, name := range names {
				if enginetests := !strings.Contains(c.Name, "op."); enginetests && i%len(names) != j || !cuda.Fits(c.Op, c.Shapes, name) {
					continue
				}
				t.Run(name+" "+c.Name, func(t *testing.T) {
					force(t, name)
					constant := (i+j)%2 == 0 || strings.HasSuffix(name, "_winograd") // the filters
					t.Setenv("FAKE_CUDA_ORDER", fmt.Sprint((i+j)/2%2))               // whether the fake copies late or at once
					kernels := strings.Join(serving(t, d, c, constant, k.precision), " ")
					if !strings.Contains(kernels, "_"+strings.TrimSuffix(strings.TrimSuffix(name, "_columns"), "_winograd")) {
						t.Errorf("%s serve", kernels)
					}
					got, err := enginetest.Execute(d, c, constant, k.precision)
					if err != nil {
						t.Fatal(err)
					}
					tolerance := 1e-5
					if strings.HasSuffix(name, "_winograd") { // rounds what it makes of both
						tolerance = 3e-2
					}
					if diff := enginetest.Difference(got, want); !(diff <= tolerance) {
						t.Errorf("relative difference %g to %s", diff, k.plain)
					}
				})
			}
		}
	}
}

// serving names the kernels of the convolutions of a case.
func serving(t *testing.T, d engine.Device, c enginetest.Case, constant bool, precision engine.Precision) []string {
	t.Helper()
	p, err := enginetest.Build(c, constant)
	if err != nil {
		t.Fatal(err)
	}
	e, err := d.Compile(p, engine.Options{Precision: precision, Constants: numbers})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	return cuda.ConvKernels(e)
}
