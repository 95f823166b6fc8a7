package op_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/op"
)

// TestInstanceMean: an instance is what has equal bytes, wherever it lies, and
// ends with its picture.
func TestInstanceMean(t *testing.T) {
	of := func(bytes ...float32) []float32 {
		for i := range bytes {
			bytes[i] = bytes[i]/127.5 - 1
		}
		return bytes
	}
	x := op.Tensor{Shape: tensor.Shape{2, 1, 1, 4}, F: []float32{1, 2, 3, 4, 5, 6, 7, 8}}
	ids := op.Tensor{Shape: tensor.Shape{2, 3, 1, 4}, F: of(
		7, 7, 7, 9, 0, 0, 1, 0, 3, 3, 3, 3,
		7, 7, 7, 7, 0, 0, 0, 0, 3, 3, 3, 4)}
	if got, want := do(op.InstanceMean{}, x, ids).F, []float32{1.5, 1.5, 3, 4, 6, 6, 6, 8}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func init() {
	differentiable["instance mean"] = func(r *rand.Rand) instance {
		x := normal(r, 1, 1+r.IntN(3), 1+r.IntN(3), 1+r.IntN(3))
		h, w := x.Shape[2], x.Shape[3]
		ids := make([]float32, 3*h*w)
		for i := range ids {
			ids[i] = float32(r.IntN(2))
		}
		return instance{[]op.Tensor{x}, func(in G.Nodes) (*G.Node, error) {
			row, err := fixed(in[0], ids...)
			if err == nil {
				row, err = asRows(row, 1)
			}
			if err == nil {
				row, err = op.Apply(op.Reshape{C: 3, H: h, W: w}, row)
			}
			if err != nil {
				return nil, err
			}
			return op.Apply(op.InstanceMean{}, in[0], row)
		}}
	}
}
