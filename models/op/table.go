package op

import (
	"github.com/chewxy/hm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// matrix is the gorgonia type of an (N,D) float32 tensor.
var matrix hm.Type = G.TensorType{Dims: 2, Of: tensor.Float32}

// Gather looks rows of a table up. Inputs: table (R,D), index (N), whole
// numbers from 0, those beyond the table taken as its last row. Output: (N,D).
// The index has no gradient.
type Gather struct{}

// Arity implements Spec.
func (Gather) Arity() int { return 2 }

// Result implements Spec.
func (Gather) Result() hm.Type { return nil }

// Infer implements Spec.
func (Gather) Infer(in []tensor.Shape) (tensor.Shape, error) {
	if err := ranks("gather", in, 2, 1); err != nil {
		return nil, err
	}
	return tensor.Shape{in[1][0], in[0][1]}, nil
}

// row is the table's row that an index means.
func row(index float32, rows int) int {
	if !(index > 0) { // NaN too
		return 0
	}
	return int(min(index, float32(rows-1)))
}

// Do implements Spec.
func (Gather) Do(in []Tensor, out Tensor) {
	d := in[0].Shape[1]
	for i, x := range in[1].F {
		copy(out.F[i*d:][:d], in[0].F[row(x, in[0].Shape[0])*d:])
	}
}

// Diffable implements Differ.
func (Gather) Diffable(int) []bool { return []bool{true, false} }

// Diff implements Differ.
func (Gather) Diff(in G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	g, err := Apply(GatherGrad{Rows: in[0].Shape()[0]}, in[1], grad)
	return G.Nodes{g, nil}, err
}

// GatherGrad is the gradient of Gather with respect to a table of Rows rows:
// rows asked for several times add up, the others are zero.
// Inputs: index (N), gy (N,D). Output: (Rows,D).
type GatherGrad struct{ Rows int }

// Arity implements Spec.
func (GatherGrad) Arity() int { return 2 }

// Result implements Spec.
func (GatherGrad) Result() hm.Type { return matrix }

// Infer implements Spec.
func (g GatherGrad) Infer(in []tensor.Shape) (tensor.Shape, error) {
	if err := ranks("gather gradient", in, 1, 2); err != nil {
		return nil, err
	}
	if in[0][0] != in[1][0] || g.Rows < 1 {
		return nil, bad("gather gradient", "index %v and gradient %v into %d rows", in[0], in[1], g.Rows)
	}
	return tensor.Shape{g.Rows, in[1][1]}, nil
}

// Do implements Spec.
func (g GatherGrad) Do(in []Tensor, out Tensor) {
	clear(out.F)
	d := in[1].Shape[1]
	for i, x := range in[0].F {
		to := out.F[row(x, g.Rows)*d:][:d]
		for k, v := range in[1].F[i*d:][:d] {
			to[k] += v
		}
	}
}

// Reshape gives the elements of each item another shape: (N,...) becomes
// (N,C,H,W), or the matrix (N,C) where H and W are 0.
type Reshape struct{ C, H, W int }

// Arity implements Spec.
func (Reshape) Arity() int { return 1 }

// Result implements Spec.
func (r Reshape) Result() hm.Type {
	if r.H == 0 && r.W == 0 {
		return matrix
	}
	return Rank4
}

// Infer implements Spec.
func (r Reshape) Infer(in []tensor.Shape) (tensor.Shape, error) {
	if err := ranks("reshape", in, anyRank); err != nil {
		return nil, err
	}
	if len(in[0]) == 0 {
		return nil, bad("reshape", "a scalar has no items")
	}
	out := tensor.Shape{in[0][0], r.C, r.H, r.W}
	if r.H == 0 && r.W == 0 {
		out = out[:2]
	}
	n := 1
	for _, d := range out {
		if d < 1 {
			return nil, bad("reshape", "to %v", out)
		}
		n *= d
	}
	if n != in[0].TotalSize() {
		return nil, bad("reshape", "%v to %v", in[0], out)
	}
	return out, nil
}

// Do implements Spec.
func (Reshape) Do(in []Tensor, out Tensor) { copy(out.F, in[0].F) }

// Diffable implements Differ.
func (Reshape) Diffable(inputs int) []bool { return every(inputs) }

// Diff implements Differ: the way back, for inputs of rank 2 and 4.
func (Reshape) Diff(in G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	var back Reshape
	switch s := in[0].Shape(); len(s) {
	case 2:
		back.C = s[1]
	case 4:
		back = Reshape{C: s[1], H: s[2], W: s[3]}
	default:
		return nil, bad("reshape gradient", "to %v, want rank 2 or 4", s)
	}
	g, err := Apply(back, grad)
	return G.Nodes{g}, err
}
