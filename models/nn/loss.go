package nn

import (
	"fmt"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models/op"
)

// L1 is the mean of |x-y|.
func (b *Builder) L1(x, y *G.Node) *G.Node { return b.apply("l1", op.L1{}, x, y) }

// MSE is the mean of (x-target)^2.
func (b *Builder) MSE(x *G.Node, target float32) *G.Node {
	return b.apply("mse", op.MSE{Target: target}, x)
}

// Mean is the mean of all elements.
func (b *Builder) Mean(x *G.Node) *G.Node { return b.apply("mean", op.Mean{}, x) }

// Term is a scalar with its weight in a sum.
type Term struct {
	Weight float32
	Node   *G.Node
}

// Combine is the weighted sum of scalars, any number but none.
func (b *Builder) Combine(terms ...Term) *G.Node {
	if len(terms) == 0 {
		b.fail("combine", fmt.Errorf("no terms"))
		return nil
	}
	for len(terms) > op.MaxTerms {
		first := b.Combine(terms[:op.MaxTerms]...)
		terms = append([]Term{{1, first}}, terms[op.MaxTerms:]...)
	}
	sum := op.Combine{N: len(terms)}
	nodes := make([]*G.Node, len(terms))
	for i, t := range terms {
		sum.Weights[i], nodes[i] = t.Weight, t.Node
	}
	return b.apply("combine", sum, nodes...)
}
