package pose

import (
	"math"
	"slices"
)

// raster is where strokes go: the size of a picture, and what becomes of the
// pixels from x0 to x1, both included, of row y.
type raster struct {
	w, h int
	span func(y, x0, x1 int)
}

// disc covers the pixels whose centres are at most so far from p.
func (r raster) disc(p Point, radius float64) { r.line(p, p, radius) }

// line covers the pixels whose centres are at most radius from the segment. A
// radius of 0.5 is the thinnest without gaps.
func (r raster) line(a, b Point, radius float64) {
	first := int(math.Ceil(max(min(a.Y, b.Y)-radius, 0)))
	last := int(math.Floor(min(max(a.Y, b.Y)+radius, float64(r.h-1))))
	// The outline is two half circles and the two long sides of a rectangle.
	var nx, ny float64 // across the segment, radius long
	if d := math.Hypot(b.X-a.X, b.Y-a.Y); d > 0 {
		nx, ny = -(b.Y-a.Y)/d*radius, (b.X-a.X)/d*radius
	}
	for y := first; y <= last; y++ {
		at := float64(y)
		left, right := math.Inf(1), math.Inf(-1)
		cover := func(x0, x1 float64) { left, right = min(left, x0), max(right, x1) }
		for _, c := range [2]Point{a, b} {
			if dy := at - c.Y; math.Abs(dy) <= radius {
				half := math.Sqrt(radius*radius - dy*dy)
				cover(c.X-half, c.X+half)
			}
		}
		for _, side := range [2]float64{-1, 1} {
			y0, y1 := a.Y+side*ny, b.Y+side*ny
			if y0 == y1 || at < min(y0, y1) || at > max(y0, y1) {
				continue
			}
			x := a.X + side*nx + (b.X-a.X)*(at-y0)/(y1-y0)
			cover(x, x)
		}
		r.clip(y, left, right)
	}
}

// clip covers the pixels of a row between two places, if they are in that order:
// rounding may leave a row at a stroke's rim without any.
func (r raster) clip(y int, left, right float64) {
	if !(left <= right) {
		return
	}
	x0 := int(math.Ceil(max(left, 0)))
	if x1 := int(math.Floor(min(right, float64(r.w-1)))); x0 <= x1 {
		r.span(y, x0, x1)
	}
}

// curve draws a parabola through three points, each in its own share of the
// way, so that it can lie in any direction.
func (r raster) curve(a, b, c Point, radius float64) {
	ab, bc := math.Hypot(b.X-a.X, b.Y-a.Y), math.Hypot(c.X-b.X, c.Y-b.Y)
	if ab == 0 || bc == 0 {
		r.line(a, c, radius)
		return
	}
	m := ab / (ab + bc) // where b is, from 0 to 1
	steps := int(min(ab+bc, 4*float64(r.w+r.h))) + 2
	last := a
	for i := 1; i <= steps; i++ {
		t := float64(i) / float64(steps)
		wa, wb, wc := (t-m)*(t-1)/m, t*(t-1)/(m*(m-1)), t*(t-m)/(1-m)
		next := Point{X: wa*a.X + wb*b.X + wc*c.X, Y: wa*a.Y + wb*b.Y + wc*c.Y}
		r.line(last, next, radius)
		last = next
	}
}

// polygon covers the inside of a closed outline by the even-odd rule, and the
// outline itself.
func (r raster) polygon(outline []Point) {
	var crossings []float64
	for y := range r.h {
		crossings = crossings[:0]
		at := float64(y)
		for i, a := range outline {
			b := outline[(i+1)%len(outline)]
			if (a.Y <= at) != (b.Y <= at) {
				crossings = append(crossings, a.X+(b.X-a.X)*(at-a.Y)/(b.Y-a.Y))
			}
		}
		slices.Sort(crossings)
		for i := 0; i+1 < len(crossings); i += 2 {
			r.clip(y, crossings[i], crossings[i+1])
		}
	}
	for i, a := range outline {
		r.line(a, outline[(i+1)%len(outline)], 0.5)
	}
}
