// Package enginetest runs every operator on a device and compares it with ref.
// A device's own test calls Run; a table of operators and shapes goes in,
// failures come out.
package enginetest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/ref"
	"github.com/v2v/v2v/models/op"
)

// Case is one operator on inputs of given shapes.
type Case struct {
	Name   string
	Op     op.Spec
	Shapes []tensor.Shape
	// Graph makes the output where it takes more than the one operator.
	Graph func(in []*G.Node) (*G.Node, error)
	// Positive inputs by number (second moments, standard deviations).
	Positive []int
	// Const inputs by number are given as constants in a second run.
	Const []int
	// Scale of the random inputs by number; 1 where absent.
	Scale map[int]float32
}

// Build makes the program of one operator with inputs x0, x1, ... and output y.
func Build(c Case, constant bool) (*engine.Program, error) {
	g := G.NewGraph()
	in := make([]*G.Node, len(c.Shapes))
	for i, s := range c.Shapes {
		in[i] = leaf(g, fmt.Sprintf("x%d", i), s, tensor.Float32)
	}
	if op.BytesIn(c.Op) {
		in[0] = leaf(g, "bytes", c.Shapes[0], tensor.Uint8)
	}
	if c.Graph == nil {
		c.Graph = func(in []*G.Node) (*G.Node, error) { return op.Apply(c.Op, in...) }
	}
	y, err := c.Graph(in)
	if err != nil {
		return nil, err
	}
	return engine.Lower(engine.Source{
		Outputs: []engine.Named{{Name: "y", Node: y}},
		Constant: func(name string) bool {
			for _, k := range c.Const {
				if constant && name == fmt.Sprintf("x%d", k) {
					return true
				}
			}
			return false
		},
	})
}

func leaf(g *G.ExprGraph, name string, s tensor.Shape, t tensor.Dtype) *G.Node {
	if s.IsScalar() {
		return G.NewScalar(g, t, G.WithName(name))
	}
	return G.NewTensor(g, t, len(s), G.WithShape(s...), G.WithName(name))
}

// Values draws inputs for a case, the same for every device.
func Values(c Case) [][]float32 {
	rng := rand.New(rand.NewPCG(7, uint64(len(c.Name))))
	out := make([][]float32, len(c.Shapes))
	for i, s := range c.Shapes {
		out[i] = make([]float32, engine.Value{Shape: s}.Size())
		scale := float32(1)
		if f, ok := c.Scale[i]; ok {
			scale = f
		}
		for k := range out[i] {
			out[i][k] = float32(rng.NormFloat64()) * scale
		}
		for _, p := range c.Positive {
			for k := range out[i] {
				if p == i {
					out[i][k] = float32(math.Abs(float64(out[i][k]))) + 0.1
				}
			}
		}
	}
	return out
}

// Execute runs a case on a device and returns the output as float32.
func Execute(d engine.Device, c Case, constant bool, precision engine.Precision) ([]float32, error) {
	p, err := Build(c, constant)
	if err != nil {
		return nil, err
	}
	vals := Values(c)
	e, err := d.Compile(p, engine.Options{Precision: precision, Constants: func(name string, dst []float32) error {
		var i int
		if _, err := fmt.Sscanf(name, "x%d", &i); err != nil {
			return err
		}
		copy(dst, vals[i])
		return nil
	}})
	if err != nil {
		return nil, err
	}
	defer e.Close()
	for _, v := range p.Values {
		if v.Role != engine.Input {
			continue
		}
		b, err := d.Alloc(v.Shape, v.Type)
		if err != nil {
			return nil, err
		}
		defer b.Close()
		if err := fill(b, v, vals); err != nil {
			return nil, err
		}
		if err := e.Bind(v.Name, b); err != nil {
			return nil, err
		}
	}
	for range 2 { // the second run sees used memory
		if err := e.Run(); err != nil {
			return nil, err
		}
	}
	return read(e.Output(0))
}

func fill(b engine.Buffer, v engine.Value, vals [][]float32) error {
	if v.Type == engine.U8 {
		raw := make([]byte, v.Size())
		for k := range raw {
			raw[k] = byte(int(vals[0][k]*100) & 255)
		}
		return b.Write(raw)
	}
	var i int
	if _, err := fmt.Sscanf(v.Name, "x%d", &i); err != nil {
		return err
	}
	return b.Write(vals[i])
}

func read(b engine.Buffer) ([]float32, error) {
	n := engine.Value{Shape: b.Shape()}.Size()
	if b.Type() == engine.U8 {
		raw := make([]byte, n)
		if err := b.Read(raw); err != nil {
			return nil, err
		}
		out := make([]float32, n)
		for i, x := range raw {
			out[i] = float32(x)
		}
		return out, nil
	}
	out := make([]float32, n)
	return out, b.Read(out)
}

// Run compares a device with ref on every case: the largest difference over
// the largest magnitude of ref's result (at least 1) must stay below tol.
func Run(t *testing.T, d engine.Device, precision engine.Precision, tol float64) {
	for _, c := range Cases() {
		t.Run(c.Name, func(t *testing.T) {
			for _, constant := range []bool{false, true} {
				if constant && len(c.Const) == 0 {
					continue
				}
				want, err := Execute(ref.Open(), c, constant, engine.Float32)
				if err != nil {
					t.Fatalf("ref: %v", err)
				}
				got, err := Execute(d, c, constant, precision)
				if err != nil {
					t.Fatalf("%s: %v", d.Name(), err)
				}
				if diff := Difference(got, want); !(diff <= tol) {
					t.Errorf("constants %v: relative difference %.3g, want at most %.3g", constant, diff, tol)
				}
			}
		})
	}
}

// Difference is max|a-b| / max(1, max|b|); NaN anywhere gives NaN.
func Difference(a, b []float32) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	var worst, size float64 = 0, 1
	for i := range a {
		d := math.Abs(float64(a[i]) - float64(b[i]))
		if math.IsNaN(d) {
			return math.NaN()
		}
		worst = max(worst, d)
		size = max(size, math.Abs(float64(b[i])))
	}
	return worst / size
}
