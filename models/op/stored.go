package op

import (
	"math"

	"github.com/chewxy/hm"
	"gorgonia.org/tensor"
)

// StoredMoments makes the statistics that Normalize uses of stored ones, as
// BatchNorm2d does in evaluation mode. Inputs: running mean (C), running
// variance (C). Output: (1,C,2), the mean and 1/sqrt(variance + Eps). It has no
// derivative: what is stored is not trained.
type StoredMoments struct{ Eps float32 }

// Arity implements Spec.
func (StoredMoments) Arity() int { return 2 }

// Result implements Spec.
func (StoredMoments) Result() hm.Type { return rank3 }

// Infer implements Spec.
func (StoredMoments) Infer(in []tensor.Shape) (tensor.Shape, error) {
	if err := ranks("stored moments", in, 1, 1); err != nil {
		return nil, err
	}
	if !equal(in[0], in[1]) {
		return nil, bad("stored moments", "mean %v and variance %v", in[0], in[1])
	}
	return tensor.Shape{1, in[0][0], 2}, nil
}

// Do implements Spec.
func (m StoredMoments) Do(in []Tensor, out Tensor) {
	for i, mean := range in[0].F {
		out.F[2*i] = mean
		out.F[2*i+1] = float32(1 / math.Sqrt(float64(in[1].F[i])+float64(m.Eps)))
	}
}
