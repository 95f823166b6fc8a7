package train

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/devices"
	"github.com/v2v/v2v/video"
)

// wideVid2Vid is the configuration of testdata/vid2vid_wide_golden.py.
func wideVid2Vid() Vid2VidConfig {
	c := DefaultVid2Vid()
	c.Generator = models.Vid2Vid{InputNC: 15, NGF: 3, Downs: 1, Blocks: 1, Frames: 2, Norm: "instance", Edges: true, Instances: true}
	c.D = DConfig{NDF: 3, Layers: 1, NumD: 1, Norm: "instance", Rate: 1}
	c.Weights = Weights{L1: 10, GAN: 1, Features: 10}
	c.Height, c.Width, c.Batch = 16, 12, 1
	return c
}

// TestVid2VidOfManyChannelsEqualsPyTorch takes a step on control frames of five
// pictures and one of instances, which come the way that samples do.
func TestVid2VidOfManyChannelsEqualsPyTorch(t *testing.T) {
	var losses map[string]float64
	names, read := goldenFile(t, "testdata/vid2vid_wide.safetensors", &losses)
	eachDevice(t, func(t *testing.T, d engine.Device) {
		c := wideVid2Vid()
		v, err := NewVid2Vid(d, c)
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		setGolden(t, v, slices.DeleteFunc(slices.Clone(names), func(n string) bool { return strings.HasPrefix(n, "in/") }), read)
		picture := func(name string, tiles int) *video.Frame {
			f := video.NewFrame(c.Width, c.Height*tiles)
			for i, x := range read("in/" + name) {
				f.Pix[i] = byte(x)
			}
			return f
		}
		real := picture("real", 1)
		batch := []*Sample{{A: []*video.Frame{picture("label0", 6), picture("label1", 6)}, B: []*video.Frame{real, real}}}
		if err := errors.Join(v.upload(batch, 0, 0), v.upload(batch, 1, 0)); err != nil {
			t.Fatal(err)
		}
		writeGolden(t, v.fake[0][0], read("in/prev"))
		if err := v.rates(2e-4, 0, 1, 1); err != nil {
			t.Fatal(err)
		}
		got, err := v.chunk(1, 1, 1)
		if err != nil {
			t.Fatal(err)
		}
		compareLosses(t, got, losses)
		compareGradients(t, v, 30, names, read)
	})
}

func TestVid2VidRefusesControlFramesOfOtherPictures(t *testing.T) {
	d, err := devices.Open("ref", devices.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	v, err := NewVid2Vid(d, wideVid2Vid())
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	real := video.NewFrame(12, 16)
	err = v.upload([]*Sample{{A: []*video.Frame{video.NewFrame(12, 32)}, B: []*video.Frame{real}}}, 0, 0)
	if err == nil || !strings.Contains(err.Error(), "sees 6 of 12x16 below one another") {
		t.Errorf("two pictures for six are refused by %v", err)
	}
}
