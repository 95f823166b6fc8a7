//go:build cgo

package cuda_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/cuda"
	"github.com/v2v/v2v/models/engine/enginetest"
	"github.com/v2v/v2v/models/engine/ref"
	"github.com/v2v/v2v/models/op"
)

// withLT adds the fake cuBLASLt to what is found, with a fault or none.
func withLT(t *testing.T, fault string) { withLibrary(t, "cublaslt", "FAKE_CUBLASLT", fault) }

// products are convolutions that are products of matrices, and what stands
// behind them.
func products() []enginetest.Case {
	shapes := func(s ...tensor.Shape) []tensor.Shape { return s }
	then := func(o op.Spec, behind ...op.Spec) func(in []*G.Node) (*G.Node, error) {
		return func(in []*G.Node) (n *G.Node, err error) {
			more := 0
			if _, added := behind[len(behind)-1].(op.Add); added {
				more = 1
			}
			if n, err = op.Apply(o, in[:len(in)-more]...); err != nil {
				return nil, err
			}
			for _, b := range behind {
				args := []*G.Node{n}
				if _, added := b.(op.Add); added {
					args = append(args, in[len(in)-1])
				}
				if n, err = op.Apply(b, args...); err != nil {
					return nil, err
				}
			}
			return n, nil
		}
	}
	dense, relu := op.Conv{Stride: 1, Bias: true}, op.Act{Kind: op.ReLU}
	x, w, b := tensor.Shape{5, 48, 1, 1}, tensor.Shape{33, 48, 1, 1}, tensor.Shape{33}
	return []enginetest.Case{
		{Name: "dense", Op: dense, Shapes: shapes(x, w, b), Const: []int{1, 2}},
		{Name: "without bias", Op: op.Conv{Stride: 1}, Shapes: shapes(x, w)},
		{Name: "relu", Shapes: shapes(x, w, b), Graph: then(dense, relu)},
		{Name: "leaky relu", Shapes: shapes(x, w, b), Graph: then(dense, op.Act{Kind: op.LeakyReLU, Slope: 0.2})},
		{Name: "tanh", Shapes: shapes(x, w, b), Graph: then(dense, op.Act{Kind: op.Tanh}), Scale: map[int]float32{1: 0.1}},
		{Name: "sigmoid", Shapes: shapes(x, w), Graph: then(op.Conv{Stride: 1}, op.Act{Kind: op.Sigmoid}), Scale: map[int]float32{1: 0.1}},
		{Name: "relu and sum", Shapes: shapes(x, w, b, tensor.Shape{5, 33, 1, 1}), Graph: then(dense, relu, op.Add{})},
		{Name: "one tap", Op: dense, Shapes: shapes(tensor.Shape{2, 24, 5, 7}, tensor.Shape{17, 24, 1, 1}, tensor.Shape{17})},
		{Name: "whole picture", Op: op.Conv{Stride: 2, Bias: true}, Shapes: shapes(tensor.Shape{3, 8, 4, 5}, tensor.Shape{9, 8, 4, 5}, tensor.Shape{9})},
		{Name: "transposed", Op: op.ConvT{Stride: 1}, Shapes: shapes(tensor.Shape{3, 20, 1, 1}, tensor.Shape{20, 12, 4, 4})},
		{Name: "transposed, bias", Op: op.ConvT{Stride: 1, Bias: true}, Shapes: shapes(tensor.Shape{2, 20, 3, 4}, tensor.Shape{20, 12, 1, 1}, tensor.Shape{12})},
		{Name: "by the picture", Op: op.ConvGradX{Stride: 1, H: 5, W: 7}, Shapes: shapes(tensor.Shape{17, 24, 1, 1}, tensor.Shape{2, 17, 5, 7})},
		{Name: "by the filters", Op: op.ConvGradW{Stride: 1, KH: 1, KW: 1}, Shapes: shapes(tensor.Shape{2, 24, 5, 7}, tensor.Shape{2, 17, 5, 7})},
		{Name: "by whole filters", Op: op.ConvGradW{Stride: 1, KH: 4, KW: 5}, Shapes: shapes(tensor.Shape{3, 8, 4, 5}, tensor.Shape{3, 9, 1, 1})},
	}
}

// multiplied compiles a case and says how many products cuBLASLt serves.
func multiplied(t *testing.T, d engine.Device, c enginetest.Case, precision engine.Precision) (lt, dnn, own int) {
	t.Helper()
	p, err := enginetest.Build(c, false)
	if err != nil {
		t.Fatal(err)
	}
	e, err := d.Compile(p, engine.Options{Precision: precision})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	dnn, own = cuda.Served(e)
	return cuda.Multiplied(e), dnn, own
}

// TestLTOperators: products of matrices are cuBLASLt's in every precision, and
// give what ref gives.
func TestLTOperators(t *testing.T) {
	withLT(t, "")
	for name, p := range map[string]struct {
		precision engine.Precision
		tolerance float64
	}{"f32": {engine.Float32, 1e-5}, "tf32": {engine.TF32, 2e-3}, "bf16": {engine.BFloat16, 3e-2}} {
		t.Run(name, func(t *testing.T) {
			d := open(t)
			for _, c := range products() {
				t.Run(c.Name, func(t *testing.T) {
					if lt, _, own := multiplied(t, d, c, p.precision); lt != 1 || own != 0 {
						t.Errorf("cuBLASLt serves %d products, own kernels %d", lt, own)
					}
					compare(t, d, c, p.precision, p.tolerance)
				})
			}
		})
	}
}

// TestLTOthers: what is no product is not cuBLASLt's: padding, strides, several
// taps, and a bias that does not go by rows.
func TestLTOthers(t *testing.T) {
	withLT(t, "")
	d := open(t)
	for _, c := range []enginetest.Case{
		small,
		{Op: op.Conv{Stride: 2}, Shapes: []tensor.Shape{{1, 4, 6, 6}, {3, 4, 1, 1}}},
		{Op: op.Conv{Stride: 1, Pad: 1}, Shapes: []tensor.Shape{{1, 4, 6, 6}, {3, 4, 1, 1}}},
		{Op: op.Conv{Stride: 1}, Shapes: []tensor.Shape{{1, 4, 6, 6}, {3, 4, 3, 3}}},
		{Op: op.ConvT{Stride: 1, Bias: true}, Shapes: []tensor.Shape{{2, 8, 1, 1}, {8, 5, 4, 4}, {5}}},
	} {
		if lt, _, own := multiplied(t, d, c, engine.Float32); lt != 0 || own != 1 {
			t.Errorf("%+v %v: cuBLASLt serves %d, own kernels %d", c.Op, c.Shapes, lt, own)
		}
		compare(t, d, c, engine.Float32, 1e-4)
	}
}

// TestLTChoice: the quickest way serves, own kernels wherever cuBLASLt fails, and
// nothing stays on the card.
func TestLTChoice(t *testing.T) {
	for fault, want := range map[string]int{"": 1, "create": 0, "describe": 0, "heuristic": 0, "none": 0, "execute": 0, "workspace": 0, "slow": 0} {
		t.Run("fault "+fault, func(t *testing.T) {
			log := faulty(t, "")
			withLT(t, fault)
			d, err := cuda.Open(cuda.Options{})
			if err != nil {
				t.Fatal(err)
			}
			c := products()[0]
			if lt, _, own := multiplied(t, d, c, engine.Float32); lt != want || own != 1-want {
				t.Errorf("cuBLASLt serves %d, own kernels %d, want %d and %d", lt, own, want, 1-want)
			}
			compare(t, d, c, engine.Float32, 1e-5)
			if err := d.Close(); err != nil {
				t.Error(err)
			}
			nothingLeft(t, log)
		})
	}
}

// TestLTBesideDNN: of both libraries the quicker serves; one that refuses leaves
// the work to the other.
func TestLTBesideDNN(t *testing.T) {
	for name, c := range map[string]struct {
		dnn, lt string
		want    [3]int // cuBLASLt, cuDNN, own
	}{"both": {"", "", [3]int{1, 0, 0}}, "slow": {"", "slow", [3]int{0, 1, 0}}, "refused": {"graph", "", [3]int{1, 0, 0}}, "neither": {"graph", "heuristic", [3]int{0, 0, 1}}} {
		t.Run(name, func(t *testing.T) {
			log := faulty(t, "")
			withDNN(t, c.dnn)
			withLT(t, c.lt)
			d, err := cuda.Open(cuda.Options{})
			if err != nil {
				t.Fatal(err)
			}
			lt, dnn, own := multiplied(t, d, products()[0], engine.Float32)
			if got := [3]int{lt, dnn, own}; got != c.want {
				t.Errorf("cuBLASLt, cuDNN and own kernels serve %v, want %v", got, c.want)
			}
			if err := d.Close(); err != nil {
				t.Error(err)
			}
			nothingLeft(t, log)
		})
	}
}

// TestLTCache: a later run takes the way that was chosen without asking how long
// it takes; one that was not offered again is measured anew.
func TestLTCache(t *testing.T) {
	withLT(t, "")
	choose := func(fault string) int {
		t.Setenv("FAKE_CUBLASLT", fault)
		d, err := cuda.Open(cuda.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		lt, _, _ := multiplied(t, d, products()[0], engine.Float32)
		return lt
	}
	if choose("") != 1 || choose("slow") != 1 {
		t.Error("cuBLASLt was not chosen, or measured again although the cache knows")
	}
	files, err := filepath.Glob(filepath.Join(os.Getenv("XDG_CACHE_HOME"), "v2v/cuda/*.choice"))
	if err != nil || len(files) != 1 {
		t.Fatalf("cache holds %v, %v", files, err)
	}
	if text, err := os.ReadFile(files[0]); err != nil || string(text) != "v2v 14\n" { // the third of those offered
		t.Errorf("chosen %q, %v", text, err)
	}
	if choose("none") != 0 {
		t.Error("a way that is not offered serves")
	}
}

// layers is a training step of dense layers, as the perceptrons here have them.
func layers() (*engine.Program, error) {
	b := &graph{g: G.NewGraph(), leaves: map[string]*G.Node{}}
	x, want, h := b.leaf("x", 4, 12, 1, 1), b.leaf("want", 4, 27, 1, 1), b.leaf("h", 2)
	w := []*G.Node{b.leaf("w0", 40, 12, 1, 1), b.leaf("b0", 40), b.leaf("w1", 32, 40, 1, 1), b.leaf("b1", 32), b.leaf("w2", 27, 32, 1, 1), b.leaf("b2", 27)}
	dense := op.Conv{Stride: 1, Bias: true}
	y := b.do(op.Act{Kind: op.LeakyReLU, Slope: 0.2}, b.do(dense, x, w[0], w[1]))
	y = b.do(op.Act{Kind: op.ReLU}, b.do(dense, y, w[2], w[3]))
	out := b.do(op.Act{Kind: op.Tanh}, b.do(dense, y, w[4], w[5]))
	loss := b.do(op.MSE{}, b.do(op.Sub{}, out, want))
	if b.err != nil {
		return nil, b.err
	}
	grads, err := G.Grad(loss, w...)
	if err != nil {
		return nil, err
	}
	for i, p := range w {
		b.adam(p, grads[i], h)
	}
	if b.err != nil {
		return nil, b.err
	}
	return engine.Lower(engine.Source{Outputs: []engine.Named{{Name: "out", Node: out}, {Name: "loss", Node: loss}}, Updates: b.updates, Variable: func(string) bool { return false }})
}

// TestLTStep: a training step of dense layers does what ref does, forward and
// both gradients by cuBLASLt.
func TestLTStep(t *testing.T) {
	withLT(t, "")
	p, err := layers()
	if err != nil {
		t.Fatal(err)
	}
	d := open(t)
	e, err := d.Compile(p, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, own := cuda.Served(e)
	if lt := cuda.Multiplied(e); lt != 8 || own != 0 { // three forward, three and two backward
		t.Errorf("cuBLASLt serves %d products of the step, own kernels %d", lt, own)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
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

// TestLTNoMemory: whichever allocation fails, a product is computed or the error
// is one line, and nothing stays on the card.
func TestLTNoMemory(t *testing.T) {
	for n := 1; n < 12; n++ {
		log := faulty(t, fmt.Sprintf("alloc=%d", n))
		withLT(t, "")
		d, err := cuda.Open(cuda.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := enginetest.Execute(d, products()[0], false, engine.Float32); err != nil {
			oneLine(t, err, "takes", "free of", "cuda:0")
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		nothingLeft(t, log)
	}
}

// TestLTRefuses: what v2v devices says where there is none, and where it does not
// take the card.
func TestLTRefuses(t *testing.T) {
	faulty(t, "")
	withDNN(t, "")
	for _, c := range []struct{ fault, want string }{
		{"", "cuDNN 9.1.0, cuBLASLt 12.8.3"},
		{"create", "cuDNN 9.1.0; cuBLASLt 12.8.3 does not take the card, so own kernels multiply: cublasLtCreate: CUBLAS_STATUS_NOT_INITIALIZED (status 1)"},
	} {
		t.Run("fault "+c.fault, func(t *testing.T) {
			withLT(t, c.fault)
			cards, err := cuda.Probe()
			if err != nil {
				t.Fatal(err)
			}
			if !cards[0].OK || !strings.HasSuffix(cards[0].About, c.want) {
				t.Errorf("about: %s", cards[0].About)
			}
		})
	}
	cuda.Forget()
	cards, err := cuda.Probe()
	if err != nil {
		t.Fatal(err)
	}
	if about := cards[0].About; !strings.Contains(about, "cuBLASLt") {
		t.Errorf("about: %s", about)
	} else if strings.Contains(about, "without cuBLASLt") {
		oneLine(t, errors.New(about), "so own kernels multiply", "pip install nvidia-cublas-cu12")
	}
}

// TestLTWithoutRoom: a program that does not fit with the copies that cuBLASLt reads
// is compiled without it.
func TestLTWithoutRoom(t *testing.T) {
	withLT(t, "")
	c := enginetest.Case{Op: op.Conv{Stride: 1}, Shapes: []tensor.Shape{{1, 64, 16, 16}, {8, 64, 1, 1}}}
	served := func(memory int) (lt int, err error) {
		t.Setenv("FAKE_CUDA", fmt.Sprintf("memory=%d", memory))
		d, err := cuda.Open(cuda.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		p, err := enginetest.Build(c, false)
		if err != nil {
			t.Fatal(err)
		}
		e, err := d.Compile(p, engine.Options{Precision: engine.BFloat16})
		if err != nil {
			return 0, err
		}
		defer e.Close()
		lt = cuda.Multiplied(e)
		return lt, nil
	}
	const copies = 2 * 64 * 16 * 16
	if lt, err := served(64 * copies); lt != 1 || err != nil {
		t.Errorf("with memory for copies cuBLASLt serves %d, %v", lt, err)
	}
	if lt, err := served(copies); lt != 0 || err != nil { // the cache knows what is quickest
		t.Errorf("without memory for copies cuBLASLt serves %d, %v", lt, err)
	}
}

// TestChoiceWithout: what is chosen while a library is left out is not what later runs
// take that have it.
func TestChoiceWithout(t *testing.T) {
	withLT(t, "")
	withDNN(t, "")
	for _, x := range []struct {
		without string
		dnn     int
	}{{"cudnn", 0}, {"", 1}, {"cudnn", 0}, {"", 1}} {
		t.Setenv("V2V_CUDA_WITHOUT", x.without)
		d, err := cuda.Open(cuda.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if dnn, own := served(t, d); dnn != x.dnn || own != 1-x.dnn {
			t.Errorf("without %q: cuDNN serves %d, own kernels %d", x.without, dnn, own)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
