package metric

import (
	"fmt"
	"math"

	"github.com/v2v/v2v/video"
)

// The constants of Wang, Bovik, Sheikh and Simoncelli, "Image quality
// assessment: from error visibility to structural similarity", IEEE TIP 2004.
const (
	window = 11 // side of the Gaussian window
	sigma  = 1.5
	peak   = 255.
	c1     = (0.01 * peak) * (0.01 * peak)
	c2     = (0.03 * peak) * (0.03 * peak)
)

// taps is the Gaussian window along one axis; the window is its outer product.
var taps = makeTaps()

func makeTaps() (t [window]float32) {
	var sum float64
	for i := range t {
		sum += math.Exp(-float64((i-window/2)*(i-window/2)) / (2 * sigma * sigma))
	}
	for i := range t {
		t[i] = float32(math.Exp(-float64((i-window/2)*(i-window/2))/(2*sigma*sigma)) / sum)
	}
	return t
}

// SSIM is the mean structural similarity of the luminance (BT.601, not
// rounded), as Wang et al. 2004 define it: 11x11 Gaussian window of sigma 1.5,
// K1 0.01, K2 0.03, L 255, averaged over the positions where the window lies
// wholly inside, without scaling the picture first; that is what the authors'
// ssim_index.m computes on a grey picture. 1 is equality. This is the
// definition that eval reports.
func SSIM(a, b *video.Frame) (float64, error) {
	return ssim(a, b, func(dst []float32, pix []byte) {
		for x := range dst {
			p := pix[3*x:][:3]
			dst[x] = 0.299*float32(p[0]) + 0.587*float32(p[1]) + 0.114*float32(p[2])
		}
	})
}

// SSIMRGB is the mean of the three channels' SSIM, as scikit-image gives with
// a channel axis.
func SSIMRGB(a, b *video.Frame) (float64, error) {
	var mean float64
	for c := range 3 {
		v, err := ssim(a, b, func(dst []float32, pix []byte) {
			for x := range dst {
				dst[x] = float32(pix[3*x+c])
			}
		})
		if err != nil {
			return 0, err
		}
		mean += v / 3
	}
	return mean, nil
}

// moments counts the windowed averages that SSIM is made of: a, b, a^2+b^2 and
// ab. The formula needs the two variances only as their sum.
const moments = 4

// ssim slides the separable window down the picture: each row is filtered
// along x once, and the last 11 such rows along y.
func ssim(a, b *video.Frame, plane func(dst []float32, pix []byte)) (float64, error) {
	if err := checkPair("measure ssim", a, b); err != nil {
		return 0, err
	}
	if a.W < window || a.H < window {
		return 0, fmt.Errorf("measure ssim: %dx%d is smaller than its window of %dx%d", a.W, a.H, window, window)
	}
	wide, n := a.W, a.W-window+1
	var rows [moments][]float32 // of one picture row
	for m := range rows {
		rows[m] = make([]float32, wide)
	}
	var ring [window][moments][]float32
	for k := range ring {
		for m := range ring[k] {
			ring[k][m] = make([]float32, n)
		}
	}
	var at [moments][]float32
	for m := range at {
		at[m] = make([]float32, n)
	}
	var sum float64
	for y := 0; y < a.H; y++ {
		plane(rows[0], a.Pix[3*wide*y:][:3*wide])
		plane(rows[1], b.Pix[3*wide*y:][:3*wide])
		products(&rows)
		for m := range moments {
			across(ring[y%window][m], rows[m])
		}
		if y < window-1 {
			continue
		}
		for m := range moments {
			down(at[m], &ring, m, y+1)
		}
		sum += similarity(&at)
	}
	return sum / float64(n*(a.H-window+1)), nil
}

// products centres a row's values and fills in the second moments. Centring
// leaves the variances as they are and keeps them exact in 32 bits.
func products(rows *[moments][]float32) {
	a := rows[0]
	b, squares, cross := rows[1][:len(a)], rows[2][:len(a)], rows[3][:len(a)]
	for x, u := range a {
		u -= peak / 2
		v := b[x] - peak/2
		a[x], b[x] = u, v
		squares[x], cross[x] = u*u+v*v, u*v
	}
}

// across filters a row along x; the window is symmetric, so pairs share a tap.
func across(dst, src []float32) {
	for x := range dst {
		s := src[x:][:window]
		dst[x] = taps[5]*s[5] +
			taps[4]*(s[4]+s[6]) + taps[3]*(s[3]+s[7]) + taps[2]*(s[2]+s[8]) +
			taps[1]*(s[1]+s[9]) + taps[0]*(s[0]+s[10])
	}
}

// down filters one moment along y; first is the index in the ring of the
// window's oldest row, modulo its length.
func down(dst []float32, ring *[window][moments][]float32, m, first int) {
	var r [window][]float32
	for k := range r {
		r[k] = ring[(first+k)%window][m][:len(dst)]
	}
	r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10 := r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9], r[10]
	for x := range dst {
		dst[x] = taps[5]*r5[x] +
			taps[4]*(r4[x]+r6[x]) + taps[3]*(r3[x]+r7[x]) + taps[2]*(r2[x]+r8[x]) +
			taps[1]*(r1[x]+r9[x]) + taps[0]*(r0[x]+r10[x])
	}
}

// similarity adds up the SSIM index over one row of window positions.
func similarity(at *[moments][]float32) (sum float64) {
	ma := at[0]
	mb, squares, cross := at[1][:len(ma)], at[2][:len(ma)], at[3][:len(ma)]
	for x, a := range ma {
		b := mb[x]
		variances := squares[x] - a*a - b*b
		covariance := cross[x] - a*b
		a += peak / 2
		b += peak / 2
		sum += float64((2*a*b + c1) * (2*covariance + c2) / ((a*a + b*b + c1) * (variances + c2)))
	}
	return sum
}
