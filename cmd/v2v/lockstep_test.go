package main

import (
	"math"
	"path/filepath"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/v2v/v2v/video"
)

// cmdPSNR demands that two folders hold as many pictures, each as near to its
// like: psnr DIR DIR DECIBELS.
func cmdPSNR(ts *testscript.TestScript, neg bool, args []string) {
	least, err := strconv.ParseFloat(args[2], 64)
	ts.Check(err)
	a, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "*.png"))
	ts.Check(err)
	b, err := filepath.Glob(filepath.Join(ts.MkAbs(args[1]), "*.png"))
	ts.Check(err)
	if len(a) == 0 || len(a) != len(b) {
		ts.Fatalf("%s holds %d pictures, %s %d", args[0], len(a), args[1], len(b))
	}
	for i := range a {
		x, err := video.ReadImage(a[i])
		ts.Check(err)
		y, err := video.ReadImage(b[i])
		ts.Check(err)
		if x.W != y.W || x.H != y.H {
			ts.Fatalf("%s is %dx%d, %s %dx%d", a[i], x.W, x.H, b[i], y.W, y.H)
		}
		sum := 0.0
		for k, v := range x.Pix {
			sum += math.Pow(float64(v)-float64(y.Pix[k]), 2)
		}
		if db := 10 * math.Log10(255*255*float64(len(x.Pix))/sum); db < least {
			ts.Fatalf("%s and %s: %.1f dB, want %g", a[i], b[i], db, least)
		}
	}
}
