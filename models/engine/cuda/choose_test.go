//go:build cgo

package cuda_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/cuda"
	"github.com/v2v/v2v/models/engine/enginetest"
	"github.com/v2v/v2v/models/op"
)

// twice is a convolution with mirrored borders that is there two times, with
// different filters.
func twice(t *testing.T) *engine.Program {
	t.Helper()
	b := &graph{g: G.NewGraph(), leaves: map[string]*G.Node{}}
	o := op.Conv{Stride: 1, Pad: 1, Reflect: true}
	z := b.do(o, b.do(op.Act{Kind: op.Tanh}, b.do(o, b.leaf("x", 1, 12, 9, 7), b.leaf("w0", 12, 12, 3, 3))), b.leaf("w1", 12, 12, 3, 3))
	if b.err != nil {
		t.Fatal(b.err)
	}
	p, err := engine.Lower(engine.Source{Outputs: []engine.Named{{Name: "z", Node: z}}, Constant: func(name string) bool { return name != "x" }})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// timed compiles a program on a card of its own on which a tile is quick, and
// says which kernels serve and how often convolutions ran until then.
func timed(t *testing.T, p *engine.Program, quick string) (kernels []string, runs int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "launches")
	t.Setenv("FAKE_CUDA_LAUNCHES", path)
	t.Setenv("FAKE_CUDA_QUICK", quick)
	d, err := cuda.Open(cuda.Options{})
	if err != nil {
		t.Fatal(err)
	}
	e, err := d.Compile(p, engine.Options{Constants: numbers})
	if err != nil {
		t.Fatal(err)
	}
	kernels = cuda.ConvKernels(e)
	if err := errors.Join(e.Close(), d.Close()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var name string
		var n int
		if _, err := fmt.Sscan(line, &name, &n); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(name, "conv") {
			runs += n
		}
	}
	return kernels, runs
}

// byClock has the fake's clock choose tiles until the test ends, with an empty
// cache.
func byClock(t *testing.T) {
	needFake(t)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	cuda.ByClock()
	t.Cleanup(usual)
}

// TestTileChoice: the quickest tile serves, is measured once, and is what a later
// run takes, unless the file is damaged.
func TestTileChoice(t *testing.T) {
	p := twice(t)
	fit := cuda.Fitting("f32", 63, 12, 1, 4)
	for i, quick := range fit {
		byClock(t)
		want := []string{"conv_" + quick, "conv_" + quick}
		if got, runs := timed(t, p, quick); !slices.Equal(got, want) || runs != 6*len(fit) {
			t.Errorf("%s is quick, and %v serve after %d runs", quick, got, runs)
		}
		other := fit[(i+1)%len(fit)]
		if got, runs := timed(t, p, other); !slices.Equal(got, want) || runs != 0 {
			t.Errorf("%s is in the cache, and %v serve after %d runs", quick, got, runs)
		}
		files, err := filepath.Glob(filepath.Join(os.Getenv("XDG_CACHE_HOME"), "v2v/cuda/*.choice"))
		if err != nil || len(files) != 1 {
			t.Fatalf("cache holds %v, %v", files, err)
		}
		if err := os.WriteFile(files[0], []byte("v2v -900\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if got, _ := timed(t, p, other); got[0] != "conv_"+other {
			t.Errorf("the cache is damaged, %s is quick, and %v serve", other, got)
		}
	}
}

// TestTileOperatorsRounded: what is rounded on its way, or once before and copied, is the
// same to the bit: pictures alone, and filters that are no constants too.
func TestTileOperatorsRounded(t *testing.T) {
	d := alone(t)
	for _, c := range halfCases {
		force(t, "bf16_128x64x32")
		shown, err := readBehind(c.op, c.w, true)
		if err != nil {
			t.Fatal(err)
		}
		want := output(t, d, shown, engine.BFloat16, "bf16")
		force(t, "half_64x64x32")
		if got := output(t, d, shown, engine.BFloat16, "half"); !slices.Equal(got, want) {
			t.Errorf("%T%+v: relative difference %g", c.op, c.op, enginetest.Difference(got, want))
		}
	}
	x, w, y := tensor.Shape{2, 8, 13, 11}, tensor.Shape{24, 8, 3, 3}, tensor.Shape{2, 24, 7, 6}
	for _, c := range []enginetest.Case{
		{Op: op.Conv{Stride: 2, Pad: 1}, Shapes: []tensor.Shape{x, w}},
		{Op: op.ConvGradX{Stride: 2, Pad: 1, H: 13, W: 11}, Shapes: []tensor.Shape{w, y}},
	} {
		force(t, "bf16_128x64x32")
		want, err := enginetest.Execute(d, c, false, engine.BFloat16)
		if err != nil {
			t.Fatal(err)
		}
		force(t, "half_64x64x32")
		got, err := enginetest.Execute(d, c, false, engine.BFloat16)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%T: relative difference %g", c.Op, enginetest.Difference(got, want))
		}
		p, err := enginetest.Build(c, false)
		if err != nil {
			t.Fatal(err)
		}
		e, err := d.Compile(p, engine.Options{Precision: engine.BFloat16})
		if err != nil {
			t.Fatal(err)
		}
		if names := cuda.ConvKernels(e); !strings.HasSuffix(names[0], "half_64x64x32") || cuda.Steps(e, "halve") != 2 {
			t.Errorf("%T: %v serve", c.Op, names)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestTileRoundedFirst: rounding before is taken where it is quicker in all.
func TestTileRoundedFirst(t *testing.T) {
	p, err := readBehind(op.Conv{Stride: 1, Pad: 1}, tensor.Shape{24, 16, 3, 3}, true)
	if err != nil {
		t.Fatal(err)
	}
	for quick, want := range map[string]string{"half": "conv_half_", "none": "conv_bf16_"} {
		byClock(t)
		t.Setenv("FAKE_CUDA_QUICK", quick)
		output(t, open(t), p, engine.BFloat16, want[len("conv_"):])
	}
}

// TestTileCopyWithoutRoom: a program that does not fit with rounded copies is
// compiled without them.
func TestTileCopyWithoutRoom(t *testing.T) {
	p, err := readBehind(op.Conv{Stride: 1, Pad: 1}, tensor.Shape{8, 48, 3, 3}, true)
	if err != nil {
		t.Fatal(err)
	}
	serving := func(memory int) (kernel string) {
		faulty(t, fmt.Sprintf("memory=%d", memory))
		d, err := cuda.Open(cuda.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		e, err := d.Compile(p, engine.Options{Precision: engine.BFloat16, Constants: numbers})
		if err != nil {
			return ""
		}
		defer e.Close()
		return cuda.ConvKernels(e)[1]
	}
	enough := 64 << 10
	for serving(enough) == "" {
		enough += 8 << 10
	}
	byClock(t)
	t.Setenv("FAKE_CUDA_QUICK", "half")
	if got := serving(enough); !strings.HasPrefix(got, "conv_bf16_") {
		t.Errorf("with memory for the program alone %q serves", got)
	}
	if got := serving(2 * enough); !strings.HasPrefix(got, "conv_half_") {
		t.Errorf("with memory for copies %q serves", got)
	}
}

// TestTileBesideDNN: a library is measured against the quickest tile.
func TestTileBesideDNN(t *testing.T) {
	withDNN(t, "slow")
	byClock(t)
	for _, quick := range cuda.Fitting("f32", 63, 12, 1, 4) {
		t.Setenv("XDG_CACHE_HOME", t.TempDir())
		t.Setenv("FAKE_CUDA_QUICK", quick)
		d := open(t)
		if dnn, own := served(t, d); dnn != 0 || own != 1 {
			t.Errorf("cuDNN is slow and serves %d, own kernels %d", dnn, own)
		}
	}
	t.Setenv("FAKE_CUDNN", "")
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	if dnn, own := served(t, open(t)); dnn != 1 || own != 0 {
		t.Errorf("cuDNN is quick and serves %d, own kernels %d", dnn, own)
	}
}

// TestTileNoMemory: whichever allocation fails, a convolution is computed, also
// where there was no room to measure, or the error is one line, and nothing stays
// on the card.
func TestTileNoMemory(t *testing.T) {
	tiles := len(cuda.Fitting("f32", 63, 8, 1, 4)) // each takes memory to be measured in
	for n := 1; n < 10; n++ {
		log := faulty(t, fmt.Sprintf("alloc=%d", n))
		byClock(t)
		d, err := cuda.Open(cuda.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := frame(d, small, 1); n <= tiles && err != nil {
			t.Errorf("without memory for measurement %d: %v", n, err)
		} else if err != nil {
			oneLine(t, err, "takes", "free of", "cuda:0")
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		nothingLeft(t, log)
	}
}

// TestTileChoiceTiny: results of less than 16 bytes are held against each other, not
// what lies behind them.
func TestTileChoiceTiny(t *testing.T) {
	byClock(t)
	b := &graph{g: G.NewGraph(), leaves: map[string]*G.Node{}}
	z := b.do(op.Scale{By: 2}, b.do(op.Conv{Stride: 1}, b.leaf("x", 1, 12, 3, 3), b.leaf("w", 1, 12, 3, 3)))
	if b.err != nil {
		t.Fatal(b.err)
	}
	p, err := engine.Lower(engine.Source{Outputs: []engine.Named{{Name: "z", Node: z}}})
	if err != nil {
		t.Fatal(err)
	}
	d := open(t)
	e, err := d.Compile(p, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if wrong := cuda.Refused(d); len(wrong) > 0 {
		t.Errorf("refused: %q", wrong)
	}
}
