package flow

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"strings"
	"testing"
)

func encoded(t testing.TB, f *Field) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteFlo(&b, f); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestFloRoundTrip(t *testing.T) {
	f := swirl(13, 7)
	f.U[3], f.V[4] = float32(math.NaN()), 1e10
	data := append(encoded(t, f), "rest"...)
	r := bytes.NewReader(data)
	got, err := ReadFlo(r)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(encoded(t, got), encoded(t, f)) {
		t.Error("the field changed on its way")
	}
	if r.Len() != len("rest") {
		t.Errorf("%d bytes are left, want the 4 that follow the field", r.Len())
	}
}

// TestFloEqualsOpenCV reads what OpenCV's codec wrote (testdata/opencv_flo.py)
// and writes the same bytes.
func TestFloEqualsOpenCV(t *testing.T) {
	theirs, err := os.ReadFile("testdata/opencv.flo")
	if err != nil {
		t.Fatal(err)
	}
	f, err := ReadFlo(bytes.NewReader(theirs))
	if err != nil {
		t.Fatal(err)
	}
	if f.W != 5 || f.H != 3 {
		t.Fatalf("size %dx%d, want 5x3", f.W, f.H)
	}
	for i := range f.U {
		x, y := float32(i%5), float32(i/5)
		if f.U[i] != x+y/4 || f.V[i] != x*y-2.5 {
			t.Errorf("pixel %d is %v,%v, want %v,%v", i, f.U[i], f.V[i], x+y/4, x*y-2.5)
		}
	}
	if !bytes.Equal(encoded(t, f), theirs) {
		t.Error("our bytes differ from OpenCV's")
	}
}

func TestReadFloRefuses(t *testing.T) {
	whole := encoded(t, swirl(3, 2))
	size := func(w, h int32) []byte {
		b := append([]byte(nil), whole...)
		binary.LittleEndian.PutUint32(b[4:], uint32(w))
		binary.LittleEndian.PutUint32(b[8:], uint32(h))
		return b
	}
	for _, c := range []struct {
		name string
		data []byte
		want string
		cut  bool
	}{
		{"empty", nil, "header", true},
		{"short header", whole[:7], "header", true},
		{"cut in a row", whole[:len(whole)-1], "row 1 of 2", true},
		{"cut between rows", whole[:floHeader+24], "row 1 of 2", true},
		{"no tag", append([]byte("RIFF"), whole[4:]...), "not a .flo file", false},
		{"zero width", size(0, 2), "out of range", false},
		{"negative height", size(3, -2), "out of range", false},
		{"too wide", size(100000, 1), "out of range", false},
		{"too large", size(99999, 99999), "out of range", false},
		{"lying size", size(10000, 10000), "row 0 of 10000", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ReadFlo(bytes.NewReader(c.data))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want one with %q", err, c.want)
			}
			if errors.Is(err, io.ErrUnexpectedEOF) != c.cut {
				t.Errorf("error %v: unexpected end of file is %v", err, !c.cut)
			}
		})
	}
}

func TestWriteFloRefuses(t *testing.T) {
	if err := WriteFlo(io.Discard, &Field{}); err == nil {
		t.Error("an empty field was written")
	}
	if err := WriteFlo(io.Discard, &Field{W: 2, H: 2, U: make([]float32, 4)}); err == nil {
		t.Error("a field without V was written")
	}
	broken := errors.New("disk full")
	if err := WriteFlo(failing{broken}, swirl(2, 2)); !errors.Is(err, broken) {
		t.Errorf("error %v, want the writer's", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// FuzzFlo: whatever decodes encodes again to the bytes it came from.
func FuzzFlo(f *testing.F) {
	f.Add(encoded(f, swirl(3, 2)))
	f.Add(encoded(f, NewField(1, 1)))
	f.Add([]byte("PIEH\x02\x00\x00\x00\x02\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		field, err := ReadFlo(bytes.NewReader(data))
		if err != nil {
			return
		}
		if again := encoded(t, field); !bytes.Equal(again, data[:len(again)]) {
			t.Fatalf("%d bytes came back different", len(again))
		}
	})
}

func BenchmarkReadFlo(b *testing.B) {
	data := encoded(b, swirl(768, 576))
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := ReadFlo(bytes.NewReader(data)); err != nil {
			b.Fatal(err)
		}
	}
}
