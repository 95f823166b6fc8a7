package train

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/devices"
)

// TestVid2VidR1EqualsPyTorch takes one step of the discriminators with the R1
// penalty, which PyTorch differentiates twice.
func TestVid2VidR1EqualsPyTorch(t *testing.T) {
	var one map[string]map[string]float64
	weights, readWeights := goldenFile(t, "testdata/vid2vid.safetensors", &one)
	var unused map[string]float64
	spectral, readSpectral := goldenFile(t, "testdata/vid2vid_spectral.safetensors", &unused)
	spectral = slices.DeleteFunc(spectral, func(n string) bool { return !strings.HasPrefix(n, "w/") })
	for _, name := range []string{"vid2vid_r1", "vid2vid_r1_spectral"} {
		t.Run(name, func(t *testing.T) {
			var losses map[string]float64
			names, read := goldenFile(t, "testdata/"+name+".safetensors", &losses)
			eachDevice(t, func(t *testing.T, d engine.Device) {
				c := goldenVid2Vid("")
				c.R1, c.R1Every = 1000, 1
				c.D.Spectral = strings.HasSuffix(name, "spectral")
				if c.D.Spectral {
					c.D.Norm = "none"
				}
				v, err := NewVid2Vid(d, c)
				if err != nil {
					t.Fatal(err)
				}
				defer v.Close()
				setGolden(t, v, weights, readWeights)
				if c.D.Spectral {
					setGolden(t, v, spectral, readSpectral)
				}
				if err := v.rates(2e-4, 0, goldenFrame, 1); err != nil {
					t.Fatal(err)
				}
				got, err := v.chunk(goldenFrame, 1, goldenFrame)
				if err != nil {
					t.Fatal(err)
				}
				compareLosses(t, slices.DeleteFunc(got, func(l Loss) bool { return l.Name[0] != 'D' }), losses)
				compareGradients(t, v, 48, names, read)
			})
		})
	}
}

// TestVid2VidR1IsDue once among so many steps, at any of them.
func TestVid2VidR1IsDue(t *testing.T) {
	c := tinyVid2Vid()
	if c.paysAt(0) {
		t.Error("without r1 a penalty is due")
	}
	c.R1, c.R1Every = 10, 4
	at := map[int]int{}
	for block := range 100 {
		due := 0
		for i := range 4 {
			if c.paysAt(4*block + i) {
				due++
				at[i]++
			}
		}
		if due != 1 {
			t.Fatalf("%d of steps %d to %d are due", due, 4*block, 4*block+3)
		}
	}
	for i := range 4 {
		if at[i] < 10 {
			t.Errorf("of 100 steps that are due %d are the %d-th of four", at[i], i)
		}
	}
}

// TestVid2VidR1IsCounted by the memory limit.
func TestVid2VidR1IsCounted(t *testing.T) {
	c := tinyVid2Vid()
	least, err := c.Memory(4)
	if err != nil {
		t.Fatal(err)
	}
	c.R1 = 10
	if n, err := c.Memory(4); err != nil || n <= least {
		t.Errorf("%d bytes with r1, %d without (%v)", n, least, err)
	}
}

// TestR1Wants refuses what cannot be paid.
func TestR1Wants(t *testing.T) {
	for want, change := range map[string]func(*Vid2VidConfig){
		"r1 is -1":         func(c *Vid2VidConfig) { c.R1 = -1 },
		"every -2":         func(c *Vid2VidConfig) { c.R1Every = -2 },
		"NaN":              func(c *Vid2VidConfig) { c.R1 = float32(math.NaN()) },
		"no discriminator": func(c *Vid2VidConfig) { c.R1, c.Weights = 10, Weights{L1: 1} },
	} {
		c := tinyVid2Vid()
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want one with %q", err, want)
		}
	}
	p := DefaultPix2Pix("unet")
	p.GAN, p.R1 = 0, 10
	if err := p.Validate(); err == nil || !strings.Contains(err.Error(), "no discriminator") {
		t.Errorf("pix2pix without a discriminator: %v", err)
	}
}

// TestPix2PixR1Resumes: a trainer that is given another's state goes on as that
// one does, where only some steps pay.
func TestPix2PixR1Resumes(t *testing.T) {
	d, err := devices.Open("ref", devices.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	var pair [2]*Pix2Pix
	for i := range pair {
		pair[i] = tinyPix2Pix(t, d, func(c *Pix2PixConfig) { c.R1, c.R1Every = 10, 2 })
	}
	batch := []*Sample{coloured(32, 0), coloured(32, 1)}
	round := func(p *Pix2Pix, from int) (all []Loss, paid int) {
		for i := range 3 {
			err := p.Train(t.Context(), batch, Rates{LR: 1e-3, Step: from + i}, func(l []Loss) error {
				all = append(all, l...)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		for _, l := range all {
			if l.Name == "R1" {
				paid++
			}
		}
		return all, paid
	}
	if _, paid := round(pair[0], 0); paid != 2 {
		t.Errorf("%d of steps 0 to 2 paid, want 2", paid)
	}
	for i, from := range pair[0].State() {
		x, err := readAll(from.Buffer)
		if err != nil || pair[1].State()[i].Name != from.Name {
			t.Fatalf("state %s: %v", from.Name, err)
		}
		if err := pair[1].State()[i].Buffer.Write(x); err != nil {
			t.Fatal(err)
		}
	}
	want, paid := round(pair[0], 3)
	if got, _ := round(pair[1], 3); !slices.Equal(want, got) || paid != 1 {
		t.Errorf("resumed losses %v, unbroken %v", got, want)
	}
}
