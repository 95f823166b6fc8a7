package metric

import (
	"image/color"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/v2v/v2v/video"
)

// TestChroma compares with the colours of Go's JPEG, which are rounded.
func TestChroma(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, far := range []int{10, 60, 250} {
		a, b := video.NewFrame(40, 30), video.NewFrame(40, 30)
		for i := range a.Pix {
			a.Pix[i] = byte(rng.IntN(256))
			b.Pix[i] = byte(min(255, max(0, int(a.Pix[i])+rng.IntN(2*far+1)-far)))
		}
		var sum float64
		for i := 0; i < len(a.Pix); i += 3 {
			_, cb, cr := color.RGBToYCbCr(a.Pix[i], a.Pix[i+1], a.Pix[i+2])
			_, db, dr := color.RGBToYCbCr(b.Pix[i], b.Pix[i+1], b.Pix[i+2])
			for _, d := range []float64{float64(cb) - float64(db), float64(cr) - float64(dr)} {
				sum += d * d
			}
		}
		want := Decibels(sum / float64(2*len(a.Pix)/3))
		if got, err := Chroma(a, b); err != nil || math.Abs(got-want) > 0.1 {
			t.Errorf("colours off by up to %d: %.3f dB (%v), Go's %.3f dB", far, got, err, want)
		}
	}
	grey, lighter := video.NewFrame(4, 4), video.NewFrame(4, 4)
	for i := range lighter.Pix {
		lighter.Pix[i] = 77
	}
	if p, err := Chroma(grey, lighter); err != nil || p < 250 {
		t.Errorf("brightness alone counts: %g dB (%v)", p, err)
	}
	if _, err := Chroma(grey, video.NewFrame(4, 5)); err == nil {
		t.Error("frames of two sizes are compared")
	}
}
