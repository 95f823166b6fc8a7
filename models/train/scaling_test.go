package train

import (
	"encoding/json"
	"errors"
	"image"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/v2v/v2v/flow"
	"github.com/v2v/v2v/video"
)

// scalingGolden is what testdata/scaling.py has computed.
type scalingGolden struct {
	Rows []struct {
		Mode                string
		W, H, Load, Fine, N int
		Whole, Sample       [2]int
	}
	Src              []int
	Bicubic, Nearest []struct {
		W, H int
		Pix  []int
	}
}

func readScaling(t *testing.T) (g scalingGolden) {
	t.Helper()
	b, err := os.ReadFile("testdata/scaling.json")
	if err == nil {
		err = json.Unmarshal(b, &g)
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestScalingSizes: sizes are those of the published formulas in Python.
func TestScalingSizes(t *testing.T) {
	for _, r := range readScaling(t).Rows {
		s, from := Scaling{Mode: r.Mode, Load: r.Load, Fine: r.Fine}, image.Pt(r.W, r.H)
		if err := s.Validate(); err != nil {
			t.Errorf("%s: %v", r.Mode, err)
		}
		if got := s.size(from, r.N); got != image.Pt(r.Whole[0], r.Whole[1]) {
			t.Errorf("%s of %v to %d: pictures of %v, want %v", r.Mode, from, r.N, got, r.Whole)
		}
		if got := s.sample(from); got != image.Pt(r.Sample[0], r.Sample[1]) {
			t.Errorf("%s of %v, %d and %d: samples of %v, want %v", r.Mode, from, r.Load, r.Fine, got, r.Sample)
		}
	}
}

// TestScalingResamples as Pillow does, to the last byte; numbers as they are.
func TestScalingResamples(t *testing.T) {
	g := readScaling(t)
	src := video.NewFrame(45, 34)
	for i, v := range g.Src {
		src.Pix[i] = byte(v)
	}
	for k, want := range g.Bicubic {
		got := Scaling{}.scaled(src, image.Pt(want.W, want.H), false)
		for i, v := range want.Pix {
			if int(got.Pix[i]) != v {
				t.Fatalf("%dx%d: byte %d is %d, Pillow's %d", want.W, want.H, i, got.Pix[i], v)
			}
		}
		got, want = Scaling{}.scaled(src, image.Pt(want.W, want.H), true), g.Nearest[k]
		for i, v := range want.Pix {
			if int(got.Pix[i]) != v {
				t.Fatalf("%dx%d ids: byte %d is %d, Pillow's %d", want.W, want.H, i, got.Pix[i], v)
			}
		}
	}
}

func TestScalingModes(t *testing.T) {
	dir := t.TempDir()
	writeData(t, dir, "A", "B", 96, 64, 4, 6)
	for mode, want := range map[string]struct{ size, stored image.Point }{
		"scaleWidth":                       {image.Pt(64, 32), image.Pt(64, 32)}, // 64*64/96 = 42 -> 44 -> 32
		"scaleHeight":                      {image.Pt(96, 64), image.Pt(96, 64)},
		"resize":                           {image.Pt(64, 64), image.Pt(64, 64)},
		"resize_and_crop":                  {image.Pt(32, 32), image.Pt(64, 64)},
		"crop":                             {image.Pt(32, 32), image.Pt(96, 64)},
		"scaledCrop":                       {image.Pt(64, 32), image.Pt(96, 64)}, // 32*96/64 = 48 -> 64: a half to the even one
		"none":                             {image.Pt(96, 64), image.Pt(96, 64)},
		"randomScaleWidth_and_scaledCrop":  {image.Pt(32, 32), image.Pt(96, 64)},
		"randomScaleHeight_and_scaledCrop": {image.Pt(64, 32), image.Pt(96, 64)},
		"randomScaleHeight_and_crop":       {image.Pt(32, 32), image.Pt(96, 64)},
	} {
		d := openData(t, dir, DataOptions{Scaling: Scaling{Mode: mode, Load: 64, Fine: 32, Ids: true}, Flow: &shiftFlow{u: 2, v: 1}})
		if d.size != want.size || d.clips[0].size != want.stored {
			t.Errorf("%s: samples of %v out of %v, want %v", mode, d.size, d.clips[0].size, want)
		}
		rows := map[byte]bool{} // the last of the picture that samples show: as many as sizes and places
		for i := range uint64(12) {
			a, err := d.Sample(t.Context(), i, 3, 3)
			if err != nil {
				t.Fatal(err)
			}
			b, err := d.Sample(t.Context(), i, 3, 3)
			if err != nil || !slices.Equal(a.A[2].Pix, b.A[2].Pix) || !slices.Equal(a.B[2].Pix, b.B[2].Pix) {
				t.Fatalf("%s: sample %d is not the same again: %v", mode, i, err)
			}
			end := a.A[0].Pix[len(a.A[0].Pix)-1]
			if again := a.A[2].Pix[len(a.A[2].Pix)-1]; again != end || a.A[0].W != want.size.X || a.A[0].H != want.size.Y {
				t.Fatalf("%s: sample %d ends in row %d, then %d", mode, i, end, again)
			}
			rows[end] = true
		}
		if moves := strings.Contains(strings.ToLower(mode), "crop"); moves != (len(rows) > 1) {
			t.Errorf("%s: samples end in %d rows", mode, len(rows))
		}
	}
}

// TestScalingScalesMotion: a sample of half the size moves half as far.
func TestScalingScalesMotion(t *testing.T) {
	moved := flow.NewField(8, 8)
	for i := range moved.U {
		moved.U[i], moved.V[i] = 2, 4
	}
	v := view{size: image.Pt(2, 2), full: image.Pt(4, 2)}
	f, e := v.motion(encodeMotion(moved, slices.Repeat([]float32{1}, 64)), image.Pt(8, 8))
	if f.U[0] != 1 || f.V[0] != 1 || e[0] != 1 || e[3] != 0 {
		t.Errorf("motion %v %v, visible %v", f.U, f.V, e)
	}
}

func TestScalingRefusals(t *testing.T) {
	dir := t.TempDir()
	for name, size := range map[string]image.Point{"wide": image.Pt(128, 64), "tall": image.Pt(64, 96)} {
		for _, side := range []string{"A", "B"} {
			writeClip(t, filepath.Join(dir, side, name), size.X, size.Y, 0, 3)
		}
	}
	for _, c := range []struct {
		mode       string
		load, fine int
		want       string
	}{
		{"scaleWidth", 64, 32, "wide: resize_or_crop=scaleWidth makes samples of 64x32 of its frames of 128x64, and of 64x96 of those of tall: scaleWidth_and_crop fits both"},
		{"none", 64, 96, "makes samples of 128x64 of its frames of 128x64, and of 64x96 of those of tall: resize fits both"},
		{"scaledCrop", 64, 64, "of those of tall: crop fits both"},
		{"crop", 64, 128, "tall: frames of 64x96 become 64x96, samples of 128x128 are to be cut out"},
		{"randomScaleWidth", 64, 32, "gives samples of no one size: give randomScaleWidth_and_scaledCrop"},
		{"randomScaleWidth_and_crop", 64, 96, "fineSize is 96, above loadSize 64"},
		{"scalewidth", 64, 32, `resize_or_crop is "scalewidth"; give one of scaleWidth,`},
		{"crop_and_resize", 64, 32, "two joined by _and_"},
		{"resize", 64, 0, "loadSize is 64 and fineSize 0; give 32 to"},
	} {
		s := Scaling{Mode: c.mode, Load: c.load, Fine: c.fine}
		_, err := OpenData(t.Context(), dir, DataOptions{Scaling: s})
		var bad *DataError
		if err == nil || !strings.Contains(err.Error(), c.want) || errors.As(err, &bad) && len(bad.Problems) > 2 {
			t.Errorf("%s: %v", c.mode, err)
		}
	}
	openData(t, dir, DataOptions{Scaling: Scaling{Mode: "scaleWidth_and_crop", Load: 64, Fine: 32}})
}
