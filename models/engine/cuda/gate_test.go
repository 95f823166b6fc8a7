//go:build cgo

package cuda_test

import (
	"fmt"
	"testing"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/cuda"
	"github.com/v2v/v2v/models/engine/enginetest"
	"github.com/v2v/v2v/models/engine/ref"
	"github.com/v2v/v2v/models/op"
)

// gated is a normalisation's gradient with an activation behind it, of what a
// convolution makes. The activation's gradient is an output too where shown says
// so, which keeps it; where learns says so, beta is written over.
func gated(channels int, batch, affine, shown, learns bool, act op.Act) (*engine.Program, error) {
	b := &graph{g: G.NewGraph(), leaves: map[string]*G.Node{}}
	x := b.do(op.Conv{Stride: 1, Pad: 1}, b.leaf("x", 2, 5, 12, 14), b.leaf("w0", channels, 5, 3, 3))
	m := b.do(op.Moments{Batch: batch, Eps: 1e-5}, x)
	reads := []*G.Node{x, m}
	if affine {
		reads = append(reads, b.leaf("gamma", channels), b.leaf("beta", channels))
	}
	y := b.do(act, b.do(op.Normalize{Batch: batch, Affine: affine}, reads...))
	g := b.do(op.ActGrad{Kind: act.Kind, Slope: act.Slope}, y, b.do(op.Conv{Stride: 1, Pad: 1}, y, b.leaf("w1", channels, channels, 3, 3)))
	sums := b.do(op.NormSums{Batch: batch}, x, m, g)
	last := append([]*G.Node{x, m, g, sums}, reads[2:min(3, len(reads))]...)
	z := b.do(op.NormGradX{Batch: batch, Affine: affine}, last...)
	if learns {
		beta := b.leaves["beta"]
		b.updates = []engine.Update{{Var: beta, New: b.do(op.Sub{}, beta, b.do(op.SumsPick{Index: 0}, sums))}}
	}
	if b.err != nil {
		return nil, b.err
	}
	s := engine.Source{Updates: b.updates, Outputs: []engine.Named{{Name: "z", Node: z}}, Constant: func(name string) bool { return name != "x" }}
	if shown {
		s.Outputs = append(s.Outputs, engine.Named{Name: "g", Node: g})
	}
	return engine.Lower(s)
}

// TestGates: the gradient of a ReLU behind a normalisation is taken within that of
// the normalisation, which then is the same to the bit.
func TestGates(t *testing.T) {
	d := alone(t)
	relu, leaky := op.Act{Kind: op.ReLU}, op.Act{Kind: op.LeakyReLU, Slope: 0.2}
	for _, c := range []struct {
		channels      int
		batch, affine bool
		act           op.Act
		want          int
	}{
		{4, false, true, relu, 1}, {12, true, true, relu, 1}, {12, false, false, leaky, 1}, {16, true, false, relu, 1}, {8, false, true, leaky, 1},
		{6, false, true, relu, 0}, {8, false, true, op.Act{Kind: op.Tanh}, 0},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			var got [2][]float32
			for i, shown := range []bool{false, true} {
				p, err := gated(c.channels, c.batch, c.affine, shown, false, c.act)
				if err != nil {
					t.Fatal(err)
				}
				want := c.want * (1 - i)
				got[i] = drawn(t, d, p, engine.Float32, func(e engine.Executable) {
					sums, grads, maps := cuda.Steps(e, "gather_gated"), cuda.Steps(e, "norm_grad_gated"), cuda.Steps(e, "map")
					if sums != want || grads != want || maps != 1-want {
						t.Errorf("shown=%v: %d and %d gated, %d maps, want %d gated", shown, sums, grads, maps, want)
					}
				})
				if i == 1 {
					exact := drawn(t, ref.Open(), p, engine.Float32, func(engine.Executable) {})
					if diff := enginetest.Difference(got[1], exact); !(diff <= 1e-4) {
						t.Errorf("relative difference %g to ref", diff)
					}
				}
			}
			if diff := enginetest.Difference(got[0], got[1]); diff != 0 {
				t.Errorf("relative difference %g to the ReLU's gradient by itself", diff)
			}
		})
	}
}

// TestGateOverwritten: where a program writes over beta, what the normalisation
// made is not made again of it.
func TestGateOverwritten(t *testing.T) {
	p, err := gated(8, true, true, false, true, op.Act{Kind: op.ReLU})
	if err != nil {
		t.Fatal(err)
	}
	e, err := open(t).Compile(p, engine.Options{Constants: numbers})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if n, plain := cuda.Steps(e, "norm_grad_gated"), cuda.Steps(e, "norm_grad_lines"); n != 0 || plain != 1 {
		t.Errorf("%d gated, %d plain", n, plain)
	}
}
