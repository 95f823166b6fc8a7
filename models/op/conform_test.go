package op_test

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/op"
)

func TestWarp(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	const n, c, h, w = 2, 3, 5, 7
	image := normal(r, n, c, h, w)
	flow := func(u, v float32) op.Tensor {
		f := floats(tensor.Shape{n, 2, h, w}, make([]float32, n*2*h*w)...)
		for i := range f.F {
			if f.F[i] = u; i/(h*w)%2 == 1 {
				f.F[i] = v
			}
		}
		return f
	}
	nan := float32(math.NaN())
	for _, tt := range []struct {
		name   string
		u, v   float32
		sx, sy func(int) int // where pixel x, y comes from
	}{
		{"zero is the identity", 0, 0, shift(0, w), shift(0, h)},
		{"whole pixels shift", 2, -1, shift(2, w), shift(-1, h)},
		{"far out clamps", 1e9, -1e9, shift(w, w), shift(-h, h)},
		{"infinite clamps", float32(math.Inf(1)), float32(math.Inf(-1)), shift(w, w), shift(-h, h)},
		{"not a number is the first", nan, nan, shift(-w, w), shift(-h, h)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out := do(op.Warp{}, image, flow(tt.u, tt.v))
			for i, got := range out.F {
				plane, y, x := i/(h*w), i/w%h, i%w
				if want := image.F[plane*h*w+tt.sy(y)*w+tt.sx(x)]; got != want {
					t.Fatalf("plane %d at %d,%d: %v, want %v", plane, x, y, got, want)
				}
			}
		})
	}
}

func shift(by, n int) func(int) int { return func(i int) int { return min(max(i+by, 0), n-1) } }

// TestPoolCounts: k3 s2 p1 on an even side averages 4 pixels in the corner, 6
// along the rest of the top and left, 9 elsewhere, bottom and right included.
func TestPoolCounts(t *testing.T) {
	ones := floats(tensor.Shape{1, 1, 4, 4}, slices.Repeat([]float32{1}, 16)...)
	// The gradient spreads 1 over each window, so pixels of one window only
	// tell its count.
	g := do(op.AvgPoolGrad{K: 3, Stride: 2, Pad: 1, H: 8, W: 8}, ones).F
	for at, count := range map[[2]int]float32{{0, 0}: 4, {0, 2}: 6, {0, 6}: 6, {2, 0}: 6, {6, 0}: 6, {2, 2}: 9, {6, 6}: 9, {2, 6}: 9} {
		if got := g[at[0]*8+at[1]]; got != 1/count {
			t.Errorf("window around %v averages %v pixels, want %v", at, 1/got, count)
		}
	}
}

func TestTransposedConvolutionDoubles(t *testing.T) {
	for _, c := range []struct {
		spec op.ConvT
		k    int
	}{{op.ConvT{Stride: 2, Pad: 1, OutPad: 1}, 3}, {op.ConvT{Stride: 2, Pad: 1}, 4}} {
		for h := 1; h < 10; h++ {
			got, err := c.spec.Infer([]tensor.Shape{{1, 2, h, h + 3}, {2, 1, c.k, c.k}})
			if err != nil || got[2] != 2*h || got[3] != 2*(h+3) {
				t.Errorf("k%d of %dx%d: %v, %v", c.k, h, h+3, got, err)
			}
		}
	}
}

// TestBatchOfOneIsInstance: batch statistics of one item are the item's own.
func TestBatchOfOneIsInstance(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	x, gamma, beta := normal(r, 1, 3, 4, 5), normal(r, 3), normal(r, 3)
	var got [2]op.Tensor
	for i, batch := range []bool{false, true} {
		moments := do(op.Moments{Batch: batch, Eps: 1e-5}, x)
		got[i] = do(op.Normalize{Batch: batch, Affine: true}, x, moments, gamma, beta)
	}
	if !slices.Equal(got[0].F, got[1].F) {
		t.Error("they differ")
	}
}

func TestBlendEnds(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 8))
	raw, warped := normal(r, 2, 3, 4, 5), normal(r, 2, 3, 4, 5)
	for w, want := range map[float32]op.Tensor{1: raw, 0: warped} {
		weight := floats(tensor.Shape{2, 1, 4, 5}, slices.Repeat([]float32{w}, 40)...)
		if got := do(op.Blend{}, raw, warped, weight); !slices.Equal(got.F, want.F) {
			t.Errorf("w=%v is not that picture", w)
		}
	}
}

// TestBytes: every byte survives the way to a tensor and back; padding repeats
// the edge; what a picture cannot hold is clamped.
func TestBytes(t *testing.T) {
	picture := op.Tensor{Shape: tensor.Shape{2, 16, 8, 3}, B: make([]byte, 2*16*8*3)}
	for i := range picture.B {
		picture.B[i] = byte(i * 7)
	}
	x := do(op.FromBytes{OutH: 18, OutW: 11}, picture)
	if got := do(op.ToBytes{OutH: 16, OutW: 8}, x); !slices.Equal(got.B, picture.B) {
		t.Error("the picture changed on its way")
	}
	padded := do(op.ToBytes{OutH: 18, OutW: 11}, x)
	for i, got := range padded.B {
		c, col, row, n := i%3, i/3%11, i/33%18, i/(33*18)
		if want := picture.B[((n*16+min(row, 15))*8+min(col, 7))*3+c]; got != want {
			t.Fatalf("item %d pixel %d,%d channel %d: %d, want %d", n, col, row, c, got, want)
		}
	}
	luma := do(op.FromBytes{OutH: 1, OutW: 1, Luma: true}, op.Tensor{Shape: tensor.Shape{1, 1, 1, 3}, B: []byte{100, 200, 50}})
	near(t, "luma", luma, floats(nil, (.299*100+.587*200+.114*50)/127.5-1), 1e-6)

	inf := float32(math.Inf(1))
	odd := floats(tensor.Shape{1, 3, 1, 2}, -7, 7, inf, -inf, float32(math.NaN()), .5/127.5-1)
	if got, want := do(op.ToBytes{OutH: 1, OutW: 2}, odd).B, []byte{0, 255, 0, 255, 0, 0}; !slices.Equal(got, want) {
		t.Errorf("odd values: %v, want %v", got, want)
	}
}

// TestNodesStayApart: equal operators of equal inputs are one node, others not.
func TestNodesStayApart(t *testing.T) {
	g := G.NewGraph()
	x, y := input(g, "x", tensor.Shape{2, 3}), input(g, "y", tensor.Shape{2, 3})
	distinct := map[*G.Node]string{}
	for _, s := range []op.Spec{op.Add{}, op.Sub{}, op.Mul{}, op.AdamM{Beta: .5}, op.AdamV{Beta: .5}, op.AdamM{Beta: .50001}, op.ActGrad{}, op.ActGrad{Kind: op.Tanh}} {
		for _, in := range []G.Nodes{{x, y}, {y, x}} {
			n := must[*G.Node](t)(op.Apply(s, in...))
			what := fmt.Sprintf("%T%+v of %v", s, s, in)
			if other, ok := distinct[n]; ok {
				t.Errorf("%s is %s", what, other)
			}
			distinct[n] = what
			if again := must[*G.Node](t)(op.Apply(s, in...)); again != n {
				t.Errorf("%s is made twice", what)
			}
		}
	}
}

// TestCollidingInputs: two inputs whose names collide under gorgonia's hash
// keep operators of their own.
func TestCollidingInputs(t *testing.T) {
	shape := tensor.Shape{3}
	probe := input(G.NewGraph(), "probe", shape)
	hash := func(name string) uint32 {
		h := fnv.New32a()
		fmt.Fprintf(h, "%v%v%s\x00", probe.Type(), probe.Shape(), name)
		return h.Sum32()
	}
	if hash("probe") != probe.Hashcode() {
		t.Fatal("gorgonia hashes inputs in another way")
	}
	seen := map[uint32]string{}
	var names []string
	for i := 0; names == nil; i++ {
		name := fmt.Sprintf("model.%d.weight", i)
		if other, ok := seen[hash(name)]; ok {
			names = []string{other, name}
		}
		seen[hash(name)] = name
	}
	g := G.NewGraph()
	m := newMachine(map[string]op.Tensor{names[0]: floats(shape, 1, 2, 3), names[1]: floats(shape, 4, 5, 6)})
	for range 2 {
		for _, name := range names {
			x := input(g, name, shape)
			n := must[*G.Node](t)(op.Apply(op.Scale{By: 2}, x))
			if got, want := m.value(n).F[0], 2*m.feed[name].F[0]; got != want {
				t.Errorf("%s: %v, want %v", name, got, want)
			}
		}
	}
}

func TestApplyChecksTypes(t *testing.T) {
	g := G.NewGraph()
	picture := G.NewTensor(g, tensor.Uint8, 4, G.WithShape(1, 2, 2, 3), G.WithName("picture"))
	if _, err := op.Apply(op.Act{}, picture); err == nil {
		t.Error("an activation took bytes")
	}
	if _, err := op.Apply(op.FromBytes{OutH: 2, OutW: 2}, input(g, "x", tensor.Shape{1, 2, 2, 3})); err == nil {
		t.Error("FromBytes took floats")
	}
	if _, err := op.Apply(op.Act{}, nil); err == nil {
		t.Error("an activation took nil")
	}
}
