//go:build cgo

package cpu_test

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/cpu"
	"github.com/v2v/v2v/models/engine/enginetest"
	"github.com/v2v/v2v/models/op"
)

// TestOperators: work is shared out differently with one thread, two, and more
// than there are blocks of channels.
func TestOperators(t *testing.T) {
	for _, threads := range []int{1, 2, 7} {
		t.Run(fmt.Sprintf("threads=%d", threads), func(t *testing.T) {
			d, err := cpu.Open(cpu.Options{Threads: threads})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			enginetest.Run(t, d, engine.Float32, 2e-5)
		})
	}
}

// TestHalf: everything runs in bfloat16 too, whose numbers have eight bits.
func TestHalf(t *testing.T) {
	d, err := cpu.Open(cpu.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	p, err := enginetest.Build(enginetest.Cases()[0], false)
	if err != nil {
		t.Fatal(err)
	}
	e, err := d.Compile(p, engine.Options{Precision: engine.BFloat16})
	if errors.Is(err, engine.ErrUnsupported) {
		t.Skip("the processor lacks AVX512_BF16")
	} else if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	enginetest.Run(t, d, engine.BFloat16, 2e-2)
}

// TestConstantsSeeDenormals: whoever supplies weights may compute with the
// smallest numbers, as reading float16 does, though the device flushes them.
func TestConstantsSeeDenormals(t *testing.T) {
	d, err := cpu.Open(cpu.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	c := enginetest.Case{Op: op.Conv{Stride: 1}, Shapes: []tensor.Shape{{1, 3, 4, 4}, {2, 3, 1, 1}}, Const: []int{1}}
	p, err := enginetest.Build(c, true)
	if err != nil {
		t.Fatal(err)
	}
	tiny, got := math.Float32frombits(1<<13), float32(0)
	e, err := d.Compile(p, engine.Options{Constants: func(_ string, dst []float32) error {
		got = tiny * 0x1p112
		clear(dst)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if got != 0x1p-24 {
		t.Errorf("2^-136 * 2^112 is %g there", got)
	}
}
