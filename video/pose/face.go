package pose

import (
	"errors"
	"math"

	"github.com/v2v/v2v/video"
)

// Planes of Maps.
const (
	EdgePlane  = 0  // the facial curves, white on black
	FirstCurve = 1  // from here on a plane for each curve: how far away it is
	Curves     = 14 // published: contour, 2 brows, 3 of the nose, 2 for each eye, 4 of the mouth
)

// Parts of a face in Maps.Part.
const (
	NoPart = iota
	SkinPart
	BrowPart
	NosePart
	EyePart
	MouthPart
	InnerMouthPart
)

// Maps are what a network of faces sees of one frame.
type Maps struct {
	C, H, W int
	Pix     []byte // (C,H,W)
	Part    []byte // (H,W): NoPart to InnerMouthPart
}

// Plane is a plane's pixels, (H,W).
func (m *Maps) Plane(c int) []byte { return m.Pix[c*m.H*m.W:][:m.H*m.W] }

// facePart is a part and the curves around it, as numbers of landmarks; from
// 68 on those that upperFace adds.
type facePart struct {
	label  byte
	curves [][]int
}

// faceParts is the partition of vid2vid's faces, in the order of drawing.
var faceParts = []facePart{
	{SkinPart, [][]int{append(append(run(0, 16), run(68, 82)...), 0)}},
	{BrowPart, [][]int{run(17, 21)}},
	{BrowPart, [][]int{run(22, 26)}},
	{NosePart, [][]int{{28, 31}, run(31, 35), {35, 28}}},
	{EyePart, [][]int{run(36, 39), {39, 40, 41, 36}}},
	{EyePart, [][]int{run(42, 45), {45, 46, 47, 42}}},
	{MouthPart, [][]int{run(48, 54), append(run(54, 59), 48)}},
	{InnerMouthPart, [][]int{run(60, 64), append(run(64, 67), 60)}},
}

func run(first, last int) []int {
	var list []int
	for i := first; i <= last; i++ {
		list = append(list, i)
	}
	return list
}

// upperFace closes the contour over the brows, where there are no landmarks:
// the jaw between its ends, mirrored on the line of their mean height and two
// thirds as high, from right to left.
func (l *Landmarks) upperFace() []Point {
	all := append([]Point(nil), l[:]...)
	base := (l[0].Y + l[16].Y) / 2
	for i := 15; i >= 1; i-- {
		all = append(all, Point{l[i].X, base + (base-l[i].Y)*2/3, 1})
	}
	return all
}

// curveShare is the width of facial curves as a share of the root of the
// picture's area: two pixels at 512, as published, and one at least.
const curveShare = 1. / 256

// FaceMaps draws a face as 15 planes of w x h pixels: its curves, and for each
// curve the sum of the distances along x and y to it, divided by three and
// clipped at 255.
func FaceMaps(l *Landmarks, w, h int) (*Maps, error) {
	if w < 1 || h < 1 {
		return nil, errors.New("draw face: no picture to draw on")
	}
	m := &Maps{C: 1 + Curves, H: h, W: w, Pix: make([]byte, (1+Curves)*w*h), Part: make([]byte, w*h)}
	all := l.upperFace()
	radius := max(math.Sqrt(float64(w)*float64(h))*curveShare, 1) / 2
	edges, next := m.Plane(EdgePlane), FirstCurve
	for _, part := range faceParts {
		var outline []Point
		for _, curve := range part.curves {
			own := m.Plane(next)
			next++
			ink := raster{w, h, func(y, x0, x1 int) {
				fill(own[y*w:][x0:x1+1], 255)
				fill(edges[y*w:][x0:x1+1], 255)
			}}
			path := make([]Point, len(curve))
			for i, k := range curve {
				path[i] = all[k]
			}
			ink.through(path, radius)
			outline = append(outline, path...)
			distances(own, w)
		}
		raster{w, h, func(y, x0, x1 int) { fill(m.Part[y*w:][x0:x1+1], part.label) }}.polygon(outline)
	}
	return m, nil
}

// AddBackground adds edges of the whole picture, w x h, to the curves where there
// is no face.
func (m *Maps) AddBackground(edges *video.Frame) {
	curves := m.Plane(EdgePlane)
	for i, part := range m.Part {
		if part == NoPart {
			curves[i] = max(curves[i], edges.Pix[3*i])
		}
	}
}

// through draws a smooth line through points, two steps at a time.
func (r raster) through(path []Point, radius float64) {
	for len(path) > 2 {
		r.curve(path[0], path[1], path[2], radius)
		path = path[2:]
	}
	if len(path) == 2 {
		r.line(path[0], path[1], radius)
	}
}

func fill(to []byte, value byte) {
	for i := range to {
		to[i] = value
	}
}

// distances replaces a plane of marks (not 0) by the distance |dx|+|dy| of each
// pixel to the nearest mark, divided by three and clipped at 255. Two sweeps
// are exact for this distance.
func distances(plane []byte, w int) {
	const far = 3 * 256 // what is farther is clipped anyhow
	d := make([]int32, len(plane))
	for i, v := range plane {
		if d[i] = far; v != 0 {
			d[i] = 0
		}
		if i%w > 0 {
			d[i] = min(d[i], d[i-1]+1)
		}
		if i >= w {
			d[i] = min(d[i], d[i-w]+1)
		}
	}
	for i := len(d) - 1; i >= 0; i-- {
		if i%w < w-1 {
			d[i] = min(d[i], d[i+1]+1)
		}
		if i+w < len(d) {
			d[i] = min(d[i], d[i+w]+1)
		}
		plane[i] = byte(min(d[i]/3, 255))
	}
}

// EdgeFrame is the plane of curves as a picture.
func (m *Maps) EdgeFrame() *video.Frame { return m.frame(m.Plane(EdgePlane)) }

// PartFrame is the part map as an index picture: the part in all channels.
func (m *Maps) PartFrame() *video.Frame { return m.frame(m.Part) }

func (m *Maps) frame(plane []byte) *video.Frame {
	f := video.NewFrame(m.W, m.H)
	for i, v := range plane {
		f.Pix[3*i], f.Pix[3*i+1], f.Pix[3*i+2] = v, v, v
	}
	return f
}

// Packed holds all planes in one picture: three to a tile, in red, green and
// blue, and the tiles of W x H below one another.
func (m *Maps) Packed() *video.Frame {
	size := m.W * m.H
	f := video.NewFrame(m.W, m.H*((m.C+2)/3))
	for c := range m.C {
		for i, v := range m.Plane(c) {
			f.Pix[3*(c/3*size+i)+c%3] = v
		}
	}
	return f
}
