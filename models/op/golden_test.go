package op_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/op"
)

// packed is a tensor as testdata/golden.py writes it.
type packed struct {
	Shape tensor.Shape
	Data  []float32
}

func (p packed) tensor() op.Tensor { return op.Tensor{Shape: p.Shape, F: p.Data} }

// goldens is testdata/golden.json: PyTorch's answers.
type goldens struct {
	Ops map[string]struct {
		In    []packed
		Gy    packed
		Out   packed
		Grads []packed
	}
	Adam struct {
		LR   float64
		P, G []packed
	}
}

func readGoldens(t *testing.T) (g goldens) {
	t.Helper()
	data := must[[]byte](t)(os.ReadFile("testdata/golden.json"))
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// asPyTorch is how each entry of golden.json is said in our operators.
var asPyTorch = map[string]func(in G.Nodes) (*G.Node, error){
	"conv k3 s1 p0":         direct(op.Conv{Stride: 1, Bias: true}),
	"conv k3 s2 p1":         direct(op.Conv{Stride: 2, Pad: 1, Bias: true}),
	"conv k4 s2 p2 no bias": direct(op.Conv{Stride: 2, Pad: 2}),
	"conv k7 p3 reflect":    direct(op.Conv{Stride: 1, Pad: 3, Reflect: true, Bias: true}),
	"conv k3 p1 reflect":    direct(op.Conv{Stride: 1, Pad: 1, Reflect: true, Bias: true}),
	"convt k3 s2 p1 op1":    direct(op.ConvT{Stride: 2, Pad: 1, OutPad: 1, Bias: true}),
	"convt k4 s2 p1":        direct(op.ConvT{Stride: 2, Pad: 1, Bias: true}),
	"batch norm":            normalized(op.Normalize{Batch: true, Affine: true}),
	"instance norm":         normalized(op.Normalize{}),
	"instance norm affine":  normalized(op.Normalize{Affine: true}),
	"avgpool even":          direct(op.AvgPool{K: 3, Stride: 2, Pad: 1}),
	"avgpool odd":           direct(op.AvgPool{K: 3, Stride: 2, Pad: 1}),
	"resize nearest up":     direct(op.Resize{H: 7, W: 11}),
	"resize nearest down":   direct(op.Resize{H: 3, W: 4}),
	"resize bilinear up":    direct(op.Resize{H: 7, W: 11, Bilinear: true}),
	"resize bilinear down":  direct(op.Resize{H: 3, W: 4, Bilinear: true}),
	"warp":                  direct(op.Warp{}),
	"l1":                    direct(op.L1{}),
	"mse 1":                 direct(op.MSE{Target: 1}),
	"relu":                  direct(op.Act{}),
	"leaky relu 0.2":        direct(op.Act{Kind: op.LeakyReLU, Slope: .2}),
	"tanh":                  direct(op.Act{Kind: op.Tanh}),
	"sigmoid":               direct(op.Act{Kind: op.Sigmoid}),
}

func direct(s op.Spec) func(in G.Nodes) (*G.Node, error) {
	return func(in G.Nodes) (*G.Node, error) { return op.Apply(s, in...) }
}

// TestPyTorch compares values and gradients with PyTorch's, to 2e-5 of 1 plus
// their size: both sum in different orders.
func TestPyTorch(t *testing.T) {
	golden := readGoldens(t)
	if len(golden.Ops) != len(asPyTorch) {
		t.Errorf("%d entries in golden.json, %d here", len(golden.Ops), len(asPyTorch))
	}
	for name, want := range golden.Ops {
		t.Run(name, func(t *testing.T) {
			g := G.NewGraph()
			feed := map[string]op.Tensor{"gy": want.Gy.tensor()}
			var in G.Nodes
			for i, v := range want.In {
				name := fmt.Sprintf("in%d", i)
				in = append(in, input(g, name, v.Shape))
				feed[name] = v.tensor()
			}
			y := must[*G.Node](t)(asPyTorch[name](in))
			// A scalar's gy enters as the weight of the sum of one term.
			sum := op.Combine{N: 1, Weights: [op.MaxTerms]float32{want.Gy.Data[0]}}
			c := y
			if y.IsScalar() {
				c = must[*G.Node](t)(op.Apply(sum, y))
			} else {
				c = must[*G.Node](t)(cost(y, input(g, "gy", y.Shape())))
			}
			grads := must[G.Nodes](t)(G.Grad(c, in...))
			m := newMachine(feed)
			near(t, "output", m.value(y), want.Out.tensor(), 2e-5)
			for i, grad := range grads {
				near(t, fmt.Sprintf("gradient %d", i), m.value(grad), want.Grads[i].tensor(), 2e-5)
			}
		})
	}
}

// TestAdamIsPyTorchs takes three steps.
func TestAdamIsPyTorchs(t *testing.T) {
	const beta1, beta2 = 0.5, 0.999
	golden := readGoldens(t).Adam
	p := golden.P[0].tensor()
	m := floats(p.Shape, make([]float32, len(p.F))...)
	v := floats(p.Shape, make([]float32, len(p.F))...)
	for i, grad := range golden.G {
		step := float64(i + 1)
		h := floats(tensor.Shape{2},
			float32(golden.LR/(1-math.Pow(beta1, step))), float32(1/math.Sqrt(1-math.Pow(beta2, step))))
		m = do(op.AdamM{Beta: beta1}, m, grad.tensor())
		v = do(op.AdamV{Beta: beta2}, v, grad.tensor())
		p = do(op.AdamP{Eps: 1e-8}, p, m, v, h)
		for k, want := range golden.P[i+1].Data {
			// A step moves a parameter by at most about 2e-4: agree to a
			// thousandth of that.
			if d := math.Abs(float64(p.F[k] - want)); d > 2e-7*(1+math.Abs(float64(want))) {
				t.Errorf("step %d: element %d is %v, want %v", i+1, k, p.F[k], want)
			}
		}
	}
}
