package train

import (
	"fmt"
	"math"
	"strings"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/nn"
	"github.com/v2v/v2v/models/op"
)

// isDirection tells the direction of a spectral norm by its name.
func isDirection(name string) bool { return strings.HasSuffix(name, ".weight_v") }

// powerSteps of the power method bring a random direction to its norm, as
// PyTorch's parametrization begins. One that is still random makes weights many
// times too large, and the generator's first gradients with them, which Adam
// remembers for a thousand steps.
const powerSteps = 15

// direct draws the directions of spectral norms for the weights that there are.
func direct(vars map[string]engine.Buffer, seed uint64) error {
	for name, b := range vars {
		if !isDirection(name) {
			continue
		}
		if err := b.Write(direction(nn.Param{Name: name, Shape: b.Shape(), Init: nn.Normal(0, 1)}, seed)); err != nil {
			return fmt.Errorf("initialise %s: %w", name, err)
		}
		if err := aim(b, vars[strings.TrimSuffix(name, "_v")]); err != nil {
			return fmt.Errorf("initialise %s: %w", name, err)
		}
	}
	return nil
}

// direction is a random vector of length 1.
func direction(p nn.Param, seed uint64) []float32 {
	x := make([]float32, p.Shape.TotalSize())
	p.Fill(x, p.Rand(seed))
	var square float64
	for _, y := range x {
		square += float64(y) * float64(y)
	}
	for i := range x {
		x[i] /= float32(math.Sqrt(square))
	}
	return x
}

// aim turns a direction (K) towards the norm of weights (O,...).
func aim(direction, weight engine.Buffer) error {
	v, err := readAll(direction)
	if err != nil {
		return err
	}
	w, err := readAll(weight)
	if err != nil {
		return err
	}
	for range powerSteps {
		next := make([]float32, len(v))
		op.SpectralStep{}.Do([]op.Tensor{{F: w}, {F: v}}, op.Tensor{F: next})
		v = next
	}
	return direction.Write(v)
}
