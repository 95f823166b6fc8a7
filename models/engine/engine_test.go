package engine_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/ref"
	"github.com/v2v/v2v/models/op"
)

func node(t *testing.T, s op.Spec, in ...*G.Node) *G.Node {
	t.Helper()
	n, err := op.Apply(s, in...)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func leaf(g *G.ExprGraph, name string, d ...int) *G.Node {
	return G.NewTensor(g, tensor.Float32, len(d), G.WithShape(d...), G.WithName(name))
}

func TestFusesChainsReadOnce(t *testing.T) {
	g := G.NewGraph()
	x, w := leaf(g, "x", 1, 4, 6, 6), leaf(g, "w", 4, 4, 3, 3)
	conv := node(t, op.Conv{Stride: 1, Pad: 1, Reflect: true}, x, w)
	act := node(t, op.Act{Kind: op.ReLU}, conv)
	mom := node(t, op.Moments{Eps: 1e-5}, act)
	norm := node(t, op.Normalize{}, act, mom)
	sum := node(t, op.Add{}, x, norm)
	p, err := engine.Lower(engine.Source{Outputs: []engine.Named{{Name: "y", Node: sum}}})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Code) != 3 {
		t.Fatalf("want conv+relu, moments, normalize+add; got\n%v", p)
	}
	// A result that is wanted for itself keeps its own instruction.
	p, err = engine.Lower(engine.Source{Outputs: []engine.Named{{Name: "y", Node: sum}, {Name: "conv", Node: conv}}})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Code) != 4 {
		t.Fatalf("want the convolution apart; got\n%v", p)
	}
}

// adamGraph is one Adam step on w of the loss mean((w*x - 1)^2).
func adamGraph(t *testing.T) (*engine.Program, []string) {
	g := G.NewGraph()
	x, w := leaf(g, "x", 2, 3, 4, 4), leaf(g, "w", 2, 3, 4, 4)
	m, v, h := leaf(g, "w.m", 2, 3, 4, 4), leaf(g, "w.v", 2, 3, 4, 4), leaf(g, "h", 2)
	loss := node(t, op.MSE{Target: 1}, node(t, op.Mul{}, w, x))
	grads, err := G.Grad(loss, w)
	if err != nil {
		t.Fatal(err)
	}
	m2, v2 := node(t, op.AdamM{Beta: 0.5}, m, grads[0]), node(t, op.AdamV{Beta: 0.9}, v, grads[0])
	w2 := node(t, op.AdamP{Eps: 1e-8}, w, m2, v2, h)
	p, err := engine.Lower(engine.Source{
		Outputs: []engine.Named{{Name: "loss", Node: loss}},
		Updates: []engine.Update{{Var: w, New: w2}, {Var: m, New: m2}, {Var: v, New: v2}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p, []string{"x", "w", "w.m", "w.v", "h"}
}

func TestUpdatesRunAfterTheLastReader(t *testing.T) {
	p, _ := adamGraph(t)
	written := map[int]bool{}
	for _, c := range p.Code {
		for _, v := range c.Reads() {
			if written[v] {
				t.Fatalf("v%d (%s) is read after it was written over:\n%v", v, p.Values[v].Name, p)
			}
		}
		if a := p.Values[c.Out].Alias; a >= 0 {
			written[a] = true
		}
	}
	if len(written) != 3 {
		t.Fatalf("%d variables are updated, want 3", len(written))
	}
}

func TestAdamLowersTheLoss(t *testing.T) {
	p, names := adamGraph(t)
	d := ref.Open()
	e, err := d.Compile(p, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	bufs := map[string]engine.Buffer{}
	for _, n := range names {
		v := p.Values[p.Find(n)]
		b, _ := d.Alloc(v.Shape, v.Type)
		bufs[n] = b
		if n == "x" || n == "w" {
			f := make([]float32, v.Size())
			for i := range f {
				f[i] = float32(rng.NormFloat64())
			}
			if err := b.Write(f); err != nil {
				t.Fatal(err)
			}
		}
		if err := e.Bind(n, b); err != nil {
			t.Fatal(err)
		}
	}
	var first, last float32
	for step := 1; step <= 60; step++ {
		h := []float32{float32(0.05 / (1 - math.Pow(0.5, float64(step)))), float32(1 / math.Sqrt(1-math.Pow(0.9, float64(step))))}
		if err := bufs["h"].Write(h); err != nil {
			t.Fatal(err)
		}
		if err := e.Run(); err != nil {
			t.Fatal(err)
		}
		loss := make([]float32, 1)
		if err := e.Output(0).Read(loss); err != nil {
			t.Fatal(err)
		}
		if last = loss[0]; step == 1 {
			first = last
		}
	}
	if !(last < first/4) {
		t.Errorf("loss went from %g to %g", first, last)
	}
}

func TestLowerNamesWhatIsForeign(t *testing.T) {
	g := G.NewGraph()
	x := leaf(g, "x", 2, 3)
	y := G.Must(G.Exp(x))
	_, err := engine.Lower(engine.Source{Outputs: []engine.Named{{Name: "y", Node: y}}})
	if err == nil || !strings.Contains(err.Error(), "foreign") {
		t.Errorf("got %v", err)
	}
}

func TestBindRefusesWrongShapesAndNames(t *testing.T) {
	p, _ := adamGraph(t)
	d := ref.Open()
	e, _ := d.Compile(p, engine.Options{})
	b, _ := d.Alloc(tensor.Shape{1}, engine.F32)
	if e.Bind("w", b) == nil || e.Bind("nobody", b) == nil {
		t.Error("a wrong buffer was bound")
	}
	if e.Run() == nil {
		t.Error("ran with nothing bound")
	}
	if _, err := d.Compile(p, engine.Options{Precision: engine.BFloat16}); !errors.Is(err, engine.ErrUnsupported) {
		t.Errorf("bf16 on ref: %v", err)
	}
}

func TestPackNeverOverlapsTheLiving(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		spans := make([]engine.Span, rng.IntN(40))
		for i := range spans {
			f := rng.IntN(30)
			spans[i] = engine.Span{First: f, Last: f + rng.IntN(10), Bytes: rng.IntN(1000)}
		}
		at, total := engine.Pack(spans, 64)
		for i, a := range spans {
			if at[i]%64 != 0 || at[i]+a.Bytes > total {
				t.Fatalf("span %d at %d+%d of %d", i, at[i], a.Bytes, total)
			}
			for j, b := range spans[:i] {
				alive := a.First <= b.Last && b.First <= a.Last
				if alive && a.Bytes > 0 && b.Bytes > 0 && at[i] < at[j]+b.Bytes && at[j] < at[i]+a.Bytes {
					t.Fatalf("spans %d and %d overlap", i, j)
				}
			}
		}
	}
}
