package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/v2v/v2v/flow"
	"github.com/v2v/v2v/flow/cvflow"
	"github.com/v2v/v2v/models/train"
	"github.com/v2v/v2v/video"
)

// terrain is a picture without end, of detail at every scale.
func terrain(x, y int) float64 {
	at := func(x, y, scale int) float64 { // a number of each corner of a lattice
		return float64(rand.New(rand.NewPCG(uint64(x), uint64(64*y+scale))).IntN(256))
	}
	sum := 0.0
	for _, scale := range []int{4, 8, 16, 32} {
		x0, y0, fx, fy := x/scale, y/scale, float64(x%scale)/float64(scale), float64(y%scale)/float64(scale)
		top := at(x0, y0, scale)*(1-fx) + at(x0+1, y0, scale)*fx
		sum += (top*(1-fy) + (at(x0, y0+1, scale)*(1-fx)+at(x0+1, y0+1, scale)*fx)*fy) / 4
	}
	return sum
}

// moving makes a data folder of one clip that moves by (1,2) pixels a frame.
func moving(t *testing.T, w, h, n int) string {
	t.Helper()
	dir := t.TempDir()
	full := make([]byte, (w+n)*(h+2*n))
	for p := range full {
		full[p] = byte(terrain(p%(w+n), p/(w+n)))
	}
	for _, side := range []string{"train_A", "train_B"} {
		if err := os.MkdirAll(filepath.Join(dir, side, "a"), 0o755); err != nil {
			t.Fatal(err)
		}
		for k := range n {
			f := video.NewFrame(w, h)
			for p := range w * h {
				v := full[(p/w+2*(n-k))*(w+n)+p%w+n-k]
				f.Pix[3*p], f.Pix[3*p+1], f.Pix[3*p+2] = v, v/2, 255-v
			}
			if err := video.WritePNG(filepath.Join(dir, side, "a", fmt.Sprintf("%02d.png", k)), f); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// TestMotionOverStrides measures a clip of known motion as v2v train does: over
// as many frames as the temporal discriminators want, of samples that step through
// it, mirrored and cut out.
func TestMotionOverStrides(t *testing.T) {
	e, err := cvflow.NewFarneback(cvflow.Options{})
	if err != nil && strings.Contains(err.Error(), "CGO_ENABLED=1") {
		t.Skipf("OpenCV is missing, which measures flow: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	c := defaultTrain()
	c.D.Scales, c.MaxTStep, c.Size, c.Frames = 2, 2, "128x160", 5
	o := c.data()
	o.Flow = e
	d, err := train.OpenData(t.Context(), moving(t, 176, 176, 9), o)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	seen := map[[2]int]bool{} // by step and mirror
	for i := range uint64(12) {
		s, err := d.Sample(t.Context(), i, 1, c.Frames)
		if err != nil {
			t.Fatal(err)
		}
		step := int(s.B[1].PTS - s.B[0].PTS)
		u, v := middle(s.Flow[4])
		side := math.Copysign(1, u) // back in time: mirrored where it is above 0
		seen[[2]int{step, int(side)}] = true
		near := func(what string, u, v float64, frames int) {
			n := float64(frames * step)
			if math.Abs(u-side*n) > 0.1*n || math.Abs(v+2*n) > 0.1*n {
				t.Errorf("sample %d by %d: %s is %.2f,%.2f, want %.0f,%.0f", i, step, what, u, v, side*n, -2*n)
			}
		}
		near("from frame to frame", u, v, 1)
		for k := 3; k < c.Frames; k++ {
			u, v = middle(s.Far[3][k])
			near("over three", u, v, 3)
		}
	}
	if len(seen) != 4 {
		t.Errorf("samples by step and mirror: %v", seen)
	}
}

// middle is the median motion.
func middle(f *flow.Field) (u, v float64) {
	of := func(x []float32) float64 { return float64(slices.Sorted(slices.Values(x))[len(x)/2]) }
	return of(f.U), of(f.V)
}
