package pose

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"
)

// paint runs strokes on a picture of marks.
func paint(w, h int, draw func(r raster)) []byte {
	marks := make([]byte, w*h)
	draw(raster{w, h, func(y, x0, x1 int) { fill(marks[y*w:][x0:x1+1], 1) }})
	return marks
}

// TestLineCoversWhatIsNear compares with the distance of every pixel.
func TestLineCoversWhatIsNear(t *testing.T) {
	const w, h = 31, 23
	rng := rand.New(rand.NewPCG(1, 2))
	anywhere := func() Point { return Point{X: rng.Float64()*50 - 10, Y: rng.Float64()*40 - 8} }
	for range 400 {
		a, b, radius := anywhere(), anywhere(), 0.5+4*rng.Float64()
		switch rng.IntN(5) {
		case 0:
			b = a
		case 1:
			b.Y = a.Y
		case 2:
			b.X = a.X
		case 3: // on the grid
			a, b = Point{X: math.Round(a.X), Y: math.Round(a.Y)}, Point{X: math.Round(b.X), Y: math.Round(b.Y)}
		}
		got := paint(w, h, func(r raster) { r.line(a, b, radius) })
		for i, v := range got {
			x, y := float64(i%w), float64(i/w)
			t0 := 0.0
			if l := (b.X-a.X)*(b.X-a.X) + (b.Y-a.Y)*(b.Y-a.Y); l > 0 {
				t0 = min(max(((x-a.X)*(b.X-a.X)+(y-a.Y)*(b.Y-a.Y))/l, 0), 1)
			}
			d := math.Hypot(x-a.X-t0*(b.X-a.X), y-a.Y-t0*(b.Y-a.Y))
			if math.Abs(d-radius) > 1e-9 && (v == 1) != (d < radius) {
				t.Fatalf("line %v %v of radius %g: pixel (%g,%g) at %g is %d", a, b, radius, x, y, d, v)
			}
		}
	}
}

// TestThinLinesHaveNoGaps: every column of a flat line and every row of a
// steep one is marked.
func TestThinLinesHaveNoGaps(t *testing.T) {
	const n = 64
	for angle := 0.0; angle < math.Pi; angle += 0.01 {
		dx, dy := math.Cos(angle), math.Sin(angle)
		a, b := Point{X: 31.3 - 30*dx, Y: 31.7 - 30*dy}, Point{X: 31.3 + 30*dx, Y: 31.7 + 30*dy}
		got := paint(n, n, func(r raster) { r.line(a, b, 0.5) })
		steep := math.Abs(dy) > math.Abs(dx)
		reach := 30 * max(math.Abs(dx), math.Abs(dy))
		for k := int(math.Ceil(31.7 - reach)); k <= int(31.3+reach); k++ {
			row := got[k*n:][:n]
			if !steep {
				row = nil
				for y := range n {
					row = append(row, got[y*n+k])
				}
			}
			if !bytes.Contains(row, []byte{1}) {
				t.Fatalf("line at %g rad has a gap at %d", angle, k)
			}
		}
	}
}

func TestCurveGoesThroughItsPoints(t *testing.T) {
	const n = 41
	for _, c := range []struct {
		name    string
		a, b, c Point
	}{
		{"a cup", Point{X: 5, Y: 5}, Point{X: 20, Y: 30}, Point{X: 35, Y: 5}},
		{"upright, which is no function of x", Point{X: 10, Y: 2}, Point{X: 30, Y: 20}, Point{X: 10, Y: 38}},
		{"straight", Point{X: 3, Y: 3}, Point{X: 13, Y: 13}, Point{X: 36, Y: 36}},
		{"two in one place", Point{X: 3, Y: 3}, Point{X: 3, Y: 3}, Point{X: 30, Y: 9}},
		{"all in one place", Point{X: 7, Y: 7}, Point{X: 7, Y: 7}, Point{X: 7, Y: 7}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := paint(n, n, func(r raster) { r.curve(c.a, c.b, c.c, 0.5) })
			for _, p := range []Point{c.a, c.b, c.c} {
				if got[int(p.Y)*n+int(p.X)] == 0 {
					t.Errorf("the curve misses %v", p)
				}
			}
		})
	}
	// The parabola y = 30 - (x-20)^2/9 between x 5 and 35, in equal steps.
	got := paint(n, n, func(r raster) { r.curve(Point{X: 5, Y: 5}, Point{X: 20, Y: 30}, Point{X: 35, Y: 5}, 0.5) })
	for x := 5; x <= 35; x++ {
		y := 30 - float64((x-20)*(x-20))/9
		near := false
		for dy := -1; dy <= 1; dy++ {
			near = near || got[(int(math.Round(y))+dy)*n+x] == 1
		}
		if !near {
			t.Errorf("at x %d the curve is not near y %g", x, y)
		}
	}
}

// TestPolygonFillsItsInside compares with the winding of every pixel's view.
func TestPolygonFillsItsInside(t *testing.T) {
	const w, h = 40, 30
	rng := rand.New(rand.NewPCG(5, 6))
	for range 100 {
		outline := make([]Point, 3+rng.IntN(5))
		for i := range outline { // a star around the middle: simple, often concave
			angle := 2 * math.Pi * (float64(i) + 0.8*rng.Float64()) / float64(len(outline))
			r := 4 + 22*rng.Float64()
			outline[i] = Point{X: 20 + r*math.Cos(angle), Y: 15 + r*math.Sin(angle)}
		}
		got := paint(w, h, func(r raster) { r.polygon(outline) })
		border := paint(w, h, func(r raster) {
			for i, a := range outline {
				r.line(a, outline[(i+1)%len(outline)], 1)
			}
		})
		for i, v := range got {
			if border[i] != 0 {
				continue
			}
			turn := 0.0
			for k, a := range outline {
				b := outline[(k+1)%len(outline)]
				ax, ay, bx, by := a.X-float64(i%w), a.Y-float64(i/w), b.X-float64(i%w), b.Y-float64(i/w)
				turn += math.Atan2(ax*by-ay*bx, ax*bx+ay*by)
			}
			if inside := math.Abs(turn) > math.Pi; inside != (v == 1) {
				t.Fatalf("outline %v: pixel (%d,%d) is %d, inside is %v", outline, i%w, i/w, v, inside)
			}
		}
	}
}

// TestDiscsOfEverySize: those whose rim just misses a row, too.
func TestDiscsOfEverySize(t *testing.T) {
	for i := range 80 {
		for k := 5; k < 20; k++ {
			p, radius := Point{X: 3.3, Y: float64(i) / 10}, float64(k)/10
			raster{8, 8, func(y, x0, x1 int) {
				if y < 0 || y > 7 || x0 < 0 || x1 > 7 || x0 > x1 {
					t.Fatalf("a disc of %v at %v covers row %d from %d to %d", radius, p, y, x0, x1)
				}
			}}.disc(p, radius)
		}
	}
}
