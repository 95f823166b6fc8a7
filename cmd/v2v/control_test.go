package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/v2v/v2v/video"
)

// cmdPeople writes what OpenPose would of a person who walks a pixel to the
// right each frame, his trunk upright from (20,12) to (20,30), and of another
// one, unsure, ten pixels to the left: people PATTERN FIRST COUNT.
func cmdPeople(ts *testscript.TestScript, neg bool, args []string) {
	writeFrames(ts, args, walker)
}

func walker(n int) []byte {
	person := func(x, sure float64) string {
		var body []string
		for i := range 25 {
			switch i {
			case 1:
				body = append(body, fmt.Sprintf("%g,12,%g", x+float64(n), sure))
			case 8:
				body = append(body, fmt.Sprintf("%g,30,%g", x+float64(n), sure))
			default:
				body = append(body, "0,0,0")
			}
		}
		return `{"pose_keypoints_2d":[` + strings.Join(body, ",") + `]}`
	}
	return []byte(`{"version":1.3,"people":[` + person(10, 0.3) + "," + person(20, 0.9) + "]}")
}

// cmdFaces writes landmarks: a round jaw whose chin is at (32,44), everything
// else in the middle: faces PATTERN FIRST COUNT.
func cmdFaces(ts *testscript.TestScript, neg bool, args []string) {
	writeFrames(ts, args, func(int) []byte { return roundFace() })
}

func roundFace() []byte {
	var b bytes.Buffer
	for i := range 68 {
		x, y := 32., 24.
		if i <= 16 {
			a := math.Pi * float64(16-i) / 16
			x, y = math.Round(32+20*math.Cos(a)), math.Round(24+20*math.Sin(a))
		}
		fmt.Fprintf(&b, "%g,%g\n", x, y)
	}
	return b.Bytes()
}

func writeFrames(ts *testscript.TestScript, args []string, of func(n int) []byte) {
	first, err := strconv.Atoi(args[1])
	ts.Check(err)
	count, err := strconv.Atoi(args[2])
	ts.Check(err)
	for n := range count {
		path := ts.MkAbs(fmt.Sprintf(args[0], first+n))
		ts.Check(os.MkdirAll(filepath.Dir(path), 0o755))
		ts.Check(os.WriteFile(path, of(n), 0o600))
	}
}

// cmdPixel demands the colour of a pixel: pixel FILE X Y R,G,B.
func cmdPixel(ts *testscript.TestScript, neg bool, args []string) {
	f, err := video.ReadImage(ts.MkAbs(args[0]))
	ts.Check(err)
	x, err := strconv.Atoi(args[1])
	ts.Check(err)
	y, err := strconv.Atoi(args[2])
	ts.Check(err)
	r, g, b := f.At(x, y)
	if got := fmt.Sprintf("%d,%d,%d", r, g, b); (got == args[3]) == neg {
		ts.Fatalf("pixel (%d,%d) of %s is %s, want %s (not: %v)", x, y, args[0], got, args[3], neg)
	}
}

var companionCases = []struct {
	name   string
	files  string // below the folder
	frames int
	stills string // names of the pictures where the clip is a folder
	alone  bool
	want   string // the files of frames
	wrong  string // what problems say, each; a part of them
}{
	{"as OpenPose writes", "walk_000000000000_keypoints.json walk_000000000001_keypoints.json", 2, "", true,
		"walk_000000000000_keypoints.json walk_000000000001_keypoints.json", ""},
	{"numbers that letters would sort wrongly", "9.json 10.json 8.json 7.json 6.json 5.json 4.json 3.json 2.json 1.json", 10, "", true,
		"1.json 2.json 3.json 4.json 5.json 6.json 7.json 8.json 9.json 10.json", ""},
	{"a folder of the clip's name", "walk/0.json other/0.json 0.json", 1, "", false, "walk/0.json", ""},
	{"the clip's name before others", "walk_0.json run_0.json", 1, "", false, "walk_0.json", ""},
	{"a clip whose name begins like another's", "walk2_0.json walk_0.json", 1, "", true, "walk_0.json", ""},
	{"of nobody in particular, many clips", "0.json", 1, "", false, "", "holds no keypoint file"},
	{"of nobody in particular, one clip", "0.json", 1, "", true, "0.json", ""},
	{"other files beside", "0.json readme.txt .1.json 0.png", 1, "", true, "0.json", ""},
	{"none", "", 3, "", true, "", "holds no keypoint file (*.json) for walk.mp4"},
	{"one missing", "0.json 1.json 3.json", 4, "", true, "0.json 1.json - 3.json", "there is no keypoint file number 2 in"},
	{"many missing", "0.json 5.json 9.json", 10, "", true, "0.json - - - - 5.json - - - 9.json", "number 1 to 4 in;number 6 to 8 in"},
	{"the first missing", "1.json", 2, "", true, "- 1.json", "number 0 in"},
	{"too many", "0.json 1.json 2.json 3.json 7.json", 2, "", true, "0.json 1.json", "number 2 to 3 in; 7 in"},
	{"no number", "0.json x.json", 1, "", true, "0.json", "x.json has no frame number"},
	{"twice", "1.json 01.json 0.json", 2, "", true, "0.json 01.json", "01.json and 1.json in"},
	{"pictures by name", "b_keypoints.json a.json", 2, "a.png b.jpg", true, "a.json b_keypoints.json", ""},
	{"a picture without", "a.json c.json", 2, "a.png b.png", true, "a.json -", "c.json is of no picture;b.png has no keypoint file"},
	{"a picture with two", "a.json a_keypoints.json", 1, "a.png", true, "a.json", "are of one picture"},
	{"pictures by number", "x_1.json x_0.json", 2, "0000.png 0001.png", true, "x_0.json x_1.json", ""},
}

func TestCompanions(t *testing.T) {
	for _, c := range companionCases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			put := func(root, names string) {
				for _, name := range strings.Fields(names) {
					path := filepath.Join(root, name)
					if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(path, nil, 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
			put(dir, c.files)
			find := companions{dir: dir, what: "keypoint file", ext: ".json", clip: "walk.mp4", alone: c.alone, info: video.Info{Times: make([]int64, c.frames)}}
			if c.stills != "" {
				find.info.Path, find.info.Stills = t.TempDir(), true
				put(find.info.Path, c.stills)
			}
			paths, problems := find.find()
			var got []string
			for _, p := range paths {
				if p == "" {
					got = append(got, "-")
				} else {
					rel, _ := filepath.Rel(dir, p)
					got = append(got, rel)
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("files are %v, want %s", got, c.want)
			}
			for wrong := range strings.SplitSeq(c.wrong, ";") {
				if (wrong != "") != (len(problems) > 0) || !strings.Contains(strings.Join(problems, "\n"), strings.TrimSpace(wrong)) {
					t.Errorf("problems are %q, want one with %q", problems, wrong)
				}
			}
		})
	}
}

func TestRanges(t *testing.T) {
	for want, numbers := range map[string][]int{
		"": nil, "3": {3}, "1 to 2": {2, 1}, "0 5 to 7 9": {9, 6, 0, 5, 7},
	} {
		if got := strings.Join(ranges(numbers), " "); got != want {
			t.Errorf("%v are %q, want %q", numbers, got, want)
		}
	}
}

func TestDisordered(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"10.png", "2.png", true}, {"1.png", "10.png", false}, {"0010.png", "0011.png", false}, {"a_10.png", "a_9.png", true},
		{"a_10.png", "b_9.png", false}, {"x.png", "y.png", false}, {"007.png", "08.png", false}, {"99999999999999999999999.png", "9.png", true},
	} {
		if got := disordered(c.a, c.b); got != c.want {
			t.Errorf("%s before %s is out of order: %v, want %v", c.a, c.b, got, c.want)
		}
	}
}

// TestBesideKnowsWhatChanged: a batch makes clips again when files beside them
// have changed.
func TestBesideKnowsWhatChanged(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "0.json")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mark := func(o clipOptions) string {
		m, err := o.beside()
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	write("{}")
	posed := clipOptions{pose: poseOptions{dir: dir, people: "one", confidence: 0.05, stroke: 1}}
	all := posed
	all.pose.people = "all"
	first := mark(posed)
	if first != mark(posed) || first == mark(all) || first == "" {
		t.Error("the mark does not go with the settings")
	}
	write("{ }")
	if first == mark(posed) {
		t.Error("a changed file is not seen")
	}
	if m := mark(clipOptions{extract: "edges"}); m != "" {
		t.Errorf("with nothing beside, the mark is %q", m)
	}
	posed.pose.dir = filepath.Join(dir, "none")
	if _, err := posed.beside(); exitCode(err) != 4 {
		t.Errorf("a folder that is not there: %v", err)
	}
	if !reflect.DeepEqual(folders(), []string{"train_A", "train_B", "train_inst", "train_maps", "train_densepose", "train_openpose", "train_keypoints",
		"test_A", "test_B", "test_inst", "test_maps", "test_densepose", "test_openpose", "test_keypoints"}) {
		t.Errorf("folders of a data set are %v", folders())
	}
}
