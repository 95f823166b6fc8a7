package flow

import (
	"fmt"
	"math"

	"github.com/v2v/v2v/video"
)

// wheel holds the hues of the Middlebury colour code (Baker, Scharstein,
// Lewis, Roth, Black, Szeliski, "A database and evaluation methodology for
// optical flow", IJCV 2011): red, yellow, green, cyan, blue, magenta, spaced
// by how well the eye tells the hues between them apart.
var wheel = makeWheel()

const wheelSize = 55

func makeWheel() [wheelSize][3]float32 {
	corners := [7][3]float32{{1, 0, 0}, {1, 1, 0}, {0, 1, 0}, {0, 1, 1}, {0, 0, 1}, {1, 0, 1}, {1, 0, 0}}
	steps := [6]int{15, 6, 4, 11, 13, 6} // RY YG GC CB BM MR
	var w [wheelSize][3]float32
	k := 0
	for s, n := range steps {
		for i := 0; i < n; i++ {
			t := float32(i) / float32(n)
			for c := range w[k] {
				w[k][c] = corners[s][c]*(1-t) + corners[s+1][c]*t
			}
			k++
		}
	}
	return w
}

// unknown is the Middlebury mark of a pixel without a measured flow.
const unknown = 1e9

// Draw paints f on the Middlebury colour wheel: hue is direction, saturation
// is length over maxMag, so standing pixels are white. Lengths beyond maxMag
// are darkened, unknown ones (NaN or above 1e9) are black. With maxMag 0 the
// field's own longest vector is full colour; a clip wants a constant, or its
// colours breathe. dst must have the field's size.
func Draw(dst *video.Frame, f *Field, maxMag float32) {
	if dst.W != f.W || dst.H != f.H {
		panic(fmt.Sprintf("flow: draw a %dx%d field into %dx%d", f.W, f.H, dst.W, dst.H))
	}
	if maxMag <= 0 {
		maxMag = f.MaxMag()
	}
	if maxMag == 0 {
		maxMag = 1
	}
	for i := range f.U {
		r, g, b := hue(f.U[i]/maxMag, f.V[i]/maxMag)
		if !known(f.U[i], f.V[i]) {
			r, g, b = 0, 0, 0
		}
		dst.Pix[3*i], dst.Pix[3*i+1], dst.Pix[3*i+2] = r, g, b
	}
}

// MaxMag is the length of the longest known vector.
func (f *Field) MaxMag() float32 {
	var most float32
	for i, u := range f.U {
		if v := f.V[i]; known(u, v) {
			most = max(most, u*u+v*v)
		}
	}
	return float32(math.Sqrt(float64(most)))
}

func known(u, v float32) bool {
	return u > -unknown && u < unknown && v > -unknown && v < unknown
}

// hue maps a vector of the unit disc to its colour, as Middlebury's
// computeColor does.
func hue(u, v float32) (r, g, b byte) {
	angle := math.Atan2(-float64(v), -float64(u)) / math.Pi // [-1,1], -1 and 1 are to the right
	at := (angle + 1) / 2 * (wheelSize - 1)
	k0 := min(max(int(at), 0), wheelSize-1)
	k1 := (k0 + 1) % wheelSize
	t := float32(at) - float32(k0)
	length := float32(math.Sqrt(float64(u*u + v*v)))
	var out [3]byte
	for c := range out {
		col := wheel[k0][c]*(1-t) + wheel[k1][c]*t
		if length <= 1 {
			col = 1 - length*(1-col)
		} else {
			col *= 0.75
		}
		out[c] = byte(255 * col)
	}
	return out[0], out[1], out[2]
}
