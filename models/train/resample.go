package train

import (
	"math"

	"github.com/v2v/v2v/video"
)

// Bicubic resampling as Pillow does it (Image.resize with BICUBIC, 9.4), which is
// what published systems load pictures by: Keys' kernel with a = -0.5, wider by
// as much as the picture becomes smaller, columns before rows, with sums in
// fixed point that are rounded to bytes in between.

// resampleBits is the precision of weights in fixed point: beside them a byte, a
// sign and an overshoot fit into 32 bits.
const resampleBits = 32 - 8 - 2

// keys is Keys' kernel (1981, "Cubic convolution interpolation for digital image
// processing", equation 4).
func keys(x float64) float64 {
	const a = -0.5
	x = math.Abs(x)
	switch {
	case x < 1:
		return ((a+2)*x-(a+3))*x*x + 1
	case x < 2:
		return (((x-5)*x+8)*x - 4) * a
	}
	return 0
}

// taps are the weights of what lies from first on for one place of an axis.
type taps struct {
	first   int
	weights []int32
}

// bicubic is the taps of every place of an axis whose n places become to.
func bicubic(n, to int) []taps {
	scale := float64(n) / float64(to)
	wide := max(scale, 1)
	all := make([]taps, to)
	for i := range all {
		center := (float64(i) + 0.5) * scale
		first, last := max(0, int(center-2*wide+0.5)), min(n, int(center+2*wide+0.5))
		w, sum := make([]float64, last-first), 0.0
		for k := range w {
			w[k] = keys((float64(k+first) - center + 0.5) / wide)
			sum += w[k]
		}
		all[i] = taps{first: first, weights: make([]int32, len(w))}
		for k := range w {
			all[i].weights[k] = int32(math.Round(w[k] / sum * (1 << resampleBits)))
		}
	}
	return all
}

// at is the weighted sum of bytes that lie step apart.
func (t taps) at(pix []byte, step int) byte {
	sum := int32(1) << (resampleBits - 1)
	for k, w := range t.weights {
		sum += w * int32(pix[(t.first+k)*step])
	}
	return byte(min(max(sum>>resampleBits, 0), 255))
}

// resample is a frame in another size.
func resample(f *video.Frame, w, h int) *video.Frame {
	if w != f.W {
		out := video.NewFrame(w, f.H)
		for x, t := range bicubic(f.W, w) {
			for y := range f.H {
				for c := range 3 {
					out.Pix[3*(y*w+x)+c] = t.at(f.Pix[3*y*f.W+c:], 3)
				}
			}
		}
		f = out
	}
	if h == f.H {
		return f
	}
	out := video.NewFrame(w, h)
	for y, t := range bicubic(f.H, h) {
		for i := range 3 * w {
			out.Pix[3*y*w+i] = t.at(f.Pix[i:], 3*w)
		}
	}
	return out
}
