package nn_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models/nn"
	"github.com/v2v/v2v/models/op"
)

// TestInitialStatistics draws 20,000 of each; means are good to about 1% of the
// spread.
func TestInitialStatistics(t *testing.T) {
	for _, c := range []struct {
		name             string
		init             nn.Init
		mean, std, bound float64
	}{
		{"zeros", nn.Zeros(), 0, 0, 0},
		{"ones", nn.Ones(), 1, 0, 1},
		{"normal", nn.Normal(1, .02), 1, .02, 1.12},
		{"uniform", nn.Uniform(.5), 0, .5 / math.Sqrt(3), .5},
		{"bias of fan-in 16", nn.TorchBias(16), 0, .25 / math.Sqrt(3), .25},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := nn.Param{Name: "p", Init: c.init}
			dst := make([]float32, 20000)
			p.Fill(dst, p.Rand(1))
			var mean, square float64
			for _, v := range dst {
				mean += float64(v) / float64(len(dst))
				square += float64(v) * float64(v) / float64(len(dst))
				if math.Abs(float64(v)) > c.bound {
					t.Fatalf("%v lies beyond %v", v, c.bound)
				}
			}
			std := math.Sqrt(max(0, square-mean*mean))
			if math.Abs(mean-c.mean) > .03*c.std+1e-9 || math.Abs(std-c.std) > .03*c.std+1e-6 {
				t.Errorf("mean %v, deviation %v, want %v, %v", mean, std, c.mean, c.std)
			}
		})
	}
}

// TestStartIsTheParametersOwn: it depends on seed and name alone.
func TestStartIsTheParametersOwn(t *testing.T) {
	draw := func(name string, seed uint64) []float32 {
		p := nn.Param{Name: name, Init: nn.Normal(0, 1)}
		dst := make([]float32, 4)
		p.Fill(dst, p.Rand(seed))
		return dst
	}
	first := draw("a", 1)
	if draw("b", 1); !slices.Equal(first, draw("a", 1)) {
		t.Error("the same parameter starts in two ways")
	}
	if slices.Equal(first, draw("b", 1)) || slices.Equal(first, draw("a", 2)) {
		t.Error("name or seed changes nothing")
	}
}

// TestPublishedInitialisers: what each kind of layer asks for.
func TestPublishedInitialisers(t *testing.T) {
	b := builder(nn.Options{})
	x := b.Input("x", 1, 3, 8, 8)
	b.Norm(b.Conv(x, "c", 4, 3, nn.ConvOptions{}), "n", nn.Batch)
	b.ConvT(x, "t", 4, 3, nn.ConvTOptions{})
	want := map[string]nn.Init{
		"c.weight": nn.Normal(0, .02), "c.bias": nn.TorchBias(3 * 9), "n.weight": nn.Normal(1, .02), "n.bias": nn.Zeros(),
		"t.weight": nn.Normal(0, .02), "t.bias": nn.TorchBias(4 * 9),
	}
	for _, p := range b.Params() {
		if p.Init != want[p.Name] {
			t.Errorf("%s starts as %+v, want %+v", p.Name, p.Init, want[p.Name])
		}
		delete(want, p.Name)
	}
	if len(want) > 0 {
		t.Errorf("missing: %v", want)
	}
}

// TestAdam takes the first step: Adam then moves every weight by the learning
// rate against its gradient's sign, whatever its size.
func TestAdam(t *testing.T) {
	const lr = .1
	for _, c := range []struct {
		name    string
		o       nn.AdamOptions
		beta1   float64
		updated []string
		input   string
	}{
		{"defaults", nn.AdamOptions{}, .5, []string{"net.w.adam_m", "net.w.adam_v", "net.w"}, "adam.h"},
		{"no momentum", nn.AdamOptions{Beta1: -1, Name: "d"}, 0, []string{"net.w.d_m", "net.w.d_v", "net.w"}, "d.h"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := builder(nn.Options{}).In("net.")
			w := b.Param("w", nn.Normal(0, 1), 5)
			grads := b.Grad(b.MSE(w, 0), b.Params())
			updates := nn.Adam(b, b.Params(), grads, c.o)
			if b.Err() != nil {
				t.Fatal(b.Err())
			}
			var updated []string
			for _, u := range updates {
				updated = append(updated, u.Var.Name())
			}
			if d := cmp.Diff(c.updated, updated); d != "" {
				t.Fatal(d)
			}
			feed := map[string][]float32{"net.w": make([]float32, 5), c.updated[0]: make([]float32, 5), c.updated[1]: make([]float32, 5),
				c.input: {float32(lr / (1 - c.beta1)), float32(1 / math.Sqrt(1-.999))}}
			r := rand.New(rand.NewPCG(1, 2))
			for i := range feed["net.w"] {
				feed["net.w"][i] = float32(r.NormFloat64())
			}
			got := run(feed, map[*G.Node]op.Tensor{}, updates[2].New)
			for i, before := range feed["net.w"] {
				want := float64(before) - math.Copysign(lr, float64(before))
				if math.Abs(float64(got.F[i])-want) > 1e-4*lr {
					t.Errorf("%v became %v, want %v", before, got.F[i], want)
				}
			}
		})
	}
	b := builder(nn.Options{})
	if nn.Adam(b, make([]nn.Param, 2), make(G.Nodes, 1), nn.AdamOptions{}); b.Err() == nil {
		t.Error("one gradient served two parameters")
	}
}
