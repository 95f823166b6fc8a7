package op

import (
	"github.com/chewxy/hm"
	"gorgonia.org/tensor"
)

// Detach is its input, through which no gradient goes.
type Detach struct{}

// Arity implements Spec.
func (Detach) Arity() int { return 1 }

// Result implements Spec.
func (Detach) Result() hm.Type { return nil }

// Infer implements Spec.
func (Detach) Infer(in []tensor.Shape) (tensor.Shape, error) { return same("detach", in, 1) }

// Do implements Spec.
func (Detach) Do(in []Tensor, out Tensor) { copy(out.F, in[0].F) }
