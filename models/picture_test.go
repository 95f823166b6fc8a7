package models_test

import (
	"bytes"
	"context"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/nn"
)

func count(params []nn.Param) int {
	n := 0
	for _, p := range params {
		n += p.Shape.TotalSize()
	}
	return n
}

// TestPictureParameterCounts compares DCGAN with PyTorch's example (64x64, 100
// numbers of noise, 64 channels) and the others with sums done by hand.
func TestPictureParameterCounts(t *testing.T) {
	for _, c := range []struct {
		net  models.Picture
		want int
		key  string
	}{
		{&models.GAN{PictureOptions: models.PictureOptions{Size: 64, Channels: 3, Code: 100, Width: 64}}, 3_576_704, "main.12.weight"},
		{&models.Perceptron{PictureOptions: models.PictureOptions{Size: 32, Channels: 3, Code: 10, Images: 7}}, 11*3*32*32 + 7*10, "model.0.bias"},
		{&models.MLP{PictureOptions: models.PictureOptions{Size: 16, Channels: 1, Code: 10, Width: 20, Layers: 3, Images: 7}},
			11*20 + 21*20 + 21*256 + 7*10, "model.4.weight"},
		{&models.Deconv{PictureOptions: models.PictureOptions{Size: 16, Channels: 3, Code: 10, Width: 8, Images: 7}},
			11*256 + 2*16 + 16*8*9 + 2*8 + 8*8*9 + 2*8 + (8*9+1)*3 + 7*10, "model.6.bias"},
	} {
		if err := c.net.Validate(); err != nil {
			t.Fatal(err)
		}
		params, err := models.PictureParameters(c.net)
		if err != nil {
			t.Fatal(err)
		}
		if n := count(params); n != c.want {
			t.Errorf("%T: %d parameters, want %d", c.net, n, c.want)
		}
		if !slices.ContainsFunc(params, func(p nn.Param) bool { return p.Name == c.key }) {
			t.Errorf("%T has no %s", c.net, c.key)
		}
	}
	b := nn.NewBuilder(G.NewGraph(), nn.Options{})
	verdict, _ := models.GANDiscriminator{Size: 64, Width: 64, Norm: "batch"}.Build(b, b.Input("x", 2, 3, 64, 64), nil, false)
	if b.Err() != nil || count(b.Params()) != 2_765_568 || verdict.Shape().TotalSize() != 2 {
		t.Errorf("discriminator: %v, %d parameters, PyTorch's example has 2765568; verdict %v", b.Err(), count(b.Params()), verdict.Shape())
	}
}

// TestPictureSizes builds every network at every size, grey and coloured, with
// classes where it takes them.
func TestPictureSizes(t *testing.T) {
	for _, name := range models.PictureNames() {
		for size := 16; size <= 256; size *= 2 {
			net, err := models.BlankPicture(name)
			if err != nil {
				t.Fatal(err)
			}
			o := net.Options()
			o.Size, o.Channels = size, 1+2*(size/16%2)
			if o.Width > 0 {
				o.Width = 2
			}
			if net.Learned() {
				o.Images = 3
			} else {
				o.Classes = []string{"a", "b"}
			}
			if err := net.Validate(); err != nil {
				t.Fatalf("%s %d: %v", name, size, err)
			}
			b := nn.NewBuilder(G.NewGraph(), nn.Options{})
			in := models.Codes{Code: b.Input("code", 2, o.Code, 1, 1)}
			if !net.Learned() {
				in.Class = b.Input("class", 2, 2, 1, 1)
			}
			y := net.Build(b, in)
			if b.Err() != nil || !slices.Equal(y.Shape(), []int{2, o.Channels, size, size}) {
				t.Errorf("%s %d: %v, %v", name, size, b.Err(), y)
			}
			d, _ := models.GANDiscriminator{Size: size, Width: 2, Norm: "instance", Spectral: true}.Build(b.In("D."), y, in.Class, true)
			if b.Err() != nil || !slices.Equal(d.Shape(), []int{2, 1, 1, 1}) {
				t.Errorf("discriminator at %d: %v, %v", size, b.Err(), d)
			}
		}
	}
}

func TestPictureOptionsRefused(t *testing.T) {
	good := models.PictureOptions{Size: 32, Channels: 3, Code: 8, Width: 4}
	for want, change := range map[string]func(*models.PictureOptions){
		"give 16, 32, 64":   func(o *models.PictureOptions) { o.Size = 48 },
		"pictures have 3":   func(o *models.PictureOptions) { o.Channels = 2 },
		"code is 0":         func(o *models.PictureOptions) { o.Code = 0 },
		"width is 0":        func(o *models.PictureOptions) { o.Width = 0 },
		"none to choose":    func(o *models.PictureOptions) { o.Layers = 3 },
		"codes are learned": func(o *models.PictureOptions) { o.Images = 3 },
	} {
		net := &models.GAN{PictureOptions: good}
		change(net.Options())
		if err := net.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if err := (&models.Perceptron{PictureOptions: good}).Validate(); err == nil || !strings.Contains(err.Error(), "has none") {
		t.Errorf("a perceptron took a width: %v", err)
	}
}

// tinyPicture is a network with random weights, and where they come from.
func tinyPicture(t *testing.T, name string, images int) (models.Picture, func(string, []float32) error) {
	t.Helper()
	net, err := models.BlankPicture(name)
	if err != nil {
		t.Fatal(err)
	}
	o := net.Options()
	o.Size, o.Code, o.Images = 16, 6, images
	if o.Width > 0 {
		o.Width = 4
	}
	params, err := models.PictureParameters(net)
	if err != nil {
		t.Fatal(err)
	}
	return net, func(name string, dst []float32) error {
		for _, p := range params {
			if p.Name == name {
				p.Fill(dst, p.Rand(5))
			}
		}
		return nil
	}
}

// TestSamplerPicturesStandAlone: a picture is a function of its own code,
// whatever is made beside it, on every device; and a model file keeps it.
func TestSamplerPicturesStandAlone(t *testing.T) {
	for name, images := range map[string]int{"gan": 0, "deconv": 5, "perceptron": 5, "mlp": 5} {
		for _, d := range open(t) {
			net, weight := tinyPicture(t, name, images)
			path := filepath.Join(t.TempDir(), "m.safetensors")
			if err := models.SavePicture(path, name, net, models.About{Note: "test"}, false, weight); err != nil {
				t.Fatal(err)
			}
			m, err := models.OpenPicture(path)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			s, err := models.NewSampler(d, m.Net, m.Weight)
			if err != nil {
				t.Fatal(err)
			}
			codes := s.Draw(20, 9)
			together, err := s.Make(context.Background(), codes, nil)
			if err != nil {
				t.Fatal(err)
			}
			alone, err := s.Make(context.Background(), s.Draw(20, 9)[17:18], nil)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(together[17].Pix, alone[0].Pix) {
				t.Errorf("%s on %s: the picture depends on its neighbours", name, d.Name())
			}
			if bytes.Equal(together[0].Pix, together[1].Pix) {
				t.Errorf("%s on %s: two codes, one picture", name, d.Name())
			}
			if len(s.Learned()) != images {
				t.Errorf("%s: %d learned codes of %d", name, len(s.Learned()), images)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestDrawHasTheCodesDistribution: many draws have the mean and covariance of
// the learned codes, whose second number is made to follow the first.
func TestDrawHasTheCodesDistribution(t *testing.T) {
	net, _ := tinyPicture(t, "perceptron", 4)
	rows := []float32{3, 6, 0, 0, 0, 0, 5, 10, 0, 0, 0, 1, 7, 14, 0, 0, 0, 2, 9, 18, 0, 0, 0, 3}
	s, err := models.NewSampler(open(t)[0], net, func(name string, dst []float32) error {
		if name == models.CodeTable+".weight" {
			copy(dst, rows)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const n = 4000
	var mean, variance, follows float64
	for _, c := range s.Draw(n, 3) {
		mean += float64(c[0]) / n
		variance += (float64(c[0]) - 6) * (float64(c[0]) - 6) / n
		follows = max(follows, math.Abs(float64(c[1]-2*c[0])))
	}
	if math.Abs(mean-6) > .15 || math.Abs(variance-20./3) > .5 || follows > 1e-4 {
		t.Errorf("mean %.2f, variance %.2f, want 6 and 6.67; the second number strays by %g from twice the first", mean, variance, follows)
	}
	walk := s.Walk(s.Learned()[:2], 4)
	if got := []float32{walk[0][0], walk[1][0], walk[2][0], walk[3][0]}; !slices.Equal(got, []float32{3, 4, 5, 4}) {
		t.Errorf("the walk goes %v", got)
	}
}

// TestWalkKeepsNoiseLong: between two noises of one length it stays that long.
func TestWalkKeepsNoiseLong(t *testing.T) {
	net, weight := tinyPicture(t, "gan", 0)
	s, err := models.NewSampler(open(t)[0], net, weight)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, c := range s.Walk([][]float32{{3, 0, 0, 0, 0, 4}, {0, 5, 0, 0, 0, 0}}, 10) {
		var length float64
		for _, x := range c {
			length += float64(x) * float64(x)
		}
		if math.Abs(length-25) > 1e-4 {
			t.Errorf("%v is %v long", c, math.Sqrt(length))
		}
	}
}

func TestOpenPictureRefuses(t *testing.T) {
	path := tiny(t, tinyNet(), false)
	if _, err := models.OpenPicture(path); err == nil || !strings.Contains(err.Error(), `network "vid2vid" makes no pictures of codes; those are deconv, gan, mlp, perceptron`) {
		t.Errorf("a vid2vid model: %v", err)
	}
	net, weight := tinyPicture(t, "mlp", 3)
	path = filepath.Join(t.TempDir(), "m.safetensors")
	if err := models.SavePicture(path, "perceptron", net, models.About{}, true, weight); err != nil {
		t.Fatal(err)
	}
	if _, err := models.OpenPicture(path); err == nil || !strings.Contains(err.Error(), "options of network perceptron") {
		t.Errorf("an mlp by the name of a perceptron: %v", err)
	}
}
