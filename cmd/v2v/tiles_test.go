package main

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/color/palette"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/cvimg"
	"github.com/v2v/v2v/video/labelmap"
	"github.com/v2v/v2v/video/pose"
)

const tileW, tileH, tileFrames = 36, 40, 3

// writeClip makes a folder of pictures.
func writeClip(t *testing.T, dir string, picture func(n int) *video.Frame) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for n := range tileFrames {
		if err := video.WritePNG(filepath.Join(dir, fmt.Sprintf("%03d.png", n)), picture(n)); err != nil {
			t.Fatal(err)
		}
	}
}

// landmarks are 68 points on curves around the middle.
func landmarks(n int) string {
	var s strings.Builder
	for k := range 68 {
		a := float64(k) * 2 * math.Pi / 68
		fmt.Fprintf(&s, "%d,%d\n", tileW/2+n+int(12*math.Cos(a)), tileH/2+int(13*math.Sin(2*a)))
	}
	return s.String()
}

// TestManyChannels: a model of 6 channels sees two clips, one of 15 a drawn
// face, and both see the same as of a clip that has all pictures below one
// another.
func TestManyChannels(t *testing.T) {
	if err := cvimg.Resize(video.NewFrame(1, 1), video.NewFrame(2, 2)); err != nil {
		t.Skipf("OpenCV is missing, which resizes pictures: %v", err)
	}
	t.Chdir(t.TempDir())
	for name, n := range map[string]int{"pose": 6, "face": 15, "plain": 3} {
		net := &models.ResNet{InputNC: n, OutputNC: 3, NGF: 2, Norm: "batch"}
		if err := randomModel(name+".safetensors", "resnet", net); err != nil {
			t.Fatal(err)
		}
	}
	parts := &models.Vid2Vid{InputNC: 15, NGF: 2, Downs: 1, Blocks: 1, Frames: 2, Norm: "instance", Edges: true, Instances: true}
	maps := &models.Vid2Vid{InputNC: 3, NGF: 2, Downs: 1, Blocks: 1, Frames: 2, Norm: "instance", Edges: true, Instances: true}
	if err := errors.Join(randomModel("parts.safetensors", "vid2vid", parts), randomModel("maps.safetensors", "vid2vid", maps),
		randomModel("both.safetensors", "resnet", &models.ResNet{InputNC: 6, OutputNC: 3, NGF: 2, Norm: "batch"})); err != nil {
		t.Fatal(err)
	}
	writeTiles(t)
	for name, args := range map[string][2]string{
		"both":  {"--densepose iuv --keypoints keys", "--stacked boths"},
		"parts": {"--landmarks points drawn", "--stacked parts"},
		"maps":  {"--instances inst drawn", "--stacked maps"},
		"pose":  {"--densepose iuv --beside drawn", "--stacked poses"},
		"face":  {"--landmarks points drawn", "--stacked faces"},
	} {
		var made [2][]*video.Frame
		for i, way := range args {
			made[i] = converted(t, name+".safetensors", fmt.Sprintf("%s%d", name, i), strings.Fields(way)...)
		}
		for n := range tileFrames {
			if !slices.Equal(made[0][n].Pix, made[1][n].Pix) {
				t.Errorf("%s: frame %d differs", name, n)
			}
		}
		if slices.Equal(made[0][0].Pix, made[0][1].Pix) {
			t.Errorf("%s: frames are all the same", name)
		}
	}
}

// writeTiles makes the clips iuv and drawn, and poses and faces of pictures below
// one another, with the points of the latter.
func writeTiles(t *testing.T) {
	t.Helper()
	iuv := func(n int) *video.Frame {
		f := video.NewFrame(tileW, tileH)
		for i := tileW * 9; i < tileW*20; i++ {
			copy(f.Pix[3*i:], []byte{byte(5*i + n), byte(9 * i), byte(1 + i%24)})
		}
		return f
	}
	drawn := func(n int) *video.Frame {
		f := video.NewFrame(tileW, tileH)
		for i := range f.Pix {
			f.Pix[i] = byte(i * (n + 3))
		}
		return f
	}
	writeClip(t, "iuv", iuv)
	writeClip(t, "drawn", drawn)
	writeClip(t, "poses", func(n int) *video.Frame {
		f := video.NewFrame(tileW, 2*tileH)
		own := video.NewFrame(tileW, tileH)
		if err := labelmap.DensePose(own, iuv(n)); err != nil {
			t.Fatal(err)
		}
		copy(f.Pix, own.Pix)
		copy(f.Pix[len(own.Pix):], drawn(n).Pix)
		return f
	})
	for _, dir := range []string{"points", "keys"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	writeClip(t, "boths", func(n int) *video.Frame {
		if err := os.WriteFile(fmt.Sprintf("keys/%03d.json", n), walker(n), 0o644); err != nil {
			t.Fatal(err)
		}
		people, err := pose.Parse(walker(n))
		if err != nil {
			t.Fatal(err)
		}
		own, drawn := video.NewFrame(tileW, tileH), video.NewFrame(tileW, tileH)
		if err := labelmap.DensePose(own, iuv(n)); err != nil {
			t.Fatal(err)
		}
		pose.Draw(drawn, people[1:], pose.Options{})
		return below(own, drawn)
	})
	writeClip(t, "inst", func(n int) *video.Frame { return inst(n, 0) })
	writeClip(t, "maps", func(n int) *video.Frame { return below(drawn(n), inst(n, 2)) })
	writeTileFaces(t)
}

// below is a picture with another below it.
func below(above, f *video.Frame) *video.Frame {
	return &video.Frame{W: f.W, H: above.H + f.H, Pix: append(slices.Clone(above.Pix), f.Pix...)}
}

// inst is a map of instances in grey, or from another channel on: an instance's
// number lies in green and blue, as labelmap.Pack writes it.
func inst(n, channel int) *video.Frame {
	f := video.NewFrame(tileW, tileH)
	for i := range tileW * tileH {
		for c := channel; i%tileW > 10+n && c < 3; c++ {
			f.Pix[3*i+c] = 7
		}
	}
	return f
}

// writeTileFaces makes landmarks, and clips of what is drawn of them.
func writeTileFaces(t *testing.T) {
	t.Helper()
	planes := func(n int) *pose.Maps {
		path := fmt.Sprintf("points/%03d.txt", n)
		if err := os.WriteFile(path, []byte(landmarks(n)), 0o644); err != nil {
			t.Fatal(err)
		}
		l, err := pose.ReadLandmarks(path)
		if err != nil {
			t.Fatal(err)
		}
		m, err := pose.FaceMaps(l, tileW, tileH)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	writeClip(t, "faces", func(n int) *video.Frame { return planes(n).Packed() })
	writeClip(t, "parts", func(n int) *video.Frame { return below(planes(n).Packed(), planes(n).PartFrame()) })
}

// converted are the frames that convert makes.
func converted(t *testing.T, model, out string, args ...string) (made []*video.Frame) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := run(append([]string{"convert", "--model", model, "--device", "ref", "-o", out}, args...), &stdout, &stderr); code != 0 {
		t.Fatalf("%q: code %d: %s", args, code, stderr.String())
	}
	files, _ := filepath.Glob(out + "/*.png")
	if len(files) != tileFrames {
		t.Fatalf("%s has %q", out, files)
	}
	for _, file := range files {
		f, err := video.ReadImage(file)
		if err != nil || f.W != tileW || f.H != tileH {
			t.Fatalf("%s: %v, %v", file, f, err)
		}
		made = append(made, f)
	}
	return made
}

// TestManyChannelsRefuse what does not fit the model, before work starts.
func TestManyChannelsRefuse(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, n := range map[string]int{"pose": 6, "plain": 3} {
		if err := randomModel(name+".safetensors", "resnet", &models.ResNet{InputNC: n, OutputNC: 3, NGF: 2, Norm: "batch"}); err != nil {
			t.Fatal(err)
		}
	}
	writeClip(t, "clip", func(int) *video.Frame { return video.NewFrame(7, 7) })
	for args, want := range map[string]string{
		"convert --model pose.safetensors clip -o x":                               "give --beside CLIP 1 times",
		"convert --model pose.safetensors clip -o x --beside clip --beside clip":   "give --beside CLIP 1 times",
		"convert --model pose.safetensors clip -o x --beside clip --stacked":       "exclude one another",
		"convert --model pose.safetensors clip -o x --stacked":                     "is 7x7, which is no 2 pictures below one another",
		"convert --model pose.safetensors clip -o x --landmarks clip":              "--landmarks makes 15 channels, but the model sees 6",
		"convert --model pose.safetensors clip -o x --stacked --extract edges":     "make no others",
		"convert --model plain.safetensors clip -o x --stacked":                    "this one does not",
		"batch --model pose.safetensors clip -o x --beside clip":                   "goes with one clip",
		"convert --model pose.safetensors clip -o x --beside nothing --device ref": "--beside: open",
	} {
		var stdout, stderr bytes.Buffer
		if code := run(strings.Fields(args), &stdout, &stderr); code == 0 || !strings.Contains(stderr.String(), want) {
			t.Errorf("%s: code %d, %q, want %q", args, code, stderr.String(), want)
		}
		if _, err := os.Stat("x"); err == nil {
			t.Fatalf("%s left x", args)
		}
	}
}

// TestLabelsAreNotMixed: a clip of label ids is made smaller by taking some of them,
// a palette's colours do not matter, and maps of instances are packed into it.
func TestLabelsAreNotMixed(t *testing.T) {
	if err := cvimg.Resize(video.NewFrame(1, 1), video.NewFrame(2, 2)); err != nil {
		t.Skipf("OpenCV is missing, which resizes pictures: %v", err)
	}
	t.Chdir(t.TempDir())
	net := &models.Vid2Vid{InputNC: 3, LabelNC: 4, Edges: true, NGF: 2, Downs: 1, Blocks: 1, Frames: 2, Norm: "instance"}
	if err := randomModel("labels.safetensors", "vid2vid", net); err != nil {
		t.Fatal(err)
	}
	id := func(n, x, y int) byte { return byte(x/5+y/7+n) % 4 }
	for _, dir := range []string{"palette", "inst"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for n := range tileFrames {
		p := image.NewPaletted(image.Rect(0, 0, 2*tileW, 2*tileH), palette.WebSafe)
		for i := range p.Pix {
			p.Pix[i] = id(n, i%(2*tileW)/2, i/(2*tileW)/2)
		}
		var b bytes.Buffer
		if err := errors.Join(png.Encode(&b, p), os.WriteFile(fmt.Sprintf("palette/%03d.png", n), b.Bytes(), 0o644)); err != nil {
			t.Fatal(err)
		}
		if err := video.WritePNG(fmt.Sprintf("inst/%03d.png", n), &video.Frame{W: 2 * tileW, H: 2 * tileH, Pix: make([]byte, 12*tileW*tileH)}); err != nil {
			t.Fatal(err)
		}
	}
	small := func(n, instance int) *video.Frame {
		f := video.NewFrame(tileW, tileH)
		for i := range tileW * tileH {
			v := id(n, i%tileW, i/tileW)
			f.Pix[3*i], f.Pix[3*i+1], f.Pix[3*i+2] = v, byte(instance), byte(instance)
		}
		return f
	}
	writeClip(t, "small", func(n int) *video.Frame { return small(n, 0) })
	size := fmt.Sprintf("%dx%d", tileH, tileW)
	want := converted(t, "labels.safetensors", "a", "small")
	for out, args := range map[string][]string{"b": {"palette", "--size", size}, "c": {"palette", "--size", size, "--instances", "inst"}} {
		for n, f := range converted(t, "labels.safetensors", out, args...) {
			if !slices.Equal(f.Pix, want[n].Pix) {
				t.Errorf("%q: frame %d differs", args, n)
			}
		}
	}
	if slices.Equal(want[0].Pix, want[1].Pix) {
		t.Error("frames are all the same")
	}
}

// TestUnknownLabelsAreTheInputsFault: a clip of coloured labels is told from one of
// ids where no palette is named, and the exit code blames the clip.
func TestUnknownLabelsAreTheInputsFault(t *testing.T) {
	t.Chdir(t.TempDir())
	net := &models.Vid2Vid{InputNC: 3, LabelNC: 4, NGF: 2, Downs: 1, Blocks: 1, Frames: 2, Norm: "instance"}
	if err := randomModel("labels.safetensors", "vid2vid", net); err != nil {
		t.Fatal(err)
	}
	stills(t, "coloured/%d.png", 2, flat(tileW, tileH, color.NRGBA{107, 142, 35, 255}))
	runSteps(t, []step{{args: "convert --model labels.safetensors --device ref coloured -o d", code: 4, absent: "d", stderr: []string{
		"label 107 at 0,0 of frame 0: the network knows 0 to 3; pictures of labels in colours need their palette$"}}})
}
