package train

import (
	"slices"
	"testing"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/engine"
)

func dropping(t *testing.T, d engine.Device) *Pix2Pix {
	t.Helper()
	c := DefaultPix2Pix("unet")
	c.D.NDF, c.D.Layers = 2, 2
	net := &models.UNet{InputNC: 1, OutputNC: 3, NGF: 4, Levels: 6, Norm: "batch", Dropout: true}
	trainer, err := NewPix2Pix(d, Pairs{Net: net, Height: 64, Width: 64, Batch: 1, Seed: 3}, c, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { trainer.Close() })
	return trainer
}

// TestDropoutDrops half of the numbers, others at each step, and none of a
// picture that is looked at.
func TestDropoutDrops(t *testing.T) {
	trainer := dropping(t, fast(t))
	const name = "model.model.1.model.3.model.3.model.3.model.7.dropout"
	if trainer.in[name] == nil {
		t.Fatalf("there is no %s", name)
	}
	step := func(k int) []float32 {
		if err := trainer.Train(t.Context(), []*Sample{coloured(64, float64(k))}, Rates{LR: 1e-3, Step: k}, func([]Loss) error { return nil }); err != nil {
			t.Fatal(err)
		}
		x, err := readAll(trainer.in[name])
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	first, second := step(0), step(1)
	if slices.Equal(first, second) || !slices.Equal(first, step(0)) {
		t.Error("what is dropped is not the step's own")
	}
	var sum float64
	for _, v := range first {
		if v != 0 && v != 2 {
			t.Fatalf("a number is multiplied by %g", v)
		}
		sum += float64(v)
	}
	if mean := sum / float64(len(first)); mean < 0.8 || mean > 1.2 {
		t.Errorf("numbers become %.2f times as large in the mean", mean)
	}
	held := coloured(64, 0.3)
	one, err := trainer.Render(t.Context(), held)
	if err != nil {
		t.Fatal(err)
	}
	if x, _ := readAll(trainer.in[name]); slices.Min(x) != 1 || slices.Max(x) != 1 {
		t.Error("something is dropped of a picture that is looked at")
	}
	m := trainer.p.Net.(*models.UNet)
	m.Dropout = false
	defer func() { m.Dropout = true }()
	plain, err := NewPix2Pix(trainer.dev, trainer.p, trainer.c, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	for _, s := range plain.state {
		x, err := readAll(trainer.vars[s.Name])
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Buffer.Write(x); err != nil {
			t.Fatal(err)
		}
	}
	two, err := plain.Render(t.Context(), held)
	if err != nil || !slices.Equal(one[1].Frame.Pix, two[1].Frame.Pix) {
		t.Errorf("the network without dropout makes another picture (%v)", err)
	}
}

func TestDropoutResumesExactly(t *testing.T) {
	dev := fast(t)
	data := rings(t, 64)
	resumesExactly(t, func(dir string) Options {
		return Options{Dir: dir, Trainer: dropping(t, dev), Data: data, Steps: 20, Frames: 1, Batch: 1, Seed: 3, CheckpointSteps: 1000, SheetSteps: 10}
	})
}
