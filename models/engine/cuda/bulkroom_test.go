//go:build cgo

package cuda

import (
	"slices"
	"testing"

	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/engine"
)

// TestBulkRoom: Hopper's kernels, which count in 32 bits, are not tried where what they
// make between is more than largest, nor with steps that no tensor map has.
func TestBulkRoom(t *testing.T) {
	c := &compiler{d: &Device{units: 132}, o: engine.Options{Precision: engine.BFloat16}}
	columns := columnsTile(kindBulk)
	for _, x := range []struct {
		what              string
		x, y              tensor.Shape
		k, stride         int
		tried, byTaps, of bool // forward, its taps as columns, and its gradients
	}{
		{"small", tensor.Shape{1, 64, 64, 64}, tensor.Shape{1, 3, 64, 64}, 7, 1, true, true, true},
		{"many pixels by 7 taps of 3 filters", tensor.Shape{128, 1, 1024, 1024}, tensor.Shape{128, 3, 1024, 1024}, 7, 1, true, false, true},
		{"one channel in units of eight", tensor.Shape{256, 1, 1024, 1024}, tensor.Shape{256, 3, 1024, 1024}, 7, 1, false, false, false},
		{"steps of 8", tensor.Shape{1, 64, 64, 64}, tensor.Shape{1, 64, 8, 8}, 8, 8, true, false, true},
		{"steps of 9", tensor.Shape{1, 64, 64, 64}, tensor.Shape{1, 64, 7, 7}, 9, 9, false, false, false},
	} {
		g := geometry{x: x.x, y: x.y, kh: x.k, kw: x.k, stride: x.stride}
		fit := bulk{g: g}.fitting(c)
		if len(fit) > 0 != x.tried || slices.Contains(fit, columns) != x.byTaps {
			t.Errorf("%s: forward %v are tried", x.what, fit)
		}
		if fit := (bulkFilters{g: g}).fitting(c); len(fit) > 0 != x.of {
			t.Errorf("%s: for gradients of filters %v are tried", x.what, fit)
		}
		read := g.x[0]*g.x[2]*g.x[3] <= 1<<27 // what a transposed one reads has three channels at most, in units of eight
		if fit := (bulk{g: g, back: true}).fitting(c); len(fit) > 0 != read {
			t.Errorf("%s: transposed %v are tried", x.what, fit)
		}
	}
}
