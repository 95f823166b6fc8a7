package train

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/devices"
	"github.com/v2v/v2v/models/weights"
	"github.com/v2v/v2v/video"
)

// pictureGolden is one step as PyTorch takes it (testdata/picture_golden.py).
type pictureGolden struct {
	*weights.File
	Losses            map[string]float64
	Accuracy          float64
	Loss, Norm        string
	Label, R1         float32
	Spectral          bool
	Augment           []string
	Classes           int
	size, code, batch int
}

func openPictureGolden(t *testing.T, name string) pictureGolden {
	t.Helper()
	g := pictureGolden{size: 16, code: 5, batch: 4}
	g.File = openGolden(t, "picture_"+name, &g)
	return g
}

// openGolden opens a file and fills to with what its metadata say.
func openGolden(t *testing.T, name string, to any) *weights.File {
	t.Helper()
	f, err := weights.Open("testdata/" + name + ".safetensors")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := json.Unmarshal([]byte(f.Metadata()["golden"]), to); err != nil {
		t.Fatal(err)
	}
	return f
}

func (g pictureGolden) get(t *testing.T, name string) []float32 {
	t.Helper()
	info, ok := g.Info(name)
	if !ok {
		t.Fatalf("the golden has no %s", name)
	}
	x := make([]float32, info.Elements())
	if err := g.Float32(name, x); err != nil {
		t.Fatal(err)
	}
	return x
}

// set puts the golden's weights and inputs in place.
func (g pictureGolden) set(t *testing.T, a *atelier) {
	t.Helper()
	for _, n := range g.Names() {
		kind, name, _ := strings.Cut(n, "/")
		var to engine.Buffer
		switch kind {
		case "w":
			to = a.vars[name]
		case "in":
			to = a.in[name]
		default:
			continue
		}
		if name == "real" || name == "control" {
			continue // come as samples
		}
		if to == nil {
			t.Fatalf("the trainer has no %s", n)
		}
		if err := to.Write(g.get(t, n)); err != nil {
			t.Fatal(err)
		}
	}
}

// samples are the golden's real pictures.
func (g pictureGolden) samples(t *testing.T) []*Sample {
	pix := g.get(t, "in/real")
	var all []*Sample
	for i := range g.batch {
		f := video.NewFrame(g.size, g.size)
		for k := range f.Pix {
			f.Pix[k] = byte(pix[i*len(f.Pix)+k])
		}
		all = append(all, &Sample{Start: i, A: []*video.Frame{f}, B: []*video.Frame{f}})
	}
	return all
}

// compare holds losses and gradients against PyTorch's. A gradient is Adam's
// first moment after the first step, over 1-beta1.
func (g pictureGolden) compare(t *testing.T, a *atelier, losses []Loss, beta1 float64) {
	t.Helper()
	for name, want := range g.Losses {
		found := false
		for _, l := range losses {
			if l.Name != name {
				continue
			}
			found = true
			if !(math.Abs(l.Value-want) <= 1e-4*math.Max(math.Abs(want), 1e-3)) {
				t.Errorf("loss %s is %.7g, PyTorch's %.7g", name, l.Value, want)
			}
		}
		if !found {
			t.Errorf("no loss %s among %v", name, losses)
		}
	}
	worst, where := 0.0, ""
	for _, n := range g.Names() {
		name, ok := strings.CutPrefix(n, "g/")
		if !ok {
			continue
		}
		moment := name + ".adam_m"
		if strings.HasPrefix(name, "D.") {
			moment = name + ".dadam_m"
		} else if strings.HasPrefix(name, models.CodeTable) {
			moment = name + "." + codesAdam + "_m"
		}
		want := g.get(t, n)
		got, err := readAll(a.vars[moment])
		if err != nil {
			t.Fatal(err)
		}
		var off, size float64
		for i, w := range want {
			off = math.Max(off, math.Abs(float64(got[i])/(1-beta1)-float64(w)))
			size = math.Max(size, math.Abs(float64(w)))
		}
		if !(off/size <= worst) {
			worst, where = off/size, name
		}
	}
	t.Logf("gradients: the largest relative difference is %.2g, of %s", worst, where)
	if !(worst <= 1e-3) {
		t.Errorf("the gradient of %s differs from PyTorch's by %.3g of its largest number", where, worst)
	}
}

// eachDevice runs a test on ref and on cpu.
func eachDevice(t *testing.T, f func(t *testing.T, d engine.Device)) {
	for _, name := range []string{"ref", "cpu"} {
		t.Run(name, func(t *testing.T) {
			d, err := devices.Open(name, devices.Options{Threads: 2})
			if errors.Is(err, engine.ErrUnsupported) {
				t.Skipf("device %s is missing: %v", name, err)
			} else if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			f(t, d)
		})
	}
}

// TestGANStepEqualsPyTorch takes one step of G and D. PyTorch differentiates
// twice for the R1 penalty.
func TestGANStepEqualsPyTorch(t *testing.T) {
	for _, name := range []string{"bce", "lsgan", "hinge", "r1"} {
		t.Run(name, func(t *testing.T) {
			eachDevice(t, func(t *testing.T, d engine.Device) {
				g := openPictureGolden(t, name)
				o := models.PictureOptions{Size: g.size, Channels: 3, Code: g.code, Width: 4}
				for i := range g.Classes {
					o.Classes = append(o.Classes, string(rune('a'+i)))
				}
				c := DefaultGAN()
				c.D.Width, c.D.Norm, c.D.Spectral = 4, g.Norm, g.Spectral
				c.Loss, c.RealLabel, c.R1, c.R1Every, c.Augment = g.Loss, g.Label, g.R1, 1, g.Augment
				p := Pictures{Net: &models.GAN{PictureOptions: o}, Index: func(s *Sample) (int, int) { return s.Start, 0 }, Batch: g.batch}
				trainer, err := NewGAN(d, p, c, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer trainer.Close()
				samples := g.samples(t)
				if err := trainer.upload(samples, Rates{LR: 2e-4}); err != nil {
					t.Fatal(err)
				}
				g.set(t, trainer.atelier)
				losses, step, err := trainer.take(samples, 0)
				if err != nil {
					t.Fatal(err)
				}
				g.compare(t, trainer.atelier, losses, 0.5)
				if m, err := trainer.measure(step, samples, losses); err != nil || math.Abs(m.accuracy-g.Accuracy) > 1e-6 {
					t.Errorf("accuracy %v, PyTorch's %v (%v)", m.accuracy, g.Accuracy, err)
				}
			})
		})
	}
}

// TestRegressionStepEqualsPyTorch: one code is asked for twice in the batch.
func TestRegressionStepEqualsPyTorch(t *testing.T) {
	base := models.PictureOptions{Size: 16, Channels: 3, Code: 5, Images: 6}
	deep, up := base, base
	deep.Width, deep.Layers, up.Width = 8, 3, 4
	for name, net := range map[string]models.Picture{
		"perceptron": &models.Perceptron{PictureOptions: base}, "mlp": &models.MLP{PictureOptions: deep}, "deconv": &models.Deconv{PictureOptions: up},
	} {
		t.Run(name, func(t *testing.T) {
			eachDevice(t, func(t *testing.T, d engine.Device) {
				g := openPictureGolden(t, name)
				c := DefaultRegression()
				c.Loss = g.Loss
				index := []int{2, 0, 2, 5}
				p := Pictures{Net: net, Batch: g.batch, Index: func(s *Sample) (int, int) { return index[s.Start], 0 }}
				trainer, err := NewRegression(d, p, c)
				if err != nil {
					t.Fatal(err)
				}
				defer trainer.Close()
				g.set(t, trainer.atelier)
				var losses []Loss
				err = trainer.Train(t.Context(), g.samples(t), Rates{LR: 1e-3}, func(l []Loss) error { losses = l; return nil })
				if err != nil {
					t.Fatal(err)
				}
				g.compare(t, trainer.atelier, losses, float64(c.Beta1))
			})
		})
	}
}

// eachDeviceOf runs a test of a small grey GAN with classes and a mean of its
// weights.
func eachDeviceOf(t *testing.T, f func(t *testing.T, trainer *GAN, batch []*Sample)) {
	eachDevice(t, func(t *testing.T, d engine.Device) {
		c := DefaultGAN()
		c.EMA, c.D.Width = 0.9, 4
		net := &models.GAN{PictureOptions: models.PictureOptions{Size: 16, Channels: 1, Code: 5, Width: 4, Classes: []string{"a", "b"}}}
		p := Pictures{Net: net, Index: func(s *Sample) (int, int) { return s.Start, s.Start % 2 }, Batch: 4, Seed: 3}
		trainer, err := NewGAN(d, p, c, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer trainer.Close()
		f(t, trainer, openPictureGolden(t, "bce").samples(t))
	})
}
