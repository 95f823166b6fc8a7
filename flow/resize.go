package flow

import "math"

// Resize resamples the field to w x h and scales its components by the same
// factors, so that it displaces the resized frames. Growing is bilinear;
// shrinking averages over the pixels that fall together (a triangle as wide as
// the shrinking, as Pillow does and PyTorch with antialias), so thin motion
// fades instead of aliasing. The result is a new Field.
func (f *Field) Resize(w, h int) *Field {
	across, down := resampling(f.W, w), resampling(f.H, h)
	return &Field{
		W: w, H: h,
		U: resize(f.U, f.W, f.H, across, down, float32(w)/float32(f.W)),
		V: resize(f.V, f.W, f.H, across, down, float32(h)/float32(f.H)),
	}
}

// window is the run of source samples that make one destination sample.
type window struct {
	start   int
	weights []float32 // sum to 1
}

// resampling makes the windows of one axis, pixel centres at half integers.
func resampling(from, to int) []window {
	scale := float64(from) / float64(to)
	support := math.Max(scale, 1)
	windows := make([]window, to)
	for i := range windows {
		center := (float64(i) + 0.5) * scale
		lo := max(0, int(center-support+0.5))
		hi := min(from, int(center+support+0.5))
		weights := make([]float32, hi-lo)
		var sum float32
		for j := range weights {
			d := math.Abs(float64(lo+j)+0.5-center) / support
			weights[j] = float32(math.Max(0, 1-d))
			sum += weights[j]
		}
		for j := range weights {
			weights[j] /= sum
		}
		windows[i] = window{lo, weights}
	}
	return windows
}

// resize filters the rows, then the columns, and multiplies by gain.
func resize(src []float32, w, h int, across, down []window, gain float32) []float32 {
	mid := make([]float32, h*len(across))
	for y := 0; y < h; y++ {
		in := src[y*w:][:w]
		for x, k := range across {
			var sum float32
			for j, wt := range k.weights {
				sum += in[k.start+j] * wt
			}
			mid[y*len(across)+x] = sum * gain
		}
	}
	out := make([]float32, len(down)*len(across))
	for y, k := range down {
		row := out[y*len(across):][:len(across)]
		for j, wt := range k.weights {
			for x, v := range mid[(k.start+j)*len(across):][:len(across)] {
				row[x] += v * wt
			}
		}
	}
	return out
}
