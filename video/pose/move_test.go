package pose

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/v2v/v2v/video"
)

// TestMirrorSwapsSides: every limb that is published as a right one is then
// drawn, in the colour of the left one, where a mirror shows it.
func TestMirrorSwapsSides(t *testing.T) {
	const w = 1024
	p := large()
	q := p.Clone()
	q.Mirror(w)
	f := video.NewFrame(w, w)
	Draw(f, []Person{q}, Options{})
	byName := map[string]string{}
	for _, limb := range published {
		byName[limb.name] = limb.want
	}
	swapped := 0
	for _, limb := range published {
		other := limb.name
		if side, ok := strings.CutPrefix(limb.name, "right "); ok {
			other = "left " + side
		} else if side, ok := strings.CutPrefix(limb.name, "left "); ok {
			other = "right " + side
		}
		if other != limb.name {
			swapped++
		}
		at := between(p.Body[limb.a], p.Body[limb.b], 0.5)
		at.X = w - 1 - at.X
		if got := colorAt(f, at); got != byName[other] {
			t.Errorf("%s is %s in the mirror, want %s of the %s", limb.name, got, byName[other], other)
		}
	}
	if swapped != 22 {
		t.Errorf("%d limbs have a side", swapped)
	}
	q.Mirror(w)
	if q.Body != p.Body {
		t.Error("mirrored twice is not the person")
	}
}

func TestMirrorSwapsHandsAndEyes(t *testing.T) {
	p := Person{Left: hand(50, 60, 20), Face: slices.Clone(frontal(128, 100, 160)[:])}
	p.Face = append(p.Face, Point{X: 93, Y: 103, C: 1}, Point{X: 163, Y: 103, C: 0.3})
	q := p.Clone()
	q.Mirror(257)
	if q.Left != nil || len(q.Right) != HandPoints || q.Right[0] != (Point{206, 60, 0.8}) {
		t.Errorf("the left hand became %v and %v", q.Left, q.Right)
	}
	if q.Face[68] != (Point{93, 103, 0.3}) || q.Face[69] != (Point{163, 103, 1}) {
		t.Errorf("pupils are %v", q.Face[68:])
	}
	if p.Left[0] != (Point{50, 60, 0.8}) {
		t.Error("the person that was cloned has moved")
	}
}

// TestMirrorOfASymmetricFace: it is itself, point for point.
func TestMirrorOfASymmetricFace(t *testing.T) {
	l := *frontal(128, 100, 160)
	m := l
	m.Mirror(257)
	for i := range l {
		if math.Hypot(m[i].X-l[i].X, m[i].Y-l[i].Y) > 1.5 { // fixtures are rounded
			t.Errorf("landmark %d is at (%g,%g), want (%g,%g)", i, m[i].X, m[i].Y, l[i].X, l[i].Y)
		}
	}
	m.Shift(3, -2)
	if m[30] != (Point{m[30].X, l[30].Y - 2, 1}) || math.Abs(m[30].X-l[30].X-3) > 1.5 {
		t.Errorf("the nose moved from %v to %v", l[30], m[30])
	}
}

func TestWithout(t *testing.T) {
	p := large()
	p.Left, p.Right = hand(700, 200, 100), hand(300, 200, 100)
	draw := func(o Options) *video.Frame {
		f := video.NewFrame(1024, 1024)
		Draw(f, []Person{p}, o)
		return f
	}
	shin, hands := between(p.Body[10], p.Body[11], 0.5), [2]Point{between(p.Left[3], p.Left[4], 0.5), between(p.Right[3], p.Right[4], 0.5)}
	var o Options
	for i, l := range bodyLimbs {
		if l == [2]int{10, 11} || l == [2]int{11, 22} || l == [2]int{11, 24} {
			o.Without.Limbs[i] = true
		}
	}
	f := draw(o)
	if got := colorAt(f, shin); got != "0 0 0" {
		t.Errorf("a shin that is left out is %s", got)
	}
	if got := colorAt(f, p.Body[11]); got != "0 0 0" {
		t.Errorf("an ankle without limbs is %s", got)
	}
	if got := colorAt(f, p.Body[10]); got != "0 255 170" {
		t.Errorf("a knee below a thigh is %s", got)
	}
	if got := colorAt(f, hands[0]); got != "255 0 0" {
		t.Errorf("the left thumb is %s", got)
	}
	f = draw(Options{Without: Without{Left: true}})
	if l, r := colorAt(f, hands[0]), colorAt(f, hands[1]); l != "0 0 0" || r != "255 0 0" {
		t.Errorf("thumbs are %s and %s with the left hand left out", l, r)
	}
	if got := colorAt(f, shin); got != "0 255 255" {
		t.Errorf("the shin is %s", got)
	}
}

// TestWrittenIsRead: what Format and Text write is what is read.
func TestWrittenIsRead(t *testing.T) {
	people := []Person{standing(), {Left: hand(50, 60, 20)}, {Face: append(slices.Clone(frontal(128, 100, 160)[:]), Point{}, Point{1.25, 3, 0.5})}}
	got, err := Parse(Format(people))
	if err != nil || len(got) != 3 {
		t.Fatalf("%d people, %v", len(got), err)
	}
	for i, p := range people {
		for k, part := range p.parts() {
			if !slices.EqualFunc(part, got[i].parts()[k], func(a, b Point) bool {
				return math.Abs(a.X-b.X) <= 0.0005 && math.Abs(a.Y-b.Y) <= 0.0005 && math.Abs(a.C-b.C) <= 0.0005
			}) {
				t.Errorf("person %d part %d is %v, want %v", i, k, got[i].parts()[k], part)
			}
		}
	}
	if none, err := Parse(Format(nil)); err != nil || len(none) != 0 {
		t.Errorf("nobody is read as %v, %v", none, err)
	}
	l := frontal(128.25, 100, 160)
	l[7].X = 17.125
	if same, err := ParseLandmarks(l.Text()); err != nil || *same != *l {
		t.Errorf("landmarks are read as %v, %v", same, err)
	}
}
