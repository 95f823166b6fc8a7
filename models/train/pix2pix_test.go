package train

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/devices"
	"github.com/v2v/v2v/video"
)

// pairGolden is one step as PyTorch takes it (testdata/pix2pix_golden.py).
type pairGolden struct {
	pictureGolden
	Network     string
	Options     json.RawMessage
	Batch, H, W int
	Scales      int
	First       bool
	L1          float32 `json:"l1"`
	FM          float32 `json:"fm"`
	Losses      map[string]float64
	Loss, Norm  string
	Stage       string
	Label       float32
	VGG         bool `json:"vgg"` // the perceptual loss of perceptual.safetensors
}

func (g pairGolden) pairs(t *testing.T) []*Sample {
	a, b := g.get(t, "in/control"), g.get(t, "in/real")
	var all []*Sample
	for i := range g.Batch {
		s := &Sample{A: []*video.Frame{video.NewFrame(g.W, g.H)}, B: []*video.Frame{video.NewFrame(g.W, g.H)}}
		n := len(s.A[0].Pix)
		for k := range n {
			s.A[0].Pix[k], s.B[0].Pix[k] = byte(a[i*n+k]), byte(b[i*n+k])
		}
		all = append(all, s)
	}
	return all
}

// TestPix2PixStepEqualsPyTorch takes one step of D and G. In pix2pix's order
// the generator learns from a discriminator that has learned.
func TestPix2PixStepEqualsPyTorch(t *testing.T) {
	for _, name := range []string{"unet", "resnet", "hd", "hd_local_global", "hd_local_fixed", "hd_local_all", "hd_features",
		"hd_vgg", "unet_dropout", "resnet_dropout", "r1", "r1_patches"} {
		t.Run(name, func(t *testing.T) {
			eachDevice(t, func(t *testing.T, d engine.Device) {
				var g pairGolden
				g.File = openGolden(t, "pix2pix_"+name, &g)
				g.pictureGolden.Losses = g.Losses
				net, err := models.Blank(g.Network)
				if err != nil {
					t.Fatal(err)
				}
				if err := json.Unmarshal(g.Options, net); err != nil {
					t.Fatal(err)
				}
				c := DefaultPix2Pix(g.Network)
				if c.D.First != g.First || c.D.NumD != g.Scales || c.D.Norm != g.Norm {
					t.Errorf("the default discriminator is %+v, the published one goes first: %v, has %d scales and %s norm", c.D, g.First, g.Scales, g.Norm)
				}
				c.D.NDF, c.D.Layers = 2, 2
				c.Loss, c.RealLabel, c.L1, c.Features = g.Loss, g.Label, g.L1, g.FM
				c.R1, c.R1Every = g.R1, 1
				if g.VGG {
					c.Perceptual = openVGG(t)
				}
				switch g.Stage {
				case "global":
					c.GlobalSteps = 1
				case "fixed":
					c.FixGlobal = 1
				}
				trainer, err := NewPix2Pix(d, Pairs{Net: net, Height: g.H, Width: g.W, Batch: g.Batch}, c, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer trainer.Close()
				if err := trainer.prepare(g.pairs(t), Rates{LR: 2e-3}); err != nil {
					t.Fatal(err)
				}
				g.set(t, trainer.atelier)
				losses, err := trainer.take()
				if err != nil {
					t.Fatal(err)
				}
				g.compare(t, trainer.atelier, losses, 0.5)
			})
		})
	}
}

// luminance is a frame without its colours: Rec. 601 luma in every channel.
func luminance(f *video.Frame) *video.Frame {
	out := video.NewFrame(f.W, f.H)
	for i := 0; i < len(f.Pix); i += 3 {
		y := byte((int(f.Pix[i])*4899 + int(f.Pix[i+1])*9617 + int(f.Pix[i+2])*1868 + 1<<13) >> 14)
		out.Pix[i], out.Pix[i+1], out.Pix[i+2] = y, y, y
	}
	return out
}

// coloured is a pair: rings whose colour their luminance tells, and that
// luminance.
func coloured(side int, phase float64) *Sample {
	a, b := video.NewFrame(side, side), video.NewFrame(side, side)
	for i := range side * side {
		x, y := float64(i%side-side/2), float64(i/side-side/2)
		v := 0.5 + 0.5*math.Sin(math.Hypot(x, y)/3+phase)
		copy(b.Pix[3*i:], []byte{byte(40 + 200*v), byte(60 + 80*v), byte(200 - 160*v)})
	}
	copy(a.Pix, luminance(b).Pix)
	return &Sample{A: []*video.Frame{a}, B: []*video.Frame{b}}
}

// chroma is the PSNR of colour differences, R-Y and B-Y.
func chroma(a, b *video.Frame) float64 {
	ya, yb := luminance(a), luminance(b)
	var sum float64
	for i := 0; i < len(a.Pix); i += 3 {
		for _, c := range []int{0, 2} {
			d := float64(a.Pix[i+c]) - float64(ya.Pix[i+c]) - float64(b.Pix[i+c]) + float64(yb.Pix[i+c])
			sum += d * d
		}
	}
	return 10 * math.Log10(255*255/(sum/float64(2*len(a.Pix)/3)))
}

func tinyPix2Pix(t *testing.T, d engine.Device, change func(*Pix2PixConfig)) *Pix2Pix {
	t.Helper()
	c := DefaultPix2Pix("unet")
	c.D.NDF, c.D.Layers = 8, 2
	change(&c)
	net := &models.UNet{InputNC: 1, OutputNC: 3, NGF: 8, Levels: 5, Norm: "batch"}
	trainer, err := NewPix2Pix(d, Pairs{Net: net, Height: 32, Width: 32, Batch: 2, Seed: 3}, c, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { trainer.Close() })
	return trainer
}

// TestPix2PixColours learns the colours of rings and makes those of rings that
// it never saw, with each loss and with none.
func TestPix2PixColours(t *testing.T) {
	for name, change := range map[string]func(*Pix2PixConfig){
		"bce":    func(*Pix2PixConfig) {},
		"lsgan":  func(c *Pix2PixConfig) { c.Loss, c.D.First = "lsgan", false },
		"hinge":  func(c *Pix2PixConfig) { c.Loss, c.D.NumD, c.D.Norm = "hinge", 2, "instance" },
		"no gan": func(c *Pix2PixConfig) { c.GAN = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			d, err := devices.Open("auto", devices.Options{Threads: 1})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { d.Close() }) // after the trainer
			trainer := tinyPix2Pix(t, d, change)
			for k := range 60 {
				batch := []*Sample{coloured(32, 0.7*float64(k)), coloured(32, 0.7*float64(k)+3)}
				if err := trainer.Train(t.Context(), batch, Rates{LR: 1e-3, Step: k}, func([]Loss) error { return nil }); err != nil {
					t.Fatal(err)
				}
			}
			held := coloured(32, 0.31)
			pictures, err := trainer.Render(t.Context(), held)
			if err != nil {
				t.Fatal(err)
			}
			grey, made := chroma(pictures[0].Frame, pictures[2].Frame), chroma(pictures[1].Frame, pictures[2].Frame)
			t.Logf("chroma: %.1f dB, of grey %.1f dB", made, grey)
			if !(made >= grey+3) {
				t.Errorf("chroma PSNR is %.1f dB, that of the grey picture %.1f dB", made, grey)
			}
		})
	}
}

// rings are six pictures of rings, to be made of their luminance.
func rings(t *testing.T, side int) *Data {
	t.Helper()
	dir := t.TempDir()
	for i := range 6 {
		if err := video.WritePNG(filepath.Join(dir, fmt.Sprintf("%d.png", i)), coloured(side, float64(i)).B[0]); err != nil {
			t.Fatal(err)
		}
	}
	gray := func(f *video.Frame) (*video.Frame, error) { return luminance(f), nil }
	return openData(t, dir, DataOptions{Loose: true, Alone: true, Frames: 1, A: gray, Flip: true})
}

// TestPix2PixResumesExactly in both orders of a step: a run that is stopped and
// resumed ends with the numbers of one that was left alone, bit for bit.
func TestPix2PixResumesExactly(t *testing.T) {
	data := rings(t, 32)
	for name, first := range map[string]bool{"discriminator first": true, "generator first": false} {
		t.Run(name, func(t *testing.T) {
			dev := fast(t)
			resumesExactly(t, func(dir string) Options {
				trainer := tinyPix2Pix(t, dev, func(c *Pix2PixConfig) { c.D.First = first })
				return Options{Dir: dir, Trainer: trainer, Data: data, Steps: 20, Frames: 1, Batch: 2, Seed: 3, CheckpointSteps: 1000, SheetSteps: 10}
			})
		})
	}
}

func TestPix2PixRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Pix2PixConfig, *Pairs)
		want   string
	}{
		"size":     {func(_ *Pix2PixConfig, p *Pairs) { p.Width = 40 }, `samples are 32x40 (height x width), the network takes multiples of 32`},
		"features": {func(c *Pix2PixConfig, _ *Pairs) { c.Features = 10 }, "no scales to match them in"},
		"loss":     {func(c *Pix2PixConfig, _ *Pairs) { c.Loss = "wgan" }, "give bce, lsgan or hinge"},
		"nothing":  {func(c *Pix2PixConfig, _ *Pairs) { c.GAN, c.L1 = 0, 0 }, "nothing would teach"},
		"rate":     {func(c *Pix2PixConfig, _ *Pairs) { c.D.Rate = 0 }, "positive multiple"},
		"smooth":   {func(c *Pix2PixConfig, _ *Pairs) { c.Loss, c.RealLabel = "hinge", 0.9 }, "no labels to smooth"},
		"past":     {func(_ *Pix2PixConfig, p *Pairs) { p.Net = models.DefaultVid2Vid() }, "of one control picture alone"},
		"stored":   {func(_ *Pix2PixConfig, p *Pairs) { p.Net.(*models.UNet).Stats = "running" }, "norm_stats"},
	} {
		t.Run(name, func(t *testing.T) {
			config := DefaultPix2Pix("unet")
			p := Pairs{Net: &models.UNet{InputNC: 3, OutputNC: 3, NGF: 8, Levels: 5, Norm: "batch"}, Height: 32, Width: 32, Batch: 1}
			c.change(&config, &p)
			_, err := NewPix2Pix(nil, p, config, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}
