package op

import (
	"errors"
	"fmt"
	"hash"
	"hash/fnv"

	"github.com/chewxy/hm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// ErrShape is wrapped by every shape error of this package.
var ErrShape = errors.New("shape mismatch")

// Tensor is a plain host tensor, row-major. Exactly one of F and B is set for
// a tensor that is not empty.
type Tensor struct {
	Shape tensor.Shape
	F     []float32
	B     []byte
}

// Spec is one operator with its parameters. Implementations are plain structs
// passed by value whose fields are all parameters: the graph merges two nodes
// when type, fields and inputs are equal.
type Spec interface {
	// Arity is the number of inputs, at least one.
	Arity() int
	// Result is the gorgonia type of the output, or nil where it is that of
	// the first input.
	Result() hm.Type
	// Infer gives the output's shape, or an error wrapping ErrShape.
	Infer(in []tensor.Shape) (tensor.Shape, error)
	// Do computes out, which is allocated and holds anything, from in. The
	// shapes have passed Infer.
	Do(in []Tensor, out Tensor)
}

// Differ is a Spec with a symbolic derivative.
type Differ interface {
	Spec
	// Diff returns, for each input, the gradient of the cost with respect to
	// it, given the node's output and the gradient with respect to that; nil
	// where the operator has none.
	Diff(in G.Nodes, out, grad *G.Node) (G.Nodes, error)
	// Diffable says which inputs have a gradient.
	Diffable(inputs int) []bool
}

// Rank4 is the gorgonia type of an (N,C,H,W) float32 tensor.
var Rank4 hm.Type = G.TensorType{Dims: 4, Of: tensor.Float32}

// Op makes a Spec an operator of gorgonia's graph. Make one with Apply.
type Op struct {
	Spec
	salt int // tells apart what would be merged by accident, see Apply
}

// Apply adds an operator to the graph of its inputs, or finds it there.
//
// The graph merges nodes of equal 32-bit hash without comparing their inputs,
// so that two inputs of unlucky names would share one operator: Apply looks at
// what it got and, where that is something else, asks again under another hash.
func Apply(s Spec, in ...*G.Node) (*G.Node, error) {
	for i, n := range in {
		want := tensor.Float32
		if BytesIn(s) {
			want = tensor.Uint8
		}
		if n == nil || n.Dtype() != want {
			return nil, fmt.Errorf("apply %T: input %d is %v, want a node of %v", s, i, n, want)
		}
	}
	const tries = 8
	for salt := range tries {
		n, err := G.ApplyOp(Op{Spec: s, salt: salt}, in...)
		if err != nil {
			return nil, fmt.Errorf("apply %T: %w", s, err)
		}
		if isApplied(n, s, in) {
			return n, nil
		}
	}
	return nil, fmt.Errorf("apply %T: the graph gives another node in its place, as it does for inputs that are not in it", s)
}

// isApplied reports whether a node is this operator of these inputs.
func isApplied(n *G.Node, s Spec, in []*G.Node) bool {
	if o, ok := n.Op().(Op); !ok || o.Spec != s {
		return false
	}
	children := n.Graph().From(n.ID())
	for _, want := range in {
		if !children.Next() || children.Node().ID() != want.ID() {
			return false
		}
	}
	return !children.Next()
}

// Type implements gorgonia.Op: every input has a type of its own, the output
// that of Result.
func (o Op) Type() hm.Type {
	n := o.Arity()
	out := o.Result()
	types := make([]hm.Type, 0, n+1)
	for i := range n {
		// Greek, because gorgonia's inference takes 'b' for the result and
		// would unify it with an input of that name.
		types = append(types, hm.TypeVariable('α'+rune(i)))
	}
	if out == nil {
		out = types[0]
	}
	return hm.NewFnType(append(types, out)...)
}

// InferShape implements gorgonia.Op.
func (o Op) InferShape(ds ...G.DimSizer) (tensor.Shape, error) {
	shapes, err := G.DimSizersToShapes(ds)
	if err != nil {
		return nil, err
	}
	return o.Infer(shapes)
}

// Do implements gorgonia.Op, so that gorgonia's own machines can run the graph
// as a second oracle.
func (o Op) Do(vals ...G.Value) (G.Value, error) {
	in := make([]Tensor, len(vals))
	shapes := make([]tensor.Shape, len(vals))
	for i, v := range vals {
		t, err := fromValue(v)
		if err != nil {
			return nil, fmt.Errorf("%v: input %d: %w", o, i, err)
		}
		in[i], shapes[i] = t, t.Shape
	}
	shape, err := o.Infer(shapes)
	if err != nil {
		return nil, err
	}
	out := Tensor{Shape: shape}
	if BytesOut(o.Spec) {
		out.B = make([]byte, shape.TotalSize())
	} else {
		out.F = make([]float32, max(1, shape.TotalSize()))
	}
	o.Spec.Do(in, out)
	return toValue(out), nil
}

// BytesOut reports whether a Spec's output is uint8 rather than float32.
func BytesOut(s Spec) bool {
	t, ok := s.Result().(G.TensorType)
	return ok && t.Of == tensor.Uint8
}

// BytesIn reports whether a Spec's inputs are uint8 rather than float32.
func BytesIn(s Spec) bool {
	switch s.(type) {
	case FromBytes, OneHot, Edges:
		return true
	}
	return false
}

func fromValue(v G.Value) (Tensor, error) {
	switch d := v.Data().(type) {
	case []float32:
		return Tensor{Shape: v.Shape(), F: d}, nil
	case float32:
		return Tensor{Shape: tensor.ScalarShape(), F: []float32{d}}, nil
	case []byte:
		return Tensor{Shape: v.Shape(), B: d}, nil
	}
	return Tensor{}, fmt.Errorf("values of type %v are not supported", v.Dtype())
}

func toValue(t Tensor) G.Value {
	switch {
	case t.B != nil:
		return tensor.New(tensor.WithShape(t.Shape...), tensor.WithBacking(t.B))
	case t.Shape.IsScalar():
		return G.NewF32(t.F[0])
	}
	return tensor.New(tensor.WithShape(t.Shape...), tensor.WithBacking(t.F))
}

// ReturnsPtr implements gorgonia.Op.
func (o Op) ReturnsPtr() bool { return false }

// CallsExtern implements gorgonia.Op.
func (o Op) CallsExtern() bool { return false }

// OverwritesInput implements gorgonia.Op: in the graph every operator is pure.
func (o Op) OverwritesInput() int { return -1 }

// String names the operator and every parameter: it is what is hashed.
func (o Op) String() string {
	if o.salt != 0 {
		return fmt.Sprintf("%T%+v#%d", o.Spec, o.Spec, o.salt)
	}
	return fmt.Sprintf("%T%+v", o.Spec, o.Spec)
}

// WriteHash implements gorgonia.Op.
func (o Op) WriteHash(h hash.Hash) { fmt.Fprint(h, o.String()) }

// Hashcode implements gorgonia.Op.
func (o Op) Hashcode() uint32 {
	h := fnv.New32a()
	o.WriteHash(h)
	return h.Sum32()
}

// DiffWRT implements gorgonia.SDOp.
func (o Op) DiffWRT(inputs int) []bool {
	if d, ok := o.Spec.(Differ); ok {
		return d.Diffable(inputs)
	}
	return make([]bool, inputs)
}

// SymDiff implements gorgonia.SDOp.
func (o Op) SymDiff(in G.Nodes, out, grad *G.Node) (G.Nodes, error) {
	d, ok := o.Spec.(Differ)
	if !ok {
		return nil, fmt.Errorf("%v has no derivative", o)
	}
	g, err := d.Diff(in, out, grad)
	if err != nil {
		return nil, fmt.Errorf("differentiate %v: %w", o, err)
	}
	return g, nil
}
