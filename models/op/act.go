package op

import (
	"math"

	"github.com/chewxy/hm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// ActKind names an activation whose derivative is a function of its output.
type ActKind uint8

// The activations.
const (
	ReLU ActKind = iota
	LeakyReLU
	Tanh
	Sigmoid
)

// Act applies an activation element by element. Slope is LeakyReLU's factor
// for negative inputs; it is not negative.
type Act struct {
	Kind  ActKind
	Slope float32
}

// Arity implements Spec.
func (Act) Arity() int { return 1 }

// Result implements Spec.
func (Act) Result() hm.Type { return nil }

// Infer implements Spec.
func (a Act) Infer(in []tensor.Shape) (tensor.Shape, error) {
	if err := checkAct("act", a.Kind, a.Slope); err != nil {
		return nil, err
	}
	return same("act", in, 1)
}

// Do implements Spec.
func (a Act) Do(in []Tensor, out Tensor) {
	for i, x := range in[0].F {
		out.F[i] = a.at(x)
	}
}

func (a Act) at(x float32) float32 {
	switch a.Kind {
	case Tanh:
		return float32(math.Tanh(float64(x)))
	case Sigmoid:
		return float32(1 / (1 + math.Exp(-float64(x))))
	}
	if x > 0 || x != x { // NaN passes
		return x
	}
	if a.Kind == LeakyReLU {
		return a.Slope * x
	}
	return 0
}

// Diffable implements Differ.
func (Act) Diffable(inputs int) []bool { return every(inputs) }

// Diff implements Differ.
func (a Act) Diff(_ G.Nodes, out, grad *G.Node) (G.Nodes, error) {
	g, err := Apply(ActGrad(a), out, grad)
	return G.Nodes{g}, err
}

// ActGrad is the gradient of Act. Inputs: y (Act's output), gy. At the kink of
// ReLU and LeakyReLU it is that of the negative side.
type ActGrad struct {
	Kind  ActKind
	Slope float32
}

// Arity implements Spec.
func (ActGrad) Arity() int { return 2 }

// Result implements Spec.
func (ActGrad) Result() hm.Type { return nil }

// Infer implements Spec.
func (a ActGrad) Infer(in []tensor.Shape) (tensor.Shape, error) {
	if err := checkAct("act gradient", a.Kind, a.Slope); err != nil {
		return nil, err
	}
	return same("act gradient", in, 2)
}

// Do implements Spec.
func (a ActGrad) Do(in []Tensor, out Tensor) {
	for i, y := range in[0].F {
		out.F[i] = in[1].F[i] * a.slope(y)
	}
}

// slope is the derivative where the output was y.
func (a ActGrad) slope(y float32) float32 {
	switch {
	case a.Kind == Tanh:
		return 1 - y*y
	case a.Kind == Sigmoid:
		return y * (1 - y)
	case y > 0:
		return 1
	case a.Kind == LeakyReLU:
		return a.Slope
	}
	return 0
}

func checkAct(name string, k ActKind, slope float32) error {
	if k > Sigmoid {
		return bad(name, "unknown kind %d", k)
	}
	if slope < 0 {
		return bad(name, "slope %v is negative, so that the output does not tell the input's sign", slope)
	}
	return nil
}
