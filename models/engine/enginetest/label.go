package enginetest

import (
	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/op"
)

// labelCases are the operators of networks that see index pictures or
// normalise by stored statistics. Pixels are drawn close to each other, so that
// labels meet in edges and are equal elsewhere.
func labelCases() []Case {
	few := map[int]float32{0: 0.02}
	stats := []tensor.Shape{s(20), s(20)}
	return []Case{
		{Name: "padded", Op: op.OneHot{C: 3, OutH: 9, OutW: 8}, Shapes: []tensor.Shape{s(2, 7, 5, 3)}, Scale: few},
		{Name: "as it is, unknown labels", Op: op.OneHot{C: 16, OutH: 7, OutW: 5}, Shapes: []tensor.Shape{s(1, 7, 5, 3)}, Scale: map[int]float32{0: 0.2}},
		{Name: "padded", Op: op.Edges{OutH: 9, OutW: 18}, Shapes: []tensor.Shape{s(2, 7, 15, 3)}, Scale: map[int]float32{0: 0.005}},
		{Name: "one pixel", Op: op.Edges{OutH: 1, OutW: 1}, Shapes: []tensor.Shape{s(1, 1, 1, 3)}},
		{Name: "few instances", Op: op.InstanceMean{}, Shapes: []tensor.Shape{s(2, 5, 7, 9), s(2, 3, 7, 9)}, Scale: map[int]float32{1: 0.005}},
		{Name: "blocks of channels", Op: op.InstanceMean{}, Shapes: []tensor.Shape{s(1, 32, 8, 8), s(1, 3, 8, 8)}, Scale: map[int]float32{1: 0.01}},
		{Name: "inputs", Op: op.StoredMoments{Eps: 1e-5}, Shapes: stats, Positive: []int{1}, Const: []int{0, 1}},
	}
}
