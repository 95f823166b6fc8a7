package main

import (
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/v2v/v2v/models/weights"
)

// cmdVGG writes a narrow VGG19: vgg FILE SEED.
func cmdVGG(ts *testscript.TestScript, _ bool, args []string) {
	seed, err := strconv.ParseUint(args[1], 10, 64)
	ts.Check(err)
	rng := rand.New(rand.NewPCG(seed, 0))
	drawn := func(dst []float32) error {
		for i := range dst {
			dst[i] = float32(rng.NormFloat64()) / 5
		}
		return nil
	}
	var all []weights.Tensor
	in := 3
	for _, n := range []int{0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28} {
		name := fmt.Sprintf("features.%d.", n)
		all = append(all, weights.Tensor{Name: name + "weight", Shape: []int{4, in, 3, 3}, Load: drawn},
			weights.Tensor{Name: name + "bias", Shape: []int{4}, Load: drawn})
		in = 4
	}
	ts.Check(weights.Write(ts.MkAbs(args[0]), all, nil))
}
