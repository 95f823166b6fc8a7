package nn

import (
	"slices"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models/op"
)

// Detach is x as a constant: no gradient goes through it. What has none anyway
// is given back as it is.
func (b *Builder) Detach(x *G.Node) *G.Node {
	if b.err == nil && x != nil && (x.Op() == nil || isDetached(x)) {
		return x
	}
	return b.apply("detach", op.Detach{}, x)
}

func isDetached(x *G.Node) bool {
	o, ok := x.Op().(op.Op)
	return ok && o.Spec == (op.Detach{})
}

// Reached are those of the parameters that have a gradient of a scalar.
func (b *Builder) Reached(cost *G.Node, params []Param) []Param {
	if b.err != nil || cost == nil {
		return nil
	}
	used := leavesOf(cost)
	return slices.DeleteFunc(slices.Clone(params), func(p Param) bool { return !used[p.Node] })
}
