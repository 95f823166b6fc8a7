package op

// window is the geometry that the convolution family shares: what Conv reads
// with it, ConvT and Conv's gradients write or weigh with it. Sums are taken in
// float64.
type window struct {
	stride, pad int
	reflect     bool
	kh, kw      int
}

// out is the size of what Conv makes of h x w.
func (g window) out(name string, h, w int) (oh, ow int, err error) {
	switch {
	case g.stride < 1 || g.pad < 0 || g.kh < 1 || g.kw < 1:
		err = bad(name, "stride %d, padding %d, kernel %dx%d", g.stride, g.pad, g.kh, g.kw)
	case h < 1 || w < 1 || h+2*g.pad < g.kh || w+2*g.pad < g.kw:
		err = bad(name, "picture %dx%d padded by %d is smaller than the kernel %dx%d", h, w, g.pad, g.kh, g.kw)
	case g.reflect && (g.pad >= h || g.pad >= w):
		err = bad(name, "picture %dx%d cannot be reflected by %d", h, w, g.pad)
	}
	if err != nil {
		return 0, 0, err
	}
	return (h+2*g.pad-g.kh)/g.stride + 1, (w+2*g.pad-g.kw)/g.stride + 1, nil
}

// source is the pixel of an axis of n pixels that padding position i shows, or
// -1 for a zero.
func (g window) source(i, n int) int {
	i -= g.pad
	switch {
	case i >= 0 && i < n:
		return i
	case !g.reflect:
		return -1
	case i < 0:
		return -i
	}
	return 2*(n-1) - i
}

// padded copies the planes of t with their padding.
func (g window) padded(t Tensor) (planes []float32, hp, wp int) {
	h, w := t.Shape[2], t.Shape[3]
	hp, wp = h+2*g.pad, w+2*g.pad
	if g.pad == 0 {
		return t.F, hp, wp
	}
	planes = make([]float32, t.Shape[0]*t.Shape[1]*hp*wp)
	parallel(t.Shape[0]*t.Shape[1], func(p int) {
		src, dst := t.F[p*h*w:][:h*w], planes[p*hp*wp:][:hp*wp]
		for i := range dst {
			y, x := g.source(i/wp, h), g.source(i%wp, w)
			if y >= 0 && x >= 0 {
				dst[i] = src[y*w+x]
			}
		}
	})
	return planes, hp, wp
}

// correlate is Conv: out (N,O,OH,OW) from x (N,C,H,W) and w (O,C,KH,KW).
func (g window) correlate(x, w Tensor, bias []float32, out Tensor) {
	planes, hp, wp := g.padded(x)
	channels, outC, oh, ow := x.Shape[1], out.Shape[1], out.Shape[2], out.Shape[3]
	parallel(out.Shape[0]*outC, func(p int) {
		n, o := p/outC, p%outC
		kernel := w.F[o*channels*g.kh*g.kw:]
		row := make([]float64, ow)
		for y := range oh {
			clear(row)
			for k := range channels * g.kh {
				src := planes[((n*channels+k/g.kh)*hp+y*g.stride+k%g.kh)*wp:][:wp]
				for kx, weight := range kernel[k*g.kw:][:g.kw] {
					addStrided(row, float64(weight), src[kx:], g.stride)
				}
			}
			dst := out.F[(p*oh+y)*ow:][:ow]
			for i, v := range row {
				if bias != nil {
					v += float64(bias[o])
				}
				dst[i] = float32(v)
			}
		}
	})
}

// addStrided adds weight times every stride-th element of src to row.
func addStrided(row []float64, weight float64, src []float32, stride int) {
	at := 0
	for i := range row {
		row[i] += weight * float64(src[at])
		at += stride
	}
}

// scatter is Conv's way back, which is ConvT: out (N,C,H,W) from small
// (N,O,OH,OW) and w (O,C,KH,KW), each element of small adding its kernel to the
// window it stands for.
func (g window) scatter(small, w Tensor, bias []float32, out Tensor) {
	outC, h, wide := out.Shape[1], out.Shape[2], out.Shape[3]
	hp, wp := h+2*g.pad, wide+2*g.pad
	inC, sh, sw := small.Shape[1], small.Shape[2], small.Shape[3]
	parallel(out.Shape[0]*outC, func(p int) {
		n, c := p/outC, p%outC
		plane := make([]float64, hp*wp)
		for i := range inC * sh {
			o, y := i/sh, i%sh
			src := small.F[((n*inC+o)*sh+y)*sw:][:sw]
			kernel := w.F[(o*outC+c)*g.kh*g.kw:][:g.kh*g.kw]
			for k, weight := range kernel {
				dst := plane[(y*g.stride+k/g.kw)*wp+k%g.kw:]
				at := 0
				for _, v := range src {
					dst[at] += float64(weight) * float64(v)
					at += g.stride
				}
			}
		}
		var b float64
		if bias != nil {
			b = float64(bias[c])
		}
		g.fold(plane, out.F[p*h*wide:][:h*wide], h, wide, b)
	})
}

// fold adds every position of a padded plane, and a bias, to the pixel it
// shows.
func (g window) fold(plane []float64, out []float32, h, w int, bias float64) {
	wp := w + 2*g.pad
	sums := make([]float64, h*w)
	for i, v := range plane {
		y, x := g.source(i/wp, h), g.source(i%wp, w)
		if y >= 0 && x >= 0 {
			sums[y*w+x] += v
		}
	}
	for i, v := range sums {
		out[i] = float32(v + bias)
	}
}

// gradW is ConvGradW: out (O,C,KH,KW) from x (N,C,H,W) and gy (N,O,OH,OW).
func (g window) gradW(x, gy, out Tensor) {
	planes, hp, wp := g.padded(x)
	batch, channels := x.Shape[0], x.Shape[1]
	outC, oh, ow := gy.Shape[1], gy.Shape[2], gy.Shape[3]
	parallel(outC*channels, func(p int) {
		o, c := p/channels, p%channels
		sums := make([]float64, g.kh*g.kw)
		for i := range batch * oh {
			n, y := i/oh, i%oh
			grad := gy.F[((n*outC+o)*oh+y)*ow:][:ow]
			for k := range sums {
				src := planes[((n*channels+c)*hp+y*g.stride+k/g.kw)*wp+k%g.kw:]
				at := 0
				for _, v := range grad {
					sums[k] += float64(v) * float64(src[at])
					at += g.stride
				}
			}
		}
		for k, s := range sums {
			out.F[p*g.kh*g.kw+k] = float32(s)
		}
	})
}
