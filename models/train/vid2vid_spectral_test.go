package train

import (
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/devices"
	"github.com/v2v/v2v/models/op"
)

// TestVid2VidSpectralEqualsPyTorch takes one step of G, D and both temporal D
// whose weights are over their spectral norm.
func TestVid2VidSpectralEqualsPyTorch(t *testing.T) {
	var one map[string]map[string]float64
	var losses map[string]float64
	before, readBefore := goldenFile(t, "testdata/vid2vid.safetensors", &one)
	names, read := goldenFile(t, "testdata/vid2vid_spectral.safetensors", &losses)
	var first, after []string
	for _, n := range names {
		if name, ok := strings.CutPrefix(n, "after/"); ok {
			after = append(after, name)
		} else {
			first = append(first, n)
		}
	}
	eachDevice(t, func(t *testing.T, d engine.Device) {
		config := goldenVid2Vid("")
		config.D.Norm, config.D.Spectral = "none", true
		v, err := NewVid2Vid(d, config)
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		setGolden(t, v, before, readBefore)
		setGolden(t, v, first, read)
		if err := v.rates(2e-4, 0, goldenFrame, 1); err != nil {
			t.Fatal(err)
		}
		got, err := v.chunk(goldenFrame, 1, goldenFrame)
		if err != nil {
			t.Fatal(err)
		}
		compareLosses(t, got, losses)
		compareGradients(t, v, 40, names, read)
		if len(after) != 24 {
			t.Errorf("%d directions in the golden, want 24", len(after))
		}
		for _, name := range after {
			v, err := readAll(v.vars[name])
			if err != nil {
				t.Fatal(err)
			}
			for i, w := range read("after/" + name) {
				if !(math.Abs(float64(v[i]-w)) <= 1e-5) {
					t.Errorf("%s after the step is %g at %d, PyTorch's %g", name, v[i], i, w)
					break
				}
			}
		}
	})
}

// TestVid2VidSpectralWants refuses what would undo the spectral norm.
func TestVid2VidSpectralWants(t *testing.T) {
	c := tinyVid2Vid()
	c.D.Spectral = true
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "spectral wants norm none") {
		t.Errorf("spectral with instance norm: %v", err)
	}
	c.D.Norm = "none"
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}

// TestSpectralNormsBeginWithTheirDirections: what weights are divided by before
// the first step is nearly their largest singular value, for all discriminators,
// in a new run and in one that begins with weights that had no spectral norm.
func TestSpectralNormsBeginWithTheirDirections(t *testing.T) {
	dev, err := devices.Open("ref", devices.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	c := tinyVid2Vid()
	c.D.Norm, c.D.NDF, c.D.Scales = "none", 16, 2
	plain, err := NewVid2Vid(dev, c)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	c.D.Spectral, c.Seed = true, 6
	v, err := NewVid2Vid(dev, c)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	nearlyNorms(t, v)
	run := checkpoints{dir: t.TempDir(), keep: 1, log: slog.New(slog.DiscardHandler)}
	path, err := run.save(progress{Step: 1}, plain.State())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := adopt(path, v.State()); err != nil {
		t.Fatal(err)
	}
	nearlyNorms(t, v)
}

// nearlyNorms compares |Wv| with what 500 more steps of the power method make of it.
func nearlyNorms(t *testing.T, v *Vid2Vid) {
	t.Helper()
	seen := 0
	for name, b := range v.vars {
		if !isDirection(name) {
			continue
		}
		seen++
		w, err := readAll(v.vars[strings.TrimSuffix(name, "_v")])
		if err != nil {
			t.Fatal(err)
		}
		first, err := readAll(b)
		if err != nil {
			t.Fatal(err)
		}
		last := slices.Clone(first)
		for range 500 {
			next := make([]float32, len(last))
			op.SpectralStep{}.Do([]op.Tensor{{F: w}, {F: last}}, op.Tensor{F: next})
			last = next
		}
		if got, want := stretch(w, first), stretch(w, last); !(got > 0.9*want) {
			t.Errorf("%s begins at a norm of %.3g of %.3g", name, got, want)
		}
	}
	if seen != 24 {
		t.Errorf("%d directions, want 24", seen)
	}
}

// stretch is |Wv|.
func stretch(w, v []float32) float64 {
	var square float64
	for o := range len(w) / len(v) {
		var u float64
		for k, x := range v {
			u += float64(w[o*len(v)+k]) * float64(x)
		}
		square += u * u
	}
	return math.Sqrt(square)
}
