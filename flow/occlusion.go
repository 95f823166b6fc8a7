package flow

import "fmt"

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

// of blends the four neighbours of one plane.
func (t tap) of(plane []float32) float32 {
	top := plane[t.i00]*(1-t.fx) + plane[t.i01]*t.fx
	bot := plane[t.i10]*(1-t.fx) + plane[t.i11]*t.fx
	return top*(1-t.fy) + bot*t.fy
}
