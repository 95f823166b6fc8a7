//go:build cgo

package cuda_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/cuda"
	"github.com/v2v/v2v/models/engine/enginetest"
	"github.com/v2v/v2v/models/op"
)

// launched runs a small convolution in bf16 on a card of its own, whose ways have
// been chosen before, and says how often a kernel was launched, what came out,
// and how much memory the constants took.
func launched(t *testing.T, kernel string, runs int, constant bool) (n int, y []float32, bytes int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "launches")
	t.Setenv("FAKE_CUDA_LAUNCHES", path)
	d, err := cuda.Open(cuda.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := enginetest.Build(small, constant)
	if err != nil {
		t.Fatal(err)
	}
	vals := enginetest.Values(small)
	e, err := d.Compile(p, engine.Options{Precision: engine.BFloat16, Constants: func(_ string, dst []float32) error { copy(dst, vals[1]); return nil }})
	if err != nil {
		t.Fatal(err)
	}
	if dnn, own := cuda.Served(e); dnn != 1 || own != 0 {
		t.Errorf("cuDNN serves %d, own kernels %d", dnn, own)
	}
	for i, shape := range small.Shapes {
		if constant && i == 1 {
			continue
		}
		b, err := d.Alloc(shape, engine.F32)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(b.Write(vals[i]), e.Bind(fmt.Sprint("x", i), b)); err != nil {
			t.Fatal(err)
		}
		defer b.Close()
	}
	for range runs {
		if err := e.Run(); err != nil {
			t.Fatal(err)
		}
	}
	y = make([]float32, engine.Value{Shape: e.Output(0).Shape()}.Size())
	bytes = cuda.ConstantBytes(e)
	if err := errors.Join(e.Output(0).Read(y), e.Close(), d.Close()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if name, count, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name == kernel {
			if _, err := fmt.Sscan(count, &n); err != nil {
				t.Fatal(err)
			}
		}
	}
	return n, y, bytes
}

// TestRoundedOnce: in bf16 a constant is rounded when the program is compiled,
// and lies on the card in two bytes a number; what is no constant, as in
// training, is rounded at every run. Both give the same.
func TestRoundedOnce(t *testing.T) {
	withDNN(t, "")
	const runs = 5
	for _, constant := range []bool{true, false} { // measures and fills the cache
		launched(t, "halve", 1, constant)
	}
	n, y, bytes := launched(t, "halve", runs, true)
	if want := runs + 1; n != want || bytes != 2*8*16*3*3 {
		t.Errorf("with constant weights %d roundings, want %d; constants take %d bytes", n, want, bytes)
	}
	m, z, _ := launched(t, "halve", runs, false)
	if want := 2 * runs; m != want {
		t.Errorf("with weights as inputs %d roundings, want %d", m, want)
	}
	if diff := enginetest.Difference(y, z); diff != 0 {
		t.Errorf("relative difference %g", diff)
	}
}

// TestRoundedShared: executables of one source share the rounded copy, whichever
// is closed first, and read the weights once, own kernels beside cuDNN included.
func TestRoundedShared(t *testing.T) {
	log := faulty(t, "")
	withDNN(t, "")
	d, err := cuda.Open(cuda.Options{})
	if err != nil {
		t.Fatal(err)
	}
	loads := 0
	vals := enginetest.Values(small)
	compile := func(p *engine.Program) engine.Executable {
		e, err := d.Compile(p, engine.Options{Precision: engine.BFloat16, Source: "model", Constants: func(_ string, dst []float32) error { loads++; copy(dst, vals[1]); return nil }})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	p, err := enginetest.Build(small, true)
	if err != nil {
		t.Fatal(err)
	}
	mirrored, err := enginetest.Build(enginetest.Case{Op: op.Conv{Stride: 1, Pad: 1, Reflect: true}, Shapes: small.Shapes, Const: small.Const}, true)
	if err != nil {
		t.Fatal(err)
	}
	exes := []engine.Executable{compile(p), compile(p)}
	t.Setenv("FAKE_CUDNN", "slow")
	exes = append(exes, compile(mirrored)) // by own kernels
	if loads != 1 {
		t.Errorf("weights were read %d times, want once for cuDNN and own kernels", loads)
	}
	x, err := d.Alloc(tensor.Shape{1, 16, 9, 7}, engine.F32)
	if err != nil {
		t.Fatal(err)
	}
	var y [3][]float32
	for i, e := range exes {
		y[i] = make([]float32, engine.Value{Shape: e.Output(0).Shape()}.Size())
		if err := errors.Join(x.Write(vals[0]), e.Bind("x0", x), e.Run(), e.Output(0).Read(y[i]), e.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if diff := enginetest.Difference(y[1], y[0]); diff != 0 {
		t.Errorf("relative difference %g", diff)
	}
	if dnn, own := cuda.Served(exes[2]); dnn != 0 || own != 1 || cuda.ConstantBytes(exes[2]) != 2*8*16*3*3 {
		t.Errorf("cuDNN is slow: it serves %d, own kernels %d", dnn, own)
	}
	if err := errors.Join(x.Close(), d.Close()); err != nil {
		t.Fatal(err)
	}
	nothingLeft(t, log)
}
