package train

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/v2v/v2v/flow"
	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/devices"
	"github.com/v2v/v2v/video"
)

func tinyVid2Vid() Vid2VidConfig {
	c := DefaultVid2Vid()
	c.Generator = models.Vid2Vid{InputNC: 3, NGF: 4, Downs: 2, Blocks: 3, Frames: 3, Norm: "batch"}
	c.D.NDF, c.D.Layers, c.D.NumD = 4, 2, 2
	c.Height, c.Width, c.Batch, c.Seed = 16, 24, 1, 5
	return c
}

// noiseSample is a sample of smooth random pictures with random flow.
func noiseSample(h, w, frames int) *Sample {
	rng := rand.New(rand.NewPCG(1, 9))
	s := &Sample{Flow: make([]*flow.Field, frames), Visible: make([][]float32, frames)}
	for t := range frames {
		a, b := video.NewFrame(w, h), video.NewFrame(w, h)
		for i := range a.Pix {
			a.Pix[i] = byte(127 + 100*math.Sin(float64(i+17*t)/9))
			b.Pix[i] = byte(127 + 100*math.Cos(float64(i+11*t)/13) + 20*rng.Float64())
		}
		s.A, s.B = append(s.A, a), append(s.B, b)
		if t == 0 {
			continue
		}
		s.Flow[t], s.Visible[t] = flow.NewField(w, h), make([]float32, h*w)
		for i := range h * w {
			s.Flow[t].U[i], s.Flow[t].V[i] = rng.Float32()*2-1, rng.Float32()*2-1
			s.Visible[t][i] = float32(i % 2)
		}
	}
	return s
}

func trainLosses(t *testing.T, d engine.Device, c Vid2VidConfig, rounds int) [][]Loss {
	t.Helper()
	v, err := NewVid2Vid(d, c)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	s := noiseSample(c.Height, c.Width, 3)
	batch := make([]*Sample, c.Batch)
	for i := range batch {
		batch[i] = s
	}
	var all [][]Loss
	for r := range rounds {
		err := v.Train(context.Background(), batch, Rates{LR: 2e-4, Step: 3 * r}, func(l []Loss) error {
			all = append(all, l)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// TestVid2VidStepIsTheSameOnEveryDevice trains on ref and on cpu: every loss
// term agrees before the first update and after it. Later steps drift apart,
// because Adam's first updates have the size of the learning rate whatever the
// gradient's, rounding errors around zero included.
func TestVid2VidStepIsTheSameOnEveryDevice(t *testing.T) {
	ref, err := devices.Open("ref", devices.Options{})
	if err != nil {
		t.Fatal(err)
	}
	cpu, err := devices.Open("cpu", devices.Options{Threads: 2})
	if errors.Is(err, engine.ErrUnsupported) {
		t.Skipf("device cpu is missing: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	defer cpu.Close()
	for name, change := range map[string]func(*Vid2VidConfig){
		"published":  func(*Vid2VidConfig) {},
		"no flow":    func(c *Vid2VidConfig) { c.Generator.NoFlow = true },
		"l1 alone":   func(c *Vid2VidConfig) { c.Weights = Weights{L1: 1} },
		"two a step": func(c *Vid2VidConfig) { c.Batch = 2 },
		"blocked":    func(c *Vid2VidConfig) { c.Generator.NGF, c.D.NDF = 16, 16 },
	} {
		t.Run(name, func(t *testing.T) {
			c := tinyVid2Vid()
			change(&c)
			want, got := trainLosses(t, ref, c, 1), trainLosses(t, cpu, c, 1)
			for i := range 2 {
				for k, l := range want[i] {
					if g := got[i][k]; g.Name != l.Name || !(math.Abs(g.Value-l.Value) <= 2e-3*(1+math.Abs(l.Value))) {
						t.Errorf("step %d: cpu %v, ref %v", i, g, l)
					}
				}
			}
		})
	}
}

func TestVid2VidLearns(t *testing.T) {
	d, err := devices.Open("auto", devices.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	c := tinyVid2Vid()
	c.Generator.NGF, c.D.NDF = 16, 16
	all := trainLosses(t, d, c, 20)
	value := func(ls []Loss, name string) float64 {
		for _, l := range ls {
			if l.Name == name {
				return l.Value
			}
		}
		t.Fatalf("no loss %s in %v", name, ls)
		return 0
	}
	if first, last := value(all[1], "G_L1"), value(all[len(all)-1], "G_L1"); !(last < 0.7*first) {
		t.Errorf("L1 went from %g to %g", first, last)
	}
}

func TestVid2VidRendersWhatItMade(t *testing.T) {
	d, err := devices.Open("auto", devices.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	c := tinyVid2Vid()
	v, err := NewVid2Vid(d, c)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	s := noiseSample(c.Height, c.Width, 3)
	ps, err := v.Render(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	var labels []string
	for _, p := range ps {
		labels = append(labels, p.Label)
		if p.Frame.W != c.Width || p.Frame.H != c.Height {
			t.Errorf("%s is %dx%d", p.Label, p.Frame.W, p.Frame.H)
		}
	}
	if len(labels) != 5 {
		t.Errorf("pictures %v", labels)
	}
}

// BenchmarkVid2VidStep is a whole step (G, D, temporal D) of the demo's size.
func BenchmarkVid2VidStep(b *testing.B) {
	d, err := devices.Open("auto", devices.Options{Threads: 2})
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	c := DefaultVid2Vid()
	c.Generator = models.Vid2Vid{InputNC: 1, NGF: 16, Downs: 3, Blocks: 4, Frames: 3, Norm: "batch"}
	c.D.NDF, c.Height, c.Width, c.Batch = 16, 144, 192, 1
	v, err := NewVid2Vid(d, c)
	if err != nil {
		b.Fatal(err)
	}
	defer v.Close()
	s := noiseSample(c.Height, c.Width, 4)
	for b.Loop() {
		if err := v.Train(context.Background(), []*Sample{s}, Rates{LR: 2e-4}, func([]Loss) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(4*b.N), "ms/step")
}
