package pose

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func numbers(n int, value string) string {
	return "[" + strings.TrimSuffix(strings.Repeat(value+",", n), ",") + "]"
}

func TestParseTakesWhatOpenPoseWrites(t *testing.T) {
	whole := standing()
	whole.Left, whole.Right = hand(190, 122, 30), hand(66, 122, 30)
	for _, p := range frontal(128, 48, 30) {
		whole.Face = append(whole.Face, p)
	}
	whole.Face = append(whole.Face, Point{120, 48, 1}, Point{136, 48, 1})
	plain := standing()
	plain.Body[4] = Point{} // not found
	for _, c := range []struct {
		name string
		json string
		want []Person
	}{
		{"nobody", `{"version":1.3,"people":[]}`, []Person{}},
		{"a body", string(written(t, plain)), []Person{plain}},
		{"two, one with all parts", string(written(t, plain, whole)), []Person{plain, whole}},
		{"parts left out", `{"people":[{"pose_keypoints_2d":[` + strings.Repeat("7,8,0.5,", 24) + `7,8,0.5]}]}`, nil},
		{"a hand alone", `{"people":[{"pose_keypoints_2d":[],"hand_left_keypoints_2d":` + numbers(63, "1.5") + `}]}`, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Parse([]byte(c.json))
			if err != nil {
				t.Fatal(err)
			}
			if c.want == nil {
				if len(got) != 1 {
					t.Errorf("%d people, want 1", len(got))
				}
			} else if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	person := func(body string) string { return `{"people":[{"pose_keypoints_2d":` + body + `}]}` }
	for _, c := range []struct{ name, json, want string }{
		{"nothing", "", "EOF"},
		{"text", "dear diary", "invalid character"},
		{"half", `{"people":[{"pose_keypoints_2d":[1,2`, "unexpected EOF"},
		{"two objects", `{"people":[]}{"people":[]}`, "something follows"},
		{"a list", `[]`, "cannot unmarshal array"},
		{"another file", `{"annotations":[]}`, `no list "people"`},
		{"words for numbers", person(`["a"]`), "cannot unmarshal string"},
		{"COCO", person(numbers(54, "0.5")), "the joints of COCO: run OpenPose with --model_pose BODY_25"},
		{"a joint too few", person(numbers(72, "0.5")), "pose_keypoints_2d has 72 numbers, want 75"},
		{"half a hand", `{"people":[{"hand_right_keypoints_2d":` + numbers(33, "0") + `}]}`, "hand_right_keypoints_2d has 33 numbers, want 63"},
		{"a face of 68", `{"people":[{"face_keypoints_2d":` + numbers(204, "0") + `}]}`, "face_keypoints_2d has 204 numbers, want 210"},
		{"an old file", `{"people":[{"pose_keypoints":` + numbers(54, "0") + `}]}`, "before BODY_25"},
		{"shares", person(numbers(75, "0.5")), "--keypoint_scale 0"},
		{"unsure of it", person("[" + strings.Repeat("9,9,-1,", 24) + "9,9,1]"), "point 0 has confidence -1"},
		{"confidence in percent", person("[" + strings.Repeat("9,9,1,", 24) + "9,9,95]"), "point 24 has confidence 95"},
		{"far away", person("[1e9,9,1," + strings.Repeat("9,9,1,", 23) + "9,9,1]"), "point 0 is at (1e+09, 9)"},
		{"the second person", `{"people":[{},{"pose_keypoints_2d":[1]}]}`, "person 1: pose_keypoints_2d has 1 numbers"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse([]byte(c.json))
			if !errors.Is(err, ErrKeypoints) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestReadFileNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "walk_000000000003_keypoints.json")
	if _, err := ReadFile(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFile(path); !errors.Is(err, ErrKeypoints) || !strings.Contains(err.Error(), path) {
		t.Errorf("a broken file: %v does not name it", err)
	}
	if err := os.WriteFile(path, written(t, standing()), 0o600); err != nil {
		t.Fatal(err)
	}
	if people, err := ReadFile(path); err != nil || len(people) != 1 || people[0].Body[4].X != 66 {
		t.Errorf("a good file: %v, %v", people, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(written(f, standing()))
	f.Add([]byte(`{"people":[]}`))
	f.Add([]byte(`{"people":[{"face_keypoints_2d":null}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		people, err := Parse(b)
		if err != nil {
			return
		}
		for _, p := range people {
			for _, part := range p.parts() {
				for _, q := range part {
					if !(q.C >= 0 && q.C <= 2 && q.X >= -farthest && q.X <= farthest && q.Y >= -farthest && q.Y <= farthest) {
						t.Fatalf("%v was let through", q)
					}
				}
			}
		}
		again, err := Parse(written(t, people...))
		if err != nil || cmp.Diff(people, again) != "" {
			t.Fatalf("written and read again: %v\n%s", err, cmp.Diff(people, again))
		}
	})
}

func TestScaleMovesEdgesOntoEdges(t *testing.T) {
	p := standing()
	p.Left = hand(0, 0, 1)
	p.Body[0], p.Left[0] = Point{-0.5, -0.5, 1}, Point{199.5, 99.5, 1}
	p.Scale(200, 100, 400, 25)
	if got, want := fmt.Sprint(p.Body[0], p.Left[0]), "{-0.5 -0.5 1} {399.5 24.5 1}"; got != want {
		t.Errorf("corners are at %s, want %s", got, want)
	}
}

func TestFollower(t *testing.T) {
	at := func(x, sure float64) Person {
		p := standing()
		for i := range p.Body {
			p.Body[i].X += x
			p.Body[i].C = sure
		}
		return p
	}
	var f Follower
	for i, c := range []struct {
		people []Person
		want   float64 // how far right the pick stands; -1 for nobody
	}{
		{nil, -1},
		{[]Person{at(0, 0.5), at(300, 0.9)}, 300},
		{[]Person{at(0, 0.95), at(310, 0.8)}, 310},  // the same one, though now less sure
		{[]Person{at(305, 0.3), at(340, 0.8)}, 340}, // a ghost beside
		{nil, -1},                       // hidden
		{[]Person{at(350, 0.6)}, 350},   // back
		{[]Person{at(1000, 0.9)}, 1000}, // gone for good
	} {
		got := -1.0
		if p := f.Pick(c.people); p != nil {
			got = p.Body[0].X - 128
		}
		if got != c.want {
			t.Errorf("frame %d: the one at %g was picked, want %g", i, got, c.want)
		}
	}
	faceless := []Person{{}, {Face: make([]Point, FacePoints)}}
	if p := new(Follower).Pick(faceless); p != &faceless[0] {
		t.Error("of people without bodies the first is to be picked")
	}
}
