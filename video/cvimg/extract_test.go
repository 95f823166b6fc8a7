package cvimg

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/v2v/v2v/video"
)

// scene is a frame painted by a function of the place.
func scene(w, h int, paint func(x, y int) (r, g, b int)) *video.Frame {
	f := video.NewFrame(w, h)
	for y := 0; y < h; y++ {
		for x := 0; x < w; x++ {
			r, g, b := paint(x, y)
			i := 3 * (y*w + x)
			f.Pix[i], f.Pix[i+1], f.Pix[i+2] = byte(r), byte(g), byte(b)
		}
	}
	return f
}

// shaken adds noise of up to n levels either way, as a camera does.
func shaken(f *video.Frame, n int, seed uint64) *video.Frame {
	r := rand.New(rand.NewPCG(seed, 3))
	out := video.NewFrame(f.W, f.H)
	for i, v := range f.Pix {
		out.Pix[i] = byte(min(max(int(v)+r.IntN(2*n+1)-n, 0), 255))
	}
	return out
}

func newExtractor(t testing.TB, kind string, o Options) *Extractor {
	t.Helper()
	e, err := NewExtractor(kind, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func apply(t testing.TB, e *Extractor, src *video.Frame) *video.Frame {
	t.Helper()
	dst := video.NewFrame(src.W, src.H)
	if err := e.Apply(dst, src); err != nil {
		t.Fatal(err)
	}
	return dst
}

func TestGray(t *testing.T) {
	for _, c := range []struct {
		name    string
		r, g, b int
		want    byte
	}{
		{"black", 0, 0, 0, 0},
		{"white", 255, 255, 255, 255},
		{"red", 255, 0, 0, 76},
		{"green", 0, 255, 0, 150},
		{"blue", 0, 0, 255, 29},
		{"grey", 100, 100, 100, 100},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := scene(2, 1, func(int, int) (int, int, int) { return c.r, c.g, c.b })
			src.PTS = 9
			got := apply(t, newExtractor(t, "gray", Options{}), src)
			for i, v := range got.Pix {
				if v != c.want {
					t.Errorf("byte %d is %d, want %d", i, v, c.want)
				}
			}
			if got.PTS != 9 {
				t.Error("the time was not carried over")
			}
		})
	}
}

func TestExtractorRefuses(t *testing.T) {
	if _, err := NewExtractor("pose", Options{}); err == nil || !strings.Contains(err.Error(), "edges, mask, gray, quant") {
		t.Errorf("unknown kind: %v does not list the known ones", err)
	}
	e := newExtractor(t, "gray", Options{})
	good := video.NewFrame(8, 6)
	for _, c := range []struct {
		name     string
		dst, src *video.Frame
		want     string
	}{
		{"other size", video.NewFrame(6, 8), good, "sizes differ"},
		{"hollow", good, &video.Frame{W: 8, H: 6}, "8x6 frame of 0 bytes"},
		{"no size", good, &video.Frame{}, "0x0 frame"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := e.Apply(c.dst, c.src); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
	if err := e.Learn(&video.Frame{W: 3, H: 3}); err == nil {
		t.Error("a hollow frame was learnt from")
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if e.Apply(good, good) == nil || e.Learn(good) == nil || e.WarmUp() != 0 {
		t.Error("a closed extractor worked")
	}
}

func TestPaletteFindsThePatches(t *testing.T) {
	patches := [][3]int{{20, 30, 40}, {200, 40, 50}, {60, 180, 90}, {240, 240, 230}}
	h := new(histogram)
	// The last patch is 1/64 of the picture and must get its colour all the same.
	h.add(shaken(scene(64, 64, func(x, y int) (int, int, int) {
		p := patches[(x/22)%3]
		if x < 8 && y < 8 {
			p = patches[3]
		}
		return p[0], p[1], p[2]
	}), 3, 1).Pix)
	got := h.palette(4)
	if len(got) != 4 {
		t.Fatalf("%d colours, want 4", len(got))
	}
	for _, p := range patches {
		found := false
		for _, c := range got {
			d := distance([3]float64{float64(p[0]), float64(p[1]), float64(p[2])}, [3]float64{float64(c[0]), float64(c[1]), float64(c[2])})
			found = found || d <= 3*2*2
		}
		if !found {
			t.Errorf("palette %v has no colour within 2 levels of %v", got, p)
		}
	}
}

func TestPaletteOfFewColours(t *testing.T) {
	h := new(histogram)
	h.add([]byte{1, 2, 3, 1, 2, 3, 200, 200, 200})
	if got := h.palette(12); len(got) != 2 {
		t.Errorf("%d colours for a picture of two", len(got))
	}
}

// TestLabelsStick: a pixel that wavers about the middle of two colours keeps
// the one it has; one that really changes changes at once.
func TestLabelsStick(t *testing.T) {
	l := newLabeler([][3]byte{{100, 100, 100}, {140, 140, 140}})
	dst := make([]byte, 3)
	draw := func(v byte) byte {
		l.draw(dst, []byte{v, v, v})
		return dst[0]
	}
	first := draw(119)
	for _, v := range []byte{121, 118, 121, 119} {
		if got := draw(v); got != first {
			t.Errorf("at %d the pixel went from %d to %d", v, first, got)
		}
	}
	if got := draw(139); got != 140 {
		t.Errorf("139 is drawn %d", got)
	}
	if got := draw(102); got != 100 {
		t.Errorf("102 is drawn %d", got)
	}
}
