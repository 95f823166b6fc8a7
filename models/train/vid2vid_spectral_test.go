package train

import (
	"math"
	"strings"
	"testing"

	"github.com/v2v/v2v/models/engine"
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
