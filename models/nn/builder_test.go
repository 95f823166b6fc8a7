package nn_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/nn"
	"github.com/v2v/v2v/models/op"
)

// run computes nodes by calling Do, given the values of inputs by name.
func run(feed map[string][]float32, done map[*G.Node]op.Tensor, n *G.Node) op.Tensor {
	if v, ok := done[n]; ok {
		return v
	}
	v := op.Tensor{Shape: n.Shape(), F: make([]float32, n.Shape().TotalSize())}
	if n.Op() == nil {
		if copy(v.F, feed[n.Name()]) != len(v.F) {
			panic(fmt.Sprintf("%d values for %s %v", len(feed[n.Name()]), n.Name(), v.Shape))
		}
	} else if n.Op().String() == "const 1" { // of Grad
		v.F[0] = 1
	} else {
		var in []op.Tensor
		for c := n.Graph().From(n.ID()); c.Next(); {
			in = append(in, run(feed, done, c.Node().(*G.Node)))
		}
		var spec op.Spec = op.Add{} // Grad's "+ false"
		if o, ok := n.Op().(op.Op); ok {
			spec = o.Spec
		}
		spec.Do(in, v)
	}
	done[n] = v
	return v
}

func builder(o nn.Options) *nn.Builder { return nn.NewBuilder(G.NewGraph(), o) }

func names(ps []nn.Param) (s []string) {
	for _, p := range ps {
		s = append(s, p.Name)
	}
	return s
}

type packed struct {
	Shape []int
	Data  []float32
}

type golden struct {
	X    packed
	Nets map[string]struct {
		Params          map[string]packed
		Order           []string
		Together, Apart packed
	}
}

// TestSequenceIsPyTorchs compares names, shapes and values with a Sequential of
// PyTorch (testdata/golden.py), values to 1e-4.
func TestSequenceIsPyTorchs(t *testing.T) {
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var want golden
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []nn.NormKind{nn.Batch, nn.Instance} {
		for _, perFrame := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v, per frame %v", kind, perFrame), func(t *testing.T) {
				net := want.Nets[kind.String()]
				b := builder(nn.Options{PerFrame: perFrame})
				y := b.Sequence(b.Input("x", want.X.Shape...), "model", kind).
					Stem(2).Down(4).Res(1).Up(2).Head(3).Tanh().Sigmoid().Out()
				if b.Err() != nil {
					t.Fatal(b.Err())
				}
				if d := cmp.Diff(net.Order, names(b.Params())); d != "" {
					t.Fatalf("parameters wanted and had:\n%s", d)
				}
				feed := map[string][]float32{"x": want.X.Data}
				for _, p := range b.Params() {
					if d := cmp.Diff(net.Params[p.Name].Shape, []int(p.Shape)); d != "" {
						t.Errorf("shape of %s:\n%s", p.Name, d)
					}
					feed[p.Name] = net.Params[p.Name].Data
				}
				out := net.Together
				if perFrame {
					out = net.Apart
				}
				for i, got := range run(feed, map[*G.Node]op.Tensor{}, y).F {
					if math.Abs(float64(got-out.Data[i])) > 1e-4 {
						t.Fatalf("element %d is %v, want %v", i, got, out.Data[i])
					}
				}
			})
		}
	}
}

// TestParameterCounts builds published networks and counts against the numbers
// that running the published code gave.
func TestParameterCounts(t *testing.T) {
	composite := func(b *nn.Builder, ngf int) {
		const d, kind = 3, nn.Batch
		encode := func(x *G.Node, name string) *G.Node {
			s := b.Sequence(x, name, kind).Stem(ngf)
			for i := range d {
				s.Down(ngf << (i + 1))
			}
			return s.Res(5).Out()
		}
		x := b.Add(encode(b.Input("input", 1, 9, 64, 64), "model_down_seg"), encode(b.Input("prev", 1, 6, 64, 64), "model_down_img"))
		for _, branch := range []string{"img", "flow"} {
			s := b.Sequence(b.Sequence(x, "model_res_"+branch, kind).Res(4).Out(), "model_up_"+branch, kind)
			for i := range d {
				s.Up(ngf << (d - 1 - i))
			}
			if branch == "img" {
				b.Sequence(s.Out(), "model_final_img", kind).Head(3).Tanh()
			} else {
				b.Sequence(s.Out(), "model_final_flow", kind).Head(2)
				b.Sequence(s.Out(), "model_final_w", kind).Head(1).Sigmoid()
			}
		}
	}
	for _, c := range []struct {
		name  string
		build func(b *nn.Builder)
		count int
		keys  []string
	}{
		{"vid2vid RGB ngf 128", func(b *nn.Builder) { composite(b, 128) }, 364770438,
			[]string{"model_down_seg.1.weight", "model_down_seg.11.bias", "model_down_img.17.conv_block.6.weight", "model_up_flow.6.weight", "model_final_w.1.bias"}},
		{"vid2vid RGB ngf 64", func(b *nn.Builder) { composite(b, 64) }, 91257414, nil},
		{"pix2pixHD global", func(b *nn.Builder) {
			s := b.Sequence(b.Input("input", 1, 36, 32, 32), "model", nn.Instance).Stem(64)
			s.Down(128).Down(256).Down(512).Down(1024).Res(9).Up(512).Up(256).Up(128).Up(64).Head(3).Tanh()
		}, 182546755, []string{"model.1.weight", "model.13.bias", "model.16.conv_block.1.weight", "model.24.conv_block.5.bias", "model.25.weight", "model.34.bias", "model.38.bias"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := builder(nn.Options{})
			c.build(b)
			if b.Err() != nil {
				t.Fatal(b.Err())
			}
			total := 0
			for _, p := range b.Params() {
				total += p.Shape.TotalSize()
			}
			if total != c.count {
				t.Errorf("%d parameters, want %d", total, c.count)
			}
			for _, key := range c.keys {
				if !slices.Contains(names(b.Params()), key) {
					t.Errorf("no %s among %v", key, names(b.Params()))
				}
			}
		})
	}
}

// TestSharing applies a network twice: its weights are listed once, and the
// gradient is the sum over both uses.
func TestSharing(t *testing.T) {
	b := builder(nn.Options{})
	net := func(x *G.Node) *G.Node { return b.In("net.").Conv(x, "0", 1, 1, nn.ConvOptions{NoBias: true}) }
	y, z := net(b.Input("x", 1, 1, 1, 2)), net(b.Input("y", 1, 1, 1, 2))
	cost := b.Mean(b.Add(y, z))
	grads := b.Grad(cost, b.Params())
	if b.Err() != nil {
		t.Fatal(b.Err())
	}
	if d := cmp.Diff([]string{"net.0.weight"}, names(b.Params())); d != "" {
		t.Fatal(d)
	}
	feed := map[string][]float32{"x": {1, 2}, "y": {3, 6}, "net.0.weight": {5}}
	if got := run(feed, map[*G.Node]op.Tensor{}, grads[0]).F[0]; got != 6 {
		t.Errorf("gradient %v, want 6", got)
	}
}

func TestErrorsStick(t *testing.T) {
	type node = *G.Node
	for _, c := range []struct {
		name  string
		build func(b *nn.Builder) node
		want  string // in the error
		shape bool   // it is a shape error
	}{
		{"parameter of another shape", func(b *nn.Builder) node {
			b.Param("p", nn.Zeros(), 2)
			return b.Param("p", nn.Zeros(), 3)
		}, "build p: shape (3), but it was (2) before", true},
		{"scalar and vector", func(b *nn.Builder) node {
			b.Param("p", nn.Zeros())
			return b.Param("p", nn.Zeros(), 1)
		}, "build p: ", true},
		{"parameter of another start", func(b *nn.Builder) node {
			b.Param("p", nn.Zeros(), 2)
			return b.Param("p", nn.Ones(), 2)
		}, "taken", false},
		{"parameter named like an input", func(b *nn.Builder) node { b.Input("x", 2); return b.Param("x", nn.Zeros(), 2) }, "taken", false},
		{"bytes named like floats", func(b *nn.Builder) node { b.Input("x", 2); return b.InputBytes("x", 2) }, "taken", false},
		{"empty axis", func(b *nn.Builder) node { return b.Input("x", 1, 0) }, "build x: ", true},
		{"nil", func(b *nn.Builder) node { return b.Add(b.Input("x", 2), nil) }, "build add: ", false},
		{"nil layer", func(b *nn.Builder) node { return b.In("net.").Conv(nil, "0", 1, 1, nn.ConvOptions{}) }, "build net.0: ", true},
		{"layer of a vector", func(b *nn.Builder) node { return b.Norm(b.Input("x", 2), "n", nn.Batch) }, "build n: ", true},
		{"too small to reflect", func(b *nn.Builder) node {
			return b.Sequence(b.Input("x", 1, 3, 3, 9), "model", nn.Batch).Stem(4).Out()
		}, "build model.1: ", true},
		{"unknown norm", func(b *nn.Builder) node { return b.Norm(b.Input("x", 1, 2, 3, 3), "n", 7) }, "NormKind(7)", false},
		{"no terms", func(b *nn.Builder) node { return b.Combine() }, "no terms", false},
		{"nothing to join", func(b *nn.Builder) node { return b.Concat(1) }, "build concat: ", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := builder(nn.Options{})
			if n := c.build(b); n != nil {
				t.Error("a node came back")
			}
			err := b.Err()
			if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, op.ErrShape) != c.shape {
				t.Fatalf("error %v, want one with %q", err, c.want)
			}
			params := len(b.Params())
			for i, n := range everything(b.In("later.")) {
				if n != nil {
					t.Errorf("method %d gave a node after the error", i)
				}
			}
			if b.Err() != err || len(b.Params()) != params {
				t.Errorf("the error became %v, the parameters %v", b.Err(), names(b.Params()))
			}
		})
	}
}

// everything calls every method on nothing.
func everything(b *nn.Builder) G.Nodes {
	none := (*G.Node)(nil)
	nodes := G.Nodes{
		b.Input("x", 1), b.InputBytes("y", 1), b.Param("z", nn.Ones(), 1),
		b.Conv(none, "c", 1, 1, nn.ConvOptions{}), b.ConvT(none, "t", 1, 1, nn.ConvTOptions{}),
		b.Norm(none, "n", nn.Batch), b.Norm(none, "n", nn.Instance), b.ReLU(none), b.LeakyReLU(none, .2),
		b.Tanh(none), b.Sigmoid(none), b.Add(none, none), b.Sub(none, none), b.Mul(none, none), b.Scale(none, 1, 0), b.Detach(none),
		b.Concat(1, none, none), b.Slice(none, 1, 0, 1), b.AvgPool(none, 3, 2, 1), b.ResizeNearest(none, 1, 1),
		b.ResizeBilinear(none, 1, 1), b.Warp(none, none), b.Blend(none, none, none), b.FromBytes(none, 1, 1, false),
		b.ToBytes(none, 1, 1), b.L1(none, none), b.MSE(none, 1), b.Mean(none), b.Combine(nn.Term{}), b.ResBlock(none, "r", nn.Batch),
		b.Sequence(none, "s", nn.Batch).Stem(1).Down(1).Res(2).Up(1).Head(1).Tanh().Sigmoid().Out(),
	}
	nodes = append(nodes, b.Grad(none, nil)...)
	for _, u := range nn.Adam(b, []nn.Param{{}}, G.Nodes{nil}, nn.AdamOptions{}) {
		nodes = append(nodes, u.New)
	}
	return nodes
}

func TestLayersGiveTheirShapes(t *testing.T) {
	b := builder(nn.Options{})
	x := b.Input("x", 2, 3, 6, 8)
	flow, mask := b.Slice(x, 1, 0, 2), b.Slice(x, 1, 2, 3)
	pictures := b.InputBytes("pictures", 2, 5, 7, 3)
	for _, c := range []struct {
		name string
		node *G.Node
		want tensor.Shape
	}{
		{"conv", b.Conv(x, "c", 4, 4, nn.ConvOptions{Stride: 2, Pad: 2}), tensor.Shape{2, 4, 4, 5}},
		{"conv of stride 0", b.Conv(x, "c1", 4, 1, nn.ConvOptions{NoBias: true}), tensor.Shape{2, 4, 6, 8}},
		{"convt", b.ConvT(x, "t", 4, 4, nn.ConvTOptions{Stride: 2, Pad: 1, NoBias: true}), tensor.Shape{2, 4, 12, 16}},
		{"concat", b.Concat(1, x, flow, mask), tensor.Shape{2, 6, 6, 8}},
		{"pool", b.AvgPool(x, 3, 2, 1), tensor.Shape{2, 3, 3, 4}},
		{"nearest", b.ResizeNearest(x, 3, 5), tensor.Shape{2, 3, 3, 5}},
		{"bilinear", b.ResizeBilinear(x, 3, 5), tensor.Shape{2, 3, 3, 5}},
		{"warp", b.Warp(x, flow), tensor.Shape{2, 3, 6, 8}},
		{"blend", b.Blend(x, b.Mul(x, mask), b.Sigmoid(mask)), tensor.Shape{2, 3, 6, 8}},
		{"bytes in", b.FromBytes(pictures, 6, 8, false), tensor.Shape{2, 3, 6, 8}},
		{"luma in", b.FromBytes(pictures, 6, 8, true), tensor.Shape{2, 1, 6, 8}},
		{"bytes out", b.ToBytes(b.Tanh(x), 5, 7), tensor.Shape{2, 5, 7, 3}},
		{"losses", b.Combine(nn.Term{Weight: 1, Node: b.L1(x, b.LeakyReLU(x, .2))}, nn.Term{Weight: 2, Node: b.MSE(b.Sub(x, b.Scale(x, 2, 1)), 1)}), tensor.Shape{}},
	} {
		if b.Err() != nil {
			t.Fatal(b.Err())
		}
		if d := cmp.Diff([]int(c.want), append([]int{}, c.node.Shape()...)); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

// TestCombineManyTerms nests what does not fit one operator.
func TestCombineManyTerms(t *testing.T) {
	b := builder(nn.Options{})
	var terms []nn.Term
	feed, want := map[string][]float32{}, float32(0)
	for i := range 3*op.MaxTerms + 5 {
		name := fmt.Sprint("s", i)
		terms = append(terms, nn.Term{Weight: float32(i), Node: b.Input(name)})
		feed[name] = []float32{2}
		want += 2 * float32(i)
	}
	got := run(feed, map[*G.Node]op.Tensor{}, b.Combine(terms...)).F[0]
	if b.Err() != nil || got != want {
		t.Errorf("%v, %v, want %v", got, b.Err(), want)
	}
}

func TestGradRefuses(t *testing.T) {
	b := builder(nn.Options{})
	b.Param("unused", nn.Zeros(), 2)
	used := b.Param("used", nn.Zeros(), 2)
	if b.Grad(b.MSE(used, 0), b.Params()); b.Err() == nil || !strings.Contains(b.Err().Error(), "does not depend on unused") {
		t.Errorf("error %v", b.Err())
	}
	b = builder(nn.Options{})
	cost := b.MSE(b.Param("p", nn.Zeros(), 2), 0)
	b.Grad(cost, b.Params())
	if b.Err() != nil {
		t.Fatal(b.Err())
	}
	if b.Grad(cost, b.Params()); b.Err() == nil || !strings.Contains(b.Err().Error(), "a graph of its own") {
		t.Errorf("error %v", b.Err())
	}
	b = builder(nn.Options{})
	if b.Grad(b.Input("x", 2), nil); !errors.Is(b.Err(), op.ErrShape) {
		t.Errorf("error %v", b.Err())
	}
}
