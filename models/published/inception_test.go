package published_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/devices"
	"github.com/v2v/v2v/models/published"
	"github.com/v2v/v2v/models/weights"
	"github.com/v2v/v2v/video"
)

// TestInceptionEqualsPyTorch: both kinds of weights, narrow and random.
func TestInceptionEqualsPyTorch(t *testing.T) {
	for _, name := range []string{"inception", "inception_fid"} {
		for _, device := range []string{"ref", "cpu"} {
			t.Run(name+"/"+device, func(t *testing.T) {
				d, err := devices.Open(device, devices.Options{Threads: 1})
				if errors.Is(err, engine.ErrUnsupported) {
					t.Skipf("device %s is missing: %v", device, err)
				} else if err != nil {
					t.Fatal(err)
				}
				defer d.Close()
				path := "testdata/" + name + ".safetensors"
				g, err := weights.Open(path)
				if err != nil {
					t.Fatal(err)
				}
				defer g.Close()
				read := func(name string) []float32 {
					info, _ := g.Info(name)
					x := make([]float32, info.Elements())
					if err := g.Float32(name, x); err != nil {
						t.Fatal(err)
					}
					return x
				}
				f := video.NewFrame(52, 40)
				for i, v := range read("in/picture") {
					f.Pix[i] = byte(v)
				}
				n, err := published.OpenInception(d, path)
				if err != nil {
					t.Fatal(err)
				}
				defer n.Close()
				got, err := n.Features(f)
				if err != nil {
					t.Fatal(err)
				}
				want := read("out/features")
				if len(got) != len(want) {
					t.Fatalf("%d features, want %d", len(got), len(want))
				}
				var worst float64
				for i, w := range want {
					worst = math.Max(worst, math.Abs(got[i]-float64(w)))
				}
				t.Logf("the largest difference is %.2g", worst)
				if !(worst <= 1e-3) {
					t.Errorf("features are up to %g off PyTorch's", worst)
				}
			})
		}
	}
}

func TestInceptionRefuses(t *testing.T) {
	if _, err := published.OpenInception(nil, "testdata/inception.py"); err == nil {
		t.Error("a program was taken for weights")
	}
	path := t.TempDir() + "/other.safetensors"
	if err := weights.Write(path, []weights.Tensor{{Name: "a", Shape: []int{1}, Data: []float32{1}}}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := published.OpenInception(nil, path); err == nil || !strings.Contains(err.Error(), "no weights of Inception-v3") {
		t.Errorf("error %v", err)
	}
}
