package train

import (
	"context"
	"errors"
	"image/color"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/v2v/v2v/video"
)

// paint writes a picture of one colour with stripes of another on both sides of
// the square in its middle.
func paint(t *testing.T, path string, w, h int, middle, sides color.NRGBA) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := video.WritePNG(path, painted(w, h, middle, sides)); err != nil {
		t.Fatal(err)
	}
}

func painted(w, h int, middle, sides color.NRGBA) *video.Frame {
	f := video.NewFrame(w, h)
	side := min(w, h)
	for y := range h {
		for x := range w {
			c := sides
			if x >= (w-side)/2 && x < (w+side)/2 && y >= (h-side)/2 && y < (h+side)/2 {
				c = middle
			}
			f.Pix[3*(y*w+x)], f.Pix[3*(y*w+x)+1], f.Pix[3*(y*w+x)+2] = c.R, c.G, c.B
		}
	}
	return f
}

var (
	red   = color.NRGBA{255, 0, 0, 255}
	green = color.NRGBA{0, 255, 0, 255}
	blue  = color.NRGBA{0, 0, 255, 255}
)

// film is a video of frames in memory.
type film struct{ frames []*video.Frame }

func (f *film) Info() video.Info { return video.Info{Width: 32, Height: 16} }
func (f *film) Close() error     { return nil }

func (f *film) Next(context.Context) (*video.Frame, error) {
	if len(f.frames) == 0 {
		return nil, io.EOF
	}
	next := f.frames[0]
	f.frames = f.frames[1:]
	return next, nil
}

// TestPicturesAreCropped: whatever the shape, nothing is left of what is beside
// the square in the middle, and the number of a sample is that of its picture.
func TestPicturesAreCropped(t *testing.T) {
	dir := t.TempDir()
	paint(t, filepath.Join(dir, "a.png"), 64, 32, red, green)
	paint(t, filepath.Join(dir, "b.png"), 20, 50, blue, green)
	paint(t, filepath.Join(dir, "sub", "c.png"), 8, 8, red, green)
	var frames []*video.Frame
	for range 5 {
		frames = append(frames, painted(32, 16, blue, green))
	}
	if err := os.WriteFile(filepath.Join(dir, "d.mp4"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	d, err := OpenPictures(t.Context(), []string{dir}, PictureDataOptions{Size: 16, Every: 2,
		Open: func(context.Context, string) (video.Reader, error) { return &film{frames}, nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	want := []color.NRGBA{red, blue, blue, blue, blue, red} // a, b, three frames, then what is in sub
	if d.Frames() != len(want) {
		t.Fatalf("%d pictures, want %d", d.Frames(), len(want))
	}
	i := 0
	err = d.Pictures(t.Context(), func(f *video.Frame) error {
		for p := 0; p < len(f.Pix); p += 3 {
			if got := (color.NRGBA{f.Pix[p], f.Pix[p+1], f.Pix[p+2], 255}); got != want[i] {
				t.Fatalf("picture %d has %v at %d, want %v", i, got, p/3, want[i])
			}
		}
		i++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for k := range uint64(60) {
		s, err := d.Sample(t.Context(), k, 1, 1)
		if err != nil {
			t.Fatal(err)
		}
		n, class := d.Index(s)
		if s.B[0].Pix[0] != want[n].R || class != 0 {
			t.Errorf("sample %d is said to be picture %d of class %d", k, n, class)
		}
		seen[n] = true
	}
	if len(seen) != len(want) {
		t.Errorf("only pictures %v are drawn", seen)
	}
	for _, note := range []string{"pictures of 4 sizes", "5 of 6 pictures are no squares", "1 of 6 pictures are smaller than 16x16"} {
		if !slices.ContainsFunc(d.Notes, func(n string) bool { return strings.Contains(n, note) }) {
			t.Errorf("no note says %q: %q", note, d.Notes)
		}
	}
}

func TestPictureClasses(t *testing.T) {
	dir := t.TempDir()
	paint(t, filepath.Join(dir, "warm", "a.png"), 16, 16, red, red)
	paint(t, filepath.Join(dir, "cold", "b.png"), 16, 16, blue, blue)
	paint(t, filepath.Join(dir, "cold", "c.png"), 16, 16, blue, blue)
	d, err := OpenPictures(t.Context(), []string{dir}, PictureDataOptions{Size: 16, Classes: true})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if !slices.Equal(d.Classes, []string{"cold", "warm"}) {
		t.Errorf("classes %q", d.Classes)
	}
	for k := range uint64(20) {
		s, err := d.Sample(t.Context(), k, 1, 1)
		if err != nil {
			t.Fatal(err)
		}
		n, class := d.Index(s)
		if warm := s.B[0].Pix[0] == 255; warm != (class == 1) || warm != (n == 2) {
			t.Errorf("a picture that is warm: %v is number %d of class %d", warm, n, class)
		}
	}
}

// TestBadPicturesAreRefused: whatever is wrong is said before anything is
// trained, in a line for each thing.
func TestBadPicturesAreRefused(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	paint(t, at("one/a.png"), 16, 16, red, red)
	paint(t, at("broken/a.png"), 16, 16, red, red)
	paint(t, at("mixed/x/a.png"), 16, 16, red, red)
	paint(t, at("mixed/loose.png"), 16, 16, red, red)
	for name, text := range map[string]string{"broken/b.png": "dear diary", "broken/c.jpg": "", "text/a.txt": "dear diary", "clip/a.mp4": ""} {
		if err := os.MkdirAll(filepath.Dir(at(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at(name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(at("empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path    string
		classes bool
		lines   int
		want    string
	}{
		{"empty", false, 1, "holds no picture (.png, .jpg) and no video"},
		{"text", false, 1, "holds no picture"},
		{"one", false, 1, "holds one picture: a network that is to make others needs at least 2"},
		{"nowhere", false, 1, "no such file"},
		{"broken", false, 3, "b.png"},
		{"clip", false, 2, "nothing here opens video files"},
		{"mixed", true, 1, "has 1 folders and 1 files beside them"},
	} {
		d, err := OpenPictures(t.Context(), []string{at(c.path)}, PictureDataOptions{Size: 16, Classes: c.classes})
		if err == nil {
			d.Close()
			t.Errorf("%s was taken", c.path)
			continue
		}
		if n := strings.Count(err.Error(), "\n") + 1; !strings.Contains(err.Error(), c.want) || n != c.lines {
			t.Errorf("%s: %d lines, want %d and %q:\n%v", c.path, n, c.lines, c.want, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := OpenPictures(ctx, []string{at("broken")}, PictureDataOptions{Size: 16}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
