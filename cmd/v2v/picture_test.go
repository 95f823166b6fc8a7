package main

import (
	"math"
	"testing"

	"github.com/v2v/v2v/video"
)

// square is a picture of one grey level with a lighter block.
func square(side, at int, level byte) *video.Frame {
	f := video.NewFrame(side, side)
	for i := range f.Pix {
		f.Pix[i] = 50
		if p := i / 3; p%side >= at && p%side < at+4 && p/side >= at && p/side < at+4 {
			f.Pix[i] = level
		}
	}
	return f
}

// TestFigures: what is copied is nearest to itself, what is flat is not sharp,
// what is all the same is alike.
func TestFigures(t *testing.T) {
	training := []*video.Frame{square(16, 2, 200), square(16, 8, 200)}
	off := square(16, 8, 203)
	f := measure([]*video.Frame{off, off}, training)
	if want := 10 * math.Log10(255*255/(9*16./256)); math.Abs(f.PSNR-want) > 1e-6 {
		t.Errorf("PSNR %g to the nearest, want %g", f.PSNR, want)
	}
	if f.Likeness < 0.999999 {
		t.Errorf("likeness of one picture twice is %g", f.Likeness)
	}
	if l := likeness(training); !(l < 0.9) {
		t.Errorf("likeness of different pictures is %g", l)
	}
	if s := sharpness(square(16, 2, 50)); s != 0 {
		t.Errorf("a flat picture has sharpness %g", s)
	}
	// A single pixel of 10 on 0: the Laplacian is -40 there and 10 at four others.
	dot := video.NewFrame(8, 8)
	copy(dot.Pix[3*(3*8+3):], []byte{10, 10, 10})
	if s, want := sharpness(dot), (1600.+400)/64; math.Abs(s-want) > 1e-9 {
		t.Errorf("sharpness of a dot is %g, want %g", s, want)
	}
}

func TestEvenly(t *testing.T) {
	for _, c := range []struct{ n, k, first, last, count int }{{270, 8, 16, 253, 8}, {3, 8, 0, 2, 3}, {1, 1, 0, 0, 1}} {
		got := evenly(c.n, c.k)
		if len(got) != c.count || got[0] != c.first || got[len(got)-1] != c.last {
			t.Errorf("%d of %d: %v", c.k, c.n, got)
		}
	}
	if s := thousands(1234567); s != "1 234 567" {
		t.Error(s)
	}
}
