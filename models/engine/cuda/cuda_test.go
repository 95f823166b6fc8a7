//go:build cgo

package cuda_test

import (
	"errors"
	"testing"

	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/cuda"
	"github.com/v2v/v2v/models/engine/enginetest"
	"github.com/v2v/v2v/models/engine/ref"
	"github.com/v2v/v2v/models/op"
)

// open opens a card; ways to convolve that a card refuses, as their results were
// wrong, fail the test.
func open(t *testing.T) engine.Device {
	t.Helper()
	d := opened(t)
	t.Cleanup(func() {
		for _, way := range cuda.Refused(d) {
			if onCard { // tests have the fake do wrong
				t.Error("refused: " + way)
			}
		}
	})
	return d
}

func opened(t *testing.T) engine.Device {
	t.Helper()
	if !onCard {
		needFake(t)
	}
	d, err := cuda.Open(cuda.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// TestOperators: every operator and group, through the loader, the arena, the
// captured graph and the kernels, against ref.
func TestOperators(t *testing.T) {
	enginetest.Run(t, open(t), engine.Float32, 1e-4)
}

// TestTensorCores: the convolutions' other precisions; the fake driver computes
// fragments of the matrix units after the PTX manual, a part of the cases.
func TestTensorCores(t *testing.T) {
	for name, p := range map[string]struct {
		precision engine.Precision
		tolerance float64
	}{"tf32": {engine.TF32, 2e-3}, "bf16": {engine.BFloat16, 3e-2}} {
		t.Run(name, func(t *testing.T) {
			d := open(t)
			if onCard {
				enginetest.Run(t, d, p.precision, p.tolerance)
				return
			}
			for i, c := range enginetest.Cases() {
				switch c.Op.(type) {
				case op.Conv, op.ConvT, op.ConvGradX, op.ConvGradW:
				default:
					continue
				}
				if i%5 != 0 || large(c) {
					continue
				}
				t.Run(c.Name, func(t *testing.T) { compare(t, d, c, p.precision, p.tolerance) })
			}
		})
	}
}

// large cases take the fake driver seconds.
func large(c enginetest.Case) bool {
	n := 0
	for _, s := range c.Shapes {
		n += s.TotalSize()
	}
	return n > 60000
}

// TestTwoCards: cards have names, memory and programs of their own.
func TestTwoCards(t *testing.T) {
	needFake(t)
	first, c := open(t), enginetest.Cases()[0]
	second, err := cuda.Open(cuda.Options{Card: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if first.Name() != "cuda:0" || second.Name() != "cuda:1" {
		t.Errorf("cards are called %s and %s", first.Name(), second.Name())
	}
	compare(t, first, c, engine.Float32, 1e-5)
	compare(t, second, c, engine.Float32, 1e-5)
	p, err := enginetest.Build(c, false)
	if err != nil {
		t.Fatal(err)
	}
	e, err := first.Compile(p, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	b, err := second.Alloc(c.Shapes[0], engine.F32)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := e.Bind("x0", b); err == nil {
		t.Error("a program of one card takes the memory of another")
	}
}

// TestSharedConstants: programs that name one source load its weights once, and
// the weights outlive whichever is closed first.
func TestSharedConstants(t *testing.T) {
	d, c, loads := open(t), enginetest.Case{Op: op.Conv{Stride: 1, Pad: 1}, Shapes: []tensor.Shape{{1, 8, 6, 5}, {4, 8, 3, 3}}, Const: []int{1}}, 0
	p, err := enginetest.Build(c, true)
	if err != nil {
		t.Fatal(err)
	}
	vals := enginetest.Values(c)
	x, err := d.Alloc(c.Shapes[0], engine.F32)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if err := x.Write(vals[0]); err != nil {
		t.Fatal(err)
	}
	var exes []engine.Executable
	for range 2 {
		e, err := d.Compile(p, engine.Options{Source: "model", Constants: func(_ string, dst []float32) error { loads++; copy(dst, vals[1]); return nil }})
		if err != nil {
			t.Fatal(err)
		}
		exes = append(exes, e)
	}
	var got [2][]float32
	for i, e := range exes {
		got[i] = make([]float32, 4*6*5)
		if err := errors.Join(e.Bind("x0", x), e.Run(), e.Output(0).Read(got[i]), e.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if diff := enginetest.Difference(got[0], got[1]); diff != 0 || loads != 1 {
		t.Errorf("weights were loaded %d times, results differ by %g", loads, diff)
	}
}

// compare is one case of enginetest against ref, and against itself in float32:
// a precision that makes no difference was not computed in.
func compare(t *testing.T, d engine.Device, c enginetest.Case, p engine.Precision, tolerance float64) {
	want, err := enginetest.Execute(ref.Open(), c, false, engine.Float32)
	if err != nil {
		t.Fatal(err)
	}
	got, err := enginetest.Execute(d, c, false, p)
	if err != nil {
		t.Fatal(err)
	}
	diff := enginetest.Difference(got, want)
	if !(diff <= tolerance) {
		t.Errorf("relative difference %.3g, want at most %.3g", diff, tolerance)
	}
	if p != engine.Float32 && diff < 1e-6 && len(got) > 100 {
		t.Errorf("relative difference %.3g: computed in float32", diff)
	}
}
