package op_test

import (
	"math"
	"slices"
	"testing"

	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/op"
)

// indices is a picture of one item whose pixels' first bytes are given; the
// other bytes are as given or equal to it.
func indices(h, w int, other []byte, ids ...byte) op.Tensor {
	t := op.Tensor{Shape: tensor.Shape{1, h, w, 3}}
	for i, id := range ids {
		second := id
		if other != nil {
			second = other[i]
		}
		t.B = append(t.B, id, second, second)
	}
	return t
}

func TestOneHot(t *testing.T) {
	got := do(op.OneHot{C: 3, OutH: 3, OutW: 3}, indices(2, 2, nil, 0, 2, 7, 1))
	want := []float32{
		1, 0, 0, 0, 0, 0, 0, 0, 0, // where label 0 is
		0, 0, 0, 0, 1, 1, 0, 1, 1, // label 1, and the edge repeated
		0, 1, 1, 0, 0, 0, 0, 0, 0, // label 2; 7 is in no channel
	}
	if !slices.Equal(got.F, want) {
		t.Errorf("%v, want %v", got.F, want)
	}
}

func TestEdges(t *testing.T) {
	for _, c := range []struct {
		name       string
		in         op.Tensor
		outH, outW int
		want       []float32
	}{
		{"flat", indices(2, 2, nil, 5, 5, 5, 5), 2, 3, []float32{0, 0, 0, 0, 0, 0}},
		{"both sides of a boundary", indices(1, 5, nil, 1, 1, 2, 2, 2), 1, 5, []float32{0, 1, 1, 0, 0}},
		{"upright, no corners", indices(3, 3, nil, 1, 0, 0, 0, 0, 0, 0, 0, 0), 3, 3, []float32{1, 1, 0, 1, 0, 0, 0, 0, 0}},
		{"objects of one label", indices(1, 4, []byte{0, 0, 9, 9}, 3, 3, 3, 3), 1, 4, []float32{0, 1, 1, 0}},
		{"repeated edge", indices(2, 2, nil, 1, 2, 2, 2), 3, 4, []float32{1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}},
	} {
		if got := do(op.Edges{OutH: c.outH, OutW: c.outW}, c.in); !slices.Equal(got.F, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got.F, c.want)
		}
	}
}

func TestStoredMoments(t *testing.T) {
	got := do(op.StoredMoments{Eps: .5}, floats(tensor.Shape{2}, 3, -4), floats(tensor.Shape{2}, 3.5, .75))
	near(t, "moments", got, floats(nil, 3, .5, -4, float32(1/math.Sqrt(1.25))), 1e-6)
}
