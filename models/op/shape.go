package op

import (
	"github.com/chewxy/hm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Concat joins N tensors along an axis.
type Concat struct{ Axis, N int }

// Arity implements Spec.
func (c Concat) Arity() int { return c.N }

// Result implements Spec.
func (Concat) Result() hm.Type { return nil }

// Infer implements Spec.
func (c Concat) Infer(in []tensor.Shape) (tensor.Shape, error) {
	if len(in) != c.N || c.N < 1 {
		return nil, bad("concat", "%d inputs, want %d and at least 1", len(in), c.N)
	}
	if err := positive("concat", in); err != nil {
		return nil, err
	}
	if err := axis("concat", in[0], c.Axis); err != nil {
		return nil, err
	}
	out := in[0].Clone()
	for _, s := range in[1:] {
		if len(s) != len(out) {
			return nil, bad("concat", "inputs %v, want one rank", in)
		}
		for d := range s {
			if d != c.Axis && s[d] != out[d] {
				return nil, bad("concat", "inputs %v differ beside axis %d", in, c.Axis)
			}
		}
		out[c.Axis] += s[c.Axis]
	}
	return out, nil
}

func axis(name string, s tensor.Shape, a int) error {
	if a < 0 || a >= len(s) {
		return bad(name, "input %v has no axis %d", s, a)
	}
	return nil
}

// Do implements Spec.
func (c Concat) Do(in []Tensor, out Tensor) {
	from := 0
	for _, t := range in {
		copyAxis(out, from, t, 0, c.Axis, t.Shape[c.Axis])
		from += t.Shape[c.Axis]
	}
}

// copyAxis copies n steps along an axis, everything of the other axes, from
// step srcAt of src to step dstAt of dst.
func copyAxis(dst Tensor, dstAt int, src Tensor, srcAt, axis, n int) {
	inner := 1
	for _, d := range src.Shape[axis+1:] {
		inner *= d
	}
	dstRow, srcRow := dst.Shape[axis]*inner, src.Shape[axis]*inner
	for row := range len(src.F) / srcRow {
		copy(dst.F[row*dstRow+dstAt*inner:][:n*inner], src.F[row*srcRow+srcAt*inner:])
	}
}

// Diffable implements Differ.
func (Concat) Diffable(inputs int) []bool { return every(inputs) }

// Diff implements Differ.
func (c Concat) Diff(in G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	grads := make(G.Nodes, len(in))
	from := 0
	for i, n := range in {
		to := from + n.Shape()[c.Axis]
		g, err := Apply(Slice{Axis: c.Axis, From: from, To: to}, grad)
		if err != nil {
			return nil, err
		}
		grads[i], from = g, to
	}
	return grads, nil
}

// Slice takes [From,To) of an axis.
type Slice struct{ Axis, From, To int }

// Arity implements Spec.
func (Slice) Arity() int { return 1 }

// Result implements Spec.
func (Slice) Result() hm.Type { return nil }

// Infer implements Spec.
func (s Slice) Infer(in []tensor.Shape) (tensor.Shape, error) {
	if err := ranks("slice", in, anyRank); err != nil {
		return nil, err
	}
	if err := axis("slice", in[0], s.Axis); err != nil {
		return nil, err
	}
	if s.From < 0 || s.From >= s.To || s.To > in[0][s.Axis] {
		return nil, bad("slice", "[%d,%d) of axis %d of %v", s.From, s.To, s.Axis, in[0])
	}
	out := in[0].Clone()
	out[s.Axis] = s.To - s.From
	return out, nil
}

// Do implements Spec.
func (s Slice) Do(in []Tensor, out Tensor) {
	copyAxis(out, 0, in[0], s.From, s.Axis, s.To-s.From)
}

// Diffable implements Differ.
func (Slice) Diffable(inputs int) []bool { return every(inputs) }

// Diff implements Differ.
func (s Slice) Diff(in G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	g, err := Apply(Embed{Axis: s.Axis, From: s.From, Total: in[0].Shape()[s.Axis]}, grad)
	return G.Nodes{g}, err
}

// Embed is the gradient of Slice: x placed at From of an axis of Total
// elements, zero elsewhere.
type Embed struct{ Axis, From, Total int }

// Arity implements Spec.
func (Embed) Arity() int { return 1 }

// Result implements Spec.
func (Embed) Result() hm.Type { return nil }

// Infer implements Spec.
func (e Embed) Infer(in []tensor.Shape) (tensor.Shape, error) {
	if err := ranks("embed", in, anyRank); err != nil {
		return nil, err
	}
	if err := axis("embed", in[0], e.Axis); err != nil {
		return nil, err
	}
	if e.From < 0 || e.From+in[0][e.Axis] > e.Total {
		return nil, bad("embed", "%v at %d of axis %d of %d elements", in[0], e.From, e.Axis, e.Total)
	}
	out := in[0].Clone()
	out[e.Axis] = e.Total
	return out, nil
}

// Do implements Spec.
func (e Embed) Do(in []Tensor, out Tensor) {
	clear(out.F)
	copyAxis(out, e.From, in[0], 0, e.Axis, in[0].Shape[e.Axis])
}
