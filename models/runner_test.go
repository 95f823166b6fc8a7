package models_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/weights"
	"github.com/v2v/v2v/video"
)

// tiny writes a small model with random weights.
func tiny(t *testing.T, net models.Vid2Vid, half bool) string {
	t.Helper()
	return random(t, "vid2vid", &net, half)
}

// random writes a model with random weights.
func random(t testing.TB, name string, net models.Network, half bool) string {
	t.Helper()
	params, err := models.Parameters(net)
	if err != nil {
		t.Fatal(err)
	}
	c, err := models.NewConfig(name, net, models.About{Note: "test"})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "tiny.safetensors")
	err = models.Save(path, c, half, func(name string, dst []float32) error {
		for _, p := range params {
			if p.Name == name {
				p.Fill(dst, p.Rand(11))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func tinyNet() models.Vid2Vid {
	return models.Vid2Vid{InputNC: 3, NGF: 4, Downs: 2, Blocks: 3, Frames: 3, Norm: "batch"}
}

// control is a picture with moving stripes.
func control(w, h, t int) *video.Frame {
	f := video.NewFrame(w, h)
	for i := range f.Pix {
		f.Pix[i] = byte((i*7 + t*31) % 256)
	}
	return f
}

// generate runs n frames of w x h and returns them.
func generate(t *testing.T, d engine.Device, path string, o models.RunOptions, w, h, n int) []*video.Frame {
	t.Helper()
	var clip []*video.Frame
	for i := range n {
		clip = append(clip, control(w, h, i))
	}
	return generateFrom(t, d, path, o, clip...)
}

// generateFrom runs a clip, twice, and returns its frames.
func generateFrom(t *testing.T, d engine.Device, path string, o models.RunOptions, clip ...*video.Frame) []*video.Frame {
	t.Helper()
	m, err := models.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	r := models.NewRunner(d, m, o)
	defer r.Close()
	var out []*video.Frame
	for range 2 { // a second clip must not see the first
		out = nil
		w, h := clip[0].W, clip[0].H
		gw, gh, err := r.Start(context.Background(), video.Info{Width: w, Height: h})
		if err != nil || gw != w || h%gh != 0 {
			t.Fatalf("start: %dx%d, %v", gw, gh, err)
		}
		for _, src := range clip {
			dst := video.NewFrame(gw, gh)
			if err := r.Generate(context.Background(), src, dst); err != nil {
				t.Fatal(err)
			}
			out = append(out, dst)
		}
	}
	return out
}

func mostDifferent(a, b *video.Frame) int {
	worst := 0
	for i := range a.Pix {
		worst = max(worst, int(a.Pix[i])-int(b.Pix[i]), int(b.Pix[i])-int(a.Pix[i]))
	}
	return worst
}

func TestRunnerAgreesAcrossDevicesAndClips(t *testing.T) {
	path := tiny(t, tinyNet(), false)
	var want []*video.Frame
	for _, d := range open(t) {
		got := generate(t, d, path, models.RunOptions{}, 45, 38, 4) // no multiple of the stride
		if want == nil {
			want = got
			continue
		}
		for i := range want {
			if diff := mostDifferent(want[i], got[i]); diff > 2 {
				t.Errorf("frame %d on %s is %d levels off ref", i, d.Name(), diff)
			}
		}
	}
}

func TestRunnerRemembersAndStarts(t *testing.T) {
	path := tiny(t, tinyNet(), false)
	d := open(t)[0]
	blind := generate(t, d, path, models.RunOptions{}, 16, 16, 2)
	seeded := generate(t, d, path, models.RunOptions{First: control(16, 16, 5)}, 16, 16, 2)
	if mostDifferent(blind[0], seeded[0]) == 0 {
		t.Error("a first picture changes nothing")
	}
	if mostDifferent(blind[0], blind[1]) == 0 {
		t.Error("two frames are equal")
	}
	m, err := models.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	r := models.NewRunner(d, m, models.RunOptions{First: control(8, 8, 0)})
	defer r.Close()
	if _, _, err := r.Start(context.Background(), video.Info{Width: 16, Height: 16}); err == nil {
		t.Error("a first picture of another size was taken")
	}
}

func TestHalfWeightsStayClose(t *testing.T) {
	d := open(t)[0]
	a := generate(t, d, tiny(t, tinyNet(), false), models.RunOptions{}, 16, 16, 1)
	b := generate(t, d, tiny(t, tinyNet(), true), models.RunOptions{}, 16, 16, 1)
	if diff := mostDifferent(a[0], b[0]); diff > 12 {
		t.Errorf("float16 weights change a picture by %d levels", diff)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return p
	}
	whole, err := os.ReadFile(tiny(t, tinyNet(), false))
	if err != nil {
		t.Fatal(err)
	}
	bare := filepath.Join(dir, "bare.safetensors")
	if err := weights.Write(bare, []weights.Tensor{{Name: "x", Shape: []int{1}, Data: []float32{1}}}, nil); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "other.safetensors")
	meta := map[string]string{}
	net := tinyNet()
	c, err := models.NewConfig("vid2vid", &net, models.About{})
	if err != nil {
		t.Fatal(err)
	}
	if err := weights.SetConfig(meta, c); err != nil {
		t.Fatal(err)
	}
	if err := weights.Write(other, []weights.Tensor{{Name: "x", Shape: []int{1}, Data: []float32{1}}}, meta); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "absent"):                     "no such file",
		write("cut.safetensors", whole[:len(whole)-10]):  "truncated",
		write("text.safetensors", []byte("hello there")): "text.safetensors",
		bare:  "no v2v configuration",
		other: "is missing",
	} {
		if m, err := models.Open(path); err == nil {
			m.Close()
			t.Errorf("%s opened", path)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q does not say %q", path, err, want)
		}
	}
}
