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

// faulty makes the fake driver fail as told, and has it say what was left.
func faulty(t *testing.T, fault string) (log string) {
	t.Helper()
	needFake(t)
	log = filepath.Join(t.TempDir(), "log")
	t.Setenv("FAKE_CUDA", fault)
	t.Setenv("FAKE_CUDA_LOG", log)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	cuda.Forget()
	t.Cleanup(cuda.Forget)
	return log
}

// nothingLeft checks the fake's own counts of what a device made.
func nothingLeft(t *testing.T, log string) {
	t.Helper()
	left, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range strings.Split(string(left), " ") {
		if n := f[strings.LastIndexByte(f, '=')+1:]; n != "0" && strings.Contains(f, "=") {
			t.Errorf("left on the card: %s", left)
			return
		}
	}
}

// oneLine checks that an error is one line that says the words.
func oneLine(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than one line: %v", err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}

// TestOpenFaults: whatever keeps a card from being opened is named, with what
// helps.
func TestOpenFaults(t *testing.T) {
	for _, c := range []struct {
		fault string
		words []string
		other bool // not a missing thing, but a broken one
	}{
		{"version=11040", []string{"CUDA 11.4", "needs 12.0", "driver, 525"}, false},
		{"init=100", []string{"no card"}, false},
		{"init=803", []string{"CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "803"}, true},
		{"devices=0", []string{"cuda:0", "0 cards"}, false},
		{"capability=7", []string{"7.0", "needs 8.0 (Ampere)"}, false},
		{"compile=1", []string{"compile kernels for sm_90", "base.cu(7): error"}, true},
		{"image=1", []string{"load kernels base", "CUDA_ERROR_INVALID_IMAGE"}, true},
		{"alloc=1", nil, true},
	} {
		t.Run(c.fault, func(t *testing.T) {
			log := faulty(t, c.fault)
			d, err := cuda.Open(cuda.Options{})
			if c.fault == "alloc=1" { // opening takes no memory: the first buffer does
				if err != nil {
					t.Fatal(err)
				}
				_, err = d.Alloc(tensor.Shape{1, 3, 8, 8}, engine.F32)
				oneLine(t, err, "buffer (1, 3, 8, 8)", "768 bytes", "1.0 GiB free")
				if err := d.Close(); err != nil {
					t.Error(err)
				}
				nothingLeft(t, log)
				return
			}
			oneLine(t, err, append(c.words, "open cuda:0")...)
			if errors.Is(err, engine.ErrUnsupported) == c.other {
				t.Errorf("%v: is it that something is missing? %v", err, !c.other)
			}
			if _, e := os.Stat(log); e == nil {
				nothingLeft(t, log)
			}
		})
	}
}

// TestMissingLibrary: the error names the library, where it was looked for and
// what brings it.
func TestMissingLibrary(t *testing.T) {
	for name, keep := range map[string]string{"libcuda": "", "NVRTC": "libcuda.so.1"} {
		t.Run(name, func(t *testing.T) {
			faulty(t, "")
			dir := t.TempDir()
			if keep != "" {
				if err := os.Symlink(filepath.Join(os.Getenv("V2V_CUDA_PATH"), keep), filepath.Join(dir, keep)); err != nil {
					t.Fatal(err)
				}
			}
			t.Setenv("V2V_CUDA_PATH", dir)
			d, err := cuda.Open(cuda.Options{})
			if err == nil {
				d.Close()
				t.Skip("the machine has " + name + " of its own")
			}
			oneLine(t, err, name+" is not there", "V2V_CUDA_PATH", "install")
			if !errors.Is(err, engine.ErrUnsupported) {
				t.Errorf("%v is not ErrUnsupported", err)
			}
		})
	}
}

// TestMissingSymbol: a library without a function is named, with the version
// that has it.
func TestMissingSymbol(t *testing.T) {
	faulty(t, "")
	dir := t.TempDir()
	old := filepath.Join(os.Getenv("V2V_CUDA_PATH"), "libnvrtc.so.12") // has none of the driver's functions
	if err := os.Symlink(old, filepath.Join(dir, "libcuda.so.1")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("V2V_CUDA_PATH", dir)
	_, err := cuda.Open(cuda.Options{})
	oneLine(t, err, dir, "lacks cuInit", "CUDA 2.0")
}

// frame compiles and runs a small network, closing what it made.
func frame(d engine.Device, c enginetest.Case, runs int) (err error) {
	p, err := enginetest.Build(c, true)
	if err != nil {
		return err
	}
	vals := enginetest.Values(c)
	e, err := d.Compile(p, engine.Options{Constants: func(_ string, dst []float32) error { copy(dst, vals[1]); return nil }})
	if err != nil {
		return err
	}
	defer e.Close()
	x, err := d.Alloc(c.Shapes[0], engine.F32)
	if err != nil {
		return err
	}
	defer x.Close()
	if err := errors.Join(x.Write(vals[0]), e.Bind("x0", x)); err != nil {
		return err
	}
	y := make([]float32, engine.Value{Shape: e.Output(0).Shape()}.Size())
	for range runs {
		if err := e.Run(); err != nil {
			return err
		}
		if err := e.Output(0).Read(y); err != nil {
			return err
		}
	}
	return nil
}

var small = enginetest.Case{Op: op.Conv{Stride: 1, Pad: 1}, Shapes: []tensor.Shape{{1, 16, 9, 7}, {8, 16, 3, 3}}, Const: []int{1}}

// TestNoMemory: the n-th allocation fails, for every n that there is: an error
// that names the need and the have each time, and nothing stays on the card.
func TestNoMemory(t *testing.T) {
	needFake(t)
	failed := 0
	for n := 1; n < 30; n++ {
		log := faulty(t, fmt.Sprintf("alloc=%d", n))
		d, err := cuda.Open(cuda.Options{})
		if err != nil {
			t.Fatal(err)
		}
		err = frame(d, small, 1)
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		nothingLeft(t, log)
		if err == nil {
			break
		}
		failed++
		oneLine(t, err, "takes", "free of", "cuda:0")
	}
	if failed < 4 {
		t.Errorf("only %d allocations failed", failed)
	}
}

// TestTooLarge: what would fit is said.
func TestTooLarge(t *testing.T) {
	log := faulty(t, "memory=4194304")
	d, err := cuda.Open(cuda.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.Alloc(tensor.Shape{1, 16, 512, 512}, engine.F32)
	oneLine(t, err, "16 MiB", "4 MiB free of 4 MiB", "50% the width and height")
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	nothingLeft(t, log)
}

// TestLostCard: a card that fails in the middle of a clip is an error of that
// frame, in one line; what was made can be closed.
func TestLostCard(t *testing.T) {
	log := faulty(t, "lost=7")
	d, err := cuda.Open(cuda.Options{})
	if err != nil {
		t.Fatal(err)
	}
	oneLine(t, frame(d, small, 100), "cuda:0", "CUDA_ERROR_LAUNCH_FAILED", "719")
	d.Close()
	nothingLeft(t, log)
}

// TestLostTrying: a card that fails while ways to convolve are tried is an error that
// names the way, and what leaves it out where that may be; it is not taken for a way
// that fails, and nothing is kept for later runs.
func TestLostTrying(t *testing.T) {
	withDNN(t, "")
	said := map[string]bool{}
	for n := 1; n < 400 && !said["done"]; n += 5 {
		log := faulty(t, fmt.Sprintf("lost=%d", n))
		byClock(t)
		d, err := cuda.Open(cuda.Options{})
		if err != nil {
			t.Fatal(err)
		}
		p, err := enginetest.Build(small, true)
		if err != nil {
			t.Fatal(err)
		}
		e, err := d.Compile(p, engine.Options{Constants: numbers, Precision: engine.BFloat16})
		if err == nil {
			err = errors.Join(e.Close(), d.Close())
			if said["done"] = true; err != nil {
				t.Error(err)
			}
			continue
		}
		oneLine(t, err, "compile for cuda:0", "CUDA_ERROR_LAUNCH_FAILED")
		for _, way := range []string{"try bf16_", "try bulk_", "try a plan of cudnn"} {
			said[way] = said[way] || strings.Contains(err.Error(), way)
		}
		for name, left := range map[string]string{"try bulk_": "V2V_CUDA_WITHOUT=hopper leaves it out", "plan of cudnn": "V2V_CUDA_WITHOUT=cudnn leaves it out"} {
			if strings.Contains(err.Error(), name) != strings.Contains(err.Error(), left) {
				t.Errorf("lost after %d launches: %v", n, err)
			}
		}
		if kept, e := filepath.Glob(filepath.Join(os.Getenv("XDG_CACHE_HOME"), "v2v/cuda/*.choice")); e != nil || len(kept) > 0 && strings.Contains(err.Error(), "try ") {
			t.Errorf("kept %v, %v after %v", kept, e, err)
		}
		d.Close()
		nothingLeft(t, log)
	}
	for _, way := range []string{"try bf16_", "try bulk_", "try a plan of cudnn", "done"} {
		if !said[way] {
			t.Errorf("no error said %q", way)
		}
	}
}

// TestProbe: what `v2v devices` says of cards.
func TestProbe(t *testing.T) {
	faulty(t, "")
	withDNN(t, "")
	withLT(t, "")
	cards, err := cuda.Probe()
	if err != nil {
		t.Fatal(err)
	}
	want := cuda.Card{Name: "Fake 1", OK: true, Total: 1 << 30, About: "Fake 1, 1.0 GiB, compute capability 9.0, driver for CUDA 12.8, NVRTC 12.8, cuDNN 9.1.0, cuBLASLt 12.8.3"}
	if len(cards) != 2 || cards[1] != want {
		t.Errorf("cards %+v, want the second to be %+v", cards, want)
	}
	t.Setenv("FAKE_CUDA", "capability=7")
	if cards, err = cuda.Probe(); err != nil || cards[0].OK || !strings.Contains(cards[0].About, "needs 8.0") {
		t.Errorf("an old card: %+v, %v", cards, err)
	}
}
