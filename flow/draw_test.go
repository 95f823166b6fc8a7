package flow

import (
	"math"
	"testing"

	"github.com/v2v/v2v/video"
)

// TestWheelCorners: the paper's 55 hues begin each of their six runs with a
// pure colour.
func TestWheelCorners(t *testing.T) {
	for _, c := range []struct {
		name string
		at   int
		want [3]float32
	}{
		{"red", 0, [3]float32{1, 0, 0}},
		{"yellow", 15, [3]float32{1, 1, 0}},
		{"green", 21, [3]float32{0, 1, 0}},
		{"cyan", 25, [3]float32{0, 1, 1}},
		{"blue", 36, [3]float32{0, 0, 1}},
		{"magenta", 49, [3]float32{1, 0, 1}},
	} {
		if wheel[c.at] != c.want {
			t.Errorf("hue %d is %v, want %s", c.at, wheel[c.at], c.name)
		}
	}
}

func TestDraw(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		name     string
		u, v     float32
		dominant int // channel that must be strictly largest, -1 for none
		want     *[3]byte
	}{
		{"still is white", 0, 0, -1, &[3]byte{255, 255, 255}},
		{"right is red", 4, 0, 0, &[3]byte{255, 0, 0}},
		{"half as far is paler", 2, 0, 0, &[3]byte{255, 127, 127}},
		{"too far is darker", 8, 0, 0, &[3]byte{191, 0, 0}},
		{"left is blue to cyan", -4, 0, 2, nil},
		{"unknown is black", 2e9, 0, -1, &[3]byte{0, 0, 0}},
		{"NaN is black", nan, 1, -1, &[3]byte{0, 0, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, dst := NewField(1, 1), video.NewFrame(1, 1)
			f.U[0], f.V[0] = c.u, c.v
			Draw(dst, f, 4)
			got := [3]byte(dst.Pix)
			if c.want != nil && got != *c.want {
				t.Errorf("drawn %v, want %v", got, *c.want)
			}
			for ch := range got {
				if c.dominant >= 0 && ch != c.dominant && got[ch] >= got[c.dominant] {
					t.Errorf("drawn %v, want channel %d ahead", got, c.dominant)
				}
			}
		})
	}
}

// TestDrawOwnMaximum: without a maximum the longest known vector is fully
// saturated, and unknown ones do not count.
func TestDrawOwnMaximum(t *testing.T) {
	f, dst := NewField(3, 1), video.NewFrame(3, 1)
	copy(f.U, []float32{10, 5, 1e12})
	if got := f.MaxMag(); got != 10 {
		t.Fatalf("longest is %v, want 10", got)
	}
	Draw(dst, f, 0)
	if r, g, b := dst.At(0, 0); r != 255 || g != 0 || b != 0 {
		t.Errorf("the longest is drawn %d,%d,%d, want pure red", r, g, b)
	}
	still := video.NewFrame(2, 1)
	Draw(still, NewField(2, 1), 0)
	if r, g, b := still.At(1, 0); r != 255 || g != 255 || b != 255 {
		t.Errorf("a still field is drawn %d,%d,%d, want white", r, g, b)
	}
}
