//go:build cgo

package cuda_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/enginetest"
	"github.com/v2v/v2v/models/engine/ref"
	"github.com/v2v/v2v/models/op"
)

// graph builds a training step, with an error that sticks.
type graph struct {
	g       *G.ExprGraph
	err     error
	leaves  map[string]*G.Node
	updates []engine.Update
}

func (b *graph) leaf(name string, shape ...int) *G.Node {
	n := G.NewTensor(b.g, tensor.Float32, len(shape), G.WithShape(shape...), G.WithName(name))
	b.leaves[name] = n
	return n
}

func (b *graph) do(s op.Spec, in ...*G.Node) *G.Node {
	if b.err != nil {
		return nil
	}
	var n *G.Node
	n, b.err = op.Apply(s, in...)
	return n
}

// adam updates a parameter by its gradient.
func (b *graph) adam(p, grad, h *G.Node) {
	if b.err != nil {
		return
	}
	m, v := b.leaf(p.Name()+".m", p.Shape()...), b.leaf(p.Name()+".v", p.Shape()...)
	newM, newV := b.do(op.AdamM{Beta: 0.5}, m, grad), b.do(op.AdamV{Beta: 0.999}, v, grad)
	b.updates = append(b.updates, engine.Update{Var: m, New: newM}, engine.Update{Var: v, New: newV},
		engine.Update{Var: p, New: b.do(op.AdamP{Eps: 1e-8}, p, newM, newV, h)})
}

// step is a small generator of vid2vid's kind with a loss and Adam: warping and
// blending, normalisation, a transposed convolution, several parameters.
func step() (*engine.Program, error) {
	b := &graph{g: G.NewGraph(), leaves: map[string]*G.Node{}}
	x, prev, want, h := b.leaf("x", 2, 3, 8, 12), b.leaf("prev", 2, 3, 8, 12), b.leaf("want", 2, 3, 8, 12), b.leaf("h", 2)
	w := []*G.Node{b.leaf("w0", 16, 3, 3, 3), b.leaf("b0", 16), b.leaf("w1", 16, 16, 3, 3), b.leaf("gamma", 16), b.leaf("beta", 16), b.leaf("w2", 3, 16, 3, 3), b.leaf("w3", 2, 16, 3, 3), b.leaf("w4", 1, 16, 3, 3)}
	y := b.do(op.Act{Kind: op.LeakyReLU, Slope: 0.2}, b.do(op.Conv{Stride: 2, Pad: 1, Bias: true}, x, w[0], w[1]))
	y = b.do(op.ConvT{Stride: 2, Pad: 1, OutPad: 1}, y, w[2])
	y = b.do(op.Act{Kind: op.ReLU}, b.do(op.Normalize{Affine: true}, y, b.do(op.Moments{Eps: 1e-5}, y), w[3], w[4]))
	head := op.Conv{Stride: 1, Pad: 1, Reflect: true}
	raw, flow, mask := b.do(op.Act{Kind: op.Tanh}, b.do(head, y, w[5])), b.do(head, y, w[6]), b.do(op.Act{Kind: op.Sigmoid}, b.do(head, y, w[7]))
	out := b.do(op.Blend{}, raw, b.do(op.Warp{}, prev, flow), mask)
	loss := b.do(op.L1{}, out, want)
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
	return engine.Lower(engine.Source{
		Outputs: []engine.Named{{Name: "out", Node: out}, {Name: "loss", Node: loss}}, Updates: b.updates,
		Variable: func(string) bool { return false },
	})
}

// train runs the step a few times and returns what the network drew, the loss
// and every variable.
func train(d engine.Device, p *engine.Program) (result map[string][]float32, err error) {
	return trainIn(d, p, engine.Float32)
}

func trainIn(d engine.Device, p *engine.Program, precision engine.Precision) (result map[string][]float32, err error) {
	e, err := d.Compile(p, engine.Options{Precision: precision})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	rng := rand.New(rand.NewPCG(1, 2))
	buffers := map[string]engine.Buffer{}
	for _, v := range p.Values {
		if v.Alias >= 0 || (v.Role != engine.Input && v.Role != engine.Variable) {
			continue
		}
		data := make([]float32, v.Size())
		for i := range data {
			data[i] = float32(rng.NormFloat64()) * 0.3
			if n := len(v.Name); v.Name == "h" {
				data[i] = []float32{0.002, 1}[i]
			} else if n > 2 && v.Name[n-2] == '.' {
				data[i] = 0
			}
		}
		b, err := d.Alloc(v.Shape, v.Type)
		if err != nil {
			return nil, err
		}
		defer b.Close()
		if err := errors.Join(b.Write(data), e.Bind(v.Name, b)); err != nil {
			return nil, err
		}
		buffers[v.Name] = b
	}
	for range 4 {
		if err := e.Run(); err != nil {
			return nil, err
		}
	}
	buffers["out"], buffers["loss"] = e.Output(0), e.Output(1)
	result = map[string][]float32{}
	for name, b := range buffers {
		result[name] = make([]float32, engine.Value{Shape: b.Shape()}.Size())
		if err := b.Read(result[name]); err != nil {
			return nil, err
		}
	}
	return result, nil
}

// TestStep: a training step, forward, backward and Adam over all parameters at
// once, leaves what ref leaves after four runs.
func TestStep(t *testing.T) {
	p, err := step()
	if err != nil {
		t.Fatal(err)
	}
	want, err := train(ref.Open(), p)
	if err != nil {
		t.Fatal(err)
	}
	got, err := train(open(t), p)
	if err != nil {
		t.Fatal(err)
	}
	if len(want) < 25 {
		t.Fatalf("only %d values to compare", len(want))
	}
	for name, w := range want {
		// Adam divides small gradients by their size: signs of noise count fully.
		if diff := enginetest.Difference(got[name], w); !(diff <= 2e-3) {
			t.Errorf("%s: relative difference %.3g", name, diff)
		}
	}
}

// launches counts the kernels of a program by name.
func launches(t *testing.T, d engine.Device, p *engine.Program) map[string]int {
	t.Helper()
	e, err := d.Compile(p, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	profiler := e.(engine.Profiler)
	profiler.Profile(true)
	count := map[string]int{}
	for _, s := range profiler.Timings() {
		kernel, _, _ := strings.Cut(s.Name, " ")
		count[kernel]++
	}
	return count
}

// warped is a picture warped, and blended with another.
var warped = enginetest.Case{
	Op: op.Blend{}, Shapes: []tensor.Shape{{2, 3, 6, 9}, {2, 3, 6, 9}, {2, 2, 6, 9}, {2, 1, 6, 9}}, Scale: map[int]float32{2: 3},
	Graph: func(in []*G.Node) (*G.Node, error) {
		w, err := op.Apply(op.Warp{}, in[1], in[2])
		if err != nil {
			return nil, err
		}
		return op.Apply(op.Blend{}, in[0], w, in[3])
	},
}

// TestFewLaunches: what belongs together is one launch: Adam over every
// parameter, a warp and the blend that alone reads it, and the gradient of a
// normalisation and of the ReLU behind it.
func TestFewLaunches(t *testing.T) {
	d := open(t)
	p, err := step()
	if err != nil {
		t.Fatal(err)
	}
	if n := launches(t, d, p); n["adam"] != 1 || n["adam_p"] != 0 || n["norm_grad_gated"] != 1 || n["warp"] != 1 || n["blend"] != 1 {
		t.Errorf("launches of a step: %v", n)
	}
	if p, err = enginetest.Build(warped, false); err != nil {
		t.Fatal(err)
	}
	if n := launches(t, d, p); n["warp"] != 1 || len(n) != 1 {
		t.Errorf("launches of a warp and a blend: %v", n)
	}
	compare(t, d, warped, engine.Float32, 1e-5)
}
