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

// TestSharedConstants: executables that name one source load each constant
// once, and the weights outlive whichever of them is closed first.
func TestSharedConstants(t *testing.T) {
	d, err := cpu.Open(cpu.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	c := enginetest.Case{Op: op.Conv{Stride: 1, Pad: 1}, Shapes: []tensor.Shape{{1, 64, 8, 8}, {64, 64, 3, 3}}, Const: []int{1}}
	p, err := enginetest.Build(c, true)
	if err != nil {
		t.Fatal(err)
	}
	vals, loads := enginetest.Values(c), 0
	compile := func(source string) engine.Executable {
		e, err := d.Compile(p, engine.Options{Source: source, Constants: func(_ string, dst []float32) error {
			loads++
			copy(dst, vals[1])
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	x, err := d.Alloc(c.Shapes[0], engine.F32)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if err := x.Write(vals[0]); err != nil {
		t.Fatal(err)
	}
	run := func(e engine.Executable) []float32 {
		y := make([]float32, 64*8*8)
		if err := errors.Join(e.Bind("x0", x), e.Run(), e.Output(0).Read(y)); err != nil {
			t.Fatal(err)
		}
		return y
	}
	a, b := compile("model"), compile("model")
	want := run(a)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	other := compile("")
	for _, e := range []engine.Executable{b, other} {
		if diff := enginetest.Difference(run(e), want); diff != 0 {
			t.Errorf("results differ by %g", diff)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	again := compile("model")
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if loads != 3 {
		t.Errorf("weights were loaded %d times: once for two, once alone, once again", loads)
	}
}

// alone is a convolution of 64 channels, compiled and bound, and what it has made.
type alone struct {
	e    engine.Executable
	want []float32
}

func compileAlone(t *testing.T, d *cpu.Device, side int) alone {
	t.Helper()
	c := enginetest.Case{Op: op.Conv{Stride: 1, Pad: 1}, Shapes: []tensor.Shape{{1, 64, side, side}, {64, 64, 3, 3}}}
	p, err := enginetest.Build(c, true)
	if err != nil {
		t.Fatal(err)
	}
	e, err := d.Compile(p, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i, x := range enginetest.Values(c) {
		b, err := d.Alloc(c.Shapes[i], engine.F32)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		if err := errors.Join(b.Write(x), e.Bind(fmt.Sprintf("x%d", i), b)); err != nil {
			t.Fatal(err)
		}
	}
	return alone{e, make([]float32, 64*side*side)}
}

func (a alone) run(t *testing.T) []float32 {
	t.Helper()
	y := make([]float32, len(a.want))
	if err := errors.Join(a.e.Run(), a.e.Output(0).Read(y)); err != nil {
		t.Fatal(err)
	}
	return y
}

// TestSharedArena: executables of different sizes take turns in one arena, which
// moves when it grows, and each makes what it makes alone.
func TestSharedArena(t *testing.T) {
	d, err := cpu.Open(cpu.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	small := compileAlone(t, d, 12)
	copy(small.want, small.run(t))
	large := compileAlone(t, d, 64)
	copy(large.want, large.run(t))
	for i, a := range []alone{small, large, small} {
		if diff := enginetest.Difference(a.run(t), a.want); diff != 0 {
			t.Errorf("turn %d: results differ by %g", i, diff)
		}
	}
	if err := large.e.Close(); err != nil {
		t.Fatal(err)
	}
	if diff := enginetest.Difference(small.run(t), small.want); diff != 0 {
		t.Errorf("after the larger one is gone results differ by %g", diff)
	}
	if err := small.e.Close(); err != nil {
		t.Fatal(err)
	}
	again := compileAlone(t, d, 12)
	if diff := enginetest.Difference(again.run(t), small.want); diff != 0 {
		t.Errorf("in an arena of its own results differ by %g", diff)
	}
	if err := again.e.Close(); err != nil {
		t.Fatal(err)
	}
}
