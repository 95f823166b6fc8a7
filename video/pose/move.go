package pose

import "slices"

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
