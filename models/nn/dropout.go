package nn

import (
	"math/rand/v2"
	"strings"

	G "gorgonia.org/gorgonia"
)

// droppedBy ends the names of the inputs that say what is dropped.
const droppedBy = ".dropout"

// IsDropout tells such an input by its name.
func IsDropout(name string) bool { return strings.HasSuffix(name, droppedBy) }

// Dropout is PyTorch's of one half: in training x times the input name.dropout
// of its shape, which is 0 or 2, or 1 where nothing is to be dropped; else x.
func (b *Builder) Dropout(x *G.Node, name string) *G.Node {
	if b.err != nil || !b.opts.Dropout {
		return x
	}
	return b.Mul(x, b.Input(name+droppedBy, x.Shape()...))
}

// Drop draws the numbers of such an input.
func Drop(dst []float32, rng *rand.Rand) {
	for i := 0; i < len(dst); i += 64 {
		bits := rng.Uint64()
		for k := i; k < min(i+64, len(dst)); k++ {
			dst[k] = float32(2 * (bits & 1))
			bits >>= 1
		}
	}
}
