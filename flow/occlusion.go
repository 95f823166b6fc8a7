package flow

import (
	"fmt"

	"github.com/v2v/v2v/video"
)

// Forward-backward consistency: Sundaram, Brox and Keutzer, "Dense point
// trajectories by GPU-accelerated large displacement optical flow", ECCV 2010,
// equation 5. A point is visible where going and coming back cancel:
// |f+b|^2 < 0.01 (|f|^2+|b|^2) + 0.5, in squared pixels.
const (
	consistencySlope  = 0.01
	consistencyOffset = 0.5
)

// Occlusion returns 1 where a point of the frame f starts from is visible in
// the frame f leads to, and 0 where it is hidden there or outside of it,
// (H,W). back is the flow the other way and is read where f leads. For the
// backward flow that training uses (current to previous), the mask belongs to
// the current frame.
func Occlusion(f, back *Field) []float32 {
	if f.W != back.W || f.H != back.H {
		panic(fmt.Sprintf("flow: occlusion of a %dx%d field by a %dx%d one", f.W, f.H, back.W, back.H))
	}
	mask := make([]float32, f.W*f.H)
	maxX, maxY := float32(f.W-1), float32(f.H-1)
	for y := 0; y < f.H; y++ {
		for x := 0; x < f.W; x++ {
			i := y*f.W + x
			u, v := f.U[i], f.V[i]
			px, py := float32(x)+u, float32(y)+v
			if !(px >= 0 && px <= maxX && py >= 0 && py <= maxY) {
				continue
			}
			t := tapAt(px, py, f.W, f.H)
			bu, bv := t.of(back.U), t.of(back.V)
			sum := (u+bu)*(u+bu) + (v+bv)*(v+bv)
			if sum < consistencySlope*(u*u+v*v+bu*bu+bv*bv)+consistencyOffset {
				mask[i] = 1
			}
		}
	}
	return mask
}

// photometricBound is what pictures in [-1,1] may differ by where flow is right,
// the squares of all channels summed (vid2vid, the published code: 0.02), in
// squared levels of a byte.
const photometricBound = 0.02 * 127.5 * 127.5

// Agreement returns 1 where a point of now looks like the one of before that f
// leads to, read as Warp reads it, and 0 where it differs, (H,W). Unlike
// Occlusion it wants no flow the other way, says nothing of what leads outside of
// the picture, where the border stands in, and holds flow right wherever a
// picture is flat. All three must have one size.
func Agreement(now, before *video.Frame, f *Field) []float32 {
	if now.W != f.W || now.H != f.H || before.W != f.W || before.H != f.H {
		panic(fmt.Sprintf("flow: agreement of frames of %dx%d and %dx%d by a %dx%d field", now.W, now.H, before.W, before.H, f.W, f.H))
	}
	mask, row := make([]float32, f.W*f.H), make([]float32, 3*f.W)
	for y := range f.H {
		warpRow(row, before, f, y)
		pix := now.Pix[3*f.W*y:]
		for x := range f.W {
			var sum float32
			for c := 3 * x; c < 3*x+3; c++ {
				d := float32(pix[c]) - row[c]
				sum += d * d
			}
			if sum < photometricBound {
				mask[y*f.W+x] = 1
			}
		}
	}
	return mask
}

// of blends the four neighbours of one plane.
func (t tap) of(plane []float32) float32 {
	top := plane[t.i00]*(1-t.fx) + plane[t.i01]*t.fx
	bot := plane[t.i10]*(1-t.fx) + plane[t.i11]*t.fx
	return top*(1-t.fy) + bot*t.fy
}
