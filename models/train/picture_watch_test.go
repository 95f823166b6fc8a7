package train

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/v2v/v2v/models"
)

// TestWatchSaysWhatGoesWrong feeds made-up runs of 1,500 steps.
func TestWatchSaysWhatGoesWrong(t *testing.T) {
	healthy := measures{accuracy: 0.8, norm: 3, made: 0.4, real: 0.5}
	for name, c := range map[string]struct {
		at   func(step int, m *measures)
		want []string
	}{
		"healthy": {func(int, *measures) {}, nil},
		"slow to begin": {func(s int, m *measures) {
			m.accuracy, m.made = 1, 0.1
			if s > 450 {
				*m = healthy
			}
		}, nil},
		"a moment": {func(s int, m *measures) {
			if s%300 < 40 {
				m.accuracy = 1
			}
		}, nil},
		"discriminator": {func(_ int, m *measures) { m.accuracy = 1 }, []string{"the discriminator wins"}},
		"generator": {func(s int, m *measures) {
			if s > 700 {
				m.accuracy = 0.3
			}
		}, []string{"the generator wins"}},
		"gradient": {func(s int, m *measures) {
			if s > 700 {
				m.norm = 1e-3
			}
		}, []string{"the generator's gradient vanishes"}},
		"collapse": {func(s int, m *measures) {
			if s > 700 {
				m.made = 0.05
			}
		}, []string{"mode collapse"}},
		"once in a while": {func(_ int, m *measures) { m.made = 0.05 }, []string{"mode collapse"}},
	} {
		w := newWatch(ganRemedies)
		var said []string
		for step := 1; step <= 1500; step++ {
			m := healthy
			c.at(step, &m)
			for _, warning := range w.add(step, m) {
				said = append(said, warning.Text)
			}
		}
		if len(said) != len(c.want) || len(said) > 0 && !strings.HasPrefix(said[0], c.want[0]) {
			t.Errorf("%s: said %q, want %q", name, said, c.want)
		}
	}
}

// TestSpread: pictures that are all the same have none, and two that differ by d
// everywhere have d/2.
func TestSpread(t *testing.T) {
	if s := spread([]float32{1, 2, 3, 1, 2, 3}, 2); s != 0 {
		t.Errorf("equal pictures are spread by %g", s)
	}
	if s := spread([]float32{0, 1, 2, 2, 3, 4}, 2); math.Abs(s-1) > 1e-9 {
		t.Errorf("spread %g, want 1", s)
	}
}

// TestMeanOfWeights: after a step from w0 to w1 the mean with decay 0.9 is
// 0.9*w0+0.1*w1, and the model is the mean.
func TestMeanOfWeights(t *testing.T) {
	eachDeviceOf(t, func(t *testing.T, trainer *GAN, batch []*Sample) {
		const name = "main.3.weight"
		before, err := readAll(trainer.vars[name])
		if err != nil {
			t.Fatal(err)
		}
		if err := trainer.Train(t.Context(), batch, Rates{LR: 0.1}, func([]Loss) error { return nil }); err != nil {
			t.Fatal(err)
		}
		after, _ := readAll(trainer.vars[name])
		mean, _ := readAll(trainer.vars[trainer.Weight(name)])
		for i := range mean {
			if want := 0.9*before[i] + 0.1*after[i]; math.Abs(float64(mean[i]-want)) > 1e-5 || before[i] == after[i] {
				t.Fatalf("weight %d went from %g to %g, the mean is %g, want %g", i, before[i], after[i], mean[i], want)
			}
		}
		for _, s := range trainer.State() {
			if s.Model != strings.HasPrefix(s.Name, emaPrefix) {
				t.Errorf("%s goes into the model: %v", s.Name, s.Model)
			}
		}
	})
}

// TestAugmentationStaysInBounds: without cutout nothing is hidden but what came
// in from outside; with it about a quarter is; shifts reach an eighth.
func TestAugmentationStaysInBounds(t *testing.T) {
	const n = 32
	rng := source(1, 2, "test")
	far, hidden := 0.0, 0.0
	for range 200 {
		shift, mask := newAugmenter([]string{"translation"}, 1, n).draw(rng)
		dx, dy := float64(shift[0]), float64(shift[n*n])
		far = max(far, math.Abs(dx), math.Abs(dy))
		want := (n - math.Abs(dx)) * (n - math.Abs(dy))
		if got := sumOf(mask); got != want {
			t.Fatalf("shifted by %g,%g shows %g pixels, want %g", dx, dy, got, want)
		}
		_, mask = newAugmenter([]string{"cutout"}, 1, n).draw(rng)
		hidden += (n*n - sumOf(mask)) / 200 / (n * n)
	}
	if far != n/8 || hidden < 0.15 || hidden > 0.25 {
		t.Errorf("shifts reach %g, a cutout hides %.2f", far, hidden)
	}
	if !slices.Equal(noise(source(1, 5, "a"), 4), noise(source(1, 5, "a"), 4)) || slices.Equal(noise(source(1, 5, "a"), 4), noise(source(1, 6, "a"), 4)) {
		t.Error("what is drawn is not the step's own")
	}
}

func sumOf(x []float32) (s float64) {
	for _, v := range x {
		s += float64(v)
	}
	return s
}

// TestPictureConfigsRefused names what is wrong.
func TestPictureConfigsRefused(t *testing.T) {
	for want, change := range map[string]func(*GANConfig){
		"loss is \"wgan\"":       func(c *GANConfig) { c.Loss = "wgan" },
		"real_label is 0.2":      func(c *GANConfig) { c.RealLabel = 0.2 },
		"no labels to smooth":    func(c *GANConfig) { c.Loss, c.RealLabel = "hinge", 0.9 },
		"rate is 0":              func(c *GANConfig) { c.D.Rate = 0 },
		"norm is \"layer\"":      func(c *GANConfig) { c.D.Norm = "layer" },
		"with batch norm":        func(c *GANConfig) { c.R1 = 10 },
		"r1 is -1":               func(c *GANConfig) { c.R1 = -1 },
		"ema is 1":               func(c *GANConfig) { c.EMA = 1 },
		"augment has \"rotate\"": func(c *GANConfig) { c.Augment = []string{"rotate"} },
	} {
		c := DefaultGAN()
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	c := DefaultRegression()
	if c.Loss = "l3"; c.Validate() == nil {
		t.Error("loss l3 was taken")
	}
	if c = DefaultRegression(); c.Validate() != nil {
		t.Error(c.Validate())
	}
	if c.CodeRate = 0; c.Validate() == nil {
		t.Error("a code_rate of 0 was taken")
	}
	if _, err := NewGAN(nil, Pictures{Net: &models.Perceptron{PictureOptions: models.PictureOptions{Size: 16, Channels: 3, Code: 2, Images: 3}}, Batch: 1}, DefaultGAN(), nil); err == nil {
		t.Error("a perceptron was taken for a generator")
	}
}
