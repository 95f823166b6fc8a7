package nn

import (
	"hash/fnv"
	"math"
	"math/rand/v2"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Param is one trained tensor of a network.
type Param struct {
	Name  string // full path, as in a checkpoint
	Shape tensor.Shape
	Init  Init
	Node  *G.Node
}

// Init says how a parameter starts. The zero value is zeros.
type Init struct {
	uniform      bool
	mean, spread float32 // spread is the standard deviation, or half the range
}

// Normal draws from a normal distribution.
func Normal(mean, std float32) Init { return Init{mean: mean, spread: std} }

// Uniform draws from [-bound,bound).
func Uniform(bound float32) Init { return Init{uniform: true, spread: bound} }

// Zeros is all zeros.
func Zeros() Init { return Init{} }

// Ones is all ones.
func Ones() Init { return Init{mean: 1} }

// TorchBias is how PyTorch starts the bias of a convolution, which vid2vid and
// pix2pixHD leave as it is: uniform within 1/sqrt(fanIn).
func TorchBias(fanIn int) Init { return Uniform(float32(1 / math.Sqrt(float64(fanIn)))) }

// Rand is the parameter's own random source, made of a seed and its name, so
// that its start does not depend on the other parameters of the network.
func (p Param) Rand(seed uint64) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(p.Name))
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// Fill writes starting values; rng is usually p.Rand(seed).
func (p Param) Fill(dst []float32, rng *rand.Rand) {
	for i := range dst {
		dst[i] = p.Init.draw(rng)
	}
}

func (i Init) draw(rng *rand.Rand) float32 {
	switch {
	case i.spread == 0:
		return i.mean
	case i.uniform:
		return i.mean + i.spread*(2*rng.Float32()-1)
	}
	return i.mean + i.spread*float32(rng.NormFloat64())
}
