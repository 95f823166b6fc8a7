package cvimg

import "math"

// Colours are counted in cells of 5 bits a channel, so a palette costs the
// same however many frames it is made from.
const (
	cellBits = 5
	cells    = 1 << (3 * cellBits)
)

func cellOf(r, g, b byte) int {
	return int(r>>3)<<10 | int(g>>3)<<5 | int(b>>3)
}

// histogram counts the colours of frames.
type histogram struct {
	count [cells]float64
	sum   [cells][3]float64
}

func (h *histogram) add(pix []byte) {
	for i := 0; i < len(pix); i += 3 {
		c := cellOf(pix[i], pix[i+1], pix[i+2])
		h.count[c]++
		s := &h.sum[c]
		s[0] += float64(pix[i])
		s[1] += float64(pix[i+1])
		s[2] += float64(pix[i+2])
	}
}

// swatch is one occupied cell: its mean colour and how many pixels have it.
type swatch struct {
	color  [3]float64
	weight float64
}

// swatches lists the occupied cells. Counts are damped to their square root:
// a yard of one grey must not take the colours that the people in it need.
func (h *histogram) swatches() []swatch {
	var list []swatch
	for c, n := range h.count {
		if n == 0 {
			continue
		}
		s := swatch{weight: math.Sqrt(n)}
		for k := range s.color {
			s.color[k] = h.sum[c][k] / n
		}
		list = append(list, s)
	}
	return list
}

// kmeansRounds is where the palettes of real clips have long stopped moving.
const kmeansRounds = 20

// palette makes at most n colours by weighted k-means. It uses no random
// numbers, so one clip always gives one palette: the first centre is the
// heaviest swatch, each next the one whose weight times squared distance to
// the centres so far is largest.
func (h *histogram) palette(n int) [][3]byte {
	list := h.swatches()
	centers := seeds(list, n)
	for range kmeansRounds {
		sums := make([][4]float64, len(centers))
		for _, s := range list {
			i, _ := nearest(centers, s.color)
			for k, v := range s.color {
				sums[i][k] += v * s.weight
			}
			sums[i][3] += s.weight
		}
		for i, s := range sums {
			if s[3] > 0 {
				centers[i] = [3]float64{s[0] / s[3], s[1] / s[3], s[2] / s[3]}
			}
		}
	}
	out := make([][3]byte, len(centers))
	for i, c := range centers {
		for k, v := range c {
			out[i][k] = byte(v + 0.5)
		}
	}
	return out
}

func seeds(list []swatch, n int) [][3]float64 {
	far := make([]float64, len(list))
	for i := range far {
		far[i] = 1
	}
	var centers [][3]float64
	for len(centers) < min(n, len(list)) {
		best := 0
		for i, s := range list {
			if s.weight*far[i] > list[best].weight*far[best] {
				best = i
			}
		}
		centers = append(centers, list[best].color)
		for i, s := range list {
			d := distance(s.color, list[best].color)
			if len(centers) == 1 || d < far[i] {
				far[i] = d
			}
		}
	}
	return centers
}

func nearest(centers [][3]float64, c [3]float64) (int, float64) {
	best, least := 0, math.Inf(1)
	for i, p := range centers {
		if d := distance(p, c); d < least {
			best, least = i, d
		}
	}
	return best, least
}

func distance(a, b [3]float64) float64 {
	x, y, z := a[0]-b[0], a[1]-b[1], a[2]-b[2]
	return x*x + y*y + z*z
}

// stick is how much nearer, in levels of colour distance, another colour of
// the palette must be before a pixel changes from the one it had, so that
// still things do not flicker between two colours that fit equally well.
// Measured on a still scene with 3 levels of noise, 1.2% of the pixels change
// a frame at 0, 0.2% at 6, 0.04% at 9; on vtest.avi 9 leaves the people's own
// motion.
const stick = 9

// labeler gives every pixel a colour of a fixed palette, frame after frame.
type labeler struct {
	palette [][3]byte
	closest [cells]uint8 // palette index by cell centre
	last    []uint8      // index that each pixel had in the frame before
}

func newLabeler(palette [][3]byte) *labeler {
	l := &labeler{palette: palette}
	centers := make([][3]float64, len(palette))
	for i, c := range palette {
		centers[i] = [3]float64{float64(c[0]), float64(c[1]), float64(c[2])}
	}
	for c := range l.closest {
		at := [3]float64{float64(c>>10)*8 + 3.5, float64(c>>5&31)*8 + 3.5, float64(c&31)*8 + 3.5}
		i, _ := nearest(centers, at)
		l.closest[c] = uint8(i)
	}
	return l
}

// draw paints pix in the palette's colours into dst.
func (l *labeler) draw(dst, pix []byte) {
	fresh := len(l.last) != len(pix)/3
	if fresh {
		l.last = make([]uint8, len(pix)/3)
	}
	for i := range l.last {
		p := pix[3*i:][:3]
		k := l.closest[cellOf(p[0], p[1], p[2])]
		if old := l.last[i]; !fresh && k != old && !l.clearlyNearer(p, k, old) {
			k = old
		}
		l.last[i] = k
		c := &l.palette[k]
		dst[3*i], dst[3*i+1], dst[3*i+2] = c[0], c[1], c[2]
	}
}

// clearlyNearer reports |p-k| + stick < |p-old|.
func (l *labeler) clearlyNearer(p []byte, k, old uint8) bool {
	return math.Sqrt(l.squared(p, k))+stick < math.Sqrt(l.squared(p, old))
}

func (l *labeler) squared(p []byte, k uint8) float64 {
	c := &l.palette[k]
	r, g, b := int(p[0])-int(c[0]), int(p[1])-int(c[1]), int(p[2])-int(c[2])
	return float64(r*r + g*g + b*b)
}
