package op

import (
	"fmt"

	"gorgonia.org/tensor"
)

// anyRank stands for every rank in a call of ranks.
const anyRank = -1

// ranks checks the number of inputs and their ranks, and that none is empty.
func ranks(name string, in []tensor.Shape, want ...int) error {
	if len(in) != len(want) {
		return bad(name, "%d inputs, want %d", len(in), len(want))
	}
	for i, s := range in {
		if want[i] != anyRank && len(s) != want[i] {
			return bad(name, "input %d is %v, want rank %d", i, s, want[i])
		}
	}
	return positive(name, in)
}

// positive checks that no input is empty.
func positive(name string, in []tensor.Shape) error {
	for i, s := range in {
		for _, d := range s {
			if d < 1 {
				return bad(name, "input %d is %v, want positive sizes", i, s)
			}
		}
	}
	return nil
}

// bad is a shape error of one operator.
func bad(name, format string, args ...any) error {
	return fmt.Errorf("%s: %s: %w", name, fmt.Sprintf(format, args...), ErrShape)
}

// same is Infer of an operator whose n inputs share the output's shape.
func same(name string, in []tensor.Shape, n int) (tensor.Shape, error) {
	if len(in) != n {
		return nil, bad(name, "%d inputs, want %d", len(in), n)
	}
	for _, s := range in[1:] {
		if !equal(s, in[0]) {
			return nil, bad(name, "inputs %v, want one shape", in)
		}
	}
	if err := positive(name, in); err != nil {
		return nil, err
	}
	return in[0].Clone(), nil
}

// scalars checks that every shape is ().
func scalars(name string, in []tensor.Shape) error {
	for i, s := range in {
		if len(s) != 0 {
			return bad(name, "input %d is %v, want a scalar", i, s)
		}
	}
	return nil
}

// equal compares sizes; unlike tensor.Shape.Eq it holds (1) and () apart.
func equal(a, b tensor.Shape) bool {
	if len(a) != len(b) {
		return false
	}
	for i, d := range a {
		if b[i] != d {
			return false
		}
	}
	return true
}

// every says that all inputs have a gradient.
func every(inputs int) []bool {
	d := make([]bool, inputs)
	for i := range d {
		d[i] = true
	}
	return d
}
