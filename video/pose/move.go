package pose

import (
	"image"
	"math"
	"slices"
)

// What is whose other side: a mirrored picture shows the left hand where the
// right one was.
var (
	bodySides = [][2]int{{2, 5}, {3, 6}, {4, 7}, {9, 12}, {10, 13}, {11, 14}, {15, 16}, {17, 18}, {19, 22}, {20, 23}, {21, 24}}
	faceSides = [][2]int{
		{0, 16}, {1, 15}, {2, 14}, {3, 13}, {4, 12}, {5, 11}, {6, 10}, {7, 9}, // jaw
		{17, 26}, {18, 25}, {19, 24}, {20, 23}, {21, 22}, {31, 35}, {32, 34}, // brows, nose
		{36, 45}, {37, 44}, {38, 43}, {39, 42}, {40, 47}, {41, 46}, // eyes
		{48, 54}, {49, 53}, {50, 52}, {55, 59}, {56, 58}, {60, 64}, {61, 63}, {65, 67}, // lips
	}
	pupils = [2]int{68, 69}
)

// Clone is a person whose points are its own.
func (p Person) Clone() Person {
	p.Face, p.Left, p.Right = slices.Clone(p.Face), slices.Clone(p.Left), slices.Clone(p.Right)
	return p
}

// Shift moves a person by so many pixels.
func (p *Person) Shift(dx, dy float64) {
	for _, part := range p.parts() {
		shift(part, dx, dy)
	}
}

// Mirror turns a person in a picture of w pixels' width as the picture is turned:
// what was left is right, hands, eyes and limbs included.
func (p *Person) Mirror(w int) {
	for _, part := range p.parts() {
		turn(part, w)
	}
	swap(p.Body[:], bodySides)
	if len(p.Face) > 0 {
		swap(p.Face, faceSides)
		swap(p.Face, [][2]int{pupils})
	}
	p.Left, p.Right = p.Right, p.Left
}

// Shift moves a face by so many pixels.
func (l *Landmarks) Shift(dx, dy float64) { shift(l[:], dx, dy) }

// Mirror turns a face in a picture of w pixels' width as the picture is turned.
func (l *Landmarks) Mirror(w int) {
	turn(l[:], w)
	swap(l[:], faceSides)
}

// ScaledParts is how many parts of a face Rescale tells apart: jaw, brows, nose,
// eyes and mouth.
const ScaledParts = 5

// Rescale makes parts of a face so many times as large, across and down, each
// about its own middle; left and right brows and eyes are two of the same.
func (l *Landmarks) Rescale(by [ScaledParts][2]float64) {
	for k, part := range [ScaledParts][][2]int{{{0, 16}}, {{17, 21}, {22, 26}}, {{27, 35}}, {{36, 41}, {42, 47}}, {{48, 67}}} {
		for _, span := range part {
			points := l[span[0] : span[1]+1]
			var x, y float64
			for _, p := range points {
				x, y = x+p.X/float64(len(points)), y+p.Y/float64(len(points))
			}
			for i := range points {
				points[i].X = x + (points[i].X-x)*by[k][0]
				points[i].Y = y + (points[i].Y-y)*by[k][1]
			}
		}
	}
}

// Square is the square about a face in a picture of w x h pixels that vid2vid cuts
// out: 2.5 times as wide as the face, its middle a quarter of the face's height
// below the highest landmark, moved into the picture, and no larger than that.
func (l *Landmarks) Square(w, h int) image.Rectangle {
	low, high := l[0], l[0]
	for _, p := range l {
		low.X, low.Y = min(low.X, p.X), min(low.Y, p.Y)
		high.X, high.Y = max(high.X, p.X), max(high.Y, p.Y)
	}
	side := min(int(math.Round(2.5*(high.X-low.X))), w, h)
	side = max(side, 1)
	corner := func(middle float64, n int) int { return min(max(int(math.Round(middle))-side/2, 0), n-side) }
	at := image.Pt(corner((low.X+high.X)/2, w), corner((3*low.Y+high.Y)/4, h))
	return image.Rectangle{Min: at, Max: at.Add(image.Pt(side, side))}
}

func shift(points []Point, dx, dy float64) {
	for i := range points {
		points[i].X += dx
		points[i].Y += dy
	}
}

func turn(points []Point, w int) {
	for i := range points {
		points[i].X = float64(w-1) - points[i].X
	}
}

func swap(points []Point, sides [][2]int) {
	for _, s := range sides {
		points[s[0]], points[s[1]] = points[s[1]], points[s[0]]
	}
}
