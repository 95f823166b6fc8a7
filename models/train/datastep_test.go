package train

import (
	"context"
	"image"
	"math"
	"slices"
	"testing"

	"github.com/v2v/v2v/flow"
	"github.com/v2v/v2v/video"
)

// leapFlow knows a world where a pixel moves by the square of the frames
// between two, as behind something that a chain of neighbours runs into.
type leapFlow struct{ pairs [][2]int }

func (e *leapFlow) Estimate(_ context.Context, from, to *video.Frame) (*flow.Field, error) {
	e.pairs = append(e.pairs, [2]int{int(from.PTS), int(to.PTS)})
	f := flow.NewField(from.W, from.H)
	n := float32(from.PTS - to.PTS)
	for i := range f.U {
		f.U[i] = n * max(n, -n) / 4
	}
	return f, nil
}

// TestFarMotionIsMeasured: where a temporal discriminator sees frames three
// apart, the flow that it is fed is that between the two, measured once for
// each pair, and flipped with the sample.
func TestFarMotionIsMeasured(t *testing.T) {
	dir := t.TempDir()
	writeData(t, dir, "A", "B", 16, 4, 6)
	e := &leapFlow{}
	d := openData(t, dir, DataOptions{Flip: true, Flow: e, Strides: []int{3}})
	seen := map[bool]bool{}
	for i := range uint64(30) {
		s, err := d.Sample(t.Context(), i, 5, 6)
		if err != nil {
			t.Fatal(err)
		}
		sign := float32(1)
		if s.B[0].Pix[0] > s.B[0].Pix[3*15] {
			sign = -1
		}
		seen[sign < 0] = true
		for at := 3; at < 6; at++ {
			f, err := across(s, at, 3)
			if err != nil {
				t.Fatal(err)
			}
			if f.U[7] != sign*9/4 || f.V[7] != 0 {
				t.Fatalf("frame %d, flow over three frames is %g,%g, want %g,0", at, f.U[7], f.V[7], sign*9/4)
			}
			if chain, err := chained(s, at, 3); err != nil || chain.U[7] != sign*3/4 {
				t.Fatalf("the chain is %v, %v: the clip shows no difference", chain.U[7], err)
			}
		}
		if f, err := across(s, 2, 3); f != nil || err != nil {
			t.Fatalf("before the clip there is flow: %v, %v", f, err)
		}
	}
	if len(seen) != 2 {
		t.Errorf("flipped: %v", seen)
	}
	if want := 2 * (5 + 3); len(e.pairs) != want {
		t.Errorf("%d estimates, want %d: %v", len(e.pairs), want, e.pairs)
	}
}

// TestStridesOfDiscriminators: one temporal scale wants none measured.
func TestStridesOfDiscriminators(t *testing.T) {
	c := tinyVid2Vid()
	for scales, want := range [][]int{nil, nil, {3}, {3, 9}} {
		c.D.Scales = scales
		if got := c.Strides(); !slices.Equal(got, want) {
			t.Errorf("%d scales: %v, want %v", scales, got, want)
		}
	}
}

// TestStepsOfSamples: every step comes up that the clip has room for, equally
// often, from every place, and the flow is that over the step.
func TestStepsOfSamples(t *testing.T) {
	dir := t.TempDir()
	writeData(t, dir, "A", "B", 8, 4, 8)
	d := openData(t, dir, DataOptions{Flow: &leapFlow{}, MaxStep: 4})
	count := map[int]int{}
	starts := map[[2]int]bool{}
	const n = 3000
	for i := range uint64(n) {
		s, err := d.Sample(t.Context(), i, 3, 3)
		if err != nil {
			t.Fatal(err)
		}
		step := int(s.B[1].Pix[1]) - int(s.B[0].Pix[1])
		count[step]++
		starts[[2]int{step, s.Start}] = true
		if got := int(s.A[2].Pix[1]); got != s.Start+2*step {
			t.Fatalf("sample from %d by %d ends with frame %d", s.Start, step, got)
		}
		if u, want := s.Flow[1].U[0], float32(step*step)/4; u != want {
			t.Fatalf("flow over %d frames is %g, want %g", step, u, want)
		}
	}
	for step := 1; step <= 3; step++ { // 8 frames have no room for steps of 4
		if c := count[step]; c < 870 || c > 1130 { // five sigma
			t.Errorf("step %d came %d times of %d", step, c, n)
		}
	}
	if len(count) != 3 || len(starts) != 6+4+2 {
		t.Errorf("steps %v, places %v", count, starts)
	}
	held := openHeldOut(t)
	s, err := held.Sample(t.Context(), 3, 3, 3)
	if err != nil || s.B[1].PTS-s.B[0].PTS != 1 {
		t.Errorf("held-out sample steps by %d, %v", s.B[1].PTS-s.B[0].PTS, err)
	}
}

func openHeldOut(t *testing.T) *Data {
	dir := t.TempDir()
	writeData(t, dir, "test_A", "test_B", 8, 4, 8)
	return openData(t, dir, DataOptions{Split: TestSplit, MaxStep: 4})
}

// TestCentralCrops: across they spread by a third of the room to each side,
// down they stay in the upper eighth.
func TestCentralCrops(t *testing.T) {
	dir := t.TempDir()
	writeData(t, dir, "A", "B", 68, 32, 2)
	d := openData(t, dir, DataOptions{Central: true, Crop: image.Pt(8, 16)})
	const n = 3000
	var sum, squares float64
	down := map[byte]int{}
	for i := range uint64(n) {
		s, err := d.Sample(t.Context(), i, 3, 2)
		if err != nil {
			t.Fatal(err)
		}
		x := float64(s.B[1].Pix[0])
		sum, squares = sum+x, squares+x*x
		down[s.B[1].Pix[2]]++
	}
	mean := sum / n
	// 30 to either side: 10 is the deviation, nearly none is cut off.
	if sd := math.Sqrt(squares/n - mean*mean); math.Abs(mean-30) > 1 || math.Abs(sd-10) > 0.7 {
		t.Errorf("crops begin at %.2f with a deviation of %.2f, want 30 and 10", mean, sd)
	}
	if len(down) != 5 || down[0] < 490 || down[4] < 490 {
		t.Errorf("rows %v, want 0 to 4 alike", down)
	}
}
