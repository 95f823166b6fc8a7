//go:build cgo

package cuda_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/cuda"
	"github.com/v2v/v2v/models/engine/enginetest"
	"github.com/v2v/v2v/models/op"
)

// TestUnits: together the units have every kernel of the source; what convolves
// in a tile is in a unit of that tile's.
func TestUnits(t *testing.T) {
	in := map[string]string{}
	for _, u := range cuda.Units(fakeCapability) {
		for _, k := range u.Kernels {
			if in[k] == "" {
				in[k] = u.Name
			}
		}
	}
	whole := 0
	for line := range strings.Lines(cuda.Kernels()) {
		if strings.HasPrefix(line, "KERNEL ") {
			whole++
		}
	}
	if len(in) != whole || whole < 80 {
		t.Errorf("units have %d kernels, the source %d", len(in), whole)
	}
	for kernel, want := range map[string]string{"conv_tf32_128x64x32": "tf32_128x64x32", "conv_back_half_256x16x32": "half_256x16x32",
		"conv_weights_bf16_64x64x32": "bf16_64x64x32_weights", "to_inner": "base", "halve": "base", "add_parts": "base"} {
		if in[kernel] != want {
			t.Errorf("%s is in unit %q, want %s", kernel, in[kernel], want)
		}
	}
}

// counted has the fake compiler say what it is given, and returns the names of
// units so far, sorted.
func counted(t *testing.T) func() []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "compiled")
	t.Setenv("FAKE_CUDA_COMPILED", path)
	return func() (names []string) {
		raw, err := os.ReadFile(path)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		names = strings.Fields(strings.ReplaceAll(string(raw), ".cu\n", "\n"))
		slices.Sort(names)
		return names
	}
}

// want compares what was compiled.
func want(t *testing.T, compiled []string, names ...string) {
	t.Helper()
	slices.Sort(names)
	if !slices.Equal(compiled, names) {
		t.Errorf("compiled %q, want %q", compiled, names)
	}
}

// TestCompiledOnDemand: opening a card compiles what every program may need, a
// program the tiles that it launches, or where the clock chooses those of
// the kinds of numbers that it has, and no gradients that it does not take.
func TestCompiledOnDemand(t *testing.T) {
	faulty(t, "")
	compiled := counted(t)
	d, err := cuda.Open(cuda.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	want(t, compiled(), "base")
	if err := frame(d, small, 1); err != nil {
		t.Fatal(err)
	}
	rule := compiled()
	if len(rule) != 2 || !slices.Contains(cuda.Tiles("f32"), rule[1]) {
		t.Fatalf("compiled %q, want base and a tile of f32", rule)
	}
	cuda.ByClock()
	defer cuda.Force("")
	if err := frame(d, small, 1); err != nil {
		t.Fatal(err)
	}
	all := append(cuda.Tiles("f32"), "base")
	want(t, compiled(), all...)
	gradient := enginetest.Case{Op: op.ConvGradW{KH: 3, KW: 3, Stride: 1, Pad: 1}, Shapes: append(small.Shapes[:1:1], []int{1, 8, 9, 7})}
	for range 2 {
		if _, err := enginetest.Execute(d, gradient, false, engine.BFloat16); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range append(cuda.Tiles("bf16"), cuda.Tiles("bulkw")...) {
		all = append(all, name+"_weights")
	}
	want(t, compiled(), all...)
}

// TestUnitFault: a tile's unit that does not compile is an error of the program
// that wants it, in one line that names it; others can still be had, and what was
// made is given back.
func TestUnitFault(t *testing.T) {
	log := faulty(t, "compile="+cuda.Tiles("f32")[1])
	cuda.ByClock()
	defer cuda.Force("")
	d, err := cuda.Open(cuda.Options{})
	if err != nil {
		t.Fatal(err)
	}
	oneLine(t, frame(d, small, 1), "cuda:0", "compile kernels for sm_90 with NVRTC 12.8: "+cuda.Tiles("f32")[1]+".cu(7): error: as the fake was told")
	if _, err := enginetest.Execute(d, small, false, engine.TF32); err != nil {
		t.Errorf("another precision: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	nothingLeft(t, log)
}

// TestUnitFaultHopper: where one of Hopper's does not compile, these are left out, and
// the user told so.
func TestUnitFaultHopper(t *testing.T) {
	log := faulty(t, "compile="+cuda.Tiles("bulk")[0])
	byClock(t)
	for without, told := range map[string]int{"": 1, "hopper": 0} {
		t.Setenv("V2V_CUDA_WITHOUT", without)
		var notices []string
		d, err := cuda.Open(cuda.Options{Notice: func(text string) {
			if !strings.Contains(text, "preparing") {
				notices = append(notices, text)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err = enginetest.Execute(d, small, false, engine.BFloat16); err != nil {
				t.Error(err)
			}
		}
		if len(notices) != told || len(cuda.Refused(d)) != told {
			t.Errorf("without %q: notices %q, refused %q", without, notices, cuda.Refused(d))
		}
		for _, n := range notices {
			if want := cuda.Tiles("bulk")[0] + ".cu(7): error: as the fake was told"; !strings.HasPrefix(n, "cuda:0: own kernels for Hopper are left out: ") || !strings.Contains(n, want) {
				t.Errorf("notice %q", n)
			}
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		nothingLeft(t, log)
	}
}

// TestCache: units are compiled once; a compiler that fails is not asked again,
// nor is a damaged file of the cache taken for kernels.
func TestCache(t *testing.T) {
	log, compiled := faulty(t, ""), counted(t)
	cache := t.TempDir()
	run := func() error {
		d, err := cuda.Open(cuda.Options{Cache: cache})
		if err != nil {
			return err
		}
		if err := frame(d, small, 2); err != nil {
			d.Close()
			return err
		}
		return d.Close()
	}
	if err := run(); err != nil {
		t.Fatal(err)
	}
	first := compiled()
	kept, err := filepath.Glob(filepath.Join(cache, "*-sm_90-12080.cubin"))
	if err != nil || len(kept) != len(first) || len(kept) != 2 {
		t.Fatalf("cache holds %v of %v, %v", kept, first, err)
	}
	t.Setenv("FAKE_CUDA", "compile=1")
	if err := run(); err != nil {
		t.Errorf("kernels were compiled again: %v", err)
	}
	t.Setenv("FAKE_CUDA", "")
	for i, path := range kept {
		if err := os.WriteFile(path, []byte("damaged, and longer than a header"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := run(); err != nil {
			t.Errorf("with a damaged cache: %v", err)
		}
		if n := len(compiled()); n != len(first)+i+1 {
			t.Errorf("%d units compiled, %d files of the cache of %d were damaged", n, i+1, len(first))
		}
	}
	t.Setenv("FAKE_CUDA", "compile=1")
	if err := os.WriteFile(kept[0], []byte("damaged, and longer than a header"), 0o644); err != nil {
		t.Fatal(err)
	}
	oneLine(t, run(), "compile kernels for sm_90")
	nothingLeft(t, log)
}

// TestCompiledOnce: cards that want the same unit at the same time compile it
// once.
func TestCompiledOnce(t *testing.T) {
	faulty(t, "")
	compiled := counted(t)
	var cards [2]engine.Device
	var both sync.WaitGroup
	for i := range cards {
		both.Go(func() {
			var err error
			if cards[i], err = cuda.Open(cuda.Options{Card: i}); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	for _, d := range cards {
		if d == nil {
			continue
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
	want(t, compiled(), "base")
}

// TestNotice: a run that compiles kernels or tries ways to convolve says so, once; one
// that finds all in the cache says nothing.
func TestNotice(t *testing.T) {
	byClock(t)
	for _, want := range []int{1, 0} {
		var notices []string
		d, err := cuda.Open(cuda.Options{Notice: func(text string) { notices = append(notices, text) }})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(frame(d, small, 2), d.Close()); err != nil {
			t.Fatal(err)
		}
		if len(notices) != want || want == 1 && notices[0] != "cuda:0: preparing kernels for Fake 0, once" {
			t.Errorf("notices %q, want %d", notices, want)
		}
	}
}

// TestCardUnits: the machine's compiler takes every unit that its card has, and the
// driver the machine code. On a card it says how long that takes, and all that the
// compiler says of a unit that it does not take.
func TestCardUnits(t *testing.T) {
	if !onCard {
		needFake(t)
	}
	began := time.Now()
	all, err := cuda.CompileUnits()
	if err != nil {
		t.Error(err)
	}
	took := time.Since(began)
	if want := len(cuda.Units(fakeCapability)); !onCard && len(all) != want {
		t.Errorf("%d units of %d", len(all), want)
	}
	for _, c := range all {
		from := ""
		if c.Known {
			from = ", from the cache"
		}
		if c.Err != nil {
			t.Errorf("%s: %v\n%s", c.Name, c.Err, c.Log)
		} else if c.Bytes == 0 {
			t.Errorf("%s has no machine code", c.Name)
		} else if c.Log != "" {
			t.Errorf("%s: %s", c.Name, c.Log)
		}
		if onCard {
			fmt.Printf("%6.2f s %8d bytes  %s%s\n", c.Took.Seconds(), c.Bytes, c.Name, from)
		}
	}
	if onCard {
		fmt.Printf("%d units in %.1f s\n", len(all), took.Seconds())
		return
	}
	bad := cuda.Tiles("f32")[1]
	log := faulty(t, "compile="+bad)
	if all, err = cuda.CompileUnits(); err != nil {
		t.Error(err)
	}
	for _, c := range all {
		if failed := c.Name == bad+" for sm_90"; failed != (c.Err != nil) || failed != strings.Contains(c.Log, "error: as the fake was told") {
			t.Errorf("%s: %v, log %q, where %s does not compile", c.Name, c.Err, c.Log, bad)
		}
	}
	nothingLeft(t, log)
}

// TestUnitRemoved: a damaged file of the cache that another device has removed
// meanwhile is made again all the same.
func TestUnitRemoved(t *testing.T) {
	log := faulty(t, "")
	d, err := cuda.Open(cuda.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(cuda.InstallAgain(d), d.Close()); err != nil {
		t.Error(err)
	}
	nothingLeft(t, log)
}
