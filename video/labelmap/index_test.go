package labelmap

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/jpeg"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/v2v/v2v/video"
)

// pngOf writes a PNG by hand, so that the samples are what the test says: rows
// are bytes as they stand in the file, without a filter.
func pngOf(w, h int, depth, kind byte, palette []byte, rows ...[]byte) []byte {
	var out bytes.Buffer
	out.WriteString("\x89PNG\r\n\x1a\n")
	chunk := func(name string, data []byte) {
		binary.Write(&out, binary.BigEndian, uint32(len(data)))
		body := append([]byte(name), data...)
		out.Write(body)
		binary.Write(&out, binary.BigEndian, crc32.ChecksumIEEE(body))
	}
	head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(w)), uint32(h))
	chunk("IHDR", append(head, depth, kind, 0, 0, 0))
	if palette != nil {
		chunk("PLTE", palette)
	}
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	for _, row := range rows {
		z.Write(append([]byte{0}, row...))
	}
	z.Close()
	chunk("IDAT", packed.Bytes())
	chunk("IEND", nil)
	return out.Bytes()
}

func TestDecodeIndexKeepsSamples(t *testing.T) {
	colors := []byte{9, 9, 9, 200, 0, 0, 0, 200, 0, 200, 0, 0} // 1 and 3 have one colour
	for _, c := range []struct {
		name string
		png  []byte
		want string
	}{
		{"grey 8", pngOf(2, 2, 8, 0, nil, []byte{0, 26}, []byte{255, 7}), "[0 26 255 7]"},
		{"grey 16", pngOf(2, 1, 16, 0, nil, []byte{0x65, 0x91, 0, 7}), "[26001 7]"},
		{"grey 4", pngOf(4, 1, 4, 0, nil, []byte{0x12, 0xf0}), "[1 2 15 0]"},
		{"grey 2", pngOf(4, 1, 2, 0, nil, []byte{0b00_01_10_11}), "[0 1 2 3]"},
		{"grey 1", pngOf(4, 1, 1, 0, nil, []byte{0b0110_0000}), "[0 1 1 0]"},
		{"palette 8", pngOf(4, 1, 8, 3, colors, []byte{3, 1, 0, 2}), "[3 1 0 2]"},
		{"palette 2", pngOf(4, 1, 2, 3, colors, []byte{0b11_01_00_10}), "[3 1 0 2]"},
		{"RGB with one id", pngOf(2, 1, 8, 2, nil, []byte{5, 5, 5, 9, 9, 9}), "[5 9]"},
		{"grey with alpha", pngOf(2, 1, 8, 4, nil, []byte{5, 0, 9, 255}), "[5 9]"},
		{"grey 16 with alpha", pngOf(1, 1, 16, 4, nil, []byte{0x65, 0x91, 0, 1}), "[26001]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := DecodeIndex(bytes.NewReader(c.png))
			if err != nil || fmt.Sprint(m.ID) != c.want {
				t.Errorf("%v, %v; want %s", m, err, c.want)
			}
		})
	}
	for _, c := range []struct {
		name string
		png  []byte
		want string
	}{
		{"colours", pngOf(2, 1, 8, 2, nil, []byte{5, 5, 5, 9, 9, 8}), "pixel (1,0) has a colour"},
		{"colours of 16 bits", pngOf(1, 1, 16, 2, nil, []byte{0, 5, 0, 5, 1, 5}), "pixel (0,0) has a colour"},
		{"no picture", []byte("dear diary, this is no picture at all"), "no PNG"},
		{"short", []byte("\x89PNG\r\n\x1a\n"), "no PNG"},
		{"broken", pngOf(2, 2, 8, 0, nil, []byte{0, 26}), "not an index picture"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := DecodeIndex(bytes.NewReader(c.png)); !errors.Is(err, ErrIndex) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestReadIndexNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "000001.png")
	if _, err := ReadIndex(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadIndex(path); !errors.Is(err, ErrIndex) || !strings.Contains(err.Error(), path) {
		t.Errorf("%v does not name the file", err)
	}
	// What Fill makes of ids comes back through a picture on disk.
	m := &Index{W: 3, H: 1, ID: []uint16{0, 35, 255}}
	f := video.NewFrame(3, 1)
	if err := errors.Join(m.Fill(f), video.WritePNG(path, f)); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadIndex(path); err != nil || !slices.Equal(got.ID, m.ID) {
		t.Errorf("read back %v, %v", got, err)
	}
}

func TestCheck(t *testing.T) {
	m := &Index{W: 4, H: 3, ID: []uint16{0, 34, 35, 255, 255, 255, 26001, 1, 2, 3, 4, 5}}
	for _, c := range []struct {
		labels int
		want   string
	}{
		{30000, ""}, {26002, ""}, {26001, "label ids out of range: 26001 (1 pixels), where 0 to 26000 are labels"},
		{35, "label ids out of range: 255 (3 pixels), 35 (1 pixels), 26001 (1 pixels), where 0 to 34 are labels"},
		{0, "and 2 more"},
	} {
		got := ""
		if err := m.Check(c.labels); err != nil {
			got = err.Error()
			if !errors.Is(err, ErrRange) {
				t.Errorf("%v does not wrap ErrRange", err)
			}
		}
		if got != c.want && (c.labels > 0 || !strings.Contains(got, c.want)) {
			t.Errorf("%d labels: %q, want %q", c.labels, got, c.want)
		}
	}
	f := video.NewFrame(2, 1)
	copy(f.Pix, []byte{34, 255, 255, 35, 0, 0})
	if err := CheckFrame(f, 36); err != nil {
		t.Errorf("the instance bytes of a packed picture count: %v", err)
	}
	if err := CheckFrame(f, 35); !errors.Is(err, ErrRange) || !strings.Contains(err.Error(), "35 (1 pixels)") {
		t.Errorf("a frame: %v", err)
	}
	if err := m.Fill(video.NewFrame(4, 3)); !errors.Is(err, ErrRange) {
		t.Errorf("id 26001 became a byte: %v", err)
	}
	if m.Fill(video.NewFrame(3, 4)) == nil || Edges(video.NewFrame(3, 4), m) == nil || Pack(video.NewFrame(3, 4), m) == nil {
		t.Error("a frame of another size was taken")
	}
}

func TestEdgesMarkBothSides(t *testing.T) {
	m := &Index{W: 5, H: 4, ID: []uint16{
		1, 1, 1, 2, 2,
		1, 1, 1, 2, 2,
		1, 1, 1, 1, 1,
		7, 1, 1, 1, 1,
	}}
	want := "..##.\n..###\n#..##\n##...\n"
	f := video.NewFrame(5, 4)
	if err := Edges(f, m); err != nil {
		t.Fatal(err)
	}
	got := ""
	for y := range 4 {
		for x := range 5 {
			r, g, b := f.At(x, y)
			got += map[[3]byte]string{{}: ".", {255, 255, 255}: "#"}[[3]byte{r, g, b}]
		}
		got += "\n"
	}
	if got != want {
		t.Errorf("edges are\n%swant\n%s", got, want)
	}
}

func TestResizeTakesWhatIsUnderTheCentre(t *testing.T) {
	m := &Index{W: 4, H: 4, ID: []uint16{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}}
	for _, c := range []struct {
		w, h int
		want string
	}{
		{4, 4, fmt.Sprint(m.ID)},
		{2, 2, "[5 7 13 15]"}, // centres fall on corners: the pixel right below, as Pillow's nearest
		{1, 1, "[10]"},
		{3, 1, "[8 10 11]"},
		{8, 1, "[8 8 9 9 10 10 11 11]"},
	} {
		got := m.Resize(c.w, c.h)
		if fmt.Sprint(got.ID) != c.want {
			t.Errorf("to %dx%d: %v, want %s", c.w, c.h, got.ID, c.want)
		}
		src, dst := video.NewFrame(4, 4), video.NewFrame(c.w, c.h)
		src.PTS = 3
		if err := m.Fill(src); err != nil {
			t.Fatal(err)
		}
		ResizeFrame(dst, src)
		for i, id := range got.ID {
			if dst.Pix[3*i] != byte(id) || dst.Pix[3*i+2] != byte(id) || dst.PTS != 3 {
				t.Errorf("to %dx%d: a frame's pixel %d is %d, want %d", c.w, c.h, i, dst.Pix[3*i], id)
			}
		}
	}
}

func TestPack(t *testing.T) {
	f := video.NewFrame(2, 1)
	if err := (&Index{W: 2, H: 1, ID: []uint16{26, 26}}).Fill(f); err != nil {
		t.Fatal(err)
	}
	if err := Pack(f, &Index{W: 2, H: 1, ID: []uint16{26001, 26002}}); err != nil {
		t.Fatal(err)
	}
	if want := []byte{26, 0x65, 0x91, 26, 0x65, 0x92}; !bytes.Equal(f.Pix, want) {
		t.Errorf("packed %v, want %v", f.Pix, want)
	}
}

// TestReadLabels: ids are samples, whatever colours a palette has; a picture in
// colour, as Pack makes, stays as it is; what cannot hold ids is refused.
func TestReadLabels(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name string
		png  []byte
		want []byte // the first pixels
		err  string
	}{
		{"palette.png", pngOf(2, 1, 8, 3, []byte{200, 10, 10, 9, 250, 9, 1, 2, 3}, []byte{2, 1}), []byte{2, 2, 2, 1, 1, 1}, ""},
		{"four bits.png", pngOf(2, 1, 4, 0, nil, []byte{0x3a}), []byte{3, 3, 3, 10, 10, 10}, ""},
		{"sixteen bits.png", pngOf(2, 1, 16, 0, nil, []byte{0, 7, 0, 200}), []byte{7, 7, 7, 200, 200, 200}, ""},
		{"packed.png", pngOf(2, 1, 8, 2, nil, []byte{5, 1, 44, 6, 0, 0}), []byte{5, 1, 44, 6, 0, 0}, ""},
		{"large.png", pngOf(1, 1, 16, 0, nil, []byte{1, 44}), nil, "out of range: 300"},
		{"broken.png", []byte("dear diary"), nil, "unknown format"},
	} {
		path := filepath.Join(dir, c.name)
		if err := os.WriteFile(path, c.png, 0o644); err != nil {
			t.Fatal(err)
		}
		f, err := ReadLabels(path)
		switch {
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(err.Error(), path)):
			t.Errorf("%s is refused by %v, want %q", c.name, err, c.err)
		case c.err == "" && (err != nil || !slices.Equal(f.Pix, c.want)):
			t.Errorf("%s: %v, %v, want %v", c.name, f, err, c.want)
		}
	}
	path := filepath.Join(dir, "photo.jpg")
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, 8, 8)), nil); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadLabels(path); !errors.Is(err, ErrIndex) || !strings.Contains(err.Error(), "JPEG changes ids") {
		t.Errorf("a JPEG is refused by %v", err)
	}
}
