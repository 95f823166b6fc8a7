package models_test

import (
	"slices"
	"testing"

	"github.com/v2v/v2v/models"
)

// TestNoiseIsDrawnBySeed: the noise of a generator that takes some is a seed's
// own, the same in every frame and every clip.
func TestNoiseIsDrawnBySeed(t *testing.T) {
	path := random(t, "pix2pixHD_z", &models.GlobalZ{InputNC: 3, OutputNC: 3, Z: 4, NGF: 4, Downs: 1, Blocks: 1, Norm: "batch"}, false)
	for _, d := range open(t) {
		still := control(12, 10, 0)
		made := map[uint64][]byte{}
		for seed := range uint64(3) {
			frames := generateFrom(t, d, path, models.RunOptions{Style: models.Style{Seed: seed}}, still, still)
			again := generateFrom(t, d, path, models.RunOptions{Style: models.Style{Seed: seed}}, still)
			if !slices.Equal(frames[0].Pix, frames[1].Pix) || !slices.Equal(frames[0].Pix, again[0].Pix) {
				t.Errorf("%s: seed %d makes several pictures of one", d.Name(), seed)
			}
			made[seed] = frames[0].Pix
		}
		if slices.Equal(made[0], made[1]) || slices.Equal(made[1], made[2]) {
			t.Errorf("%s: seeds make one picture", d.Name())
		}
	}
}
