package models_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/nn"
	"github.com/v2v/v2v/models/weights"
	"github.com/v2v/v2v/video"
)

// golden is a file made by testdata/published.py: weights of a small network
// by their published names, inputs, and what PyTorch makes of them.
type golden struct {
	*weights.File
	config models.Config
	net    models.Network
}

func openGolden(t *testing.T, path string) golden {
	t.Helper()
	f, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	g := golden{File: f}
	if err := f.Config(&g.config); err != nil {
		t.Fatal(err)
	}
	if g.net, err = models.Blank(g.config.Network); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(json.Unmarshal(g.config.Options, g.net), g.net.Validate()); err != nil {
		t.Fatal(err)
	}
	return g
}

// values are a golden's elements and shape; bytes are pictures.
func (g golden) values(t *testing.T, name string) ([]float32, []int) {
	t.Helper()
	info, ok := g.Info("golden." + name)
	if !ok {
		t.Fatalf("%s lacks %s", g.Path(), name)
	}
	x := make([]float32, engine.Value{Shape: info.Shape}.Size())
	if info.DType != weights.U8 {
		if err := g.Float32("golden."+name, x); err != nil {
			t.Fatal(err)
		}
		return x, info.Shape
	}
	for i, b := range g.bytes(t, name) {
		x[i] = float32(b)/127.5 - 1
	}
	return x, info.Shape
}

func (g golden) bytes(t *testing.T, name string) []byte {
	t.Helper()
	raw, err := g.Bytes("golden." + name)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// has lists which of the names the file holds.
func (g golden) has(names ...string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool {
		_, ok := g.Info("golden." + n)
		return !ok
	})
}

// goldens are the files whose names match.
func goldens(t *testing.T, pattern string) []string {
	paths, err := filepath.Glob(filepath.Join("testdata", "published", pattern))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no goldens %s: %v", pattern, err)
	}
	return paths
}

// TestPublishedNetworksEqualPyTorch: every architecture, both normalisations
// and stored statistics, within 1e-3 of PyTorch on every device. The weights
// are the published names and no others.
func TestPublishedNetworksEqualPyTorch(t *testing.T) {
	devices := open(t)
	seen := map[string]bool{}
	for _, path := range goldens(t, "*.safetensors") {
		name := strings.TrimSuffix(filepath.Base(path), ".safetensors")
		if strings.HasPrefix(name, "clip_") {
			continue
		}
		g := openGolden(t, path)
		seen[g.config.Network] = true
		t.Run(name, func(t *testing.T) {
			goldenNames(t, g)
			for _, d := range devices {
				goldenOutputs(t, g, d)
			}
		})
	}
	for _, name := range []string{"vid2vid", "pix2pixHD_global", "pix2pixHD_local", "pix2pixHD_z", "pix2pixHD_encoder", "unet", "resnet", "patchgan", "multiscale"} {
		if !seen[name] {
			t.Errorf("no golden of network %s", name)
		}
	}
}

// goldenNames compares the parameters with the file's, names and shapes.
func goldenNames(t *testing.T, g golden) {
	params, err := models.Parameters(g.net)
	if err != nil {
		t.Fatal(err)
	}
	wanted := 0
	for _, p := range params {
		if info, ok := g.Info(p.Name); !ok || !slices.Equal(info.Shape, []int(p.Shape)) {
			t.Errorf("%s %v: PyTorch has %v", p.Name, p.Shape, info.Shape)
		}
	}
	for _, n := range g.Names() {
		if !strings.HasPrefix(n, "golden.") {
			wanted++
		}
	}
	if wanted != len(params) {
		t.Errorf("%d parameters, PyTorch has %d", len(params), wanted)
	}
}

// goldenOutputs runs the network on tensors.
func goldenOutputs(t *testing.T, g golden, d engine.Device) {
	b := nn.NewBuilder(G.NewGraph(), nn.Options{PerFrame: true})
	inputs := g.has("labels", "prev", "features")
	nodes := map[string]*G.Node{}
	for _, n := range inputs {
		_, shape := g.values(t, n)
		nodes[n] = b.Input(n, shape...)
	}
	out := g.net.Build(b, models.Inputs{Labels: nodes["labels"], Prev: nodes["prev"], Features: nodes["features"]})
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
	made := map[string]*G.Node{"final": out.Final, "raw": out.Raw, "flow": out.Flow, "mask": out.Mask}
	for i, s := range out.Scores {
		made["score"+string(rune('0'+i))] = s
	}
	src := engine.Source{Constant: func(name string) bool { return !slices.Contains(inputs, name) }}
	for _, n := range g.has("final", "raw", "flow", "mask", "score0", "score1", "score2") {
		src.Outputs = append(src.Outputs, engine.Named{Name: n, Node: made[n]})
	}
	if len(src.Outputs) < max(1, len(out.Scores)) {
		t.Fatalf("%s holds %d outputs", g.Path(), len(src.Outputs))
	}
	p, err := engine.Lower(src)
	if err != nil {
		t.Fatal(err)
	}
	exe, err := d.Compile(p, engine.Options{Constants: g.Float32})
	if err != nil {
		t.Fatal(err)
	}
	defer exe.Close()
	for _, n := range inputs {
		x, shape := g.values(t, n)
		buf, err := d.Alloc(shape, engine.F32)
		if err != nil {
			t.Fatal(err)
		}
		defer buf.Close()
		if err := errors.Join(buf.Write(x), exe.Bind(n, buf)); err != nil {
			t.Fatal(err)
		}
	}
	if err := exe.Run(); err != nil {
		t.Fatal(err)
	}
	for i, o := range src.Outputs {
		want, _ := g.values(t, o.Name)
		near(t, d.Name()+" "+o.Name, exe.Output(i), want, 1e-3)
	}
}

// near holds a buffer against what PyTorch made, which must not be all alike.
func near(t *testing.T, what string, got engine.Buffer, want []float32, tolerance float64) {
	t.Helper()
	x := make([]float32, engine.Value{Shape: got.Shape()}.Size())
	if err := got.Read(x); err != nil {
		t.Fatal(err)
	}
	if len(x) != len(want) {
		t.Fatalf("%s is %v, PyTorch has %d elements", what, got.Shape(), len(want))
	}
	var worst float64
	for i := range want {
		if diff := math.Abs(float64(x[i] - want[i])); !(diff <= worst) {
			worst = diff
		}
	}
	spread := float64(slices.Max(want) - slices.Min(want))
	t.Logf("%s: largest difference %.2g of %.2g", what, worst, spread)
	if !(worst < tolerance) {
		t.Errorf("%s differs from PyTorch by %g", what, worst)
	}
	if spread < 0.05 {
		t.Errorf("%s says nothing: PyTorch's values lie within %g", what, spread)
	}
}

// TestFolderOfScalesEqualsPyTorch runs vid2vid networks of several spatial
// scales recurrently through the Runner, on index pictures of a size that is
// padded: within 5e-3 of a loop in PyTorch, every frame.
func TestFolderOfScalesEqualsPyTorch(t *testing.T) {
	for _, path := range goldens(t, "clip_*.safetensors") {
		g := openGolden(t, path)
		goldenNames(t, g)
		file := filepath.Join(t.TempDir(), "model.safetensors")
		if err := models.Save(file, g.config, false, g.Float32); err != nil {
			t.Fatal(err)
		}
		for _, d := range open(t) {
			t.Run(filepath.Base(path)+"/"+d.Name(), func(t *testing.T) { goldenClip(t, g, file, d) })
		}
	}
}

// TestImageNetworksConvertFrames runs networks that look at one picture through
// the Runner, from bytes to bytes: what is shown is PyTorch's picture to half a
// level, each time.
func TestImageNetworksConvertFrames(t *testing.T) {
	for _, name := range []string{"unet_batch", "unet_running", "resnet_batch", "resnet_instance", "resnet_running", "global_batch", "local_batch",
		"resnet_pose", "resnet_face"} {
		g := openGolden(t, filepath.Join("testdata", "published", name+".safetensors"))
		file := filepath.Join(t.TempDir(), "model.safetensors")
		if err := models.Save(file, g.config, false, g.Float32); err != nil {
			t.Fatal(err)
		}
		want, _ := g.values(t, "final")
		info, _ := g.Info("golden.labels")
		h, w := info.Shape[2], info.Shape[3]
		tiles := max(1, info.Shape[1]/3)
		src := video.NewFrame(w, h*tiles)
		for i, b := range g.bytes(t, "labels") {
			if c := i / (h * w); info.Shape[1] == 15 { // of a face a byte stands for byte/255
				src.Pix[(c/3*h*w+i%(h*w))*3+c%3] = b<<1 + 1 // 2b-255
			} else {
				src.Pix[(c/3*h*w+i%(h*w))*3+c%3] = b
			}
		}
		for _, d := range open(t) {
			t.Run(name+"/"+d.Name(), func(t *testing.T) {
				for k, dst := range generateFrom(t, d, file, models.RunOptions{}, src, control(w, h*tiles, 1), src) {
					for i, got := range dst.Pix {
						c := i % 3 * h * w % len(want) // a grey picture has one channel for all
						if v := (float64(want[c+i/3]) + 1) * 127.5; k != 1 && math.Abs(v-float64(got)) > 0.6 {
							t.Fatalf("frame %d, byte %d is %d, PyTorch %.1f", k, i, got, v)
						}
					}
				}
			})
		}
	}
}

func goldenClip(t *testing.T, g golden, file string, d engine.Device) {
	m, err := models.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	want, finals := g.values(t, "final")
	info, _ := g.Info("golden.ids")
	ids, frames, h, w := g.bytes(t, "ids"), info.Shape[0], info.Shape[1], info.Shape[2]
	o := models.RunOptions{}
	if len(g.has("first")) > 0 {
		o.First = video.NewFrame(w, h)
		for i, b := range g.bytes(t, "first") {
			o.First.Pix[i%(h*w)*3+i/(h*w)] = b
		}
	}
	r := models.NewRunner(d, m, o)
	defer r.Close()
	if _, _, err := r.Start(context.Background(), video.Info{Width: w, Height: h}); err != nil {
		t.Fatal(err)
	}
	src, dst := video.NewFrame(w, h), video.NewFrame(w, h)
	size := len(want) / frames
	for k := range frames {
		for i := range h * w {
			id := ids[k*h*w+i]
			copy(src.Pix[3*i:], []byte{id, id, id})
		}
		if err := r.Generate(context.Background(), src, dst); err != nil {
			t.Fatal(err)
		}
		final := want[k*size:][:size]
		near(t, "final", models.LastFrame(r), final, 5e-3)
		for i, got := range dst.Pix { // what is shown is the frame cropped
			y, x, c := i/3/w, i/3%w, i%3
			if v := (float64(final[(c*finals[2]+y)*finals[3]+x]) + 1) * 127.5; math.Abs(v-float64(got)) > 1.5 {
				t.Fatalf("frame %d at %d,%d: level %d, PyTorch %.1f", k, x, y, got, v)
			}
		}
	}
}
