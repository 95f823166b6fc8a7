package video

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// paint fills a frame with a pattern that differs in every pixel and frame.
func paint(w, h, n int) *Frame {
	f := NewFrame(w, h)
	for i := range f.Pix {
		f.Pix[i] = byte(i*7 + n*31)
	}
	return f
}

func save(t *testing.T, path string, encode func(io.Writer) error) {
	t.Helper()
	var b bytes.Buffer
	if err := encode(&b); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// savePNG writes a 2x1 picture whose pixels are c, c.
func savePNG(t *testing.T, path string, c color.Color, img interface {
	image.Image
	Set(x, y int, c color.Color)
}) {
	t.Helper()
	b := img.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			img.Set(x, y, c)
		}
	}
	save(t, path, func(w io.Writer) error { return png.Encode(w, img) })
}

func TestReadImageKinds(t *testing.T) {
	r := image.Rect(0, 0, 2, 1)
	tests := []struct {
		name string
		c    color.Color
		img  interface {
			image.Image
			Set(x, y int, c color.Color)
		}
		want [3]byte
	}{
		{"gray", color.Gray{77}, image.NewGray(r), [3]byte{77, 77, 77}},
		{"gray16 rounds up", color.Gray16{0x12ff}, image.NewGray16(r), [3]byte{0x13, 0x13, 0x13}},
		{"gray16 white", color.Gray16{0xffff}, image.NewGray16(r), [3]byte{255, 255, 255}},
		{"rgb", color.RGBA{10, 20, 30, 255}, image.NewRGBA(r), [3]byte{10, 20, 30}},
		{"alpha dropped", color.NRGBA{200, 100, 50, 3}, image.NewNRGBA(r), [3]byte{200, 100, 50}},
		{"rgb 16 bit", color.RGBA64{0x1010, 0x8080, 0xfefe, 0xffff}, image.NewRGBA64(r), [3]byte{0x10, 0x80, 0xfe}},
		{"alpha 16 bit", color.NRGBA64{0x1010, 0x8080, 0xfefe, 0x4000}, image.NewNRGBA64(r), [3]byte{0x10, 0x80, 0xfe}},
		{"palette", color.NRGBA{9, 99, 199, 255}, image.NewPaletted(r, color.Palette{color.Black, color.NRGBA{9, 99, 199, 255}}), [3]byte{9, 99, 199}},
		{"palette alpha", color.NRGBA{9, 99, 199, 128}, image.NewPaletted(r, color.Palette{color.Black, color.NRGBA{9, 99, 199, 128}}), [3]byte{9, 99, 199}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.png")
			savePNG(t, path, tt.c, tt.img)
			f, err := ReadImage(path)
			if err != nil {
				t.Fatal(err)
			}
			if f.W != 2 || f.H != 1 {
				t.Fatalf("size %dx%d", f.W, f.H)
			}
			for x := range 2 {
				if r, g, b := f.At(x, 0); [3]byte{r, g, b} != tt.want {
					t.Errorf("pixel %d is %d,%d,%d, want %v", x, r, g, b, tt.want)
				}
			}
		})
	}
}

func TestReadJPEG(t *testing.T) {
	img := image.NewRGBA(image.Rect(0, 0, 16, 16))
	for i := range 256 {
		img.Set(i%16, i/16, color.RGBA{180, 90, 40, 255})
	}
	path := filepath.Join(t.TempDir(), "a.JPG")
	save(t, path, func(w io.Writer) error { return jpeg.Encode(w, img, &jpeg.Options{Quality: 95}) })
	f, err := ReadImage(path)
	if err != nil {
		t.Fatal(err)
	}
	r, g, b := f.At(8, 8)
	for i, d := range []int{int(r) - 180, int(g) - 90, int(b) - 40} {
		if d < -2 || d > 2 {
			t.Errorf("channel %d off by %d", i, d)
		}
	}
}

func TestWritePNGRoundTrip(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out.png")
	want := paint(33, 7, 1)
	for range 2 { // the second replaces the first
		if err := WritePNG(path, want); err != nil {
			t.Fatal(err)
		}
	}
	got, err := ReadImage(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Pix, want.Pix) {
		t.Error("pixels differ")
	}
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm() != 0o644 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	onlyEntries(t, dir, "out.png")
	if err := WritePNG(filepath.Join(dir, "missing", "a.png"), want); err == nil {
		t.Error("wrote into a missing folder")
	}
	if err := WritePNG(path, &Frame{W: 3, H: 3}); err == nil {
		t.Error("wrote a frame without pixels")
	}
	onlyEntries(t, dir, "out.png")
}

func onlyEntries(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("folder holds %q, want %q", got, want)
	}
}

func writeStills(t *testing.T, dir string, n int, o StillsWriterOptions) {
	t.Helper()
	w, err := CreateStills(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err := w.Write(t.Context(), paint(8, 6, i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestStillsRoundTrip(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "a clip")
	writeStills(t, dir, 12, StillsWriterOptions{})
	onlyEntries(t, root, "a clip")
	r, err := OpenStills(t.Context(), dir, StillsOptions{Rate: Rational{30000, 1001}, InFlight: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	i := r.Info()
	if i.Frames() != 12 || i.Width != 8 || i.Height != 6 || !i.Stills || i.Codec != "png" || i.BitDepth != 8 ||
		i.Rate != (Rational{30000, 1001}) || i.TimeBase != (Rational{1001, 30000}) {
		t.Errorf("info %+v", i)
	}
	for n := range 12 {
		f, err := r.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(f.Pix, paint(8, 6, n).Pix) || f.PTS != int64(n) {
			t.Errorf("frame %d at %d differs", n, f.PTS)
		}
		f.Release() // with one in flight the next call would hang otherwise
	}
	if _, err := r.Next(t.Context()); err != io.EOF {
		t.Errorf("after the last frame: %v", err)
	}
}

func TestStillsOrderAndFilter(t *testing.T) {
	dir := t.TempDir()
	for i, name := range []string{"b.png", "a10.PNG", "a2.jpg", ".hidden.png", "notes.txt"} {
		img := image.NewGray(image.Rect(0, 0, 2, 2))
		for p := range img.Pix {
			img.Pix[p] = byte(i * 50)
		}
		save(t, filepath.Join(dir, name), func(w io.Writer) error {
			if strings.HasSuffix(name, "jpg") {
				return jpeg.Encode(w, img, nil)
			}
			return png.Encode(w, img)
		})
	}
	r, err := OpenStills(t.Context(), dir, StillsOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if i := r.Info(); i.Frames() != 3 || i.Rate != (Rational{25, 1}) || i.Duration.Milliseconds() != 120 {
		t.Errorf("info %+v", i)
	}
	for _, want := range []byte{50, 100, 0} { // a10.PNG, a2.jpg, b.png
		f, err := r.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if v, _, _ := f.At(0, 0); v != want {
			t.Errorf("got grey %d, want %d", v, want)
		}
	}
}

func TestOpenStillsRefuses(t *testing.T) {
	root := t.TempDir()
	mk := func(name string, files map[string]*Frame) string {
		dir := filepath.Join(root, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for n, f := range files {
			if err := WritePNG(filepath.Join(dir, n), f); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	mixed := mk("mixed", map[string]*Frame{"0.png": paint(4, 4, 0), "1.png": paint(4, 5, 0)})
	text := mk("text", nil)
	if err := os.WriteFile(filepath.Join(text, "x.png"), []byte("hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ dir, want string }{
		{mixed, "1.png"}, {text, "x.png"}, {mk("empty", nil), "empty"}, {filepath.Join(root, "nowhere"), "nowhere"},
	} {
		_, err := OpenStills(t.Context(), tt.dir, StillsOptions{})
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v does not name %q", tt.dir, err, tt.want)
		}
	}
	if _, err := OpenStills(t.Context(), filepath.Join(root, "empty"), StillsOptions{}); !errors.Is(err, ErrNoFrames) {
		t.Errorf("empty folder: %v", err)
	}
}

func TestStillsDamaged(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	writeStills(t, dir, 3, StillsWriterOptions{})
	p := filepath.Join(dir, "000002.png")
	b, err := os.ReadFile(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, b[:len(b)-30], 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := OpenStills(t.Context(), dir, StillsOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := r.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	_, err = r.Next(t.Context())
	if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "kept 2 of 3 frames") || !strings.Contains(err.Error(), "000002.png") {
		t.Errorf("got %v", err)
	}
}

func TestCreateStillsOverwrite(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "out")
	writeStills(t, dir, 5, StillsWriterOptions{})
	if _, err := CreateStills(dir, StillsWriterOptions{}); err == nil {
		t.Error("replaced a full folder unasked")
	}
	writeStills(t, dir, 2, StillsWriterOptions{Overwrite: true})
	onlyEntries(t, dir, "000000.png", "000001.png")
	if err := os.WriteFile(filepath.Join(dir, "diary.txt"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := CreateStills(dir, StillsWriterOptions{Overwrite: true}); err == nil || !strings.Contains(err.Error(), "diary.txt") {
		t.Errorf("would delete a stranger's file: %v", err)
	}
	empty := filepath.Join(root, "ready")
	if err := os.Mkdir(empty, 0o755); err != nil {
		t.Fatal(err)
	}
	writeStills(t, empty, 1, StillsWriterOptions{})
	onlyEntries(t, root, "out", "ready")
}

func TestCreateStillsLeavesNothing(t *testing.T) {
	root := t.TempDir()
	w, err := CreateStills(filepath.Join(root, "out"), StillsWriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(t.Context()); !errors.Is(err, ErrNoFrames) {
		t.Errorf("commit of nothing: %v", err)
	}
	if err := w.Write(t.Context(), paint(4, 4, 0)); err != nil {
		t.Fatal(err)
	}
	if err := w.Write(t.Context(), paint(4, 5, 0)); err == nil {
		t.Error("took a frame of another size")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Write(ctx, paint(4, 4, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("write after cancel: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	onlyEntries(t, root)
}

// TestStillsOfAKind: a picture that is whole and yet none of what is looked for is
// no damage; one that is cut off is.
func TestStillsOfAKind(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"0.png", "1.png"} {
		if err := WritePNG(filepath.Join(dir, name), paint(8, 8, 0)); err != nil {
			t.Fatal(err)
		}
	}
	errKind := errors.New("no label")
	read := func(path string) (*Frame, error) {
		if filepath.Base(path) == "1.png" {
			return nil, errKind
		}
		return paint(8, 8, 3), nil
	}
	second := func() error {
		r, err := OpenStills(t.Context(), dir, StillsOptions{Read: read})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		f, err := r.Next(t.Context())
		if err != nil || !bytes.Equal(f.Pix, paint(8, 8, 3).Pix) {
			t.Fatalf("the first picture is not what Read made of it: %v", err)
		}
		_, err = r.Next(t.Context())
		return err
	}
	if err := second(); !errors.Is(err, errKind) || errors.Is(err, ErrDamaged) {
		t.Errorf("a whole picture: %v", err)
	}
	whole, err := os.ReadFile(filepath.Join(dir, "1.png"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "1.png"), whole[:len(whole)-30], 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := second(); !errors.Is(err, errKind) || !errors.Is(err, ErrDamaged) {
		t.Errorf("a picture that is cut off: %v", err)
	}
}
