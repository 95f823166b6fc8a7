package labelmap

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/v2v/v2v/video"
)

var street = &Palette{Entries: []Entry{
	{0, 0, 0, 0, "unlabeled"}, {7, 128, 64, 128, "road"}, {8, 244, 35, 232, "sidewalk"}, {24, 220, 20, 60, "person"}, {26, 0, 0, 142, "car"},
}}

func filled(w, h int, r, g, b byte) *video.Frame {
	f := video.NewFrame(w, h)
	for i := 0; i < len(f.Pix); i += 3 {
		f.Pix[i], f.Pix[i+1], f.Pix[i+2] = r, g, b
	}
	return f
}

func newColors(t *testing.T, o Options) *Colors {
	t.Helper()
	c, err := NewColors(street, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestNearestColour compares with every entry for every pixel.
func TestNearestColour(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	src := video.NewFrame(64, 64)
	for i := range src.Pix {
		src.Pix[i] = byte(rng.IntN(256))
	}
	src.PTS = 5
	dst := video.NewFrame(64, 64)
	c := newColors(t, Options{Tolerance: 500})
	for range 2 { // the second time from the cache
		if unknown, err := c.Convert(dst, src); err != nil || unknown != 0 || dst.PTS != 5 {
			t.Fatalf("%d unknown, %v", unknown, err)
		}
		for i := range 64 * 64 {
			var want byte
			near := math.Inf(1)
			for _, e := range street.Entries {
				d := 0.0
				for k, v := range []byte{e.R, e.G, e.B} {
					d += math.Pow(float64(v)-float64(src.Pix[3*i+k]), 2)
				}
				if d < near {
					near, want = d, e.ID
				}
			}
			if got := [3]byte(dst.Pix[3*i:]); got != [3]byte{want, want, want} {
				t.Fatalf("colour %v is %v, want %d", src.Pix[3*i:3*i+3], got, want)
			}
		}
	}
}

func TestUnknownColours(t *testing.T) {
	for _, c := range []struct {
		name    string
		strange int // pixels of 10,250,10 among 10,000, and half as many of 12,250,10
		o       Options
		unknown int
		want    string // of the error; empty for none
	}{
		// Both are nearest to road: 118, 186 and 118 levels off, or 116, 186
		// and 118, which are 249.9 and 248.9.
		{"none", 0, Options{}, 0, ""},
		{"a tenth of a percent", 6, Options{}, 9, ""},
		{"more", 10, Options{}, 15, "15 of 10000 pixels (0.15 %) are in no colour of the palette, most of them in 10 250 10 (10 pixels), 12 250 10 (5 pixels): " +
			"add the colours to the palette, or raise the tolerance from 24 to 249"},
		{"a tolerance that is too low", 500, Options{Tolerance: 246}, 750, "from 246 to 250"},
		{"the one that was asked for", 500, Options{Tolerance: 250}, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := filled(100, 100, 130, 60, 125) // road, a little off
			for i := range c.strange {
				copy(src.Pix[3*i:], []byte{10, 250, 10})
			}
			for i := range c.strange / 2 {
				copy(src.Pix[3*(9000+i):], []byte{12, 250, 10})
			}
			unknown, err := newColors(t, c.o).Convert(video.NewFrame(100, 100), src)
			var refused *UnknownError
			switch {
			case c.want == "" && (err != nil || unknown != c.unknown):
				t.Errorf("%d unknown, %v; want %d", unknown, err, c.unknown)
			case c.want != "" && (!errors.As(err, &refused) || !strings.Contains(err.Error(), c.want) || unknown != c.unknown):
				t.Errorf("%d unknown: %v\nwant %d and %q", unknown, err, c.unknown, c.want)
			}
		})
	}
}

// TestEnoughIsEnough: the tolerance that an error asks for takes the frame.
func TestEnoughIsEnough(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 9))
	for range 50 {
		src := filled(40, 40, 0, 0, 142)
		for i := range src.Pix[:rng.IntN(len(src.Pix)-9)+9] {
			src.Pix[i] = byte(rng.IntN(256))
		}
		var refused *UnknownError
		_, err := newColors(t, Options{Tolerance: 1}).Convert(video.NewFrame(40, 40), src)
		if !errors.As(err, &refused) {
			t.Fatalf("noise was taken for labels: %v", err)
		}
		if _, err := newColors(t, Options{Tolerance: refused.Enough}).Convert(video.NewFrame(40, 40), src); err != nil {
			t.Errorf("tolerance %g: %v", refused.Enough, err)
		}
		if _, err := newColors(t, Options{Tolerance: refused.Enough - 1}).Convert(video.NewFrame(40, 40), src); err == nil {
			t.Errorf("a tolerance below %g does as well", refused.Enough)
		}
	}
}

func TestColorsRefuse(t *testing.T) {
	if _, err := NewColors(&Palette{}, Options{}); err == nil {
		t.Error("a palette of nothing was taken")
	}
	for _, bad := range []float64{-1, math.NaN()} {
		if _, err := NewColors(street, Options{Tolerance: bad}); err == nil {
			t.Errorf("tolerance %g was taken", bad)
		}
	}
	if _, err := newColors(t, Options{}).Convert(video.NewFrame(3, 2), video.NewFrame(2, 3)); err == nil {
		t.Error("frames of two sizes were taken")
	}
}

func TestDensePose(t *testing.T) {
	good := video.NewFrame(100, 100)
	for part := range byte(25) {
		for i := range 100 {
			k := 3 * (int(part)*100 + i)
			if part > 0 {
				good.Pix[k], good.Pix[k+1] = byte(i), 255-byte(i)
			}
			good.Pix[k+2] = part
		}
	}
	dst := video.NewFrame(100, 100)
	if err := DensePose(dst, good); err != nil {
		t.Fatal(err)
	}
	for part, want := range map[int]byte{0: 0, 1: 11, 2: 21, 12: 128, 23: 244, 24: 255} { // round(255/24*part)
		if r, g, b := dst.At(7, part); part > 0 && (r != 7 || g != 248) || b != want {
			t.Errorf("part %d became %d %d %d, want blue %d", part, r, g, b, want)
		}
	}
	for _, c := range []struct {
		name  string
		spoil func(f *video.Frame)
		want  string
	}{
		{"a part too many", func(f *video.Frame) { f.Pix[2] = 25 }, "1 of 10000 pixels have parts above 24 in the blue channel, up to 25"},
		{"another order of channels", func(f *video.Frame) {
			for i := 0; i < len(f.Pix); i += 3 {
				f.Pix[i], f.Pix[i+2] = f.Pix[i+2], f.Pix[i]
			}
		}, "have parts above 24"},
		{"smeared", func(f *video.Frame) {
			for i := range 11 {
				f.Pix[3*i+1] = 1
			}
		}, "11 of 10000 pixels are background and yet"},
	} {
		bad := video.NewFrame(100, 100)
		copy(bad.Pix, good.Pix)
		c.spoil(bad)
		if err := DensePose(dst, bad); !errors.Is(err, ErrDensePose) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
	if err := DensePose(video.NewFrame(1, 1), good); err == nil {
		t.Error("frames of two sizes were taken")
	}
}
