package train

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/devices"
)

// TestTimeScales: which temporal discriminator judges which frame of a clip.
func TestTimeScales(t *testing.T) {
	for name, c := range map[string]struct {
		d    DConfig
		want [][]int // by scale, of frames 0 to 12
	}{
		"legacy":    {DConfig{}, [][]int{{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}}},
		"one":       {DConfig{Scales: 1}, [][]int{{2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}}},
		"two":       {DConfig{Scales: 2}, [][]int{{2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, {6, 7, 8, 9, 10, 11, 12}}},
		"sparse":    {DConfig{Scales: 2, Sparse: true}, [][]int{{2, 5, 8, 11}, {6, 9, 12}}},
		"of frames": {DConfig{Scales: 3, Frames: 2, Sparse: true}, [][]int{{1, 3, 5, 7, 9, 11}, {2, 4, 6, 8, 10, 12}, {4, 6, 8, 10, 12}}},
	} {
		t.Run(name, func(t *testing.T) {
			v := tinyVid2Vid()
			v.D.Scales, v.D.Frames, v.D.Sparse = c.d.Scales, c.d.Frames, c.d.Sparse
			scales, kinds := v.timeScales(), v.kinds()
			got := make([][]int, len(scales))
			for frame := range 13 {
				if !slices.Contains(kinds, kindAt(scales, frame, 1, false)) {
					t.Errorf("no programs for frame %d", frame)
				}
				for i, s := range scales {
					if s.at(frame) {
						got[i] = append(got[i], frame)
					}
				}
			}
			if !slices.EqualFunc(got, c.want, slices.Equal[[]int]) {
				t.Errorf("judged are %v, want %v", got, c.want)
			}
		})
	}
}

func TestVid2VidRefusals(t *testing.T) {
	for want, change := range map[string]func(*Vid2VidConfig){
		"norm_stats is running": func(c *Vid2VidConfig) { c.Generator.Stats = "running" },
		"input_nc is 5":         func(c *Vid2VidConfig) { c.Generator.InputNC = 5 },
		"nobody knows":          func(c *Vid2VidConfig) { c.Generator.InputNC, c.Generator.Edges = 6, true },
		"loss is":               func(c *Vid2VidConfig) { c.Loss = "wgan" },
		"fix_global is 5":       func(c *Vid2VidConfig) { c.FixGlobal = 5 },
		"n_scales_temporal is":  func(c *Vid2VidConfig) { c.D.Scales = 9 },
		"n_frames_D is 1":       func(c *Vid2VidConfig) { c.D.Frames = 1 },
		"chunk is -1":           func(c *Vid2VidConfig) { c.Chunk = -1 },
		"accumulate -1":         func(c *Vid2VidConfig) { c.Accumulate = -1 },
		"n_frames_bp is 3":      func(c *Vid2VidConfig) { c.Chunk, c.Backpropagate = 2, 3 },
		"backpropagate is -1":   func(c *Vid2VidConfig) { c.MaxBackpropagate = -1 },
		"give one or the other": func(c *Vid2VidConfig) { c.Chunk, c.Backpropagate, c.MaxBackpropagate = 2, 2, 2 },
		"ema is 1":              func(c *Vid2VidConfig) { c.EMA = 1 },
		"sparse_D wants":        func(c *Vid2VidConfig) { c.D.Sparse = true },
		"no multiple of":        func(c *Vid2VidConfig) { c.Width = 22 },
		"too small":             func(c *Vid2VidConfig) { c.Height = 4 },
	} {
		c := tinyVid2Vid()
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is refused by %v", want, err)
		}
	}
}

// TestFixGlobal: coarser scales stay as they are until all learn, and then do.
func TestFixGlobal(t *testing.T) {
	d, err := devices.Open("ref", devices.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	c := goldenVid2Vid("")
	c.Generator.FG, c.Generator.FGLabels, c.Generator.LabelNC, c.FixGlobal, c.TTUR = false, nil, 0, 3, true
	v, err := NewVid2Vid(d, c)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	s := noiseSample(c.Height, c.Width, 3)
	at := func(name string) []float32 {
		x, err := readAll(v.vars[name])
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	coarse, fine := at("model_down_seg.1.weight"), at("netG1.model_down_seg.1.weight")
	for round := range 2 {
		if err := v.Train(t.Context(), []*Sample{s}, Rates{LR: 1e-3, Step: 3 * round}, func([]Loss) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if same := slices.Equal(coarse, at("model_down_seg.1.weight")); same != (round == 0) {
			t.Errorf("after %d steps the coarse scale is unchanged: %v", 3*round+3, same)
		}
		if now := at("netG1.model_down_seg.1.weight"); slices.Equal(fine, now) {
			t.Errorf("after %d steps the finest scale has not learned", 3*round+3)
		} else {
			fine = now
		}
	}
}

// TestLongClips trains on a clip that every temporal discriminator judges.
func TestLongClips(t *testing.T) {
	eachDevice(t, func(t *testing.T, d engine.Device) {
		c := tinyVid2Vid()
		c.D.Scales, c.D.Sparse = 2, true
		v, err := NewVid2Vid(d, c)
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		var said []string
		err = v.Train(t.Context(), []*Sample{noiseSample(c.Height, c.Width, 8)}, Rates{LR: 2e-4}, func(ls []Loss) error {
			line := ""
			for _, l := range ls {
				if strings.HasSuffix(l.Name, "_fake") && l.Name != "D_fake" {
					line += l.Name
				}
			}
			said = append(said, line)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if want := []string{"", "", "DT_fake", "", "", "DT_fake", "DT1_fake", ""}; !slices.Equal(said, want) {
			t.Errorf("judged %q, want %q", said, want)
		}
		if n, err := readAll(v.vars["DT1.steps"]); err != nil || n[0] != 1 {
			t.Errorf("its optimiser counts %v steps (%v)", n, err)
		}
	})
}

// TestChainedFlow: a field that moves everything by (1,0) moves it by (3,0)
// over three frames.
func TestChainedFlow(t *testing.T) {
	s := noiseSample(4, 6, 5)
	for _, f := range s.Flow[1:] {
		for i := range f.U {
			f.U[i], f.V[i] = 1, 0
		}
	}
	f, err := chained(s, 4, 3)
	if err != nil || slices.Min(f.U) != 3 || slices.Max(f.U) != 3 || slices.Max(f.V) != 0 {
		t.Errorf("%v %v", f, err)
	}
	if f, err := chained(s, 2, 3); f != nil || err != nil {
		t.Errorf("before the clip: %v %v", f, err)
	}
}

func TestUnknownLabelsAreRefused(t *testing.T) {
	dir := t.TempDir()
	writeData(t, filepath.Join(dir, "data"), "train_A", "train_B", 8, 6, 7)
	d := openData(t, filepath.Join(dir, "data"), DataOptions{})
	if err := d.CheckLabels(256); err != nil {
		t.Error(err)
	}
	if err := d.CheckLabels(1); err == nil || !strings.Contains(err.Error(), "0 to 0 are labels") || !strings.Contains(err.Error(), filepath.Join("train_A", d.clips[0].name, "0000.png: ")) {
		t.Errorf("refused with %v", err)
	}
}
