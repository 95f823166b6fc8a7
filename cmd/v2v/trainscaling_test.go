package main

import (
	"strings"
	"testing"

	"github.com/v2v/v2v/models/train"
)

// TestScalingConfig: published names, published sizes where none are given, and
// nearest neighbours for numbers.
func TestScalingConfig(t *testing.T) {
	c := defaultTrain()
	if err := decodeTOML("configuration", []byte("resize_or_crop = \"randomScaleHeight_and_scaledCrop\"\nloadSize = 384\nfineSize = 256\npart_drop = 0.05"), &c); err != nil {
		t.Fatal(err)
	}
	want := train.Scaling{Mode: "randomScaleHeight_and_scaledCrop", Load: 384, Fine: 256, Ids: true}
	if got := c.data().Scaling; got != want || c.check() != nil {
		t.Errorf("%+v, want %+v (%v)", got, want, c.check())
	}
	c.Load, c.Fine, c.PartDrop = 0, 0, 0
	want = train.Scaling{Mode: want.Mode, Load: 512, Fine: 512}
	if got := c.data().Scaling; got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	plain := defaultTrain()
	if got := plain.data().Scaling; got != (train.Scaling{}) {
		t.Errorf("where nothing is said: %+v", got)
	}
	for want, set := range map[string]func(c *trainConfig){
		"are for resize_or_crop":        func(c *trainConfig) { c.Mode = "" },
		"leave out load_size":           func(c *trainConfig) { c.LoadSize = "64x64" },
		"size (--size)":                 func(c *trainConfig) { c.Size = "64x64" },
		"and crop_central":              func(c *trainConfig) { c.Central = true },
		`resize_or_crop is "scale"`:     func(c *trainConfig) { c.Mode = "scale" },
		"fineSize is 600, above":        func(c *trainConfig) { c.Fine = 600 },
		"loadSize is -1 and fineSize 3": func(c *trainConfig) { c.Load, c.Fine = -1, 32 },
	} {
		c := c
		c.Load = 512
		set(&c)
		if err := c.check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want one with %q", err, want)
		}
	}
}
