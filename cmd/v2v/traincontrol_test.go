package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/v2v/v2v/models/train"
	"github.com/v2v/v2v/video"
)

// coloured makes a data folder whose control pictures have colours a little
// beside a palette's, and the palette.
func coloured(t *testing.T, colors ...[3]byte) (dir, palette string) {
	t.Helper()
	dir = t.TempDir()
	for _, side := range []string{"train_A", "train_B"} {
		if err := os.MkdirAll(filepath.Join(dir, side, "a"), 0o755); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			f := video.NewFrame(8, 8)
			for p := range 64 {
				copy(f.Pix[3*p:], colors[(p+i)%len(colors)][:])
			}
			if err := video.WritePNG(filepath.Join(dir, side, "a", fmt.Sprintf("%d.png", i)), f); err != nil {
				t.Fatal(err)
			}
		}
	}
	palette = filepath.Join(dir, "city.txt")
	if err := os.WriteFile(palette, []byte("0 0 0 0 void\n7 128 64 128 road\n26 0 0 142 car\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir, palette
}

func TestTrainReadsColoursAsLabels(t *testing.T) {
	dir, palette := coloured(t, [3]byte{2, 1, 0}, [3]byte{126, 66, 127}, [3]byte{0, 3, 140})
	c := defaultTrain()
	c.Generator.LabelNC, c.Generator.Edges, c.Palette = 27, true, palette
	if err := c.check(); err != nil {
		t.Fatal(err)
	}
	open := func() (*train.Data, error) {
		o := c.data()
		o.Frames = 3
		if !o.Instances {
			t.Error("instance maps are not asked for")
		}
		if _, err := c.colors(&o); err != nil {
			t.Fatal(err)
		}
		return train.OpenData(t.Context(), dir, o)
	}
	d, err := open()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	s, err := d.Spread(t.Context(), 1, 3)
	if err != nil {
		t.Fatal(err)
	}
	ids := []byte{0, 7, 26}
	for i, f := range s[0].A {
		for p := range 64 {
			if id := ids[(p+i)%3]; !slices.Equal(f.Pix[3*p:3*p+3], []byte{id, id, id}) {
				t.Fatalf("frame %d pixel %d is %v, want %d", i, p, f.Pix[3*p:3*p+3], id)
			}
		}
	}
	if err := d.CheckLabels(27); err != nil {
		t.Error(err)
	}
	if err := d.CheckLabels(26); err == nil || !strings.Contains(err.Error(), "26") {
		t.Errorf("label 26 of 26: %v", err)
	}
	c.Tolerance = 1
	if _, err := open(); err == nil || !strings.Contains(err.Error(), "train_A/a") {
		t.Errorf("colours beyond the tolerance: %v", err)
	}
}

func TestControlRefusals(t *testing.T) {
	for want, set := range map[string]func(c *trainConfig){
		"give generator.label_nc":         func(c *trainConfig) { c.Palette = "city.txt" },
		"tolerance is -1":                 func(c *trainConfig) { c.Tolerance = -1 },
		"part_drop is 1; give 0 to below": func(c *trainConfig) { c.PartDrop = 1 },
		"input_nc is 6, but pictures have 3 channels: leave it out, or give dataset_mode=pose": func(c *trainConfig) { c.Generator.InputNC = 6 },
		"not for label ids": func(c *trainConfig) { c.PartDrop, c.Generator.LabelNC = 0.05, 24 },
	} {
		c := defaultTrain()
		set(&c)
		if err := c.check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
	c := defaultTrain()
	c.Generator.LabelNC, c.Palette = 3, filepath.Join(t.TempDir(), "none.txt")
	if _, err := c.colors(&train.DataOptions{}); err == nil || !strings.Contains(err.Error(), "none.txt") {
		t.Errorf("a palette that is not there: %v", err)
	}
}
