package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/devices"
	"github.com/v2v/v2v/video"
)

// discs writes n pictures of 16x16 with a disc of some colour somewhere.
func discs(t *testing.T, n int) *PictureData {
	t.Helper()
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(2, 3))
	for i := range n {
		f := video.NewFrame(16, 16)
		x0, y0, r := 4+8*rng.Float64(), 4+8*rng.Float64(), 3+2*rng.Float64()
		c := [3]byte{byte(100 + rng.IntN(155)), byte(rng.IntN(255)), byte(rng.IntN(255))}
		for p := range 256 {
			if d := math.Hypot(float64(p%16)-x0, float64(p/16)-y0); d < r {
				copy(f.Pix[3*p:], c[:])
			} else {
				copy(f.Pix[3*p:], []byte{40, 60, byte(60 + p/4)})
			}
		}
		if err := video.WritePNG(filepath.Join(dir, fmt.Sprintf("%03d.png", i)), f); err != nil {
			t.Fatal(err)
		}
	}
	d, err := OpenPictures(t.Context(), []string{dir}, PictureDataOptions{Size: 16})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// fast is the device cpu.
func fast(t *testing.T) engine.Device {
	t.Helper()
	// The networks here are too small to share out.
	d, err := devices.Open("cpu", devices.Options{Threads: 1})
	if errors.Is(err, engine.ErrUnsupported) {
		t.Skipf("device cpu is missing, ref is too slow to learn on: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func pictureTrainers(t *testing.T, dev engine.Device, d *PictureData) map[string]func() Trainer {
	network := func(name string, width, layers int) models.Picture {
		net, err := models.BlankPicture(name)
		if err != nil {
			t.Fatal(err)
		}
		o := models.PictureOptions{Size: 16, Channels: 3, Code: 6, Width: width, Layers: layers}
		if net.Learned() {
			o.Images = d.Frames()
		}
		*net.Options() = o
		return net
	}
	trainer := func(tr Trainer, err error) Trainer {
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { tr.Close() })
		return tr
	}
	pictures := func(net models.Picture) Pictures {
		return Pictures{Net: net, Index: d.Index, Batch: 4, Seed: 7}
	}
	return map[string]func() Trainer{
		"deconv": func() Trainer {
			return trainer(NewRegression(dev, pictures(network("deconv", 4, 0)), DefaultRegression()))
		},
		"mlp": func() Trainer {
			return trainer(NewRegression(dev, pictures(network("mlp", 8, 3)), DefaultRegression()))
		},
		"gan with every remedy": func() Trainer {
			c := DefaultGAN()
			c.D = GANDConfig{Width: 4, Norm: "none", Spectral: true, Rate: 0.5}
			c.RealLabel, c.R1, c.R1Every, c.Augment, c.EMA = 0.9, 5, 3, augmentations, 0.9
			return trainer(NewGAN(dev, pictures(network("gan", 4, 0)), c, nil))
		},
	}
}

// TestSpectralDirectionsHaveUnitLength: the generator's first step divides the
// discriminator's weights by what they say.
func TestSpectralDirectionsHaveUnitLength(t *testing.T) {
	g := pictureTrainers(t, fast(t), discs(t, 12))["gan with every remedy"]().(*GAN)
	seen := 0
	for name, b := range g.vars {
		if !isDirection(name) {
			continue
		}
		seen++
		x, err := readAll(b)
		if err != nil {
			t.Fatal(err)
		}
		var square float64
		for _, y := range x {
			square += float64(y) * float64(y)
		}
		if math.Abs(square-1) > 1e-5 {
			t.Errorf("%s has the squared length %v", name, square)
		}
	}
	if seen == 0 {
		t.Error("no directions")
	}
}

// TestPictureRunsResumeExactly: a run that is stopped and resumed ends with the
// numbers of one that was left alone, bit for bit.
func TestPictureRunsResumeExactly(t *testing.T) {
	d, dev := discs(t, 12), fast(t)
	for name, begin := range pictureTrainers(t, dev, d) {
		t.Run(name, func(t *testing.T) {
			options := func(dir string) Options {
				return Options{Dir: dir, Trainer: begin(), Data: d.Data, Steps: 20, Frames: 1, Batch: 4, Seed: 3, CheckpointSteps: 1000, SheetSteps: 10}
			}
			resumesExactly(t, options)
		})
	}
}

// resumesExactly stops a run of 20 steps in the middle.
func resumesExactly(t *testing.T, options func(dir string) Options) {
	t.Helper()
	whole, err := Run(t.Context(), options(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	o := options(dir)
	why := errors.New("enough")
	ctx, stop := context.WithCancelCause(t.Context())
	o.Events = func(e Event) {
		if s, ok := e.(Stepped); ok && s.Step == 11 {
			stop(why)
		}
	}
	if _, err := Run(ctx, o); !errors.Is(err, why) {
		t.Fatal(err)
	}
	o = options(dir)
	o.Resume = true
	resumed, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if !cmp.Equal(tensors(t, whole.Checkpoint), tensors(t, resumed.Checkpoint)) {
		t.Error("the resumed run ends elsewhere")
	}
	past, err := ReadPast(dir)
	if err != nil || len(past.Curve) != 20 || past.Checkpoints[len(past.Checkpoints)-1].Step != 20 {
		t.Errorf("the run folder tells %+v, %v", past, err)
	}
}

// TestRegressionLearns: the error falls to a fraction, and the picture of a
// learned code is near its own.
func TestRegressionLearns(t *testing.T) {
	d, dev := discs(t, 12), fast(t)
	for _, name := range []string{"mlp", "deconv"} {
		trainer := pictureTrainers(t, dev, d)[name]()
		first, last := trainPictures(t, trainer, d, 300, Rates{LR: 5e-3})
		if !(last["L2"] < 0.4*first["L2"]) {
			t.Errorf("%s: the error went from %g to %g", name, first["L2"], last["L2"])
		}
	}
}

// trainPictures takes steps and gives the first losses and the last.
func trainPictures(t *testing.T, trainer Trainer, d *PictureData, steps int, r Rates) (first, last map[string]float64) {
	t.Helper()
	draw := drawing{seed: 1, batch: 4, frames: 1}
	if g, ok := trainer.(*GAN); ok {
		draw.batch = g.p.Batch
	}
	for i := range steps {
		batch, err := draw.draw(t.Context(), d.Data, uint64(i*draw.batch))
		if err != nil {
			t.Fatal(err)
		}
		r.Step = i
		err = trainer.Train(t.Context(), batch, r, func(losses []Loss) error {
			last = map[string]float64{}
			for _, l := range losses {
				last[l.Name] = l.Value
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = last
		}
	}
	return first, last
}

// TestPlantedCollapseIsSeen: a discriminator that learns fifty times as fast
// makes the generator collapse, and it is said; DCGAN's recipe goes by unwarned.
func TestPlantedCollapseIsSeen(t *testing.T) {
	d, dev := discs(t, 64), fast(t)
	for rate, collapses := range map[float64]bool{1: false, 50: true} {
		c := DefaultGAN()
		c.D.Width, c.D.Rate = 8, rate
		net := &models.GAN{PictureOptions: models.PictureOptions{Size: 16, Channels: 3, Code: 16, Width: 8}}
		var said []string
		trainer, err := NewGAN(dev, Pictures{Net: net, Index: d.Index, Batch: 16, Seed: 1}, c, func(w Warning) { said = append(said, w.Text) })
		if err != nil {
			t.Fatal(err)
		}
		_, last := trainPictures(t, trainer, d, 640, Rates{LR: 5e-4})
		t.Logf("rate %g: %v; %q", rate, last, said)
		if got := slices.ContainsFunc(said, func(s string) bool { return strings.HasPrefix(s, "mode collapse") }); got != collapses {
			t.Errorf("rate %g: collapse warned of: %v; %q", rate, got, said)
		}
		if !collapses && len(said) > 0 {
			t.Errorf("rate %g: warned of %q", rate, said)
		}
		if err := trainer.Close(); err != nil {
			t.Error(err)
		}
	}
}
