package pose

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
)

// How many points the parts of a person have.
const (
	BodyPoints = 25 // OpenPose's model BODY_25
	FacePoints = 70 // dlib's 68 and the pupils
	HandPoints = 21
)

// Point is a keypoint. A confidence of 0 says that it was not found.
type Point struct{ X, Y, C float64 }

// Person is what OpenPose has found of one.
type Person struct {
	Body        [BodyPoints]Point
	Face        []Point // FacePoints, or none
	Left, Right []Point // the hands: HandPoints each, or none
}

// ErrKeypoints is wrapped where a file is not what OpenPose writes.
var ErrKeypoints = errors.New("not a keypoint file of OpenPose")

// ReadFile reads the JSON file of one frame.
func ReadFile(path string) ([]Person, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read keypoints: %w", err)
	}
	people, err := Parse(b)
	if err != nil {
		return nil, fmt.Errorf("read keypoints %q: %w", path, err)
	}
	return people, nil
}

// jsonPerson is a person as OpenPose 1.3 to 1.7 writes one. Fields that are
// not named here (3D, ids) are passed over.
type jsonPerson struct {
	Body  []float64 `json:"pose_keypoints_2d"`
	Face  []float64 `json:"face_keypoints_2d"`
	Left  []float64 `json:"hand_left_keypoints_2d"`
	Right []float64 `json:"hand_right_keypoints_2d"`
	Old   []float64 `json:"pose_keypoints"` // before 1.3: COCO's joints
}

// Parse reads the people of one frame. There may be none. Parts that OpenPose
// was not asked for are absent or empty; those that are there must be whole,
// and in pixels.
func Parse(b []byte) ([]Person, error) {
	var file struct {
		People *[]jsonPerson `json:"people"`
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(&file); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeypoints, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("%w: something follows the JSON object", ErrKeypoints)
	}
	if file.People == nil {
		return nil, fmt.Errorf(`%w: it has no list "people"`, ErrKeypoints)
	}
	people := make([]Person, len(*file.People))
	for i, raw := range *file.People {
		if err := people[i].fill(raw); err != nil {
			return nil, fmt.Errorf("%w: person %d: %w", ErrKeypoints, i, err)
		}
	}
	return people, nil
}

func (p *Person) fill(raw jsonPerson) error {
	if len(raw.Body) == 0 && len(raw.Old) > 0 {
		return errors.New("pose_keypoints is of an OpenPose before BODY_25: run a newer one")
	}
	body, err := points("pose_keypoints_2d", raw.Body, BodyPoints)
	if err != nil {
		return err
	}
	copy(p.Body[:], body)
	for _, part := range []struct {
		name string
		from []float64
		to   *[]Point
		n    int
	}{
		{"face_keypoints_2d", raw.Face, &p.Face, FacePoints},
		{"hand_left_keypoints_2d", raw.Left, &p.Left, HandPoints},
		{"hand_right_keypoints_2d", raw.Right, &p.Right, HandPoints},
	} {
		if *part.to, err = points(part.name, part.from, part.n); err != nil {
			return err
		}
	}
	if p.normalised() {
		return errors.New("its coordinates are shares of the picture, not pixels: run OpenPose with --keypoint_scale 0")
	}
	return nil
}

// farthest is how far away a point may lie, in pixels: beyond it the file is
// broken, and below it nothing overflows.
const farthest = 1e6

// points reads x, y and confidence of n points, or of none.
func points(name string, from []float64, n int) ([]Point, error) {
	switch len(from) {
	case 0:
		return nil, nil
	case 3 * n:
	default:
		hint := ""
		if model := map[int]string{45: "MPI", 54: "COCO", 57: "BODY_19"}[len(from)]; model != "" && n == BodyPoints {
			hint = fmt.Sprintf(", the joints of %s: run OpenPose with --model_pose BODY_25", model)
		}
		return nil, fmt.Errorf("%s has %d numbers, want %d%s", name, len(from), 3*n, hint)
	}
	out := make([]Point, n)
	for i := range out {
		p := Point{from[3*i], from[3*i+1], from[3*i+2]}
		// Peaks of the network's confidence maps overshoot 1 a little.
		if p.C < 0 || p.C > 2 {
			return nil, fmt.Errorf("%s: point %d has confidence %g, want 0 to 1", name, i, p.C)
		}
		if math.Abs(p.X) > farthest || math.Abs(p.Y) > farthest {
			return nil, fmt.Errorf("%s: point %d is at (%g, %g), outside of any picture", name, i, p.X, p.Y)
		}
		out[i] = p
	}
	return out, nil
}

// parts are all lists of points.
func (p *Person) parts() [][]Point { return [][]Point{p.Body[:], p.Face, p.Left, p.Right} }

// normalised reports whether a person of several points fits into one pixel.
func (p *Person) normalised() bool {
	found := 0
	for _, part := range p.parts() {
		for _, q := range part {
			if q.C == 0 {
				continue
			}
			if found++; math.Abs(q.X) > 1 || math.Abs(q.Y) > 1 {
				return false
			}
		}
	}
	return found > 2
}

// Scale takes a person from a picture of w x h pixels to one of toW x toH.
func (p *Person) Scale(w, h, toW, toH int) {
	for _, part := range p.parts() {
		for i, q := range part {
			part[i].X, part[i].Y = scaled(q.X, w, toW), scaled(q.Y, h, toH)
		}
	}
}

// scaled moves a coordinate with the edges of the picture, which lie half a
// pixel outside of the centres.
func scaled(x float64, from, to int) float64 {
	return (x+0.5)*float64(to)/float64(from) - 0.5
}
