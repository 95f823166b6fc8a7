package flow

import (
	"fmt"

	"github.com/v2v/v2v/video"
)

// Warp pulls src along f into dst: dst(x,y) = src(x+U, y+V), sampled
// bilinearly at pixel centres (what PyTorch calls align_corners=True with
// border padding): coordinates are clamped to [0,W-1] x [0,H-1] first. With f
// measured from the current frame to the previous one, warping the previous
// frame predicts the current. dst takes src's PTS. All three must have one
// size and dst must not be src; anything else is a programmer's bug and panics.
func Warp(dst, src *video.Frame, f *Field) {
	if dst.W != f.W || dst.H != f.H || src.W != f.W || src.H != f.H {
		panic(fmt.Sprintf("flow: warp a %dx%d frame into %dx%d by a %dx%d field", src.W, src.H, dst.W, dst.H, f.W, f.H))
	}
	if dst == src {
		panic("flow: warp a frame into itself")
	}
	row := make([]float32, 3*f.W)
	for y := 0; y < f.H; y++ {
		warpRow(row, src, f, y)
		out := dst.Pix[3*f.W*y:][:len(row)]
		for i, v := range row {
			out[i] = uint8(v + 0.5)
		}
	}
	dst.PTS = src.PTS
}

// warpRow samples one row of the warped src without rounding to bytes.
func warpRow(row []float32, src *video.Frame, f *Field, y int) {
	w, h := f.W, f.H
	u, v := f.U[y*w:][:w], f.V[y*w:][:w]
	for x := range u {
		t := tapAt(float32(x)+u[x], float32(y)+v[x], w, h)
		p00, p01 := src.Pix[3*t.i00:][:3], src.Pix[3*t.i01:][:3]
		p10, p11 := src.Pix[3*t.i10:][:3], src.Pix[3*t.i11:][:3]
		out := row[3*x:][:3]
		for c := range out {
			top := float32(p00[c])*(1-t.fx) + float32(p01[c])*t.fx
			bot := float32(p10[c])*(1-t.fx) + float32(p11[c])*t.fx
			out[c] = top*(1-t.fy) + bot*t.fy
		}
	}
}

// tap is a bilinear sample: four pixel indices and the weights of the right
// and lower ones.
type tap struct {
	i00, i01, i10, i11 int
	fx, fy             float32
}

// tapAt clamps a point to the picture and names its four neighbours. A NaN
// lands on the first row or column, so no field can read out of bounds.
func tapAt(x, y float32, w, h int) tap {
	x, y = clamp(x, float32(w-1)), clamp(y, float32(h-1))
	x0, y0 := int(x), int(y)
	t := tap{fx: x - float32(x0), fy: y - float32(y0)}
	t.i00 = y0*w + x0
	t.i01, t.i10 = t.i00, t.i00
	if x0+1 < w {
		t.i01++
	}
	if y0+1 < h {
		t.i10 += w
	}
	t.i11 = t.i10 + t.i01 - t.i00
	return t
}

// clamp bounds v to [0,hi] and turns a NaN into 0.
func clamp(v, hi float32) float32 {
	if v > hi {
		return hi
	}
	if v > 0 {
		return v
	}
	return 0
}
