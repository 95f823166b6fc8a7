package op_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/op"
)

// TestGradients compares what gorgonia's Grad makes of our derivatives with
// central differences of Do. The step is 0.01; with values around 1 the
// differences are good to about 1e-4 (rounding of float32) plus the curvature
// of normalisation, so 2e-3 of the largest gradient is asked for.
func TestGradients(t *testing.T) {
	for name, instantiate := range differentiable {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, uint64(len(name))))
			for trial := range 12 {
				t.Run(fmt.Sprint(trial), func(t *testing.T) { checkGradient(t, r, instantiate(r)) })
			}
		})
	}
}

func checkGradient(t *testing.T, r *rand.Rand, inst instance) {
	const step, tolerance = 1e-2, 2e-3
	g := G.NewGraph()
	feed := map[string]op.Tensor{}
	var in G.Nodes
	for i, v := range inst.in {
		name := fmt.Sprintf("in%d", i)
		in = append(in, input(g, name, v.Shape))
		feed[name] = v
	}
	y := must[*G.Node](t)(inst.build(in))
	weights := normal(r, y.Shape()...)
	if y.IsScalar() {
		weights.F[0] = 1
	}
	feed["weights"] = weights
	c := must[*G.Node](t)(cost(y, input(g, "weights", y.Shape())))
	grads := must[G.Nodes](t)(G.Grad(c, in...))

	m := newMachine(feed)
	for i, grad := range grads {
		analytic := m.value(grad)
		if fmt.Sprint(analytic.Shape) != fmt.Sprint(inst.in[i].Shape) {
			t.Fatalf("%v: gradient of input %d has shape %v, want %v", y.Op(), i, analytic.Shape, inst.in[i].Shape)
		}
		largest := 1.0
		for _, v := range analytic.F {
			largest = max(largest, math.Abs(float64(v)))
		}
		x := inst.in[i].F
		for range min(len(x), 20) {
			at := r.IntN(len(x))
			numeric := slope(x, at, step, func() float64 { return weighted(newMachine(feed).value(y), weights) })
			if d := math.Abs(numeric - float64(analytic.F[at])); !(d <= tolerance*largest) {
				t.Errorf("%v of %v: input %d element %d: gradient %v, by differences %v", y.Op(), inst.shapes(), i, at, analytic.F[at], numeric)
			}
		}
	}
	for name := range m.foreign {
		if name != "+ false" && name != "const 1" {
			t.Errorf("Grad added %s", name)
		}
	}
}

// slope is the central difference of f over x[at].
func slope(x []float32, at int, step float32, f func() float64) float64 {
	kept := x[at]
	defer func() { x[at] = kept }()
	x[at] = kept + step
	high, up := float64(x[at]), f()
	x[at] = kept - step
	return (up - f()) / (high - float64(x[at]))
}

func weighted(y, weights op.Tensor) float64 {
	var sum float64
	for i, v := range y.F {
		sum += float64(v) * float64(weights.F[i])
	}
	return sum
}

func (i instance) shapes() (s []tensor.Shape) {
	for _, t := range i.in {
		s = append(s, t.Shape)
	}
	return s
}

// TestTapeMachineAgrees runs one small network with its gradients on gorgonia's
// own machine, which knows our operators only through gorgonia.Op.
func TestTapeMachineAgrees(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	feed := map[string]op.Tensor{
		"x": normal(r, 2, 3, 6, 5), "w": normal(r, 3, 3, 3, 3), "b": normal(r, 3),
		"gamma": normal(r, 3), "beta": normal(r, 3), "flow": normal(r, 2, 2, 6, 5), "mask": normal(r, 2, 1, 6, 5),
	}
	g := G.NewGraph()
	nodes := map[string]*G.Node{}
	for name, v := range feed {
		nodes[name] = input(g, name, v.Shape)
	}
	apply := func(s op.Spec, in ...*G.Node) *G.Node { return must[*G.Node](t)(op.Apply(s, in...)) }
	y := nodes["x"]
	for range 2 {
		y = apply(op.Conv{Stride: 1, Pad: 1, Reflect: true, Bias: true}, y, nodes["w"], nodes["b"])
		moments := apply(op.Moments{Batch: true, Eps: 1e-5}, y)
		y = apply(op.Normalize{Batch: true, Affine: true}, y, moments, nodes["gamma"], nodes["beta"])
		y = apply(op.Act{Kind: op.LeakyReLU, Slope: .2}, y)
	}
	y = apply(op.Blend{}, y, apply(op.Warp{}, nodes["x"], nodes["flow"]), nodes["mask"])
	total := apply(op.Combine{N: 2, Weights: [op.MaxTerms]float32{2, 3}},
		apply(op.L1{}, y, nodes["x"]), apply(op.MSE{Target: 1}, y))

	var wrt G.Nodes
	for _, n := range nodes {
		wrt = append(wrt, n)
	}
	grads := must[G.Nodes](t)(G.Grad(total, wrt...))
	want := newMachine(feed)
	read := make([]G.Value, len(grads)+1)
	for i, n := range append(grads, total) {
		want.value(n)
		G.Read(n, &read[i])
	}
	for name, v := range feed {
		if err := G.Let(nodes[name], tensor.New(tensor.WithShape(v.Shape...), tensor.WithBacking(v.F))); err != nil {
			t.Fatal(err)
		}
	}
	tape := G.NewTapeMachine(g)
	defer tape.Close()
	if err := tape.RunAll(); err != nil {
		t.Fatal(err)
	}
	for i, n := range append(grads, total) {
		got, ok := read[i].Data().([]float32)
		if !ok {
			got = []float32{read[i].Data().(float32)}
		}
		near(t, n.Name(), op.Tensor{F: got}, want.value(n), 1e-5)
	}
}

// near compares elements: to a tolerance of 1 plus their size.
func near(t *testing.T, what string, got, want op.Tensor, tolerance float64) {
	t.Helper()
	if len(got.F) != len(want.F) {
		t.Fatalf("%s: %d elements, want %d", what, len(got.F), len(want.F))
	}
	for i, v := range got.F {
		w := float64(want.F[i])
		if d := math.Abs(float64(v) - w); !(d <= tolerance*(1+math.Abs(w))) {
			t.Errorf("%s: element %d is %v, want %v", what, i, v, w)
			return
		}
	}
}
