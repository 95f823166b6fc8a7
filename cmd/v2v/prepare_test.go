package main

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/v2v/v2v/video"
)

// step is a call of v2v within a story, and what must have come of it.
type step struct {
	args   string
	code   int
	stderr []string // patterns
	pixels []string // "FILE X Y R,G,B"
	absent string   // a path that must not be there
	cgo    bool     // it resizes frames
}

func runSteps(t *testing.T, steps []step) {
	t.Helper()
	for _, s := range steps {
		var out, errs bytes.Buffer
		code := run(strings.Fields(s.args), &out, &errs)
		if s.cgo && strings.Contains(errs.String(), "built without cgo") {
			continue
		}
		if code != s.code {
			t.Fatalf("v2v %s: code %d, want %d:\n%s", s.args, code, s.code, errs.String())
		}
		for _, want := range s.stderr {
			if !regexp.MustCompile(`(?m)` + want).MatchString(errs.String()) {
				t.Errorf("v2v %s: says not %q but\n%s", s.args, want, errs.String())
			}
		}
		for _, p := range s.pixels {
			w := strings.Fields(p)
			f, err := video.ReadImage(w[0])
			if err != nil {
				t.Errorf("v2v %s: %v", s.args, err)
				continue
			}
			var x, y int
			fmt.Sscan(w[1]+" "+w[2], &x, &y)
			r, g, b := f.At(x, y)
			if got := fmt.Sprintf("%d,%d,%d", r, g, b); got != w[3] {
				t.Errorf("v2v %s: %s is %s", s.args, p, got)
			}
		}
		if s.absent != "" {
			if _, err := os.Stat(s.absent); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("v2v %s: %s is there (%v)", s.args, s.absent, err)
			}
		}
	}
	filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || path != "." && strings.HasPrefix(d.Name(), ".") {
			t.Errorf("%s is left behind (%v)", path, err)
		}
		return nil
	})
}

func put(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o600)); err != nil {
		t.Fatal(err)
	}
}

// stills writes so many pictures of 64x48 (or as the image says) by a function.
func stills(t *testing.T, pattern string, count int, paint func(n int) image.Image) {
	t.Helper()
	for n := range count {
		var b bytes.Buffer
		if err := png.Encode(&b, paint(n)); err != nil {
			t.Fatal(err)
		}
		put(t, fmt.Sprintf(pattern, n), b.Bytes())
	}
}

func flat(w, h int, c color.Color) func(int) image.Image {
	return func(int) image.Image {
		m := image.NewNRGBA(image.Rect(0, 0, w, h))
		for i := range w * h {
			m.Set(i%w, i/w, c)
		}
		return m
	}
}

// specked is a road with n white pixels.
func specked(n int) image.Image {
	m := flat(64, 48, color.NRGBA{128, 64, 128, 255})(n).(*image.NRGBA)
	for x := range n {
		m.Set(x, 3, color.White)
	}
	return m
}

var black = flat(64, 48, color.NRGBA{A: 255})

func TestPreparePose(t *testing.T) {
	t.Chdir(t.TempDir())
	stills(t, "a/%03d.png", 10, black)
	stills(t, "b/%03d.png", 3, black)
	stills(t, "c/walk_%d.png", 2, black)
	for n := range 10 {
		put(t, fmt.Sprintf("keys/a_%012d_keypoints.json", n), walker(n))
		if n != 2 {
			put(t, fmt.Sprintf("some/x%d.json", n), walker(n))
		}
	}
	put(t, "some/x2.json", []byte(`{"version":1.3,"people":[]}`))
	for n := range 3 {
		put(t, fmt.Sprintf("keys/b/frame%d.json", n+1), walker(n))
	}
	put(t, "keys/c/walk_1_keypoints.json", walker(1))
	put(t, "keys/c/run_0_keypoints.json", walker(0))
	put(t, "void/readme.txt", nil)
	runSteps(t, []step{
		{args: "prepare pose --keypoints keys a -o data", pixels: []string{"data/train_A/a/000000.png 20 20 255,0,0", "data/test_A/a/000000.png 29 20 255,0,0"}},
		{args: "prepare pose --keypoints keys a -o data --overwrite --people all", code: 2,
			stderr: []string{"data was made with pose --people one --confidence 0.05 --stroke 1 --every 1: give the same"}},
		{args: "prepare --extract gray a -o data --overwrite", code: 2, stderr: []string{"was made with pose --people"}},
		{args: "prepare pose --keypoints keys a -o all --people all --stroke 3", pixels: []string{
			"all/train_A/a/000000.png 10 20 255,0,0", "all/train_A/a/000000.png 20 20 255,0,0", "all/train_A/a/000000.png 22 20 255,0,0"}},
		{args: "prepare pose --keypoints keys a -o sure --people all --confidence 0.5 --every 3", pixels: []string{
			"sure/train_A/a/000000.png 10 20 0,0,0", "sure/train_A/a/000002.png 26 20 255,0,0"}},
		{args: "prepare pose --keypoints some a -o some", pixels: []string{"some/train_A/a/000002.png 22 20 0,0,0", "some/train_A/a/000003.png 23 20 255,0,0"},
			stderr: []string{"^a: nobody was found in 1 of 10 frames, which are black$"}},
		{args: "prepare pose --keypoints keys a b -o two", pixels: []string{"two/train_A/b/000001.png 21 20 255,0,0", "two/test_A/b/000000.png 22 20 255,0,0"}},
		{args: "prepare pose --keypoints some a b -o bad", code: 4, absent: "bad", stderr: []string{
			`^  some holds no keypoint file \(\*.json\) for a$`, `^  some holds no keypoint file \(\*.json\) for b$`}},
		{args: "prepare pose --keypoints keys c -o bad", code: 4, absent: "bad", stderr: []string{
			"^  keys/c/run_0_keypoints.json is of no picture in c$", "^  c/walk_0.png has no keypoint file in keys/c$"}},
		{args: "prepare pose --keypoints void a -o bad", code: 4, absent: "bad", stderr: []string{`void holds no keypoint file \(\*.json\) for a`}},
		{args: "prepare pose --keypoints nowhere a -o bad", code: 4, absent: "bad", stderr: []string{"keypoint file nowhere: open nowhere: no such file"}},
		{args: "prepare pose --keypoints keys a -o large --size 96x128", cgo: true, pixels: []string{ // (20+0.5)*2-0.5 is 40.5
			"large/train_A/a/000000.png 40 41 255,0,0", "large/train_A/a/000000.png 36 41 0,0,0"}},
	})
}

func TestPrepareFace(t *testing.T) {
	t.Chdir(t.TempDir())
	stills(t, "a/%03d.png", 5, func(int) image.Image {
		m := black(0).(*image.NRGBA)
		for y := 5; y < 40; y++ { // a bar beside the face
			for x := range 6 {
				m.Set(x, y, color.White)
			}
		}
		return m
	})
	for n := range 5 {
		put(t, fmt.Sprintf("points/%d.txt", n), roundFace())
	}
	runSteps(t, []step{
		{args: "prepare face --landmarks points a -o data --maps --holdout 0.4", pixels: []string{
			"data/train_A/a/000000.png 32 44 255,255,255", "data/train_A/a/000000.png 5 20 0,0,0",
			"data/train_inst/a/000000.png 32 40 1,1,1", "data/test_inst/a/000001.png 2 40 0,0,0",
			// Red is the edges, green the distance to the contour, a circle of radius 20 around (32,24), and blue
			// that to a brow, its centre: from (2,44) they are 50-20*sqrt(2) and 50, in thirds.
			"data/train_maps/a/000000.png 32 44 255,0,6", "data/train_maps/a/000000.png 2 44 0,7,16"}},
		{args: "prepare check data", stderr: []string{"data: 1 clips of 3 frames to train on, 1 of 2 held out; nothing is wrong"}},
		{args: "prepare face --landmarks points a -o plain", absent: "plain/train_maps"},
		{args: "prepare face --landmarks points a -o more --background", cgo: true, pixels: []string{
			"more/train_A/a/000000.png 5 20 255,255,255", "more/train_A/a/000000.png 32 44 255,255,255"}},
	})
}

func grey(n int) image.Image {
	m := image.NewGray(image.Rect(0, 0, 64, 48))
	for i := range m.Pix {
		m.Pix[i] = byte(i % 64 % 5)
	}
	return m
}

func TestPrepareLabels(t *testing.T) {
	t.Chdir(t.TempDir())
	stills(t, "real/%03d.png", 10, black)
	stills(t, "short/%03d.png", 7, flat(64, 32, color.NRGBA{A: 255}))
	stills(t, "grey/%03d.png", 10, grey)
	stills(t, "pal/%03d.png", 3, func(int) image.Image {
		m := image.NewPaletted(image.Rect(0, 0, 8, 8), color.Palette{color.Black, color.White, color.Black, color.White})
		m.Pix[9] = 3
		return m
	})
	instance := func(w int) func(int) image.Image {
		return func(int) image.Image {
			m := image.NewGray16(image.Rect(0, 0, w, 48))
			for i := range w * 48 {
				m.SetGray16(i%w, i/w, color.Gray16{Y: uint16(26000 + i%w%2)})
			}
			return m
		}
	}
	stills(t, "inst/%03d.png", 10, instance(64))
	stills(t, "odd/%03d.png", 7, instance(64))
	stills(t, "odd/00%d.png", 2, instance(32))
	stills(t, "iuv/%03d.png", 3, flat(8, 8, color.NRGBA{64, 80, 24, 255}))
	stills(t, "street/%03d.png", 10, flat(64, 48, color.NRGBA{220, 20, 60, 255}))
	stills(t, "specks/%d.png", 4, specked)
	put(t, "city.txt", []byte("24 220 20 60 person\n7 128 64 128 road\n"))
	put(t, "half.txt", []byte("7 128 64 128 road\n"))
	runSteps(t, []step{
		{args: "prepare labels --palette city.txt street --real real -o data --label-nc 25 --holdout 0.2",
			pixels: []string{"data/train_A/street/000000.png 60 20 24,24,24", "data/train_B/street/000007.png 60 20 0,0,0"}},
		{args: "prepare check data --label-nc 25", stderr: []string{"nothing is wrong"}},
		{args: "prepare check data --label-nc 24", code: 4, stderr: []string{"train_A/street/000000.png: label ids out of range: 24 .*, where 0 to 23 are labels"}},
		{args: "prepare labels --palette city.txt street -o bad --label-nc 24", code: 4, absent: "bad/train_A", stderr: []string{
			`labels "street/000.png" frame 0: label ids out of range: 24 \(3072 pixels\)`}},
		{args: "prepare labels --palette half.txt street -o bad", code: 4, absent: "bad/train_A", stderr: []string{
			`labels "street/000.png" frame 0: 3072 of 3072 pixels \(100.00 %\) .* 220 20 60 \(3072 pixels\): add .* the tolerance from 24 to 123`}},
		{args: "prepare labels --palette city.txt specks --real specks -o specked", stderr: []string{
			`^specks: 6 pixels \(0.0488 %\) in 3 of 4 label pictures are in no colour of the palette and took the nearest label$`}},
		{args: "prepare labels --palette half.txt --tolerance 123 street -o few", absent: "few/train_B", pixels: []string{"few/train_A/street/000000.png 9 9 7,7,7"},
			stderr: []string{"street: 9 control pictures without real frames to train on, 1 held out"}},
		{args: "prepare check few", code: 4, stderr: []string{"^  train_B is not there, and train_A is$"}},
		{args: "prepare labels --ids grey --real real -o ids --label-nc 5", pixels: []string{"ids/train_A/grey/000000.png 13 0 3,3,3"}},
		{args: "prepare labels --ids grey --real real -o bad --label-nc 3", code: 4, stderr: []string{`labels "grey/000.png" frame 0: label ids out of range: 3 .*, 4 `}},
		{args: "prepare labels --ids pal -o index", pixels: []string{"index/train_A/pal/000001.png 1 1 3,3,3", "index/train_A/pal/000001.png 0 0 0,0,0"}},
		{args: "prepare labels --ids street -o bad", code: 4, stderr: []string{`read labels "street/000.png": not an index picture: pixel \(0,0\) has a colour`}},
		{args: "prepare labels --ids grey --real real --instances inst -o insts --size 48x64",
			pixels: []string{"insts/train_A/grey/000000.png 13 0 3,101,145", "insts/train_A/grey/000000.png 12 0 2,101,144"}},
		{args: "prepare labels --ids grey --instances odd -o bad", code: 4, stderr: []string{
			"^  grey/007.png has no instance map in odd$", "^  grey/009.png has no", `^  odd/001.png is 48x32, the labels are 48x64 \(height x width\)$`}},
		{args: "prepare labels --ids grey --real short -o bad", code: 4, stderr: []string{
			"^  grey has 10 frames, short has 7$", `^  grey is 48x64 and short is 32x64 \(height x width\): their shapes differ$`}},
		{args: "prepare labels --ids pal -o tiny --size 4x2", pixels: []string{"tiny/train_A/pal/000000.png 0 0 0,0,0"}},
		{args: "prepare labels --densepose iuv -o iuvs", pixels: []string{"iuvs/train_A/iuv/000000.png 3 3 64,80,255"}},
		{args: "prepare labels --densepose street -o bad", code: 4, stderr: []string{"not a DensePose picture: 3072 of 3072 pixels have parts above 24"}},
	})
}

func TestPrepareCheck(t *testing.T) {
	t.Chdir(t.TempDir())
	small := flat(16, 12, color.White)
	for _, side := range []string{"A", "B"} {
		stills(t, "k/train_"+side+"/c/%d.png", 2, small)
	}
	recipe := `{"format":1,"extract":"gray","every":1,"unfinished":"half","clips":[{"name":"c","train":2,"test":1},{"name":"gone","train":3}]}`
	put(t, "k/data.json", []byte(recipe))
	put(t, "text", []byte("dear diary"))
	put(t, "void/x/y", nil)
	runSteps(t, []step{{args: "prepare check k", code: 4, stderr: []string{
		"^  clip half was being put in its place when v2v prepare was killed", "^  test_A/c is gone, data.json says that it has 1 pictures$", "^  train_A/gone is gone"}}})
	if err := os.Remove("k/data.json"); err != nil {
		t.Fatal(err)
	}
	runSteps(t, []step{{args: "prepare check k", stderr: []string{"^k: 1 clips of 2 frames to train on, 0 of 0 held out; nothing is wrong$"}}})
	for _, side := range []string{"A", "B"} {
		stills(t, "k/train_"+side+"/d/%d.png", 2, flat(18, 12, color.White))
	}
	stills(t, "k/train_inst/c/%d.png", 3, small)
	runSteps(t, []step{{args: "prepare check k", code: 4, stderr: []string{
		`^k: clips differ in size, so training needs a size to cut out: train_A/c is 12x16, train_A/d is 12x18`,
		"^  train_A/d has no partner in train_inst$", "^  train_A/c has 2 frames, train_inst/c has 3$"}}})
	put(t, "k/A/c/x.txt", nil)
	runSteps(t, []step{
		{args: "prepare check k", code: 4, stderr: []string{`it has several layouts at once \(train_A and A\): keep one`, "^  B is not there, and A is$"}},
		{args: "prepare check void", code: 4, stderr: []string{"it has no folders train_A and train_B"}},
		{args: "prepare check nowhere", code: 4, stderr: []string{`check "nowhere": no such file`}},
		{args: "prepare check text", code: 4, stderr: []string{`check "text": it is no folder`}},
	})
}

func TestManyWithoutPartnerAreCounted(t *testing.T) {
	t.Chdir(t.TempDir())
	stills(t, "A/c/%03d.png", 60, flat(4, 4, color.White))
	stills(t, "B/c/%03d.png", 30, flat(4, 4, color.White))
	var out, errs bytes.Buffer
	code := run([]string{"prepare", "check", "."}, &out, &errs)
	lines := slices.Collect(strings.Lines(errs.String()))
	if want := "  A/c and B/c: 10 more pictures have no partner\n"; code != 4 || len(lines) != 1+1+mostNames+1 || lines[len(lines)-1] != want {
		t.Errorf("code %d, %d lines:\n%s", code, len(lines), errs.String())
	}
}
