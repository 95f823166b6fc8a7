package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gonum.org/v1/plot/plotter"

	"github.com/v2v/v2v/models/train"
	"github.com/v2v/v2v/video"
)

func TestPanels(t *testing.T) {
	keys := []string{"G_L1", "D_real", "DT_fake", "F_Flow", "D_norm", "G_norm", "DT1_norm", "W", "W_mean", "D_acc", "DT1_acc", "lr", "D_T0_real"}
	want := []panel{{"G", []string{"G_L1", "F_Flow"}}, {"D", []string{"D_real"}}, {"D_T", []string{"DT_fake", "D_T0_real"}},
		{"gradient norm", []string{"D_norm", "G_norm", "DT1_norm"}}, {"measures", []string{"W", "W_mean", "D_acc", "DT1_acc"}}, {"learning rate", []string{"lr"}}}
	if d := cmp.Diff(want, panels(keys, false), cmp.AllowUnexported(panel{})); d != "" {
		t.Error(d)
	}
	if got := panels(keys, true); len(got) != len(keys) || got[0].title != "G_L1" {
		t.Errorf("each its own: %v", got)
	}
}

func TestMovingMean(t *testing.T) {
	raw := plotter.XYs{{X: 1, Y: 4}, {X: 2, Y: 8}, {X: 3, Y: 0}, {X: 5, Y: 2}}
	want := plotter.XYs{{X: 1, Y: 4}, {X: 2, Y: 6}, {X: 3, Y: 4}, {X: 5, Y: 1}}
	if d := cmp.Diff(want, movingMean(raw, 2)); d != "" {
		t.Error(d)
	}
}

func TestThinnedKeepsPeaks(t *testing.T) {
	long := make(plotter.XYs, 100_001)
	for i := range long {
		long[i].X = float64(i)
	}
	long[54_321].Y, long[70_000].Y = 9, -9
	got := thinned(long)
	low, high := 0.0, 0.0
	for i, at := range got {
		low, high = min(low, at.Y), max(high, at.Y)
		if i > 0 && at.X <= got[i-1].X {
			t.Fatalf("step %v comes after step %v", at.X, got[i-1].X)
		}
	}
	if len(got) > mostPoints+2 || low != -9 || high != 9 {
		t.Errorf("%d points from %v to %v", len(got), low, high)
	}
}

// TestCurvesAreDrawn: a falling curve's colour is high on the left and low on
// the right, and a warning is red.
func TestCurvesAreDrawn(t *testing.T) {
	c := &train.Curve{Keys: []string{"G"}}
	for i := range 100 {
		c.Steps = append(c.Steps, train.CurveStep{Step: i + 1, Losses: map[string]float64{"G": 50 - float64(i)/2}})
	}
	blank, err := drawCurves([]drawn{{"run", c}}, []string{"G"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	left, right := colourRow(blank, 0.1), colourRow(blank, 0.8)
	if left < 0 || right <= left {
		t.Errorf("the curve is at row %d on the left, %d on the right", left, right)
	}
	c.Marks = []train.Mark{{Step: 50, Text: "warned", Warning: true}}
	marked, err := drawCurves([]drawn{{"run", c}}, []string{"G"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	red := func(f *video.Frame) (n int) {
		for i := 0; i < len(f.Pix); i += 3 {
			if f.Pix[i] > 180 && f.Pix[i+1] < 60 && f.Pix[i+2] < 60 {
				n++
			}
		}
		return n
	}
	if red(blank) != 0 || red(marked) < 50 || marked.H <= blank.H {
		t.Errorf("a warning makes %d of %d red pixels", red(marked), red(blank))
	}
}

// colourRow is the first row at a share of the width that has the colour of
// the first curve, -1 without any.
func colourRow(f *video.Frame, share float64) int {
	x := int(share * float64(f.W))
	for y := range f.H {
		p := f.Pix[3*(y*f.W+x):]
		if p[2] > 140 && p[0] < 90 {
			return y
		}
	}
	return -1
}

// TestPowersAreRound: labels do not carry rounding errors.
func TestPowersAreRound(t *testing.T) {
	var labels []string
	for _, tick := range (powers{}).Ticks(1e-6, 3e-4) {
		if tick.Label != "" {
			labels = append(labels, tick.Label)
		}
	}
	if got := strings.Join(labels, " "); got != "1e-06 1e-05 0.0001 0.001" {
		t.Errorf("labels %s", got)
	}
}
