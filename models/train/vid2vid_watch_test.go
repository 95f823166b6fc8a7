package train

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/v2v/v2v/models/engine"
)

// TestVid2VidWarns feeds made-up runs of 1,200 steps.
func TestVid2VidWarns(t *testing.T) {
	for want, losses := range map[string][]Loss{
		"":                  {{"G_norm", 4}, {"D_norm", 1}, {maskMean, 0.4}},
		"its mean is 0.000": {{"G_norm", 16}, {maskMean, 0}},
		"its mean is 0.999": {{"G_norm", 16}, {maskMean, 0.999}},
	} {
		v := &Vid2Vid{}
		var said []Warning
		v.Warn(func(w Warning) { said = append(said, w) })
		for step := 1; step <= 1200; step++ {
			if _, err := v.observe(step, nil, append([]Loss(nil), losses...)); err != nil {
				t.Fatal(err)
			}
		}
		if want == "" && len(said) > 0 || want != "" && (len(said) != 1 || !strings.Contains(said[0].Text, want)) {
			t.Errorf("%q: said %v", want, said)
		}
	}
}

// TestVid2VidAccuracy: discriminators that say 1 to everything are right about
// the real half.
func TestVid2VidAccuracy(t *testing.T) {
	eachDevice(t, func(t *testing.T, d engine.Device) {
		c := tinyVid2Vid()
		v, err := NewVid2Vid(d, c)
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		for name, b := range v.vars { // the last layers' weights vanish, their biases are 1
			last := strings.Contains(name, "_layer3.0.") && !strings.Contains(name, "adam")
			if last {
				x := make([]float32, engine.Value{Shape: b.Shape()}.Size())
				if strings.HasSuffix(name, ".bias") {
					x[0] = 1
				}
				if err := b.Write(x); err != nil {
					t.Fatal(err)
				}
			}
		}
		var steps []map[string]float64
		err = v.Train(t.Context(), []*Sample{noiseSample(c.Height, c.Width, 2)}, Rates{LR: 1e-9}, func(ls []Loss) error {
			m := map[string]float64{}
			for _, l := range ls {
				m[l.Name] = l.Value
			}
			steps = append(steps, m)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		last := steps[1]
		if last["D_acc"] != 0.5 || last["DT_acc"] != 0.5 {
			t.Errorf("accuracy of constant verdicts: %v", last)
		}
		if !(last[maskMean] > 0 && last[maskMean] < 1) {
			t.Errorf("mean of the mask: %v", last)
		}
	})
}

// TestVid2VidAccuracyOfALearner: a discriminator that learns fast is soon right
// about nearly everything, on real and on made frames.
func TestVid2VidAccuracyOfALearner(t *testing.T) {
	eachDevice(t, func(t *testing.T, d engine.Device) {
		c := tinyVid2Vid()
		c.D.Rate = 1000
		v, err := NewVid2Vid(d, c)
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		last := 0.0
		for r := range 12 {
			err = v.Train(t.Context(), []*Sample{noiseSample(c.Height, c.Width, 3)}, Rates{LR: 1e-6, Step: 3 * r}, func(ls []Loss) error {
				for _, l := range ls {
					if l.Name == "D_acc" {
						last = l.Value
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if !(last > 0.9) {
			t.Errorf("accuracy %v after 36 frames", last)
		}
	})
}

// warningTrainer warns at every sample.
type warningTrainer struct {
	*fakeTrainer
	tell []func(Warning)
}

func (w *warningTrainer) Warn(tell func(Warning)) { w.tell = append(w.tell, tell) }

func (w *warningTrainer) Train(ctx context.Context, batch []*Sample, r Rates, report func([]Loss) error) error {
	for _, tell := range w.tell {
		tell(Warning{Step: r.Step + 1, Text: "the sky falls"})
	}
	return w.fakeTrainer.Train(ctx, batch, r, report)
}

// TestWarningsAreLogged: run.log keeps them.
func TestWarningsAreLogged(t *testing.T) {
	dir := t.TempDir()
	o := fakeRun(dir, fakeData(t, dir))
	o.Trainer = &warningTrainer{fakeTrainer: o.Trainer.(*fakeTrainer)}
	o.Steps = 10
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(filepath.Join(o.Dir, "run.log"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(log), "the sky falls") || !strings.Contains(string(log), "step=1") {
		t.Errorf("run.log:\n%s", log)
	}
}
