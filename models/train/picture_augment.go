package train

import (
	"fmt"
	"math/rand/v2"
	"slices"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models/nn"
)

// augmenter changes pictures before the discriminator sees them, real and made
// ones in the same ways, so that it cannot learn few training pictures by heart
// (Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN
// Training"). The changes are drawn anew for every picture and step.
type augmenter struct {
	color, translation, cutout bool
	batch, size                int
}

func newAugmenter(names []string, batch, size int) augmenter {
	has := func(s string) bool { return slices.Contains(names, s) }
	return augmenter{has("color"), has("translation"), has("cutout"), batch, size}
}

// graph is x changed by the inputs name.jitter (N,3), name.shift (N,2,H,W) and
// name.mask (N,1,H,W), those of them that are wanted.
func (a augmenter) graph(b *nn.Builder, name string, x *G.Node) *G.Node {
	if a.color {
		x = b.Jitter(x, b.Input(name+".jitter", a.batch, 3))
	}
	if a.translation {
		x = b.Warp(x, b.Input(name+".shift", a.batch, 2, a.size, a.size))
	}
	if a.translation || a.cutout {
		x = b.Mul(x, b.Input(name+".mask", a.batch, 1, a.size, a.size))
	}
	return x
}

// upload draws the changes.
func (a augmenter) upload(to *atelier, name string, rng *rand.Rand) error {
	if a.color {
		var factors []float32
		for range a.batch {
			factors = append(factors, rng.Float32()-0.5, 2*rng.Float32(), rng.Float32()+0.5)
		}
		if err := to.write(name+".jitter", factors); err != nil {
			return err
		}
	}
	if !a.translation && !a.cutout {
		return nil
	}
	n := a.size * a.size
	shift, mask := make([]float32, 0, 2*a.batch*n), make([]float32, 0, a.batch*n)
	for range a.batch {
		s, m := a.draw(rng)
		shift, mask = append(shift, s...), append(mask, m...)
	}
	if err := to.write(name+".mask", mask); err != nil {
		return err
	}
	if !a.translation {
		return nil
	}
	return to.write(name+".shift", shift)
}

// draw makes a shift of up to an eighth of the picture, and a mask that hides
// what comes in from outside and a square of half the picture's side.
func (a augmenter) draw(rng *rand.Rand) (shift, mask []float32) {
	n := a.size
	var dx, dy int
	if a.translation {
		dx, dy = rng.IntN(n/4+1)-n/8, rng.IntN(n/4+1)-n/8
	}
	hole, x0, y0 := 0, 0, 0
	if a.cutout { // its centre is anywhere, so that it may be cut off itself
		hole = n / 2
		x0, y0 = rng.IntN(n+1)-hole/2, rng.IntN(n+1)-hole/2
	}
	shift, mask = make([]float32, 2*n*n), make([]float32, n*n)
	for y := range n {
		for x := range n {
			i := y*n + x
			shift[i], shift[n*n+i] = float32(dx), float32(dy)
			inside := x+dx >= 0 && x+dx < n && y+dy >= 0 && y+dy < n
			hidden := x >= x0 && x < x0+hole && y >= y0 && y < y0+hole
			if inside && !hidden {
				mask[i] = 1
			}
		}
	}
	return shift, mask
}

// source is a random source of its own for one purpose at one step.
func source(seed uint64, step int, purpose string) *rand.Rand {
	return nn.Param{Name: fmt.Sprint(purpose, " ", step)}.Rand(seed)
}
