package train

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/v2v/v2v/video"
)

// writePalette writes a picture whose samples are ids and whose colours are not.
func writePalette(t *testing.T, path string, w, h int, id func(x, y int) byte) {
	t.Helper()
	p := image.NewPaletted(image.Rect(0, 0, w, h), color.Palette{color.RGBA{200, 1, 2, 255}, color.RGBA{3, 99, 4, 255}, color.RGBA{5, 6, 250, 255}})
	for i := range p.Pix {
		p.Pix[i] = id(i%w, i/w)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, p); err != nil {
		t.Fatal(err)
	}
}

// TestPalettePicturesAreIds: label maps train by their samples, with instances
// packed beside them, of clips and of single pictures.
func TestPalettePicturesAreIds(t *testing.T) {
	id := func(x, y int) byte { return byte(x+y) % 3 }
	for _, loose := range []bool{false, true} {
		dir := t.TempDir()
		name := func(side string, i int) string {
			if loose {
				return filepath.Join(dir, side, fmt.Sprintf("%d.png", i))
			}
			return filepath.Join(dir, side, "a", fmt.Sprintf("%d.png", i))
		}
		for i := range 3 {
			for _, side := range []string{"train_A", "train_B", "train_inst"} {
				if err := os.MkdirAll(filepath.Dir(name(side, i)), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			writePalette(t, name("train_A", i), 8, 6, id)
			writePalette(t, name("train_inst", i), 8, 6, func(x, y int) byte { return byte(x+i) % 2 })
			if err := video.WritePNG(name("train_B", i), picture(8, 6, 0, i)); err != nil {
				t.Fatal(err)
			}
		}
		o := DataOptions{Labels: true, Instances: true, Loose: loose}
		if loose {
			o.Frames = 1
		}
		d := openData(t, dir, o)
		if err := d.CheckLabels(3); err != nil {
			t.Fatal(err)
		}
		s, err := d.Sample(t.Context(), 0, 1, o.Frames)
		if !loose {
			s, err = d.Sample(t.Context(), 0, 1, 3)
		}
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range s.A {
			at := int(s.B[i].Pix[1])
			for p := range 48 {
				if got, want := f.Pix[3*p:3*p+3], []byte{id(p%8, p/8), 0, byte(p%8+at) % 2}; !slices.Equal(got, want) {
					t.Fatalf("loose %v: frame %d pixel %d is %v, want %v", loose, i, p, got, want)
				}
			}
		}
		if d.CheckLabels(2) == nil {
			t.Error("id 2 is one of two labels")
		}
	}
}
