package train

import (
	"slices"
	"strings"
	"testing"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/engine"
)

func tinyLocal(t *testing.T, d engine.Device, global, fix int) *Pix2Pix {
	t.Helper()
	c := DefaultPix2Pix("pix2pixHD_local")
	c.D.NDF, c.D.Layers, c.D.NumD = 2, 2, 2
	c.GlobalSteps, c.FixGlobal = global, fix
	net := &models.Local{Global: models.Global{InputNC: 3, OutputNC: 3, NGF: 2, Downs: 1, Blocks: 1, Norm: "instance"}, LocalEnhancers: 1, LocalBlocks: 1}
	trainer, err := NewPix2Pix(d, Pairs{Net: net, Height: 32, Width: 32, Batch: 1, Seed: 3}, c, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { trainer.Close() })
	return trainer
}

// TestLocalEnhancerLearnsInTurn: the global generator alone, what is around it
// alone, and all; where the optimiser is new it remembers nothing.
func TestLocalEnhancerLearnsInTurn(t *testing.T) {
	trainer := tinyLocal(t, fast(t), 2, 2)
	const inner, around, head = "model.1.weight", "model1_1.1.weight", "model.12.weight"
	read := func(name string) []float32 {
		x, err := readAll(trainer.vars[name])
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	for step, learns := range [][]bool{{true, false}, {true, false}, {false, true}, {false, true}, {true, true}} {
		before := [][]float32{read(inner), read(around)}
		if err := trainer.Train(t.Context(), []*Sample{coloured(32, float64(step))}, Rates{LR: 1e-3, Step: step}, func([]Loss) error { return nil }); err != nil {
			t.Fatal(err)
		}
		for i, name := range []string{inner, around} {
			if changed := !slices.Equal(before[i], read(name)); changed != learns[i] {
				t.Errorf("step %d: %s learned: %v, want %v", step, name, changed, learns[i])
			}
		}
		if m := read(inner + ".adam_m"); !learns[0] && slices.ContainsFunc(m, func(v float32) bool { return v != 0 }) {
			t.Errorf("step %d: the optimiser remembers the global generator's gradients", step)
		}
		pictures, err := trainer.Render(t.Context(), coloured(32, 0.5))
		if err != nil || pictures[1].Frame.W != 32 || pictures[1].Frame.H != 32 {
			t.Errorf("step %d: rendered %v, %v", step, pictures, err)
		}
	}
	if trainer.vars[head] == nil {
		t.Errorf("there is no %s", head)
	}
	for _, s := range trainer.State() {
		if s.Name == head && s.Model {
			t.Errorf("%s goes into the model", head)
		}
	}
}

// TestLocalEnhancerResumesExactly in the middle, between two changes of who
// learns.
func TestLocalEnhancerResumesExactly(t *testing.T) {
	data := rings(t, 32)
	dev := fast(t)
	resumesExactly(t, func(dir string) Options {
		return Options{Dir: dir, Trainer: tinyLocal(t, dev, 6, 6), Data: data, Steps: 20, Frames: 1, Batch: 1, Seed: 3, CheckpointSteps: 1000, SheetSteps: 10}
	})
}

func TestStagesAreForLocalEnhancers(t *testing.T) {
	c := DefaultPix2Pix("unet")
	c.GlobalSteps = 5
	p := Pairs{Net: &models.UNet{InputNC: 3, OutputNC: 3, NGF: 8, Levels: 5, Norm: "batch"}, Height: 32, Width: 32, Batch: 1}
	if _, err := NewPix2Pix(nil, p, c, nil); err == nil || !strings.Contains(err.Error(), "for pix2pixHD_local alone") {
		t.Errorf("error %v", err)
	}
}
