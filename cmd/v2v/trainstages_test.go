package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/v2v/v2v/models/train"
)

// streetStages is the published schedule for streets on one GPU, whose last
// stage is trained on parts of the pictures.
const streetStages = `
frames = 6
niter = 10
niter_decay = 10
niter_step = 5
[generator]
label_nc = 35
use_instance = true
fg = true
fg_labels = [26]
ngf = 128
n_downsample = 2
n_blocks = 9
n_frames = 3
norm = "batch"
[discriminator]
ndf = 64
n_layers = 3
num_d = 1
n_scales_temporal = 2

[[stage]]
load_size = "128x256"
chunk = 6

[[stage]]
load_size = "256x512"
frames = 4
chunk = 2
niter_decay = 5
niter_step = 2
niter_fix_global = 8
generator.n_scales_spatial = 2
discriminator.num_d = 2

[[stage]]
load_size = "512x1024"
size = "448x896"
frames = 4
chunk = 1
niter_decay = 5
niter_step = 2
niter_fix_global = 8
lr = 1e-4
generator = {n_scales_spatial = 3}
discriminator = {num_d = 3, n_frames_D = 2}
`

func stagesOf(t *testing.T, text string) ([]trainConfig, error) {
	t.Helper()
	o := trainOptions{config: filepath.Join(t.TempDir(), "stages.toml")}
	if err := os.WriteFile(o.config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := o.configure(func(string) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	return c.stages()
}

func TestPublishedStages(t *testing.T) {
	all, err := stagesOf(t, streetStages)
	if err != nil || len(all) != 3 {
		t.Fatalf("%d stages: %v", len(all), err)
	}
	type said struct {
		load, size                   string
		scales, numD, framesD, ndf   int
		frames, chunk, fix, constant int
		lr                           float64
		epochs                       train.Epochs
	}
	for i, want := range []said{
		{"128x256", "", 0, 1, 0, 64, 6, 6, 0, 0, 2e-4, train.Epochs{Constant: 10, Decay: 10, Grow: 5, Spare: 2}},
		{"256x512", "", 2, 2, 0, 64, 4, 2, 8, 0, 2e-4, train.Epochs{Constant: 10, Decay: 5, Grow: 2, Spare: 2}},
		{"512x1024", "448x896", 3, 3, 2, 64, 4, 1, 8, 0, 1e-4, train.Epochs{Constant: 10, Decay: 5, Grow: 2, Spare: 2}},
	} {
		c := all[i]
		got := said{c.LoadSize, c.Size, c.Generator.Scales, c.D.NumD, c.D.Frames, c.D.NDF, c.Frames, c.Chunk, c.NiterFixGlobal, c.Constant, c.LR, c.epochs()}
		if got != want {
			t.Errorf("stage %d is %+v, want %+v", i+1, got, want)
		}
		if !c.Generator.FG || c.Generator.LabelNC != 35 || c.Steps != 0 {
			t.Errorf("stage %d inherits nothing: %+v", i+1, c)
		}
	}
}

// poseStages is the published schedule for poses: a clip begins with nothing, samples
// step by up to four frames, and from the second stage on faces are judged.
const poseStages = `
dataset_mode = "pose"
random_drop_prob = 0.05
resize_or_crop = "randomScaleHeight_and_scaledCrop"
max_t_step = 4
frames = 12
niter = 5
niter_decay = 5
niter_step = 5
[generator]
ngf = 64
n_downsample = 3
n_blocks = 9
n_frames = 3
norm = "batch"
[discriminator]
ndf = 64
n_layers = 3
num_d = 2
n_scales_temporal = 2

[[stage]]
loadSize = 384
fineSize = 256
chunk = 3

[[stage]]
loadSize = 768
fineSize = 512
lr = 1e-4
niter_fix_global = 3
generator.n_scales_spatial = 2
discriminator = {num_d = 3, face = "densepose"}

[[stage]]
loadSize = 1536
fineSize = 1024
lr = 5e-5
niter_fix_global = 3
generator.n_scales_spatial = 3
discriminator = {num_d = 4, face = "densepose"}
`

func TestPublishedPoseStages(t *testing.T) {
	all, err := stagesOf(t, poseStages)
	if err != nil || len(all) != 3 {
		t.Fatalf("%d stages: %v", len(all), err)
	}
	type said struct {
		load, fine, scales, numD, chunk, fix int
		face                                 string
		lr                                   float64
	}
	for i, want := range []said{{384, 256, 0, 2, 3, 0, "", 2e-4}, {768, 512, 2, 3, 0, 3, "densepose", 1e-4}, {1536, 1024, 3, 4, 0, 3, "densepose", 5e-5}} {
		c := all[i]
		if got := (said{c.Load, c.Fine, c.Generator.Scales, c.D.NumD, c.Chunk, c.NiterFixGlobal, c.D.Face, c.LR}); got != want {
			t.Errorf("stage %d is %+v, want %+v", i+1, got, want)
		}
		if c.Generator.InputNC != 6 || c.First != "" || c.MaxTStep != 4 || c.RandomDrop != 0.05 || c.epochs() != (train.Epochs{Constant: 5, Decay: 5, Grow: 5, Spare: 2}) {
			t.Errorf("stage %d inherits %+v", i+1, c)
		}
		v := c.Vid2VidConfig
		v.Height, v.Width, v.Batch = c.Fine, c.Fine/2, 1
		if err := v.Validate(); err != nil {
			t.Errorf("stage %d: %v", i+1, err)
		}
	}
}

func TestStageRefusals(t *testing.T) {
	for want, table := range map[string]string{
		"stage 1: unknown key chunks":        "chunks = 2",
		"stage 1: seed and model":            "seed = 9",
		"a stage has no stages":              "stage = [{lr = 1.0}]",
		"stage 1: configuration: lr is -1":   "lr = -1.0",
		"stage 1: generator: n_scales_spati": "generator.n_scales_spatial = 7",
		"give one or the other":              "steps = 3\nniter = 2",
		"niter_step, epoch_samples":          "steps = 3\nniter_step = 2",
		"load_size":                          `load_size = "big"`,
		"max_t_step and niter_fix_global":    `max_t_step = -1`,
		"samples have 6 frames at first":     "max_frames_total = 5",
		"give niter_step too":                "niter_step = 0\nmax_frames_backpropagate = 4",
	} {
		_, err := stagesOf(t, "niter = 1\nniter_step = 1\n[[stage]]\n"+table)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is refused by %v", want, err)
		}
	}
	steps, err := stagesOf(t, "niter = 1\nniter_step = 1\nmax_frames_backpropagate = 2\n[[stage]]\nsteps = 3\n[[stage]]\nniter = 2")
	if err != nil || steps[0].MaxBackpropagate != 0 || steps[1].MaxBackpropagate != 2 || steps[0].Steps != 3 || steps[0].byEpochs() || steps[1].Steps != 0 || !steps[1].byEpochs() {
		t.Errorf("steps in the place of epochs: %+v %v", steps, err)
	}
}

// TestBackpropagationGrowsWithSamples: after every niter_step epochs, in steps,
// of longer samples the more.
func TestBackpropagationGrowsWithSamples(t *testing.T) {
	dir, _ := coloured(t, [3]byte{1, 2, 3})
	c := defaultTrain()
	c.Steps, c.Niter, c.NiterDecay, c.NiterStep, c.EpochSamples = 0, 4, 3, 2, 5
	c.Frames, c.Chunk, c.MaxBackpropagate = 2, 2, 8
	d, err := train.OpenData(t.Context(), dir, c.data())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for spare, want := range map[int][]int{
		2: {10, 20, 30}, // samples of a clip's 3 frames, 2 of them left: still 2, a step each
		0: {10, 30, 50}, // then of 3, which are two steps
	} {
		c.Generator.Frames = spare + 1
		s := session{c: c, data: d}
		if v, _ := s.settled(); !slices.Equal(v.Grows, want) {
			t.Errorf("%d frames to spare: after %v steps, want %v", spare, v.Grows, want)
		}
	}
	c.MaxBackpropagate = 0
	s := session{c: c, data: d}
	if v, _ := s.settled(); v.Grows != nil {
		t.Errorf("where nothing grows: after %v steps", v.Grows)
	}
}

// TestMemoryOfData: what is held out counts, and so does garbage.
func TestMemoryOfData(t *testing.T) {
	dir, _ := coloured(t, [3]byte{1, 2, 3})
	d, err := train.OpenData(t.Context(), dir, train.DataOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	const pictures = 2 * 3 * 8 * 8 * 3 // of both sides
	for want, held := range map[int64]*train.Data{pictures * 6 / 5: nil, 2 * pictures * 6 / 5: d} {
		if n := (&session{data: d, held: held}).kept(); n != want {
			t.Errorf("%d bytes, want %d", n, want)
		}
	}
}

func TestMemorySizes(t *testing.T) {
	for text, want := range map[string]memory{"800M": 800 << 20, "6G": 6 << 30, "1.5GiB": 3 << 29, "2gb": 2 << 30} {
		var m memory
		if err := m.Set(text); err != nil || m != want {
			t.Errorf("%s is %d, want %d: %v", text, m, want, err)
		}
	}
	for _, text := range []string{"", "7", "G", "-1G", "1T", "NaNG", "1GG", "0M", "1e30G"} {
		var m memory
		if err := m.Set(text); err == nil {
			t.Errorf("%q is taken for %d", text, m)
		}
	}
}
