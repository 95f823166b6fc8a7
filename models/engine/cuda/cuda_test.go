//go:build cgo

package cuda_test

import (
	"testing"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/cuda"
	"github.com/v2v/v2v/models/engine/enginetest"
	"github.com/v2v/v2v/models/engine/ref"
	"github.com/v2v/v2v/models/op"
)

func open(t *testing.T) engine.Device {
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
				if i%5 != 0 {
					continue
				}
				t.Run(c.Name, func(t *testing.T) { compare(t, d, c, p.precision, p.tolerance) })
			}
		})
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
