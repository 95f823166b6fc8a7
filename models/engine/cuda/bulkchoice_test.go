//go:build cgo

package cuda_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/cuda"
	"github.com/v2v/v2v/models/engine/enginetest"
	"github.com/v2v/v2v/models/op"
	"github.com/v2v/v2v/models/weights"
)

// TestBulkChoice: the clock chooses among Hopper's kernels and the others, once for a
// convolution; what does not give what the others give is never chosen, and said.
func TestBulkChoice(t *testing.T) {
	p, first := twice(t), ""
	for _, c := range []struct{ quick, idle, want string }{
		{"conv_bulk_", "", "conv_bulk_"}, {"conv_bf16_", "", "conv_bf16_"}, {"conv_bulk_", "first", "conv_bulk_"}, {"conv_bulk_", "conv_bulk_", "conv_bf16_"},
	} {
		byClock(t)
		if c.idle == "first" {
			c.idle = first // it serves where it does what it should
		}
		t.Setenv("FAKE_CUDA_QUICK", c.quick)
		t.Setenv("FAKE_CUDA_IDLE", c.idle)
		d, err := cuda.Open(cuda.Options{})
		if err != nil {
			t.Fatal(err)
		}
		e, err := d.Compile(p, engine.Options{Constants: numbers, Precision: engine.BFloat16})
		if err != nil {
			t.Fatal(err)
		}
		kernels, refused := cuda.ConvKernels(e), cuda.Refused(d)
		if err := errors.Join(e.Close(), d.Close()); err != nil {
			t.Fatal(err)
		}
		if first == "" {
			first = kernels[0]
		}
		for _, k := range kernels {
			if !strings.HasPrefix(k, c.want) || c.idle != "" && strings.HasPrefix(k, c.idle) {
				t.Errorf("%+v: %s serves", c, k)
			}
		}
		for _, r := range refused {
			if !strings.Contains(r, strings.TrimPrefix(c.idle, "conv_")) || !strings.HasSuffix(r, "from own kernels") {
				t.Errorf("refused: %s", r)
			}
		}
		if (len(refused) > 0) != (c.idle != "") {
			t.Errorf("%+v: refused %q", c, refused)
		}
	}
}

// TestBulkCards: cards that are not Hopper's, and float32, have none of its kernels.
func TestBulkCards(t *testing.T) {
	needFake(t)
	cuda.ForceHopper("")
	t.Cleanup(usual)
	c := enginetest.Case{Op: op.Conv{Stride: 1, Pad: 1}, Shapes: small.Shapes, Const: small.Const}
	for _, x := range []struct {
		fault     string
		precision engine.Precision
		bulk      bool
	}{{"", engine.BFloat16, true}, {"", engine.TF32, true}, {"", engine.Float32, false}, {"capability=8", engine.BFloat16, false}, {"capability=10", engine.BFloat16, false}} {
		t.Setenv("FAKE_CUDA", x.fault)
		d, err := cuda.Open(cuda.Options{})
		if err != nil {
			t.Fatal(err)
		}
		kernels := serving(t, d, c, true, x.precision)
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if bulk := strings.HasPrefix(kernels[0], "conv_bulk"); bulk != x.bulk {
			t.Errorf("%q, %v: %s serves", x.fault, x.precision, kernels[0])
		}
	}
}

// TestWithout: a way to convolve that is named is left out; a name of none is an error.
func TestWithout(t *testing.T) {
	withDNN(t, "")
	for names, want := range map[string]string{"": "cudnn", "cudnn": "conv_", " cublaslt,cudnn": "conv_", "hopper": "cudnn"} {
		t.Setenv("V2V_CUDA_WITHOUT", names)
		d, err := cuda.Open(cuda.Options{})
		if err != nil {
			t.Fatal(err)
		}
		dnn, own := served(t, d)
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if (dnn == 1) != (want == "cudnn") || dnn+own != 1 {
			t.Errorf("without %q: cuDNN serves %d, own kernels %d", names, dnn, own)
		}
	}
	cuda.ForceHopper("")
	t.Cleanup(usual)
	t.Setenv("V2V_CUDA_WITHOUT", "hopper,cudnn")
	d, err := cuda.Open(cuda.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if k := serving(t, d, small, true, engine.BFloat16); strings.HasPrefix(k[0], "conv_bulk") {
		t.Errorf("without Hopper's kernels %s serves", k[0])
	}
	cuda.ForceHopper("winograd")
	for names, steps := range map[string]int{"cudnn": 1, "cudnn,winograd": 0} {
		t.Setenv("V2V_CUDA_WITHOUT", names)
		if n := winogradSteps(t); n != steps {
			t.Errorf("without %q: %d convolutions by Winograd, want %d", names, n, steps)
		}
	}
	t.Setenv("V2V_CUDA_WITHOUT", "wgmma")
	if _, err := cuda.Open(cuda.Options{}); err == nil || !strings.Contains(err.Error(), `V2V_CUDA_WITHOUT names "wgmma"`) {
		t.Errorf("a way that is none: %v", err)
	}
}

// winogradSteps counts the small convolution's launches that make results of Winograd's
// products on a card of its own.
func winogradSteps(t *testing.T) int {
	t.Helper()
	d, err := cuda.Open(cuda.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	p, err := enginetest.Build(small, true)
	if err != nil {
		t.Fatal(err)
	}
	e, err := d.Compile(p, engine.Options{Precision: engine.BFloat16, Constants: numbers})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	return cuda.Steps(e, "wino_out")
}

// TestBulkGolden: whole generators by Hopper's kernels, against PyTorch's outputs.
func TestBulkGolden(t *testing.T) {
	needHopper(t)
	t.Cleanup(usual)
	for _, kind := range []string{"batch", "instance"} {
		f, err := weights.Open("../../testdata/composite_" + kind + ".safetensors")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for _, precision := range []engine.Precision{engine.BFloat16, engine.TF32} {
			for _, form := range []string{"", "winograd"} {
				cuda.ForceHopper(form)
				golden(t, alone(t), f, precision, form == "winograd")
			}
		}
	}
}

// TestBulkStep: a training step by Hopper's kernels is that of the others but for the
// order of sums.
func TestBulkStep(t *testing.T) {
	needHopper(t)
	p, err := step()
	if err != nil {
		t.Fatal(err)
	}
	d := alone(t)
	want, err := trainIn(d, p, engine.BFloat16)
	if err != nil {
		t.Fatal(err)
	}
	cuda.ForceHopper("")
	t.Cleanup(usual)
	e, err := d.Compile(p, engine.Options{Precision: engine.BFloat16})
	if err != nil {
		t.Fatal(err)
	}
	if k := slices.DeleteFunc(cuda.ConvKernels(e), func(k string) bool { return strings.Contains(k, "_bulk") }); len(k) > 0 {
		t.Errorf("%q serve", k)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := trainIn(d, p, engine.BFloat16)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		tolerance := 2e-2 // Adam divides small gradients by their size: signs of noise count fully
		if name == "loss" || name == "out" {
			tolerance = 2e-3
		}
		if diff := enginetest.Difference(got[name], want[name]); !(diff <= tolerance) {
			t.Errorf("%s: relative difference %.3g", name, diff)
		}
	}
}
