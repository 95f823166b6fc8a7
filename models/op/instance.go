package op

import (
	"math"

	"github.com/chewxy/hm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// InstanceMean averages x over each instance and gives every pixel of one that
// mean (pix2pixHD, section 3.4). Inputs: x (N,C,H,W) and ids (N,3,H,W), pictures
// as FromBytes makes them: pixels of an item whose three bytes are equal are of
// one instance. Output: as x. The operator is its own transpose; ids have no
// gradient.
type InstanceMean struct{}

// Arity implements Spec.
func (InstanceMean) Arity() int { return 2 }

// Result implements Spec.
func (InstanceMean) Result() hm.Type { return nil }

// Infer implements Spec.
func (InstanceMean) Infer(in []tensor.Shape) (tensor.Shape, error) {
	if err := ranks("instance mean", in, 4, 4); err != nil {
		return nil, err
	}
	x, ids := in[0], in[1]
	if ids[1] != 3 || ids[0] != x[0] || ids[2] != x[2] || ids[3] != x[3] {
		return nil, bad("instance mean", "ids %v of x %v, want (%d,3,%d,%d)", ids, x, x[0], x[2], x[3])
	}
	return x.Clone(), nil
}

// Do implements Spec.
func (InstanceMean) Do(in []Tensor, out Tensor) {
	s := in[0].Shape
	size := s[2] * s[3]
	of := make([]int, size) // instance by pixel
	for n := range s[0] {
		areas := instances(in[1].F[3*n*size:][:3*size], of)
		for c := range s[1] {
			plane := (n*s[1] + c) * size
			sums := make([]float64, len(areas))
			for i, v := range in[0].F[plane:][:size] {
				sums[of[i]] += float64(v)
			}
			for i := range of {
				out.F[plane+i] = float32(sums[of[i]] / float64(areas[of[i]]))
			}
		}
	}
}

// instances numbers the instances of an item in the order in which they appear
// and returns their areas.
func instances(ids []float32, of []int) (areas []int) {
	size := len(of)
	known := map[[3]uint8]int{}
	level := func(v float32) uint8 { return uint8(min(max(math.Round((float64(v)+1)*127.5), 0), 255)) }
	for i := range of {
		key := [3]uint8{level(ids[i]), level(ids[size+i]), level(ids[2*size+i])}
		k, ok := known[key]
		if !ok {
			k = len(areas)
			known[key], areas = k, append(areas, 0)
		}
		of[i] = k
		areas[k]++
	}
	return areas
}

// Diffable implements Differ.
func (InstanceMean) Diffable(int) []bool { return []bool{true, false} }

// Diff implements Differ.
func (InstanceMean) Diff(in G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	g, err := Apply(InstanceMean{}, grad, in[1])
	return G.Nodes{g, nil}, err
}
