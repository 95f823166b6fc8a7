package pose

import (
	"encoding/json"
	"math"
	"testing"
)

// standing is a person of BODY_25, arms apart, on a picture of 256x256.
func standing() Person {
	var p Person
	for i, at := range [BodyPoints][2]float64{
		{128, 50}, {128, 74}, {108, 76}, {86, 100}, {66, 122}, {148, 76}, {170, 100}, {190, 122}, {128, 138},
		{116, 138}, {110, 182}, {104, 226}, {140, 138}, {146, 182}, {152, 226},
		{123, 45}, {133, 45}, {115, 49}, {141, 49},
		{162, 240}, {168, 236}, {149, 234}, {94, 240}, {88, 236}, {107, 234},
	} {
		p.Body[i] = Point{at[0], at[1], 0.9}
	}
	return p
}

// hand is an open one: fingers fan out upwards from the wrist, fully spread.
func hand(x, y, size float64) []Point {
	points := []Point{{x, y, 0.8}}
	for finger := range 5 {
		angle := (-150 + 30*float64(finger)) * math.Pi / 180
		for bone := 1; bone <= 4; bone++ {
			r := size * (0.4 + 0.15*float64(bone))
			points = append(points, Point{x + r*math.Cos(angle), y + r*math.Sin(angle), 0.8})
		}
	}
	return points
}

// frontal is a face of 68 landmarks, size pixels wide around (x,y).
func frontal(x, y, size float64) *Landmarks {
	var l Landmarks
	n := 0
	put := func(dx, dy float64) {
		l[n] = Point{math.Round(x + dx*size), math.Round(y + dy*size), 1}
		n++
	}
	arc := func(count int, cx, cy, rx, ry, from, to float64) {
		for i := range count {
			a := (from + (to-from)*float64(i)/float64(count-1)) * math.Pi / 180
			put(cx+rx*math.Cos(a), cy+ry*math.Sin(a))
		}
	}
	arc(17, 0, 0, 0.5, 0.62, 180, 0)           // jaw, over the chin
	arc(5, -0.23, -0.12, 0.15, 0.08, 200, 340) // brows
	arc(5, 0.23, -0.12, 0.15, 0.08, 200, 340)
	for i := range 4 {
		put(0, 0.05+0.07*float64(i)) // nose
	}
	arc(5, 0, 0.27, 0.1, 0.05, 180, 0)
	for _, cx := range []float64{-0.22, 0.22} { // eyes, from the left corner over the lid
		for _, at := range [][2]float64{{-0.09, 0}, {-0.03, -0.04}, {0.03, -0.04}, {0.09, 0}, {0.03, 0.03}, {-0.03, 0.03}} {
			put(cx+at[0], 0.02+at[1])
		}
	}
	arc(7, 0, 0.42, 0.18, 0.06, 180, 360) // lips
	for i := 1; i <= 5; i++ {
		a := float64(i) * 30 * math.Pi / 180
		put(0.18*math.Cos(a), 0.42+0.1*math.Sin(a))
	}
	arc(5, 0, 0.42, 0.13, 0.02, 180, 360)
	for i := 1; i <= 3; i++ {
		a := float64(i) * 45 * math.Pi / 180
		put(0.13*math.Cos(a), 0.42+0.05*math.Sin(a))
	}
	return &l
}

// written is what OpenPose would write of people.
func written(t testing.TB, people ...Person) []byte {
	t.Helper()
	flat := func(points []Point) []float64 {
		list := []float64{}
		for _, p := range points {
			list = append(list, p.X, p.Y, p.C)
		}
		return list
	}
	list := []map[string]any{}
	for _, p := range people {
		list = append(list, map[string]any{
			"person_id": []int{-1}, "pose_keypoints_2d": flat(p.Body[:]), "face_keypoints_2d": flat(p.Face),
			"hand_left_keypoints_2d": flat(p.Left), "hand_right_keypoints_2d": flat(p.Right), "pose_keypoints_3d": []int{},
		})
	}
	b, err := json.Marshal(map[string]any{"version": 1.3, "people": list})
	if err != nil {
		t.Fatal(err)
	}
	return b
}
