package pose

import (
	"math"

	"github.com/v2v/v2v/video"
)

// Options say how people are drawn. The zero value draws as OpenPose does.
type Options struct {
	// Body, Hand and Face are the confidences above which points are drawn:
	// 0.05, 0.2 and 0.4 when zero, OpenPose's defaults. Below zero draws
	// whatever was found.
	Body, Hand, Face float64
	// Width is how many times as wide strokes are; 1 when zero.
	Width float64
	// Without is what is left out of everybody.
	Without Without
}

// BodyLimbs is how many limbs a body is drawn with.
const BodyLimbs = 24

// Without says which parts of a person are left out: limbs of the body in the
// order of OpenPose's renderer, joints with the last of theirs, and whole hands
// and faces.
type Without struct {
	Limbs             [BodyLimbs]bool
	Left, Right, Face bool
}

func (o Options) resolved() Options {
	for _, v := range []struct {
		value *float64
		or    float64
	}{{&o.Body, least}, {&o.Hand, 0.2}, {&o.Face, 0.4}, {&o.Width, 1}} {
		if *v.value == 0 {
			*v.value = v.or
		}
	}
	return o
}

// The limbs and colours of OpenPose's renderer, version 1.5 and later, as
// published in include/openpose/pose/poseParametersRender.hpp (BODY_25),
// hand/handParameters.hpp and face/faceParameters.hpp. Colours are RGB and
// belong to points; a limb has the colour of its second one.
var (
	bodyLimbs = [BodyLimbs][2]int{
		{1, 8}, {1, 2}, {1, 5}, {2, 3}, {3, 4}, {5, 6}, {6, 7}, {8, 9}, {9, 10}, {10, 11}, {8, 12}, {12, 13},
		{13, 14}, {1, 0}, {0, 15}, {15, 17}, {0, 16}, {16, 18}, {14, 19}, {19, 20}, {14, 21}, {11, 22}, {22, 23}, {11, 24},
	}
	bodyColors = [][3]byte{
		{255, 0, 85}, {255, 0, 0}, {255, 85, 0}, {255, 170, 0}, {255, 255, 0}, {170, 255, 0}, {85, 255, 0}, {0, 255, 0},
		{255, 0, 0}, {0, 255, 85}, {0, 255, 170}, {0, 255, 255}, {0, 170, 255}, {0, 85, 255}, {0, 0, 255},
		{255, 0, 170}, {170, 0, 255}, {255, 0, 255}, {85, 0, 255},
		{0, 0, 255}, {0, 0, 255}, {0, 0, 255}, {0, 255, 255}, {0, 255, 255}, {0, 255, 255},
	}
	handLimbs  = fingers()
	handColors = [][3]byte{
		{100, 100, 100},
		{100, 0, 0}, {150, 0, 0}, {200, 0, 0}, {255, 0, 0},
		{100, 100, 0}, {150, 150, 0}, {200, 200, 0}, {255, 255, 0},
		{0, 100, 50}, {0, 150, 75}, {0, 200, 100}, {0, 255, 125},
		{0, 50, 100}, {0, 75, 150}, {0, 100, 200}, {0, 125, 255},
		{100, 0, 100}, {150, 0, 150}, {200, 0, 200}, {255, 0, 255},
	}
	faceLimbs  = features()
	faceColors = [][3]byte{{255, 255, 255}}
)

// fingers are four bones each, from the wrist outwards.
func fingers() (limbs [][2]int) {
	for tip := 4; tip < HandPoints; tip += 4 {
		limbs = append(limbs, [2]int{0, tip - 3}, [2]int{tip - 3, tip - 2}, [2]int{tip - 2, tip - 1}, [2]int{tip - 1, tip})
	}
	return limbs
}

// features are the lines of a face: jaw, brows, nose, and closed eyes and lips.
func features() (limbs [][2]int) {
	for _, chain := range []struct {
		first, last int
		closed      bool
	}{
		{0, 16, false}, {17, 21, false}, {22, 26, false}, {27, 30, false}, {31, 35, false},
		{36, 41, true}, {42, 47, true}, {48, 59, true}, {60, 67, true},
	} {
		for i := chain.first; i < chain.last; i++ {
			limbs = append(limbs, [2]int{i, i + 1})
		}
		if chain.closed {
			limbs = append(limbs, [2]int{chain.last, chain.first})
		}
	}
	return limbs
}

// strokeShare is the part of a picture's size that OpenPose's strokes are
// measured by: a 75th of the root of its area, two pixels at least. OpenPose
// makes them thinner for people who fill less of the picture; here they depend
// on the picture alone, so that they keep their width through a clip.
const strokeShare = 1. / 75

// Draw draws people onto dst, one over the other in their order, bodies first,
// then faces and hands, in OpenPose's colours: what is there stays where
// nothing is drawn. Limbs with a point that is missing or below its threshold
// are left out.
func Draw(dst *video.Frame, people []Person, o Options) {
	o = o.resolved()
	unit := max(math.Sqrt(float64(dst.W)*float64(dst.H))*strokeShare, 2) * o.Width
	for _, p := range people {
		p = o.Without.of(p)
		// A limb is three quarters as wide as a joint; the bones of hands and
		// the lines of faces are a half and a third of that.
		skeleton{p.Body[:], o.Without.limbs(), bodyColors, o.Body, 0.375 * unit, 0.7 * unit}.draw(dst)
		skeleton{p.Face, faceLimbs, faceColors, o.Face, 0.125 * unit, 0.2 * unit}.draw(dst)
		skeleton{p.Left, handLimbs, handColors, o.Hand, 0.19 * unit, 0.3 * unit}.draw(dst)
		skeleton{p.Right, handLimbs, handColors, o.Hand, 0.19 * unit, 0.3 * unit}.draw(dst)
	}
}

// limbs are those of the body that are drawn.
func (w Without) limbs() (some [][2]int) {
	for i, l := range bodyLimbs {
		if !w.Limbs[i] {
			some = append(some, l)
		}
	}
	return some
}

// of is a person with what is left: a joint that has lost every limb goes too.
func (w Without) of(p Person) Person {
	if w.Left {
		p.Left = nil
	}
	if w.Right {
		p.Right = nil
	}
	if w.Face {
		p.Face = nil
	}
	if w.Limbs == [BodyLimbs]bool{} {
		return p
	}
	var kept [BodyPoints]bool
	for _, l := range w.limbs() {
		kept[l[0]], kept[l[1]] = true, true
	}
	for i := range p.Body {
		if !kept[i] {
			p.Body[i] = Point{}
		}
	}
	return p
}

// skeleton is a part of a person and how it is drawn.
type skeleton struct {
	points      []Point
	limbs       [][2]int
	colors      [][3]byte // of points, again from the first where there are more points
	above       float64
	limb, joint float64 // radii
}

func (s skeleton) draw(dst *video.Frame) {
	if len(s.points) == 0 {
		return
	}
	for _, l := range s.limbs {
		if a, b := s.points[l[0]], s.points[l[1]]; s.found(a) && s.found(b) {
			s.ink(dst, l[1]).line(a, b, max(s.limb, 0.5))
		}
	}
	for i, p := range s.points {
		if s.found(p) {
			s.ink(dst, i).disc(p, max(s.joint, 0.5))
		}
	}
}

func (s skeleton) found(p Point) bool { return p.C > 0 && p.C > s.above }

// ink paints a frame in the colour of a point.
func (s skeleton) ink(dst *video.Frame, point int) raster {
	c := s.colors[point%len(s.colors)]
	return raster{dst.W, dst.H, func(y, x0, x1 int) {
		for i := 3 * (y*dst.W + x0); i <= 3*(y*dst.W+x1); i += 3 {
			dst.Pix[i], dst.Pix[i+1], dst.Pix[i+2] = c[0], c[1], c[2]
		}
	}}
}
