//go:build cgo

package cpu_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/cpu"
	"github.com/v2v/v2v/models/engine/enginetest"
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
