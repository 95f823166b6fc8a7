package models_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/weights"
	"github.com/v2v/v2v/video"
)

// saveSeeded writes a golden's video network as a model file, together with
// its image network where it has one.
func saveSeeded(t *testing.T, g golden) string {
	t.Helper()
	dir := t.TempDir()
	c := g.config
	c.First = nil
	path := filepath.Join(dir, "video.safetensors")
	if err := models.Save(path, c, false, g.Float32); err != nil {
		t.Fatal(err)
	}
	if g.config.First == nil {
		return path
	}
	image := filepath.Join(dir, "image.safetensors")
	err := models.Save(image, *g.config.First, false, func(name string, dst []float32) error { return g.Float32("first."+name, dst) })
	if err != nil {
		t.Fatal(err)
	}
	both := filepath.Join(dir, "both.safetensors")
	joinFirst(t, both, path, image)
	return both
}

func joinFirst(t *testing.T, out, path, image string) {
	t.Helper()
	m, err := models.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	f, err := models.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := models.WithFirst(out, m, f); err != nil {
		t.Fatal(err)
	}
}

// TestSeededClipsEqualPyTorch: three scales that go on from frames of a real
// clip, or of an image network in the same file, are within 5e-3 of the
// published loop in PyTorch, on every device, and so is a second clip.
func TestSeededClipsEqualPyTorch(t *testing.T) {
	for _, name := range []string{"seeded_image", "seeded_real"} {
		g := openGolden(t, filepath.Join("testdata", "seeded", name+".safetensors"))
		file := saveSeeded(t, g)
		for _, d := range open(t) {
			t.Run(name+"/"+d.Name(), func(t *testing.T) { goldenSeeded(t, g, file, d) })
		}
	}
}

func goldenSeeded(t *testing.T, g golden, file string, d engine.Device) {
	m, err := models.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	want, _ := g.values(t, "final")
	info, _ := g.Info("golden.ids")
	ids, frames, h, w := g.bytes(t, "ids"), info.Shape[0], info.Shape[1], info.Shape[2]
	past := m.Net.Needs().Past
	o := models.RunOptions{}
	if len(g.has("seeds")) > 0 {
		seeds := g.bytes(t, "seeds")
		o.Seed = func(_ context.Context, n int, dst *video.Frame) error {
			for i, b := range seeds[n*3*h*w:][:3*h*w] {
				dst.Pix[i%(h*w)*3+i/(h*w)] = b
			}
			return nil
		}
	}
	r := models.NewRunner(d, m, o)
	defer r.Close()
	for range 2 {
		if _, _, err := r.Start(context.Background(), video.Info{Width: w, Height: h}); err != nil {
			t.Fatal(err)
		}
		src, dst := video.NewFrame(w, h), video.NewFrame(w, h)
		size := len(want) / (frames - past)
		for k := range frames {
			for i, id := range ids[k*h*w:][:h*w] {
				copy(src.Pix[3*i:], []byte{id, id, id})
			}
			if err := r.Generate(context.Background(), src, dst); err != nil {
				t.Fatal(err)
			}
			if k >= past {
				near(t, "final", models.LastFrame(r), want[(k-past)*size:][:size], 5e-3)
			}
		}
	}
}

// TestFirstNetworkMustFit: what cannot make first frames is refused, when it
// is stored and when it is read.
func TestFirstNetworkMustFit(t *testing.T) {
	video := tinyNet()
	path := tiny(t, video, false)
	out := filepath.Join(t.TempDir(), "both.safetensors")
	global := func(labels int) string {
		return random(t, "pix2pixHD_global", &models.Global{InputNC: 3, OutputNC: 3, NGF: 1, Downs: 1, Blocks: 1, Norm: "instance", LabelNC: labels}, false)
	}
	still := global(0)
	for _, c := range []struct{ name, video, first, want string }{
		{"of labels", path, global(5), "knows 5 labels, the video network 0"},
		{"a video network", path, path, "give an image network"},
		{"a discriminator", path, random(t, "patchgan", &models.PatchGAN{InputNC: 6, NDF: 1, Layers: 1, Norm: "batch"}, false), "makes no frames"},
		{"for an image network", still, still, "looks back at no frames"},
	} {
		m, err := models.Open(c.video)
		if err != nil {
			t.Fatal(err)
		}
		f, err := models.Open(c.first)
		if err != nil {
			t.Fatal(err)
		}
		if err := models.WithFirst(out, m, f); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v does not say %q", c.name, err, c.want)
		}
		if err := errors.Join(m.Close(), f.Close()); err != nil {
			t.Error(err)
		}
	}
	joinFirst(t, out, path, still)
	joinFirst(t, out, out, still) // replaced, not added
	d := open(t)[0]
	with, blank := generate(t, d, out, models.RunOptions{}, 16, 16, 4), generate(t, d, out, models.RunOptions{Blank: true}, 16, 16, 4)
	plain := generate(t, d, path, models.RunOptions{}, 16, 16, 4)
	for i := range plain {
		if mostDifferent(plain[i], blank[i]) != 0 {
			t.Errorf("frame %d of a blank start is not that of the video network alone", i)
		}
		if mostDifferent(plain[i], with[i]) == 0 {
			t.Errorf("frame %d does not come of the image network", i)
		}
	}
	stray := filepath.Join(t.TempDir(), "stray.safetensors")
	net := tinyNet()
	c, err := models.NewConfig("vid2vid", &net, models.About{})
	if err != nil {
		t.Fatal(err)
	}
	c.First = &models.Config{Format: 1, Network: "pix2pixHD_global", Options: []byte("{}")}
	meta := map[string]string{}
	if err := errors.Join(weights.SetConfig(meta, c), weights.Write(stray, nil, meta)); err != nil {
		t.Fatal(err)
	}
	if m, err := models.Open(stray); err == nil || !strings.Contains(err.Error(), "is missing") {
		t.Errorf("a model without its weights: %v, %v", m, err)
	}
}

// TestFirstFramesOfFaces: an image network of 15 channels sees the same planes as
// the video network, which also sees instances below them, and makes what it makes
// alone.
func TestFirstFramesOfFaces(t *testing.T) {
	net := models.Vid2Vid{InputNC: 15, NGF: 4, Downs: 1, Blocks: 1, Frames: 3, Norm: "batch", Edges: true, Instances: true}
	global := func(inputs int) string {
		return random(t, "pix2pixHD_global", &models.Global{InputNC: inputs, OutputNC: 3, NGF: 2, Downs: 1, Blocks: 1, Norm: "instance"}, false)
	}
	path, alone := tiny(t, net, false), global(15)
	both := filepath.Join(t.TempDir(), "both.safetensors")
	joinFirst(t, both, path, alone)
	const w, h = 12, 8
	whole := control(w, 6*h, 3)
	planes := &video.Frame{W: w, H: 5 * h, Pix: whole.Pix[:3*w*5*h]}
	frame := func(d engine.Device, path string, src *video.Frame) *video.Frame {
		m, err := models.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		r := models.NewRunner(d, m, models.RunOptions{})
		defer r.Close()
		dst := video.NewFrame(w, h)
		if _, _, err := r.Start(t.Context(), video.Info{Width: src.W, Height: src.H}); err != nil {
			t.Fatal(err)
		}
		if err := r.Generate(t.Context(), src, dst); err != nil {
			t.Fatal(err)
		}
		return dst
	}
	for _, d := range open(t) {
		if got, want := frame(d, both, whole), frame(d, alone, planes); string(got.Pix) != string(want.Pix) {
			t.Errorf("%s: the first frame is not what the image network makes of the planes", d.Name())
		}
		if string(frame(d, path, whole).Pix) == string(frame(d, alone, planes).Pix) {
			t.Errorf("%s: both networks make the same", d.Name())
		}
	}
	m, err := models.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	f, err := models.Open(global(3))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := models.WithFirst(both, m, f); err == nil || !strings.Contains(err.Error(), "3 channels, the video network of 16") {
		t.Errorf("three channels for fifteen are refused by %v", err)
	}
}
