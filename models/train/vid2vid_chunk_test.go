package train

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/devices"
	"github.com/v2v/v2v/models/weights"
)

// goldenFile reads a file of testdata.
func goldenFile(t *testing.T, path string, meta any) (names []string, read func(string) []float32) {
	t.Helper()
	f, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := json.Unmarshal([]byte(f.Metadata()["golden"]), meta); err != nil {
		t.Fatal(err)
	}
	return f.Names(), func(name string) []float32 {
		t.Helper()
		info, _ := f.Info(name)
		x := make([]float32, info.Elements())
		if err := f.Float32(name, x); err != nil {
			t.Fatal(err)
		}
		return x
	}
}

// TestVid2VidChunkEqualsPyTorch takes one step of G, D and both temporal D on a
// chunk of two frames, with gradients through time and without.
func TestVid2VidChunkEqualsPyTorch(t *testing.T) {
	var one map[string]map[string]float64
	var losses map[string]float64
	before, readBefore := goldenFile(t, "testdata/vid2vid.safetensors", &one)
	names, read := goldenFile(t, "testdata/vid2vid_chunk.safetensors", &losses)
	for name, c := range map[string]struct {
		frames, least int
		prefix        string
		recompute     bool
		step          int // of which gradients grow at 7, where it is above 0
	}{"through time": {2, 100, "g/", false, 0}, "made again": {2, 100, "g/", true, 0}, "not through time": {1, 10, "once/", false, 0},
		"not grown": {0, 10, "once/", false, 6}, "grown": {0, 100, "g/", false, 7}} {
		t.Run(name, func(t *testing.T) {
			eachDevice(t, func(t *testing.T, d engine.Device) {
				config := goldenVid2Vid("")
				config.Chunk, config.Backpropagate, config.Recompute = 2, c.frames, c.recompute
				if c.step > 0 {
					config.MaxBackpropagate, config.Grows = 2, []int{7}
				}
				v, err := NewVid2Vid(d, config)
				if err != nil {
					t.Fatal(err)
				}
				defer v.Close()
				setGolden(t, v, before, readBefore)
				setGolden(t, v, names, read)
				if err := v.rates(2e-4, 0, goldenFrame, 2); err != nil {
					t.Fatal(err)
				}
				got, err := v.chunk(goldenFrame, 2, c.step)
				if err != nil {
					t.Fatal(err)
				}
				lengths(got)
				compareLosses(t, got, losses)
				var some []string
				for _, n := range names {
					if own, ok := strings.CutPrefix(n, c.prefix); ok {
						some = append(some, "g/"+own)
					}
				}
				own := func(n string) []float32 { return read(c.prefix + strings.TrimPrefix(n, "g/")) }
				compareGradients(t, v, c.least, some, own)
				if c.prefix == "g/" { // all of them
					compareLengths(t, got, some, own)
				}
			})
		})
	}
}

// TestChunksOfAClip: every frame is in one chunk, the last of which may be
// shorter, and what is judged in time does not stop at their borders.
func TestChunksOfAClip(t *testing.T) {
	eachDevice(t, func(t *testing.T, d engine.Device) {
		c := tinyVid2Vid()
		c.Generator.NGF, c.D.NDF, c.D.Scales, c.Chunk, c.Backpropagate = 2, 2, 2, 3, 2
		c.Generator.Blocks, c.D.NumD = 1, 1
		v, err := NewVid2Vid(d, c)
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		if n := v.Steps(8); n != 3 {
			t.Errorf("8 frames by 3 are %d steps", n)
		}
		var said []string
		err = v.Train(t.Context(), []*Sample{noiseSample(c.Height, c.Width, 8)}, Rates{LR: 2e-4}, func(ls []Loss) error {
			line := ""
			for _, l := range ls {
				if strings.HasSuffix(l.Name, "_fake") {
					line += l.Name
				}
			}
			said = append(said, line)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if want := []string{"D_fakeDT_fake", "D_fakeDT_fake", "D_fakeDT_fakeDT1_fake"}; !slices.Equal(said, want) {
			t.Errorf("judged %q, want %q", said, want)
		}
	})
}

// TestChunkIsTheMeanOfItsFrames: without temporal discriminators and without
// steps between, the losses of a chunk are the means of those of its frames.
func TestChunkIsTheMeanOfItsFrames(t *testing.T) {
	d := openRef(t)
	c := tinyVid2Vid()
	c.Weights.Temporal = 0
	losses := func(c Vid2VidConfig) (all [][]Loss) {
		v, err := NewVid2Vid(d, c)
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		err = v.Train(t.Context(), []*Sample{noiseSample(c.Height, c.Width, 4)}, Rates{}, func(l []Loss) error {
			all = append(all, l)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	single := losses(c)
	c.Chunk = 4
	sum := map[string]float64{}
	for _, frame := range single {
		for _, l := range frame {
			sum[l.Name] += l.Value
		}
	}
	for _, l := range losses(c)[0] {
		frames := 4.0
		switch {
		case l.Name == maskMean: // the first frame has none
			frames = 3
		case isMeasure(l.Name) && l.Name != "D_acc":
			continue
		}
		if want := sum[l.Name] / frames; !(math.Abs(l.Value-want) <= 1e-4*want) {
			t.Errorf("%s is %g, the mean of the frames %g", l.Name, l.Value, want)
		}
	}
}

func openRef(t *testing.T) engine.Device {
	t.Helper()
	d, err := devices.Open("ref", devices.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// TestAccumulate: what Adam is given after two chunks is the mean of their
// gradients, and weights stay as they are until then.
func TestAccumulate(t *testing.T) {
	d := openRef(t)
	moments := func(accumulate int, chunks ...int) map[string][]float32 {
		c := tinyVid2Vid()
		c.Accumulate, c.D.Scales = accumulate, 1
		v, err := NewVid2Vid(d, c)
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		s := noiseSample(c.Height, c.Width, 8)
		for i, frame := range chunks {
			first, err := readAll(v.vars["model_final_img.1.weight"])
			if err == nil {
				err = v.rates(1e-3, i, frame, 1)
			}
			for j := frame - 2; j <= frame && err == nil; j++ { // the window
				err = v.upload([]*Sample{s}, j, 0)
			}
			if err == nil {
				_, err = v.chunk(frame, 1, i)
			}
			if err != nil {
				t.Fatal(err)
			}
			now, err := readAll(v.vars["model_final_img.1.weight"])
			if moved := !slices.Equal(first, now); err != nil || moved != (i+1 == accumulate) {
				t.Errorf("after %d chunks of %d the weights have moved: %v (%v)", i+1, accumulate, moved, err)
			}
			if err := v.forget(); err != nil {
				t.Fatal(err)
			}
		}
		all := map[string][]float32{}
		for name, b := range v.vars {
			if strings.HasSuffix(name, "adam_m") {
				if all[name], err = readAll(b); err != nil {
					t.Fatal(err)
				}
			}
		}
		return all
	}
	one, other, both := moments(1, 4), moments(1, 6), moments(2, 4, 6)
	if len(both) < 50 || len(both) != len(one) {
		t.Fatalf("%d moments, %d without accumulation", len(both), len(one))
	}
	for name, m := range both {
		size := 1e-4
		for i := range m {
			size = math.Max(size, math.Abs(float64(one[name][i])))
		}
		for i := range m {
			if want := (one[name][i] + other[name][i]) / 2; !(math.Abs(float64(m[i]-want)) <= 1e-4*size) {
				t.Fatalf("%s: number %d is %g, the mean of two %g", name, i, m[i], want)
			}
		}
	}
}

// TestVid2VidMeans: the model is the mean of the weights from some step on.
func TestVid2VidMeans(t *testing.T) {
	d := openRef(t)
	c := tinyVid2Vid()
	c.EMA = 0.5
	v, err := NewVid2Vid(d, c)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	const name = "model_final_img.1.bias"
	read := func(name string) []float32 {
		x, err := readAll(v.vars[name])
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	var want []float32
	done := 0
	err = v.Train(t.Context(), []*Sample{noiseSample(c.Height, c.Width, 5)}, Rates{LR: 1e-2}, func([]Loss) error {
		now := read(name)
		if done++; done <= 2 {
			want = now
		}
		for i := range want {
			want[i] = want[i]/2 + now[i]/2
		}
		if got := read(v.Weight(name)); !slices.Equal(got, want) {
			t.Errorf("after %d steps the mean is %v, want %v of %v", done, got, want, now)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	model := modelStates(v.State())
	if len(model) != len(v.render.params) || model[0].Name[:len(emaPrefix)] != emaPrefix {
		t.Errorf("the model is of %d states, the first %s", len(model), model[0].Name)
	}
}
