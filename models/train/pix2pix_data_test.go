package train

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/v2v/v2v/video"
)

// writeFiles makes a folder of pictures of those widths and heights; what has
// none is text, and of .keep only the folder is made. Each picture differs.
func writeFiles(t *testing.T, in map[string][2]int) string {
	t.Helper()
	dir := t.TempDir()
	n := 0
	for path, size := range in {
		n++
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		switch {
		case size[0] > 0:
			err = video.WritePNG(path, picture(size[0], size[1], n, 0))
		case filepath.Base(path) != ".keep":
			err = os.WriteFile(path, []byte("no picture"), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func half(right bool) func(*video.Frame) (*video.Frame, error) {
	return func(f *video.Frame) (*video.Frame, error) {
		l, r, err := Halves(f)
		if right {
			return r, err
		}
		return l, err
	}
}

func TestFlatFolders(t *testing.T) {
	s := [2]int{6, 4}
	dir := writeFiles(t, map[string][2]int{"A/1.png": s, "A/2.png": s, "A/10.png": s, "B/1.png": s, "B/2.png": s, "B/10.png": s, "B/.hidden": {}})
	d := openData(t, dir, DataOptions{Loose: true, Frames: 1})
	if w, h := d.Size(); w != 6 || h != 4 || d.Clips() != 3 || d.Windows(1) != 3 {
		t.Errorf("%dx%d, %d clips, %d windows", w, h, d.Clips(), d.Windows(1))
	}
	samples, err := d.Spread(t.Context(), 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range samples {
		for side, f := range map[string]*video.Frame{"A": s.A[0], "B": s.B[0]} {
			want, err := video.ReadImage(filepath.Join(dir, side, s.Clip+".png"))
			if err != nil || string(want.Pix) != string(f.Pix) {
				t.Errorf("%s of %s is another picture (%v)", side, s.Clip, err)
			}
		}
	}
}

// TestSidesOfOnePicture: halves, and a picture and its luminance, from a folder,
// from its train and test, and from one file.
func TestSidesOfOnePicture(t *testing.T) {
	s := [2]int{8, 4}
	gray := func(f *video.Frame) (*video.Frame, error) { return luminance(f), nil }
	for name, c := range map[string]struct {
		in   map[string][2]int
		o    DataOptions
		w, n int
	}{
		"halves":    {map[string][2]int{"1.png": s, "2.png": s, "test/3.png": s}, DataOptions{A: half(false), B: half(true)}, 4, 2},
		"train":     {map[string][2]int{"train/1.png": s, "train/2.png": s, "test/3.png": s}, DataOptions{A: gray}, 8, 2},
		"test":      {map[string][2]int{"1.png": s, "2.png": s, "test/3.png": s}, DataOptions{A: gray, Split: TestSplit}, 8, 1},
		"one video": {map[string][2]int{"x/1.png": s, "x/2.png": s, "x/3.png": s}, DataOptions{A: gray}, 8, 3},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.Loose, c.o.Alone, c.o.Frames = true, true, 1
			d := openData(t, writeFiles(t, c.in), c.o)
			if w, h := d.Size(); w != c.w || h != 4 || d.Frames() != c.n {
				t.Errorf("%d frames of %dx%d, want %d of %dx4", d.Frames(), w, h, c.n, c.w)
			}
			samples, err := d.Spread(t.Context(), 9, 1)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range samples {
				want := s.B[0].Pix
				if c.w == 8 {
					want = luminance(s.B[0]).Pix
				}
				if alike := string(s.A[0].Pix) == string(want); alike != (c.w == 8) {
					t.Errorf("%s: A is B's luminance: %v", s.Clip, alike)
				}
			}
		})
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.mp4"), []byte("6x4 5"), 0o644); err != nil {
		t.Fatal(err)
	}
	d := openData(t, filepath.Join(dir, "a.mp4"), DataOptions{A: gray, Loose: true, Alone: true, Frames: 1, Open: openFake})
	if d.Frames() != 5 {
		t.Errorf("%d frames of a file of 5", d.Frames())
	}
}

func TestHalves(t *testing.T) {
	f := picture(6, 2, 1, 2)
	l, r, err := Halves(f)
	if err != nil {
		t.Fatal(err)
	}
	for y := range 2 {
		for x := range 6 {
			side, at := l, x
			if x >= 3 {
				side, at = r, x-3
			}
			r1, g1, b1 := f.At(x, y)
			if r2, g2, b2 := side.At(at, y); r1 != r2 || g1 != g2 || b1 != b2 {
				t.Errorf("pixel %d,%d differs", x, y)
			}
		}
	}
}

func TestBadPairs(t *testing.T) {
	s := [2]int{6, 4}
	loose := DataOptions{Loose: true, Frames: 1}
	alone := DataOptions{Loose: true, Alone: true, Frames: 1}
	odd := alone
	odd.A, odd.B = half(false), half(true)
	for name, c := range map[string]struct {
		in   map[string][2]int
		o    DataOptions
		want string
	}{
		"one pair":    {map[string][2]int{"A/1.png": s, "B/1.png": s}, loose, "holds one pair of pictures"},
		"one picture": {map[string][2]int{"1.png": s}, alone, "holds one pair of pictures"},
		"unpaired":    {map[string][2]int{"A/1.png": s, "B/1.png": s, "A/2.png": s}, loose, "A/2.png has no partner in B"},
		"unreadable":  {map[string][2]int{"A/1.png": s, "B/1.png": {}, "A/2.png": s, "B/2.png": s}, loose, "B/1.png: "},
		"empty":       {map[string][2]int{"A/.keep": {}, "B/.keep": {}}, loose, "A and B hold no picture"},
		"void":        {map[string][2]int{".keep": {}}, alone, "holds no picture (.png, .jpg) and no video"},
		"sizes":       {map[string][2]int{"A/1.png": s, "B/1.png": s, "A/2.png": {8, 4}, "B/2.png": {8, 4}}, loose, "2: frames of 8x4, those of 1 are 6x4"},
		"odd":         {map[string][2]int{"1.png": {7, 4}, "2.png": {7, 4}}, odd, "7x4 is no two pictures side by side"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := OpenData(t.Context(), writeFiles(t, c.in), c.o)
			if err == nil {
				d.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func TestHoldOut(t *testing.T) {
	dir := t.TempDir()
	writeData(t, dir, "A", "B", 6, 4, 20, 9, 1, 1, 1, 1)
	for _, c := range []struct {
		share      float64
		left, held int
	}{{0.25, 33 - 8, 8}, {0.1, 31, 2}, {0.01, 33, 0}} {
		d := openData(t, dir, DataOptions{Frames: 1, Flip: true})
		all, err := d.Spread(t.Context(), 99, 1)
		if err != nil {
			t.Fatal(err)
		}
		held := d.HoldOut(c.share)
		if held == nil {
			held = &Data{}
		}
		if d.Frames() != c.left || held.Frames() != c.held {
			t.Errorf("share %g: %d left, %d held out; want %d and %d", c.share, d.Frames(), held.Frames(), c.left, c.held)
		}
		seen := map[string]bool{}
		for _, part := range []*Data{d, held} {
			samples, err := part.Spread(t.Context(), 99, 1)
			if err != nil && part.Frames() > 0 {
				t.Fatal(err)
			}
			for _, s := range samples {
				seen[string(s.A[0].Pix)+string(s.B[0].Pix)] = true
			}
		}
		if len(seen) != len(all) {
			t.Errorf("share %g: %d different frames in both parts, %d in all", c.share, len(seen), len(all))
		}
	}
}
