package nn

import (
	"fmt"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models/op"
)

// NormAlong is by how much Norm of x changes along v, a direction of x's shape
// in which x changes: the derivative pushed forward, the path through the
// statistics included. It has gradients with respect to x, v and Norm's gamma.
// Kind is Batch or Instance.
func (b *Builder) NormAlong(x *G.Node, name string, kind NormKind, v *G.Node) *G.Node {
	channels := b.channels(name, x)
	if channels == 0 {
		return nil
	}
	over := kind == Batch && !b.opts.PerFrame
	var gamma []*G.Node
	switch kind {
	case Batch:
		gamma = append(gamma, b.Param(name+".weight", gammaInit, channels))
	case Instance:
	default:
		b.fail(name, fmt.Errorf("normalisation %v is not pushed forward", kind))
		return nil
	}
	moments := b.apply(name, op.Moments{Batch: over, Eps: normEps}, x)
	sums := b.apply(name, op.NormSums{Batch: over}, x, moments, v)
	return b.apply(name, op.NormGradX{Batch: over, Affine: len(gamma) > 0}, append([]*G.Node{x, moments, v, sums}, gamma...)...)
}
