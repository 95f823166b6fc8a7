package train

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/engine"
)

// goldenVid2Vid is the configuration of testdata/vid2vid_golden.py.
func goldenVid2Vid(loss string) Vid2VidConfig {
	c := DefaultVid2Vid()
	c.Generator = models.Vid2Vid{InputNC: 3, NGF: 4, Downs: 1, Blocks: 2, Frames: 3, Norm: "batch", Scales: 2, LocalBlocks: 1,
		FG: true, FGLabels: []int{1}, LabelNC: 3, Edges: true}
	c.D = DConfig{NDF: 3, Layers: 2, NumD: 2, Norm: "instance", Rate: 1, Scales: 2}
	c.Loss, c.Height, c.Width, c.Batch = loss, 16, 20, 1
	return c
}

// goldenFrame is the frame of a clip whose step was recorded: the first that
// both temporal discriminators judge.
const goldenFrame = 6

// goldenBuffer is where an input of the golden lies in a trainer.
func goldenBuffer(v *Vid2Vid, name string) engine.Buffer {
	var back int
	at := func(ring []engine.Buffer) engine.Buffer { return ring[(goldenFrame-back)%len(ring)] }
	for prefix, ring := range map[string][]engine.Buffer{"fake": v.fake[0], "coarse": v.fake[1], "real": v.real} {
		if n, _ := fmt.Sscanf(name, prefix+"%d", &back); n == 1 {
			return at(ring)
		}
	}
	if n, _ := fmt.Sscanf(name, "label%d", &back); n == 1 {
		back = 2 - back
		return at(v.labels)
	}
	return v.in[name]
}

// TestVid2VidStepEqualsPyTorch takes one step of G, D and both temporal D, at
// two spatial scales with a foreground.
func TestVid2VidStepEqualsPyTorch(t *testing.T) {
	var losses map[string]map[string]float64
	names, read := goldenFile(t, "testdata/vid2vid.safetensors", &losses)
	for _, loss := range []string{"lsgan", "hinge", "vanilla"} {
		t.Run(loss, func(t *testing.T) {
			eachDevice(t, func(t *testing.T, d engine.Device) {
				v, err := NewVid2Vid(d, goldenVid2Vid(loss))
				if err != nil {
					t.Fatal(err)
				}
				defer v.Close()
				setGolden(t, v, names, read)
				if err := v.rates(2e-4, 0, goldenFrame, 1); err != nil {
					t.Fatal(err)
				}
				got, err := v.chunk(goldenFrame, 1, goldenFrame)
				if err != nil {
					t.Fatal(err)
				}
				lengths(got)
				compareLosses(t, got, losses[loss])
				if loss == "lsgan" {
					compareLengths(t, got, names, read)
					compareGradients(t, v, 100, names, read)
				}
			})
		})
	}
}

// setGolden puts weights and inputs in place.
func setGolden(t *testing.T, v *Vid2Vid, names []string, read func(string) []float32) {
	t.Helper()
	for _, n := range names {
		kind, name, _ := strings.Cut(n, "/")
		to := v.vars[name]
		switch kind {
		case "in":
			to = goldenBuffer(v, name)
		case "g", "once":
			continue
		}
		if to == nil {
			t.Fatalf("the trainer has no %s", n)
		}
		writeGolden(t, to, read(n))
	}
}

func writeGolden(t *testing.T, to engine.Buffer, x []float32) {
	t.Helper()
	var data any = x
	if to.Type() == engine.U8 {
		pix := make([]byte, len(x))
		for i, v := range x {
			pix[i] = byte(v)
		}
		data = pix
	}
	if err := to.Write(data); err != nil {
		t.Fatal(err)
	}
}

func compareLosses(t *testing.T, got []Loss, want map[string]float64) {
	t.Helper()
	got = slices.DeleteFunc(slices.Clone(got), func(l Loss) bool { return isMeasure(l.Name) })
	if len(got) != len(want) {
		t.Errorf("losses %v, PyTorch's %v", got, want)
	}
	for _, l := range got {
		w, ok := want[l.Name]
		if !ok || !(math.Abs(l.Value-w) <= 1e-4*math.Abs(w)) {
			t.Errorf("loss %s is %.7g, PyTorch's %.7g", l.Name, l.Value, w)
		}
	}
}

// compareLengths holds the lengths of the gradients of the generator and of each
// discriminator against PyTorch's.
func compareLengths(t *testing.T, got []Loss, names []string, read func(string) []float32) {
	t.Helper()
	want := map[string]float64{}
	for _, n := range names {
		name, ok := strings.CutPrefix(n, "g/")
		if !ok {
			continue
		}
		of := "G_norm"
		for _, d := range []string{"D", "DT", "DT1"} {
			if strings.HasPrefix(name, d+".") {
				of = d + "_norm"
			}
		}
		for _, w := range read(n) {
			want[of] += float64(w) * float64(w)
		}
	}
	compared := 0
	for _, l := range got {
		if w := math.Sqrt(want[l.Name]); isLength(l.Name) {
			compared++
			if !(math.Abs(l.Value-w) <= 1e-3*w) {
				t.Errorf("%s is %.7g, PyTorch's %.7g", l.Name, l.Value, w)
			}
		}
	}
	if compared != 4 {
		t.Errorf("%d lengths in %v, want 4", compared, got)
	}
}

// compareGradients holds every parameter's gradient against PyTorch's: Adam's
// first moment after the first step, over 1-beta1. Those that are nothing but
// rounding, of a bias before a normalisation, are held against a thousandth of the largest.
func compareGradients(t *testing.T, v *Vid2Vid, least int, names []string, read func(string) []float32) {
	t.Helper()
	most := map[bool]float64{} // by whether they are a discriminator's
	for _, n := range names {
		if strings.HasPrefix(n, "g/") {
			for _, w := range read(n) {
				of := strings.HasPrefix(n, "g/D")
				most[of] = math.Max(most[of], math.Abs(float64(w)))
			}
		}
	}
	worst, where, compared := 0.0, "", 0
	for _, n := range names {
		name, ok := strings.CutPrefix(n, "g/")
		if !ok {
			continue
		}
		adam := "adam"
		switch {
		case strings.HasPrefix(name, "DT1."):
			adam = "dt1adam"
		case strings.HasPrefix(name, "D"):
			adam = "dadam"
		case v.vars[name+".adam_m"] == nil:
			adam = lateAdam
		}
		got, err := readAll(v.vars[name+"."+adam+"_m"])
		if err != nil {
			t.Fatal(err)
		}
		off, size := 0.0, 1e-3*most[strings.HasPrefix(name, "D")]
		for i, w := range read(n) {
			off = math.Max(off, math.Abs(float64(got[i])/0.5-float64(w)))
			size = math.Max(size, math.Abs(float64(w)))
		}
		compared++
		if !(off/size <= worst) {
			worst, where = off/size, name
		}
	}
	t.Logf("%d gradients: the largest relative difference is %.2g, of %s", compared, worst, where)
	if !(worst <= 1e-3) || compared < least {
		t.Errorf("of %d gradients that of %s differs from PyTorch's by %.3g of its largest number", compared, where, worst)
	}
}
