package nn

import (
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/op"
)

// Options are choices that hold for everything a Builder makes.
type Options struct {
	// PerFrame makes Batch normalisation use the statistics of each item of
	// the batch alone, so that clips that run in lockstep do not see each
	// other. Training on a batch, as the published systems do, leaves it off.
	PerFrame bool
	// Dropout makes Dropout drop, as in training.
	Dropout bool
}

// Builder adds layers to a graph. The first error sticks: after it every method
// does nothing and returns nil, and Err tells it. A nil node is an error too.
//
// Parameters and inputs are named by full path, the Builder's prefix included.
type Builder struct {
	*built
	prefix string
}

// built is what all Builders of one graph share.
type built struct {
	g      *G.ExprGraph
	opts   Options
	err    error
	leaves map[string]leaf
	params []Param
	grad   bool // Grad was called
}

// leaf is an input or a parameter.
type leaf struct {
	node  *G.Node
	init  Init
	param bool
}

// NewBuilder makes a Builder that adds to g.
func NewBuilder(g *G.ExprGraph, o Options) *Builder {
	return &Builder{built: &built{g: g, opts: o, leaves: map[string]leaf{}}}
}

// In is the same Builder with names that begin with prefix, after those it
// already adds. The dot is part of the prefix: In("model_down_seg.").
func (b *Builder) In(prefix string) *Builder {
	return &Builder{built: b.built, prefix: b.prefix + prefix}
}

// Err is the first error, or nil.
func (b *Builder) Err() error { return b.err }

// Params lists the parameters in the order in which they were first asked for.
func (b *Builder) Params() []Param { return append([]Param(nil), b.params...) }

// fail keeps the first error, with the name of what was being built.
func (b *Builder) fail(name string, err error) {
	if b.err == nil {
		b.err = fmt.Errorf("build %s%s: %w", b.prefix, name, err)
	}
}

// Fail records an error of a network that is built, as a layer's is.
func (b *Builder) Fail(name string, err error) { b.fail(name, err) }

// Input is a float32 input. The same name and shape give the same node.
func (b *Builder) Input(name string, shape ...int) *G.Node {
	return b.leaf(name, leaf{}, tensor.Float32, shape)
}

// InputBytes is a uint8 input, such as pictures (N,H,W,3).
func (b *Builder) InputBytes(name string, shape ...int) *G.Node {
	return b.leaf(name, leaf{}, tensor.Uint8, shape)
}

// Param is a parameter and how it starts. Asked for again by the same name, with
// the same shape and initialiser, it is the same node, so that a network applied
// twice shares its weights.
func (b *Builder) Param(name string, init Init, shape ...int) *G.Node {
	return b.leaf(name, leaf{init: init, param: true}, tensor.Float32, shape)
}

// leaf finds or makes a node without inputs.
func (b *Builder) leaf(name string, l leaf, t tensor.Dtype, shape tensor.Shape) *G.Node {
	if b.err != nil {
		return nil
	}
	full := b.prefix + name
	if old, ok := b.leaves[full]; ok {
		switch {
		case old.param != l.param || old.node.Dtype() != t || old.init != l.init:
			b.fail(name, fmt.Errorf("the name is taken by another kind of input or parameter"))
			return nil
		case fmt.Sprint(old.node.Shape()) != fmt.Sprint(shape):
			b.fail(name, fmt.Errorf("shape %v, but it was %v before: %w", shape, old.node.Shape(), op.ErrShape))
			return nil
		}
		return old.node
	}
	for _, d := range shape {
		if d < 1 {
			b.fail(name, fmt.Errorf("shape %v has an empty axis: %w", shape, op.ErrShape))
			return nil
		}
	}
	shape = shape.Clone()
	if len(shape) == 0 {
		l.node = G.NewScalar(b.g, t, G.WithName(full))
	} else {
		l.node = G.NewTensor(b.g, t, len(shape), G.WithShape(shape...), G.WithName(full))
	}
	b.leaves[full] = l
	if l.param {
		b.params = append(b.params, Param{Name: full, Shape: shape, Init: l.init, Node: l.node})
	}
	return l.node
}

// apply adds an operator; name says for which layer.
func (b *Builder) apply(name string, s op.Spec, in ...*G.Node) *G.Node {
	if b.err != nil {
		return nil
	}
	n, err := op.Apply(s, in...)
	if err != nil {
		b.fail(name, err)
		return nil
	}
	return n
}

// channels is C of an (N,C,H,W) node; for anything else it fails and gives 0.
func (b *Builder) channels(name string, x *G.Node) int {
	switch {
	case b.err != nil:
		return 0
	case x == nil || x.Dims() != 4:
		b.fail(name, fmt.Errorf("input %v, want (N,C,H,W): %w", x, op.ErrShape))
		return 0
	}
	return x.Shape()[1]
}

// Grad is the gradient of a scalar with respect to each parameter, in their
// order. gorgonia marks the nodes it has been through and gets a second loss
// wrong, so that there is one Grad to a graph.
func (b *Builder) Grad(cost *G.Node, params []Param) G.Nodes {
	if b.err != nil {
		return nil
	}
	if b.grad {
		b.fail("gradient", fmt.Errorf("the graph has one already; a second loss needs a graph of its own"))
		return nil
	}
	if cost == nil || !cost.IsScalar() {
		b.fail("gradient", fmt.Errorf("of %v, want a scalar: %w", cost, op.ErrShape))
		return nil
	}
	b.grad = true
	used := leavesOf(cost)
	wrt := make(G.Nodes, len(params))
	for i, p := range params {
		if !used[p.Node] {
			b.fail("gradient", fmt.Errorf("the cost does not depend on %s", p.Name))
			return nil
		}
		wrt[i] = p.Node
	}
	grads, err := G.Grad(cost, wrt...)
	if err != nil {
		b.fail("gradient", err)
		return nil
	}
	return grads
}

// leavesOf is every node without inputs that n is computed from, but what is
// behind a Detach.
func leavesOf(n *G.Node) map[*G.Node]bool {
	leaves, seen := map[*G.Node]bool{}, map[*G.Node]bool{}
	left := []*G.Node{n}
	for len(left) > 0 {
		n, left = left[len(left)-1], left[:len(left)-1]
		if seen[n] {
			continue
		}
		seen[n] = true
		if n.Op() == nil {
			leaves[n] = true
		} else if isDetached(n) {
			continue
		}
		for in := n.Graph().From(n.ID()); in.Next(); {
			left = append(left, in.Node().(*G.Node))
		}
	}
	return leaves
}
