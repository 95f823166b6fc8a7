package pose

import (
	"fmt"
	"testing"

	"github.com/v2v/v2v/video"
)

// published are OpenPose's colours by name, written down apart from the tables
// of the package: a limb of BODY_25 and what its documentation shows it in.
var published = []struct {
	name string
	a, b int
	want string
}{
	{"trunk", 1, 8, "255 0 0"},
	{"right shoulder", 1, 2, "255 85 0"}, {"right upper arm", 2, 3, "255 170 0"}, {"right forearm", 3, 4, "255 255 0"},
	{"left shoulder", 1, 5, "170 255 0"}, {"left upper arm", 5, 6, "85 255 0"}, {"left forearm", 6, 7, "0 255 0"},
	{"right hip", 8, 9, "0 255 85"}, {"right thigh", 9, 10, "0 255 170"}, {"right shin", 10, 11, "0 255 255"},
	{"left hip", 8, 12, "0 170 255"}, {"left thigh", 12, 13, "0 85 255"}, {"left shin", 13, 14, "0 0 255"},
	{"neck", 1, 0, "255 0 85"},
	{"right eye", 0, 15, "255 0 170"}, {"right ear", 15, 17, "255 0 255"},
	{"left eye", 0, 16, "170 0 255"}, {"left ear", 16, 18, "85 0 255"},
	{"left big toe", 14, 19, "0 0 255"}, {"left small toe", 19, 20, "0 0 255"}, {"left heel", 14, 21, "0 0 255"},
	{"right big toe", 11, 22, "0 255 255"}, {"right small toe", 22, 23, "0 255 255"}, {"right heel", 11, 24, "0 255 255"},
}

func colorAt(f *video.Frame, p Point) string {
	r, g, b := f.At(int(p.X+0.5), int(p.Y+0.5))
	return fmt.Sprint(r, g, b)
}

func between(a, b Point, share float64) Point {
	return Point{X: a.X + share*(b.X-a.X), Y: a.Y + share*(b.Y-a.Y)}
}

// large is a person on a picture where no limb hides another's middle.
func large() Person {
	p := standing()
	p.Scale(256, 256, 1024, 1024)
	return p
}

func TestLimbsHaveThePublishedColours(t *testing.T) {
	p := large()
	f := video.NewFrame(1024, 1024)
	Draw(f, []Person{p}, Options{})
	for _, limb := range published {
		if got := colorAt(f, between(p.Body[limb.a], p.Body[limb.b], 0.5)); got != limb.want {
			t.Errorf("%s: the middle is %s, want %s", limb.name, got, limb.want)
		}
	}
	if len(published) != len(bodyLimbs) {
		t.Errorf("%d limbs are drawn, %d are published", len(bodyLimbs), len(published))
	}
	if got := colorAt(f, p.Body[4]); got != "255 255 0" {
		t.Errorf("the right wrist is %s, want yellow", got)
	}
	if r, g, b := f.At(40, 40); r != 0 || g != 0 || b != 0 {
		t.Error("the ground was painted")
	}
}

func TestHandsAndFaces(t *testing.T) {
	var p Person
	p.Right = hand(128, 200, 120)
	for _, q := range frontal(128, 100, 160) {
		p.Face = append(p.Face, q)
	}
	p.Face = append(p.Face, Point{X: 93, Y: 103, C: 1}, Point{X: 163, Y: 103, C: 0.3})
	f := video.NewFrame(256, 256)
	Draw(f, []Person{{Right: p.Right}}, Options{})
	for i, want := range map[[2]int]string{
		{0, 1}: "100 0 0", {3, 4}: "255 0 0", {0, 5}: "100 100 0", {7, 8}: "255 255 0", {9, 10}: "0 150 75", {11, 12}: "0 255 125",
		{13, 14}: "0 75 150", {15, 16}: "0 125 255", {0, 17}: "100 0 100", {19, 20}: "255 0 255",
	} {
		if got := colorAt(f, between(p.Right[i[0]], p.Right[i[1]], 0.5)); got != want {
			t.Errorf("bone %v is %s, want %s", i, got, want)
		}
	}
	if got := colorAt(f, p.Right[0]); got != "100 100 100" {
		t.Errorf("the wrist is %s, want grey", got)
	}
	f = video.NewFrame(256, 256)
	Draw(f, []Person{{Face: p.Face}}, Options{})
	for _, i := range []int{0, 8, 16, 19, 30, 36, 54, 66, 68} {
		if got := colorAt(f, p.Face[i]); got != "255 255 255" {
			t.Errorf("landmark %d is %s, want white", i, got)
		}
	}
	if got := colorAt(f, p.Face[69]); got != "0 0 0" {
		t.Errorf("a pupil of confidence 0.3 is drawn: %s", got)
	}
	if got := colorAt(f, between(p.Face[16], p.Face[17], 0.5)); got != "0 0 0" {
		t.Error("the jaw and a brow are joined")
	}
}

func TestThresholds(t *testing.T) {
	wrist, elbow := large().Body[4], large().Body[3]
	for _, c := range []struct {
		name  string
		sure  float64
		o     Options
		drawn bool
	}{
		{"missing", 0, Options{}, false},
		{"missing, whatever was found", 0, Options{Body: -1}, false},
		{"below OpenPose's default", 0.04, Options{}, false},
		{"above it", 0.06, Options{}, true},
		{"below a given one", 0.4, Options{Body: 0.5}, false},
		{"whatever was found", 0.001, Options{Body: -1}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := large()
			p.Body[4].C = c.sure
			f := video.NewFrame(1024, 1024)
			Draw(f, []Person{p}, c.o)
			for what, at := range map[string]Point{"wrist": wrist, "forearm": between(wrist, elbow, 0.5)} {
				if drawn := colorAt(f, at) != "0 0 0"; drawn != c.drawn {
					t.Errorf("%s drawn: %v, want %v", what, drawn, c.drawn)
				}
			}
			if got := colorAt(f, between(elbow, p.Body[2], 0.5)); got != "255 170 0" {
				t.Errorf("the upper arm is %s", got)
			}
		})
	}
}

// TestStrokesScaleWithThePicture measures the trunk across its middle.
func TestStrokesScaleWithThePicture(t *testing.T) {
	across := func(size int, width float64) int {
		p := standing()
		p.Scale(256, 256, size, size)
		f := video.NewFrame(size, size)
		Draw(f, []Person{p}, Options{Width: width})
		n := 0
		for x := range size {
			if r, g, b := f.At(x, size*108/256); r == 255 && g == 0 && b == 0 {
				n++
			}
		}
		return n
	}
	for _, c := range []struct {
		size  int
		width float64
		want  int // three quarters of a 75th, and 1 at least
	}{{64, 0, 1}, {256, 0, 2}, {750, 0, 7}, {1500, 0, 15}, {750, 2, 15}} {
		if got := across(c.size, c.width); got < c.want || got > c.want+1 {
			t.Errorf("at %d pixels, width %g, the trunk is %d wide, want %d or one more", c.size, c.width, got, c.want)
		}
	}
}

func TestDrawStaysInThePicture(t *testing.T) {
	p := standing()
	for i := range p.Body {
		p.Body[i].X = 3 * (p.Body[i].X - 128) // half of the limbs leave it
		p.Body[i].Y -= 100
	}
	p.Body[4] = Point{-farthest, farthest, 1}
	for _, size := range [][2]int{{1, 1}, {2, 300}, {300, 2}, {97, 55}} {
		Draw(video.NewFrame(size[0], size[1]), []Person{p}, Options{}) // would panic
	}
	f := video.NewFrame(97, 55)
	for i := range f.Pix {
		f.Pix[i] = 9
	}
	Draw(f, nil, Options{})
	for _, v := range f.Pix {
		if v != 9 {
			t.Fatal("drawing nobody changed the picture")
		}
	}
}
