//go:build cgo

package cvimg

import (
	"math"
	"strings"
	"testing"

	"github.com/v2v/v2v/video"
	"gocv.io/x/gocv"
)

func TestGrayEqualsOpenCV(t *testing.T) {
	src := shaken(video.NewFrame(64, 64), 255, 4)
	got := apply(t, newExtractor(t, "gray", Options{}), src)
	rgb, y := gocv.NewMat(), gocv.NewMat()
	defer rgb.Close()
	defer y.Close()
	if err := copyIn(&rgb, src); err != nil {
		t.Fatal(err)
	}
	gocv.CvtColor(rgb, &y, gocv.ColorRGBToGray)
	want := video.NewFrame(64, 64)
	if err := copyOut(want, &y); err != nil {
		t.Fatal(err)
	}
	for i, v := range got.Pix {
		if d := int(v) - int(want.Pix[i]); d < -1 || d > 1 {
			t.Fatalf("byte %d is %d, OpenCV's %d", i, v, want.Pix[i])
		}
	}
}

// TestEdgesOutlineASquare: every edge pixel lies on the square's border, the
// border is closed, and the line is thin.
func TestEdgesOutlineASquare(t *testing.T) {
	src := shaken(scene(96, 80, func(x, y int) (int, int, int) {
		if x >= 30 && x < 70 && y >= 20 && y < 60 {
			return 180, 120, 150
		}
		return 60, 60, 60
	}), 4, 1)
	got := apply(t, newExtractor(t, "edges", Options{}), src)
	rows := map[int]int{}
	n := 0
	for y := 0; y < 80; y++ {
		for x := 0; x < 96; x++ {
			r, g, b := got.At(x, y)
			if r != g || g != b || (r != 0 && r != 255) {
				t.Fatalf("(%d,%d) is %d,%d,%d, want black or white", x, y, r, g, b)
			}
			if r == 0 {
				continue
			}
			n++
			rows[y]++
			inner := x > 32 && x < 67 && y > 22 && y < 57
			outer := x < 27 || x > 72 || y < 17 || y > 62
			if inner || outer {
				t.Errorf("an edge at (%d,%d), away from the border", x, y)
			}
		}
	}
	for y := 24; y < 56; y++ {
		if rows[y] != 2 {
			t.Errorf("row %d has %d edge pixels, want the two sides", y, rows[y])
		}
	}
	if n < 130 || n > 200 {
		t.Errorf("%d edge pixels around a square of 40", n)
	}
}

func TestEdgeThresholdsHaveTheirEffect(t *testing.T) {
	src := scene(64, 64, func(x, y int) (int, int, int) { return 100 + x/32*30, 100 + x/32*30, 100 + x/32*30 })
	count := func(o EdgeOptions) (n int) {
		for _, v := range apply(t, newExtractor(t, "edges", Options{Edges: o}), src).Pix {
			n += int(v) / 255
		}
		return n
	}
	if n := count(EdgeOptions{}); n != 0 {
		t.Errorf("a faint step of 30 levels gave %d edge bytes", n)
	}
	if n := count(EdgeOptions{High: 40}); n == 0 {
		t.Error("with a low threshold the step is still not seen")
	}
}

// square is a noisy yard with a bright square of 24 at (x,28) that throws a
// shadow to its left.
func square(x int, seed uint64) *video.Frame {
	return shaken(scene(128, 96, func(px, py int) (int, int, int) {
		inY := py >= 28 && py < 52
		switch {
		case inY && px >= x && px < x+24:
			return 220, 60, 60
		case inY && px >= x-10 && px < x:
			return 72, 84, 66 // 0.6 of the ground
		}
		return 120, 140, 110
	}), 4, seed)
}

func TestMaskFollowsASquare(t *testing.T) {
	for _, name := range []string{"mask", "foreground"} {
		t.Run(name, func(t *testing.T) {
			o := MaskOptions{WarmUp: 30}
			var e interface {
				Learn(*video.Frame) error
				Apply(dst, src *video.Frame) error
				WarmUp() int
				Close() error
			} = newExtractor(t, "mask", Options{Mask: o})
			if name == "foreground" {
				f, err := NewForeground(o)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				e = f
			}
			for i := 0; i < e.WarmUp(); i++ {
				if err := e.Learn(square(-100, uint64(i))); err != nil {
					t.Fatal(err)
				}
			}
			dst := video.NewFrame(128, 96)
			for step := 0; step < 10; step++ {
				x := 20 + 6*step
				if err := e.Apply(dst, square(x, uint64(100+step))); err != nil {
					t.Fatal(err)
				}
				if got := overlap(dst, x); got < 0.85 {
					t.Errorf("step %d: the mask overlaps the square by %.2f, want 0.85", step, got)
				}
			}
		})
	}
}

// overlap is the intersection over union of a mask and the square at x.
func overlap(mask *video.Frame, x int) float64 {
	var both, either float64
	for py := 0; py < mask.H; py++ {
		for px := 0; px < mask.W; px++ {
			r, _, _ := mask.At(px, py)
			in := px >= x && px < x+24 && py >= 28 && py < 52
			if in && r > 0 {
				both++
			}
			if in || r > 0 {
				either++
			}
		}
	}
	return both / either
}

func TestMaskIsBlackWhileItWarmsUp(t *testing.T) {
	e := newExtractor(t, "mask", Options{Mask: MaskOptions{WarmUp: 5}})
	for i := 0; i < 8; i++ {
		white := 0
		for _, v := range apply(t, e, square(10*i, uint64(i))).Pix {
			white += int(v) / 255
		}
		if (white > 0) != (i >= 5) {
			t.Errorf("frame %d has %d white bytes, warm-up is 5", i, white)
		}
	}
}

// quilt is a scene of soft patches whose brightness can drift.
func quilt(light int) *video.Frame {
	return scene(96, 96, func(x, y int) (int, int, int) {
		return 40 + x + light, 40 + (x*y)%64/8*16 + light, 40 + y + light
	})
}

func colors(f *video.Frame) map[[3]byte]bool {
	set := map[[3]byte]bool{}
	for i := 0; i < len(f.Pix); i += 3 {
		set[[3]byte(f.Pix[i:])] = true
	}
	return set
}

func TestQuantDoesNotFlicker(t *testing.T) {
	e, again := newExtractor(t, "quant", Options{}), newExtractor(t, "quant", Options{})
	for i := 0; i < 4; i++ {
		for _, x := range []*Extractor{e, again} {
			if err := x.Learn(shaken(quilt(0), 3, uint64(i))); err != nil {
				t.Fatal(err)
			}
		}
	}
	first := apply(t, e, shaken(quilt(0), 3, 10))
	if n := len(colors(first)); n < 6 || n > 12 {
		t.Errorf("%d colours, want at most 12 and most of them", n)
	}
	if other := apply(t, again, shaken(quilt(0), 3, 10)); string(other.Pix) != string(first.Pix) {
		t.Error("the same frames gave another picture")
	}
	before := first
	for i := 11; i < 16; i++ {
		now := apply(t, e, shaken(quilt(0), 3, uint64(i)))
		changed := 0
		for p := 0; p < len(now.Pix); p += 3 {
			if [3]byte(now.Pix[p:]) != [3]byte(before.Pix[p:]) {
				changed++
			}
		}
		if share := float64(changed) / float64(96*96); share > 0.002 {
			t.Errorf("frame %d: %.2f%% of a standing scene changed colour", i, 100*share)
		}
		before = now
	}
	palette := colors(first)
	for c := range colors(apply(t, e, quilt(60))) {
		if !palette[c] && !inPalette(e, c) {
			t.Errorf("a later scene brought colour %v, which is not in the palette", c)
		}
	}
}

func inPalette(e *Extractor, c [3]byte) bool {
	for _, p := range e.stage.(*quant).labels.palette {
		if p == c {
			return true
		}
	}
	return false
}

func TestOptionsAreChecked(t *testing.T) {
	for _, c := range []struct {
		kind string
		o    Options
		want string
	}{
		{"edges", Options{Edges: EdgeOptions{Low: 90, High: 50}}, "low <= high"},
		{"edges", Options{Edges: EdgeOptions{Sigma: -1}}, "sigma"},
		{"mask", Options{Mask: MaskOptions{History: -3}}, "positive"},
		{"quant", Options{Quant: QuantOptions{Colors: 300}}, "2 to 256"},
	} {
		if _, err := NewExtractor(c.kind, c.o); err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "extract "+c.kind) {
			t.Errorf("%s: error %v, want one with %q", c.kind, err, c.want)
		}
	}
	if _, err := NewForeground(MaskOptions{WarmUp: -1}); err == nil {
		t.Error("a negative warm-up was taken")
	}
}

func TestResize(t *testing.T) {
	ramp := scene(8, 4, func(x, y int) (int, int, int) { return 20 * x, 40 * y, 100 })
	for _, c := range []struct {
		name string
		w, h int
		at   [2]int
		want [3]int
		tol  int
	}{
		{"same", 8, 4, [2]int{3, 2}, [3]int{60, 80, 100}, 0},
		{"half is the mean of four", 4, 2, [2]int{1, 0}, [3]int{50, 20, 100}, 0},
		{"all in one", 1, 1, [2]int{0, 0}, [3]int{70, 60, 100}, 0},
		{"a part of an area", 3, 4, [2]int{1, 1}, [3]int{70, 40, 100}, 1},
		{"double", 16, 8, [2]int{7, 4}, [3]int{65, 70, 100}, 2}, // OpenCV's cubic (a = -0.75) bends a ramp by this much
		{"wider and lower", 16, 2, [2]int{8, 0}, [3]int{75, 20, 100}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			ramp.PTS = 5
			dst := video.NewFrame(c.w, c.h)
			if err := Resize(dst, ramp); err != nil {
				t.Fatal(err)
			}
			r, g, b := dst.At(c.at[0], c.at[1])
			for i, v := range []byte{r, g, b} {
				if d := int(v) - c.want[i]; d < -c.tol || d > c.tol {
					t.Errorf("%v is %d,%d,%d, want %v", c.at, r, g, b, c.want)
				}
			}
			if dst.PTS != 5 {
				t.Error("the time was not carried over")
			}
		})
	}
	for _, bad := range []*video.Frame{{}, {W: 4, H: 4}, {W: -1, H: 4}} {
		if Resize(bad, ramp) == nil || Resize(ramp, bad) == nil {
			t.Errorf("a %dx%d frame of %d bytes was taken", bad.W, bad.H, len(bad.Pix))
		}
	}
}

func TestLabel(t *testing.T) {
	for _, c := range []struct {
		name, text string
		x, y       int
		drawn      bool
	}{
		{"inside", "PSNR 21.4", 4, 4, true},
		{"cut off", "a long line that runs out of the picture", 60, 50, true},
		{"far outside", "gone", -9000, 5, false},
		{"empty", "", 4, 4, false},
		{"not ASCII", "größe", 4, 4, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := scene(120, 60, func(int, int) (int, int, int) { return 90, 90, 90 })
			if err := Label(f, c.text, c.x, c.y); err != nil {
				t.Fatal(err)
			}
			var lightest, darkest byte = 0, 255
			for y := 0; y < 60; y++ {
				for x := 0; x < 120; x++ {
					v, _, _ := f.At(x, y)
					lightest, darkest = max(lightest, v), min(darkest, v)
					if v != 90 && (x < c.x-1 || y < c.y-1) {
						t.Fatalf("drawn at (%d,%d), left of or above the corner", x, y)
					}
				}
			}
			if drawn := lightest > 220 && darkest < 40; drawn != c.drawn {
				t.Errorf("values from %d to %d, drawn should be %v", darkest, lightest, c.drawn)
			}
		})
	}
	if Label(&video.Frame{W: 9, H: 9}, "x", 0, 0) == nil {
		t.Error("a hollow frame was written on")
	}
}

func BenchmarkExtract(b *testing.B) {
	src := shaken(scene(768, 576, func(x, y int) (int, int, int) {
		v := 127 + int(100*math.Sin(float64(x)/30)*math.Cos(float64(y)/20))
		return v, 255 - v, 128
	}), 5, 1)
	for _, kind := range Kinds {
		b.Run(kind, func(b *testing.B) {
			e, dst := newExtractor(b, kind, Options{}), video.NewFrame(src.W, src.H)
			for b.Loop() {
				if err := e.Apply(dst, src); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkResize(b *testing.B) {
	src, small := video.NewFrame(768, 576), video.NewFrame(192, 144)
	for b.Loop() {
		if err := Resize(small, src); err != nil {
			b.Fatal(err)
		}
	}
}
