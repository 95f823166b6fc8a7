//go:build cgo

package cuda_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/cuda"
	"github.com/v2v/v2v/models/engine/enginetest"
	"github.com/v2v/v2v/models/engine/ref"
	"github.com/v2v/v2v/models/op"
)

// withDNN adds the fake cuDNN to what is found, with a fault or none.
func withDNN(t *testing.T, fault string) { withLibrary(t, "cudnn", "FAKE_CUDNN", fault) }

// withLibrary adds a fake library to what is found.
func withLibrary(t *testing.T, folder, variable, fault string) {
	t.Helper()
	needFake(t)
	path := os.Getenv("V2V_CUDA_PATH")
	dir := filepath.SplitList(path)[0]
	t.Setenv("V2V_CUDA_PATH", path+string(filepath.ListSeparator)+filepath.Join(dir, folder))
	t.Setenv(variable, fault)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	cuda.Forget()
	t.Cleanup(cuda.Forget)
}

// TestDNNOperators: convolutions, forward and backward, in every precision, as
// cuDNN is asked for them; a part of the cases.
func TestDNNOperators(t *testing.T) {
	withDNN(t, "")
	for name, p := range map[string]struct {
		precision engine.Precision
		tolerance float64
		part      int
	}{"f32": {engine.Float32, 1e-4, 3}, "tf32": {engine.TF32, 2e-3, 7}, "bf16": {engine.BFloat16, 3e-2, 7}} {
		t.Run(name, func(t *testing.T) {
			d := open(t)
			for i, c := range enginetest.Cases() {
				one := strings.Contains(c.Name, "h:1_w:1") // normalised to nothing, in any precision
				if one || i%p.part != 0 {
					continue
				}
				switch c.Op.(type) {
				case op.Conv, op.ConvT, op.ConvGradX, op.ConvGradW:
					if !large(c) {
						t.Run(c.Name, func(t *testing.T) { compare(t, d, c, p.precision, p.tolerance) })
					}
				}
			}
		})
	}
}

// served compiles the small convolution and says which path took it.
func served(t *testing.T, d engine.Device) (dnn, own int) {
	t.Helper()
	p, err := enginetest.Build(small, true)
	if err != nil {
		t.Fatal(err)
	}
	vals := enginetest.Values(small)
	e, err := d.Compile(p, engine.Options{Constants: func(_ string, dst []float32) error { copy(dst, vals[1]); return nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	return cuda.Served(e)
}

// TestDNNChoice: the quickest way serves, and own kernels wherever cuDNN fails.
func TestDNNChoice(t *testing.T) {
	for fault, want := range map[string]int{"": 1, "create": 0, "attribute": 0, "graph": 0, "plans": 0, "execute": 0, "workspace": 0, "slow": 0, "wrong": 0} {
		t.Run("fault "+fault, func(t *testing.T) {
			log := faulty(t, "")
			withDNN(t, fault)
			d, err := cuda.Open(cuda.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if dnn, own := served(t, d); dnn != want || own != 1-want {
				t.Errorf("cuDNN serves %d, own kernels %d, want %d and %d", dnn, own, want, 1-want)
			}
			if wrong := cuda.Refused(d); (len(wrong) > 0) != (fault == "wrong") {
				t.Errorf("refused for what they made: %q", wrong)
			}
			if err := frame(d, small, 3); err != nil {
				t.Error(err)
			}
			if err := d.Close(); err != nil {
				t.Error(err)
			}
			nothingLeft(t, log)
		})
	}
}

// TestDNNCache: a later run takes what was chosen, unless the file is damaged.
func TestDNNCache(t *testing.T) {
	withDNN(t, "")
	choose := func(fault string) int {
		t.Setenv("FAKE_CUDNN", fault)
		d, err := cuda.Open(cuda.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		dnn, _ := served(t, d)
		return dnn
	}
	if choose("") != 1 {
		t.Fatal("cuDNN was not chosen")
	}
	if choose("slow") != 1 {
		t.Error("measured again although the cache knows")
	}
	files, err := filepath.Glob(filepath.Join(os.Getenv("XDG_CACHE_HOME"), "v2v/cuda/*.choice"))
	if err != nil || len(files) != 1 {
		t.Fatalf("cache holds %v, %v", files, err)
	}
	if text, err := os.ReadFile(files[0]); err != nil || string(text) != "v2v 6\n" { // mode B's, the quickest that keeps float32
		t.Errorf("chosen %q, %v", text, err)
	}
	if err := os.WriteFile(files[0], []byte("v2v 7000\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if choose("slow") != 0 {
		t.Error("a damaged cache was believed")
	}
}

// TestDNNCacheLasting: own kernels that were taken because cuDNN failed or had no
// room are measured against it again; those that were quicker are not.
func TestDNNCacheLasting(t *testing.T) {
	for fault, want := range map[string]int{"execute": 1, "workspace": 1, "graph": 1, "slow": 0} {
		t.Run(fault, func(t *testing.T) {
			withDNN(t, fault)
			for _, now := range []struct {
				fault string
				dnn   int
			}{{fault, 0}, {"", want}} {
				t.Setenv("FAKE_CUDNN", now.fault)
				d, err := cuda.Open(cuda.Options{})
				if err != nil {
					t.Fatal(err)
				}
				dnn, _ := served(t, d)
				if err := d.Close(); err != nil {
					t.Fatal(err)
				}
				if dnn != now.dnn {
					t.Errorf("with fault %q cuDNN serves %d, want %d", now.fault, dnn, now.dnn)
				}
			}
		})
	}
}

// TestDNNStep: a training step whose convolutions cuDNN serves does what ref does.
func TestDNNStep(t *testing.T) {
	withDNN(t, "")
	p, err := step()
	if err != nil {
		t.Fatal(err)
	}
	d := open(t)
	e, err := d.Compile(p, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	dnn, own := cuda.Served(e)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if dnn < 4 || own > 0 { // mirrored borders in a copy
		t.Errorf("cuDNN serves %d convolutions of the step, own kernels %d", dnn, own)
	}
	want, err := train(ref.Open(), p)
	if err != nil {
		t.Fatal(err)
	}
	got, err := train(d, p)
	if err != nil {
		t.Fatal(err)
	}
	for name, w := range want {
		if diff := enginetest.Difference(got[name], w); !(diff <= 1e-4) {
			t.Errorf("%s: relative difference %.3g", name, diff)
		}
	}
}

// TestDNNNoMemory: whichever allocation fails, a convolution is computed or the
// error is one line, and nothing stays on the card.
func TestDNNNoMemory(t *testing.T) {
	computed := 0
	for n := 1; n < 12; n++ {
		log := faulty(t, fmt.Sprintf("alloc=%d", n))
		withDNN(t, "")
		d, err := cuda.Open(cuda.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := frame(d, small, 1); err == nil {
			computed++
		} else {
			oneLine(t, err, "takes", "free of", "cuda:0")
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		nothingLeft(t, log)
	}
	if computed < 5 {
		t.Errorf("computed %d times", computed)
	}
}

// TestNoDNN: what v2v devices says where there is none.
func TestNoDNN(t *testing.T) {
	faulty(t, "")
	cards, err := cuda.Probe()
	if err != nil {
		t.Fatal(err)
	}
	if about := cards[0].About; !cards[0].OK || strings.Contains(about, "\n") || !strings.Contains(about, "pip install nvidia-cudnn-cu12") && !strings.Contains(about, "cuDNN 9") {
		t.Errorf("about: %s", about)
	}
}

// TestDNNRefuses: a cuDNN that does not take the card is named with its reason,
// of each card that v2v could take, and the card stays usable.
func TestDNNRefuses(t *testing.T) {
	log := faulty(t, "")
	withDNN(t, "create")
	cards, err := cuda.Probe()
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range cards {
		oneLine(t, errors.New(c.About), "; cuDNN 9.1.0 does not take the card, so own kernels convolve: cudnnCreate: CUDNN_STATUS_NOT_INITIALIZED (status 1001)")
		if !c.OK {
			t.Errorf("cuda:%d is not to be opened: %s", i, c.About)
		}
	}
	nothingLeft(t, log)
	t.Setenv("FAKE_CUDA", "capability=7")
	if cards, err = cuda.Probe(); err != nil || strings.Contains(cards[0].About, "does not take") {
		t.Errorf("a card that v2v does not take: %+v, %v", cards, err)
	}
}
