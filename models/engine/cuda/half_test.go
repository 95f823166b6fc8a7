//go:build cgo

package cuda_test

import (
	"math/rand/v2"
	"testing"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/cuda"
	"github.com/v2v/v2v/models/engine/enginetest"
	"github.com/v2v/v2v/models/op"
)

// chain is convolutions with what stands between them. What convolutions alone
// read is an output too where shown says so, which keeps it in float32.
func chain(shown bool) (*engine.Program, error) {
	b := &graph{g: G.NewGraph(), leaves: map[string]*G.Node{}}
	x := b.leaf("x", 2, 5, 12, 14)
	relu, leaky := op.Act{Kind: op.ReLU}, op.Act{Kind: op.LeakyReLU, Slope: 0.2}
	one := b.do(leaky, b.do(op.Conv{Stride: 2, Pad: 1, Bias: true}, x, b.leaf("w0", 16, 5, 3, 3), b.leaf("b0", 16)))
	y := b.do(op.Conv{Stride: 1, Pad: 1, Reflect: true}, one, b.leaf("w1", 24, 16, 3, 3))
	two := b.do(relu, b.do(op.Normalize{Affine: true}, y, b.do(op.Moments{Eps: 1e-5}, y), b.leaf("gamma", 24), b.leaf("beta", 24)))
	three := b.do(op.ConvT{Stride: 2, Pad: 1, OutPad: 1}, two, b.leaf("w2", 24, 16, 3, 3))
	four := b.do(relu, b.do(op.Conv{Stride: 1, Bias: true}, three, b.leaf("w3", 20, 16, 1, 1), b.leaf("b3", 20))) // a product
	z := b.do(op.Act{Kind: op.Tanh}, b.do(op.Conv{Stride: 1, Pad: 1}, four, b.leaf("w4", 3, 20, 3, 3)))
	if b.err != nil {
		return nil, b.err
	}
	s := engine.Source{Outputs: []engine.Named{{Name: "z", Node: z}}, Constant: func(name string) bool { return name != "x" }}
	if shown {
		for name, n := range map[string]*G.Node{"one": one, "two": two, "three": three} {
			s.Outputs = append(s.Outputs, engine.Named{Name: name, Node: n})
		}
	}
	return engine.Lower(s)
}

// numbers are random ones that a name stands for.
func numbers(name string, dst []float32) error {
	rng := rand.New(rand.NewPCG(7, uint64(len(name))+uint64(name[len(name)-1])))
	for i := range dst {
		dst[i] = float32(rng.NormFloat64()) * 0.2
	}
	return nil
}

// drawn runs a chain and returns its first output.
func drawn(t *testing.T, d engine.Device, p *engine.Program, precision engine.Precision, look func(engine.Executable)) []float32 {
	t.Helper()
	return drawnAll(t, d, p, precision, look)[0]
}

// TestHalf: in bf16 what convolutions alone read lies in two bytes a number; it
// is what it was to the bit, by own kernels, and within bf16's bound by
// libraries, to which nothing is rounded but the input.
func TestHalf(t *testing.T) {
	p, err := chain(false)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := chain(true)
	if err != nil {
		t.Fatal(err)
	}
	d := open(t)
	halves := func(want int) func(engine.Executable) {
		return func(e engine.Executable) {
			if n := cuda.Halves(e); n != want {
				t.Errorf("%d values lie as bfloat16, want %d", n, want)
			}
		}
	}
	exact := drawn(t, d, p, engine.Float32, halves(0))
	want := drawn(t, d, shown, engine.BFloat16, halves(0))
	got := drawn(t, d, p, engine.BFloat16, halves(3))
	if diff := enginetest.Difference(got, want); diff != 0 {
		t.Errorf("relative difference %g to values in float32", diff)
	}
	if diff := enginetest.Difference(got, exact); !(diff > 1e-5 && diff <= 3e-2) {
		t.Errorf("relative difference %g to f32", diff)
	}
	if onCard {
		return
	}
	withDNN(t, "")
	withLT(t, "")
	got = drawn(t, open(t), p, engine.BFloat16, func(e engine.Executable) {
		halves(4)(e) // with the copy that has mirrored borders
		dnn, own := cuda.Served(e)
		if lt := cuda.Multiplied(e); dnn != 4 || lt != 1 || own != 0 {
			t.Errorf("cuDNN serves %d, cuBLASLt %d, own kernels %d", dnn, lt, own)
		}
		if n := cuda.Steps(e, "halve"); n != 2 { // the input, and what the product has made
			t.Errorf("%d values are rounded", n)
		}
	})
	if diff := enginetest.Difference(got, exact); !(diff <= 3e-2) {
		t.Errorf("relative difference %g to f32, by libraries", diff)
	}
}

// TestHalfStep: a program that learns keeps float32.
func TestHalfStep(t *testing.T) {
	p, err := chain(false)
	if err != nil {
		t.Fatal(err)
	}
	p.Values[p.Find("w0")].Role = engine.Variable
	e, err := open(t).Compile(p, engine.Options{Precision: engine.BFloat16, Constants: numbers})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if n := cuda.Halves(e); n != 0 {
		t.Errorf("%d values lie as bfloat16", n)
	}
}

// TestHalfArena: how much less memory a composite generator takes in bf16.
func TestHalfArena(t *testing.T) {
	net := models.DefaultVid2Vid()
	net.NGF, net.Blocks = 64, 2
	p, err := models.GeneratorProgram(net, 1, 128, 256)
	if err != nil {
		t.Fatal(err)
	}
	needFake(t) // a card of more units sums in more parts
	d, arena := open(t), map[engine.Precision]int{}
	for _, precision := range []engine.Precision{engine.Float32, engine.BFloat16} {
		e, err := d.Compile(p, engine.Options{Precision: precision, Constants: func(string, []float32) error { return nil }})
		if err != nil {
			t.Fatal(err)
		}
		arena[precision] = cuda.ArenaBytes(e)
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if f, b := arena[engine.Float32], arena[engine.BFloat16]; f != 19660800 || b != 15466496 {
		t.Errorf("the arena is %d bytes in f32, %d in bf16; the README says 19.7 and 15.5 MB", f, b)
	}
}
