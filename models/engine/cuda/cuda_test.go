//go:build cgo

package cuda_test

import (
	"testing"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/cuda"
	"github.com/v2v/v2v/models/engine/enginetest"
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
// fragments of the matrix units after the PTX manual.
func TestTensorCores(t *testing.T) {
	t.Run("tf32", func(t *testing.T) { enginetest.Run(t, open(t), engine.TF32, 2e-3) })
	t.Run("bf16", func(t *testing.T) { enginetest.Run(t, open(t), engine.BFloat16, 3e-2) })
}
