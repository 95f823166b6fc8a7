package train

import (
	"context"
	"image"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/devices"
	"github.com/v2v/v2v/video"
)

// faceVid2Vid is the configuration of the step with a face, which is what has
// the id.
func faceVid2Vid(loss string, id int) Vid2VidConfig {
	c := goldenVid2Vid(loss)
	c.D.Face, c.D.FaceLabels, c.D.FaceSize = faceOfLabels, []int{id}, 8
	return c
}

// faceStep takes the step of testdata/vid2vid_golden.py with a face, which is
// looked for in another picture than the generator's. The trainer is the caller's.
func faceStep(t *testing.T, d engine.Device, c Vid2VidConfig, newest, searched []float32) (*Vid2Vid, []Loss) {
	t.Helper()
	var unused any
	before, readBefore := goldenFile(t, "testdata/vid2vid.safetensors", &unused)
	names, read := goldenFile(t, "testdata/vid2vid_face.safetensors", &unused)
	v, err := NewVid2Vid(d, c)
	if err != nil {
		t.Fatal(err)
	}
	setGolden(t, v, before, readBefore)
	setGolden(t, v, slices.DeleteFunc(names, func(n string) bool { return !strings.HasPrefix(n, "w/") }), read)
	writeGolden(t, goldenBuffer(v, "label2"), newest)
	a := video.NewFrame(c.Width, c.Height)
	for i, x := range searched {
		a.Pix[i] = byte(x)
	}
	s := &Sample{A: make([]*video.Frame, goldenFrame+1)}
	s.A[goldenFrame] = a
	if err := v.uploadFace([]*Sample{s}, goldenFrame, 0); err != nil {
		t.Fatal(err)
	}
	if err := v.rates(2e-4, 0, goldenFrame, 1); err != nil {
		t.Fatal(err)
	}
	got, err := v.chunk(goldenFrame, 1, goldenFrame)
	if err != nil {
		t.Fatal(err)
	}
	return v, got
}

// TestVid2VidFaceEqualsPyTorch takes one step with a discriminator of faces, and
// one with the R1 penalty.
func TestVid2VidFaceEqualsPyTorch(t *testing.T) {
	var losses map[string]map[string]float64
	names, read := goldenFile(t, "testdata/vid2vid_face.safetensors", &losses)
	for _, loss := range []string{"lsgan", "hinge", "vanilla"} {
		t.Run(loss, func(t *testing.T) {
			eachDevice(t, func(t *testing.T, d engine.Device) {
				v, got := faceStep(t, d, faceVid2Vid(loss, 2), read("in/label2"), read("in/label2"))
				defer v.Close()
				compareLosses(t, got, losses[loss])
				if loss == "lsgan" {
					compareGradients(t, v, 14, names, read)
				}
			})
		})
	}
	t.Run("r1", func(t *testing.T) {
		eachDevice(t, func(t *testing.T, d engine.Device) {
			c := faceVid2Vid("", 2)
			c.R1, c.R1Every = 1000, 1
			v, got := faceStep(t, d, c, read("in/label2"), read("in/label2"))
			defer v.Close()
			compareLosses(t, slices.DeleteFunc(got, func(l Loss) bool { return l.Name != "D_f_R1" }), losses["r1"])
			var steep []string
			for _, n := range names {
				if k, ok := strings.CutPrefix(n, "steep/"); ok {
					steep = append(steep, "g/"+k)
				}
			}
			compareGradients(t, v, 6, steep, func(n string) []float32 { return read(strings.Replace(n, "g/", "steep/", 1)) })
		})
	})
}

// TestVid2VidWithoutAFace is the step without the discriminator, to the last
// loss; it does not learn and has no accuracy.
func TestVid2VidWithoutAFace(t *testing.T) {
	var losses map[string]map[string]float64
	_, readBefore := goldenFile(t, "testdata/vid2vid.safetensors", &losses)
	for _, loss := range []string{"lsgan", "hinge", "vanilla"} {
		t.Run(loss, func(t *testing.T) {
			eachDevice(t, func(t *testing.T, d engine.Device) {
				v, got := faceStep(t, d, faceVid2Vid(loss, 2), readBefore("in/label2"), nil)
				defer v.Close()
				rest := slices.DeleteFunc(slices.Clone(got), func(l Loss) bool {
					of := strings.Contains(l.Name, "_f_")
					if of && !isMeasure(l.Name) && !(math.Abs(l.Value) < 1e-20) {
						t.Errorf("without a face %s is %g", l.Name, l.Value)
					}
					return of
				})
				compareLosses(t, rest, losses[loss])
				for name, b := range v.vars {
					if !strings.HasPrefix(name, facePrefix) || !strings.HasSuffix(name, "dadam_m") {
						continue
					}
					x, err := readAll(b)
					if err != nil {
						t.Fatal(err)
					}
					for _, g := range x {
						if g != 0 {
							t.Fatalf("without a face %s is %g", name, g)
						}
					}
				}
				all, err := v.accuracies(v.d[kindAt(v.time, goldenFrame, 1, false)])
				if err != nil || len(all) != 3 {
					t.Errorf("accuracies %v (%v), want those of D, DT and DT1", all, err)
				}
			})
		})
	}
}

// TestFindFace puts the square about the middle of what is of the face, inside
// the picture.
func TestFindFace(t *testing.T) {
	dense := func(part int) [3]byte { return [3]byte{90, 80, byte((part*255 + 12) / 24)} }
	for name, c := range map[string]struct {
		d       DConfig
		color   [3]byte
		box     image.Rectangle
		want    image.Point
		nothing bool
	}{
		"head":                  {d: DConfig{Face: "densepose"}, color: dense(23), box: image.Rect(20, 10, 31, 21), want: image.Pt(17, 7)},
		"its other half":        {d: DConfig{Face: "densepose"}, color: dense(24), box: image.Rect(20, 10, 31, 21), want: image.Pt(17, 7)},
		"an arm":                {d: DConfig{Face: "densepose"}, color: dense(22), box: image.Rect(20, 10, 31, 21), nothing: true},
		"neck to nose":          {d: DConfig{Face: "openpose"}, color: [3]byte{255, 0, 85}, box: image.Rect(30, 20, 31, 33), want: image.Pt(22, 18)},
		"as it was published":   {d: DConfig{Face: "openpose"}, color: [3]byte{153, 0, 51}, box: image.Rect(30, 20, 31, 33), want: image.Pt(22, 18)},
		"coded by a video":      {d: DConfig{Face: "openpose"}, color: [3]byte{243, 14, 99}, box: image.Rect(30, 20, 31, 33), want: image.Pt(22, 18)},
		"trunk":                 {d: DConfig{Face: "openpose"}, color: [3]byte{255, 0, 0}, box: image.Rect(30, 20, 31, 33), nothing: true},
		"eye":                   {d: DConfig{Face: "openpose"}, color: [3]byte{255, 0, 170}, box: image.Rect(30, 20, 31, 33), nothing: true},
		"label":                 {d: DConfig{Face: "labels", FaceLabels: []int{4, 7}}, color: [3]byte{7}, box: image.Rect(20, 10, 31, 21), want: image.Pt(17, 7)},
		"another":               {d: DConfig{Face: "labels", FaceLabels: []int{4, 7}}, color: [3]byte{5}, box: image.Rect(20, 10, 31, 21), nothing: true},
		"at the top left":       {d: DConfig{Face: "labels", FaceLabels: []int{7}}, color: [3]byte{7}, box: image.Rect(0, 0, 3, 2)},
		"at the bottom right":   {d: DConfig{Face: "labels", FaceLabels: []int{7}}, color: [3]byte{7}, box: image.Rect(62, 46, 64, 48), want: image.Pt(48, 32)},
		"larger than the whole": {d: DConfig{Face: "labels", FaceLabels: []int{7}}, color: [3]byte{7}, box: image.Rect(0, 0, 64, 48), want: image.Pt(23, 15)},
	} {
		t.Run(name, func(t *testing.T) {
			f := video.NewFrame(64, 48)
			for y := c.box.Min.Y; y < c.box.Max.Y; y++ {
				for x := c.box.Min.X; x < c.box.Max.X; x++ {
					copy(f.Pix[3*(y*f.W+x):], c.color[:])
				}
			}
			got, found := c.d.findFace(f, 16)
			if found == c.nothing || found && got != c.want {
				t.Errorf("%v %v, want %v", got, found, c.want)
			}
		})
	}
}

// TestFaceWants refuses what cannot be looked at.
func TestFaceWants(t *testing.T) {
	for want, change := range map[string]func(*Vid2VidConfig){
		`face is "nose"`:         func(c *Vid2VidConfig) { c.D.Face = "nose" },
		"give labels where":      func(c *Vid2VidConfig) { c.D.Face = faceOfDensePose },
		"has 0 ids":              func(c *Vid2VidConfig) { c.D.FaceLabels = nil },
		"ids go from 0 to 2":     func(c *Vid2VidConfig) { c.D.FaceLabels = []int{3} },
		"a face of 17x17":        func(c *Vid2VidConfig) { c.D.FaceSize = 17 },
		"a face of 0x0":          func(c *Vid2VidConfig) { c.D.FaceSize = 0 },
		"give face too":          func(c *Vid2VidConfig) { c.D.Face, c.D.FaceLabels = "", nil },
		"no loss is of discrimi": func(c *Vid2VidConfig) { c.Weights = Weights{L1: 1} },
		"weights: face is -1":    func(c *Vid2VidConfig) { c.Weights.Face = -1 },
	} {
		c := faceVid2Vid("", 2)
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want one with %q", err, want)
		}
	}
	c := faceVid2Vid("", 2)
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	c.Height, c.Width, c.D.FaceSize = 512, 256, 0
	if c.faceSide() != 128 {
		t.Errorf("the square is %d pixels, published are 128", c.faceSide())
	}
}

// TestVid2VidTrainsOnFaces of some samples and frames alone, in chunks, and says
// where there is none at all.
func TestVid2VidTrainsOnFaces(t *testing.T) {
	d, err := devices.Open("ref", devices.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	c := tinyVid2Vid()
	c.D.Face, c.D.FaceSize, c.Chunk, c.Batch = faceOfDensePose, 8, 2, 2
	v, err := NewVid2Vid(d, c)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	var said []string
	v.Warn(func(w Warning) { said = append(said, w.Text) })
	batch := []*Sample{noiseSample(c.Height, c.Width, 4), noiseSample(c.Height, c.Width, 4)}
	for _, s := range batch {
		for _, f := range s.A {
			for i := 2; i < len(f.Pix); i += 3 {
				f.Pix[i] = 0
			}
		}
	}
	v.faceless = facesUntilWarned - 2*4
	train := func() (faces []string) {
		if err := v.Train(context.Background(), batch, Rates{LR: 1e-4}, func(losses []Loss) error {
			for _, l := range losses {
				if l.Name == "G_f_GAN" && l.Value != 0 || l.Name == "D_f_acc" {
					faces = append(faces, l.Name)
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return faces
	}
	if got := train(); len(got) > 0 || len(said) != 1 || !strings.Contains(said[0], "300 control pictures show no face") {
		t.Errorf("without faces: %v, said %q", got, said)
	}
	batch[1].A[2].Pix[2] = 255
	if got := train(); !slices.Equal(got, []string{"G_f_GAN", "D_f_acc"}) {
		t.Errorf("with a face in the third frame of one sample: %v", got)
	}
	if !slices.ContainsFunc(v.State(), func(s State) bool { return s.Name == "D_f.scale0_layer0.0.weight" && !s.Model }) {
		t.Error("no checkpoint has the weights of the face discriminator")
	}
}
