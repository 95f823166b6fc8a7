package enginetest

import (
	"fmt"

	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/op"
)

// pictureCases are the operators of networks that make pictures of codes.
func pictureCases() []Case {
	var cs []Case
	one := tensor.ScalarShape()
	for _, t := range [][3]int{{5, 3, 2}, {1, 16, 4}, {40, 64, 16}} { // rows, width, how many are looked up
		name := fmt.Sprint(t)
		far := map[int]float32{1: float32(t[0])} // beyond both ends of the table too
		cs = append(cs,
			Case{Name: name, Op: op.Gather{}, Shapes: []tensor.Shape{s(t[0], t[1]), s(t[2])}, Scale: far},
			Case{Name: name, Op: op.GatherGrad{Rows: t[0]}, Shapes: []tensor.Shape{s(t[2]), s(t[2], t[1])}, Scale: map[int]float32{0: float32(t[0])}})
	}
	for _, x := range pictures {
		name := fmt.Sprint(x)
		cs = append(cs,
			Case{Name: name, Op: op.Reshape{C: x[1] * x[2] * x[3], H: 1, W: 1}, Shapes: []tensor.Shape{x}},
			Case{Name: name, Op: op.Reshape{C: x[1] * x[2] * x[3]}, Shapes: []tensor.Shape{x}},
			Case{Name: name, Op: op.Reshape{C: x[1], H: x[2], W: x[3]}, Shapes: []tensor.Shape{s(x[0], x[1]*x[2]*x[3])}},
			Case{Name: name, Op: op.BCE{Target: 0.9}, Shapes: []tensor.Shape{x}, Scale: map[int]float32{0: 30}},
			Case{Name: name, Op: op.BCEGrad{Target: 0.9}, Shapes: []tensor.Shape{x, one}},
			Case{Name: name, Op: op.Jitter{}, Shapes: []tensor.Shape{x, s(x[0], 3)}},
			Case{Name: name, Op: op.Jitter{Still: true}, Shapes: []tensor.Shape{x, s(x[0], 3)}})
	}
	for _, w := range []tensor.Shape{s(4, 3, 2, 2), s(32, 16, 4, 4), s(1, 1), s(7, 130)} {
		v := s(w.TotalSize() / w[0])
		cs = append(cs,
			Case{Name: fmt.Sprint(w), Op: op.Spectral{}, Shapes: []tensor.Shape{w, v}},
			Case{Name: fmt.Sprint(w), Op: op.SpectralGrad{}, Shapes: []tensor.Shape{w, v, w}},
			Case{Name: fmt.Sprint(w), Op: op.SpectralStep{}, Shapes: []tensor.Shape{w, v}})
	}
	return cs
}
