package pose

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func asText(l *Landmarks, format string) string {
	var b strings.Builder
	for _, p := range l {
		fmt.Fprintf(&b, format, p.X, p.Y)
	}
	return b.String()
}

func TestParseLandmarks(t *testing.T) {
	want := frontal(128, 120, 150)
	for _, c := range []struct{ name, text string }{
		{"commas", asText(want, "%g,%g\n")},
		{"blanks", asText(want, "%g %g\n")},
		{"tabs and a comma, Windows", asText(want, "\t%g ,\t%g\r\n")},
		{"decimals", asText(want, "%.3f, %.3f\n")},
		{"a comment, empty lines, no last newline", "# dlib\n\n" + strings.TrimSpace(asText(want, "%g,%g\n\n"))},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, err := ParseLandmarks([]byte(c.text)); err != nil || *got != *want {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
	good := asText(want, "%g,%g\n")
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "it has 0 points"},
		{"one too many", good + "1,2\n", "it has 69 points"},
		{"cut off", good[:len(good)/2], "points"},
		{"three numbers", "1,2,3\n" + good, `line 1: "1,2,3": want x,y`},
		{"one number", good + "7\n", `line 69: "7": want x,y`},
		{"two commas", "1,,2\n", `want x,y`},
		{"words", "x,y\n" + good, `line 1: "x,y": want x,y in pixels`},
		{"not a number", "NaN,1\n", "line 1"},
		{"infinite", "1,Inf\n", "line 1"},
		{"binary", "\x00\x01\n", "line 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := ParseLandmarks([]byte(c.text)); !errors.Is(err, ErrLandmarks) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
	path := filepath.Join(t.TempDir(), "000001.txt")
	if err := os.WriteFile(path, []byte("1,2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadLandmarks(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("%v does not name the file", err)
	}
}

func FuzzParseLandmarks(f *testing.F) {
	f.Add([]byte(asText(frontal(50, 50, 40), "%g,%g\n")))
	f.Add([]byte("# nothing\n1 2"))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := ParseLandmarks(b)
		if err != nil {
			return
		}
		for _, p := range l {
			if !(math.Abs(p.X) <= farthest && math.Abs(p.Y) <= farthest) {
				t.Fatalf("%v was let through", p)
			}
		}
		if again, err := ParseLandmarks([]byte(asText(l, "%g %g\n"))); err != nil || *again != *l {
			t.Fatalf("written and read again: %v", err)
		}
	})
}

// TestDistancesAreThoseOfEveryPixel computes them the slow way.
func TestDistancesAreThoseOfEveryPixel(t *testing.T) {
	for _, c := range []struct {
		name  string
		w, h  int
		marks [][2]int
	}{
		{"one", 17, 9, [][2]int{{4, 2}}},
		{"some", 31, 23, [][2]int{{0, 0}, {30, 5}, {12, 22}, {13, 22}}},
		{"none", 5, 4, nil},
		{"farther than a byte", 1100, 3, [][2]int{{0, 1}}},
		{"a pixel", 1, 1, [][2]int{{0, 0}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			plane := make([]byte, c.w*c.h)
			for _, m := range c.marks {
				plane[m[1]*c.w+m[0]] = 255
			}
			distances(plane, c.w)
			for i, got := range plane {
				d := 3 * 255.
				for _, m := range c.marks {
					d = min(d, math.Abs(float64(m[0]-i%c.w))+math.Abs(float64(m[1]-i/c.w)))
				}
				if want := byte(d / 3); got != want {
					t.Fatalf("pixel (%d,%d) is %d, want %d", i%c.w, i/c.w, got, want)
				}
			}
		})
	}
}

func TestFaceMaps(t *testing.T) {
	const w, h = 240, 256
	l := frontal(120, 130, 160)
	m, err := FaceMaps(l, w, h)
	if err != nil || m.C != 15 || m.W != w || m.H != h || len(m.Pix) != 15*w*h || len(m.Part) != w*h {
		t.Fatalf("%d planes of %dx%d, %v", m.C, m.W, m.H, err)
	}
	at := func(plane []byte, p Point) byte { return plane[int(p.Y)*w+int(p.X)] }
	onCurve := map[int]bool{}
	for c := FirstCurve; c < m.C; c++ {
		zero := 0
		for i, d := range m.Plane(c) {
			if d == 0 && m.Plane(EdgePlane)[i] != 0 {
				zero++
			}
		}
		if zero == 0 {
			t.Errorf("curve %d is nowhere on the edge map", c)
		}
		for i, p := range l {
			onCurve[i] = onCurve[i] || at(m.Plane(c), p) == 0
		}
	}
	for i, p := range l {
		if bridge := i == 27 || i == 29 || i == 30; !bridge && (at(m.Plane(EdgePlane), p) != 255 || !onCurve[i]) {
			t.Errorf("landmark %d at %v is not on a curve", i, p)
		}
	}
	for _, c := range []struct {
		name string
		at   Point
		part byte
	}{
		{"a corner of the picture", Point{X: 2, Y: 2}, NoPart},
		{"a cheek", Point{X: 70, Y: 160}, SkinPart},
		{"the forehead", Point{X: 120, Y: 92}, SkinPart},
		{"above the forehead", Point{X: 120, Y: 50}, NoPart},
		{"a brow", Point{X: 83, Y: 102}, BrowPart},
		{"the other brow", Point{X: 157, Y: 102}, BrowPart},
		{"the nose", Point{X: 120, Y: 165}, NosePart},
		{"an eye", Point{X: 85, Y: 133}, EyePart},
		{"the other eye", Point{X: 155, Y: 133}, EyePart},
		{"the lower lip", Point{X: 120, Y: 210}, MouthPart},
		{"between the lips", Point{X: 120, Y: 200}, InnerMouthPart},
	} {
		if got := at(m.Part, c.at); got != c.part {
			t.Errorf("%s is part %d, want %d", c.name, got, c.part)
		}
	}
	// The plane of a brow, far off: from its lowest right end down and right.
	end := l[21]
	if got, want := at(m.Plane(FirstCurve+1), Point{X: end.X + 60, Y: end.Y + 90}), byte(150/3); got < want-1 || got > want {
		t.Errorf("150 pixels from a brow its distance is %d, want %d", got, want)
	}
	if _, err := FaceMaps(l, 0, 5); err == nil {
		t.Error("a face was drawn on no picture")
	}
}

// TestUpperFaceMirrorsTheJaw: two thirds of the chin's depth above the ears.
func TestUpperFaceMirrorsTheJaw(t *testing.T) {
	l := frontal(100, 100, 90)
	all := l.upperFace()
	if len(all) != 83 {
		t.Fatalf("%d points, want 83", len(all))
	}
	ears, chin := (l[0].Y+l[16].Y)/2, l[8]
	if top := all[68+7]; top.X != chin.X || math.Abs(top.Y-(ears-(chin.Y-ears)*2/3)) > 1e-9 {
		t.Errorf("the top of the head is %v, ears at %g, chin at %v", top, ears, chin)
	}
	if all[68].X != l[15].X || all[82].X != l[1].X {
		t.Error("the upper face does not go from right to left")
	}
}

func TestFramesOfMaps(t *testing.T) {
	m, err := FaceMaps(frontal(20, 20, 24), 40, 44)
	if err != nil {
		t.Fatal(err)
	}
	edges, parts, packed := m.EdgeFrame(), m.PartFrame(), m.Packed()
	if packed.W != 40 || packed.H != 5*44 {
		t.Fatalf("packed is %dx%d", packed.W, packed.H)
	}
	for i := range m.Part {
		if edges.Pix[3*i] != m.Pix[i] || edges.Pix[3*i+2] != m.Pix[i] || parts.Pix[3*i+1] != m.Part[i] {
			t.Fatalf("pixel %d of the edges or parts differs", i)
		}
		for c := range m.C {
			r, g, b := packed.At(i%40, c/3*44+i/40)
			if got := [3]byte{r, g, b}[c%3]; got != m.Plane(c)[i] {
				t.Fatalf("plane %d pixel %d is packed as %d, want %d", c, i, got, m.Plane(c)[i])
			}
		}
	}
}

// TestFacesAnywhere: broken predictions must not break a run.
func TestFacesAnywhere(t *testing.T) {
	far := frontal(-farthest/2, farthest/2, 100)
	if m, err := FaceMaps(far, 20, 20); err != nil || m.Plane(FirstCurve)[0] != 255 {
		t.Errorf("a face off the picture: %v", err)
	}
	big := frontal(10, 10, farthest)
	if _, err := FaceMaps(big, 20, 20); err != nil {
		t.Error(err)
	}
	if _, err := FaceMaps(new(Landmarks), 9, 9); err != nil {
		t.Error(err)
	}
	moved := frontal(100, 100, 50)
	moved.Scale(200, 200, 100, 400)
	if p := moved[0]; p.X != (75+0.5)/2-0.5 || p.Y != 2*100.5-0.5 {
		t.Errorf("scaled to %v", p)
	}
}
