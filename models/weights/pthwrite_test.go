package weights

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// copies gives every tensor of a checkpoint to a writer, in their order.
func copies(p *PTH) []Tensor {
	var ts []Tensor
	for _, name := range p.Names() {
		i, _ := p.Info(name)
		ts = append(ts, Tensor{Name: name, DType: i.DType, Shape: i.Shape, Copy: func(w io.Writer) error { return p.CopyTo(w, name, i.DType) }})
	}
	return ts
}

// TestWritePTH: what was written reads back the same here and in PyTorch, with
// views laid out in order and every storage aligned.
func TestWritePTH(t *testing.T) {
	p := openPTH(t, "testdata/pth/zip.pth", PTHOptions{})
	want := open(t, "testdata/pth/expected.safetensors")
	dir := t.TempDir()
	path := filepath.Join(dir, "out.pth")
	if err := WritePTH(path, copies(p)); err != nil {
		t.Fatal(err)
	}
	again := openPTH(t, path, PTHOptions{})
	sameTensors(t, again, want)
	if !slices.Equal(again.Names(), p.Names()) {
		t.Errorf("names %v, want %v", again.Names(), p.Names())
	}
	out := filepath.Join(dir, "out.safetensors")
	python(t, "-B", "-W", "ignore", "testdata/readpth.py", path, out)
	sameTensors(t, again, open(t, out))
}

func TestWritePTHRefuses(t *testing.T) {
	one := []float32{1}
	for want, ts := range map[string][]Tensor{
		`"a": the name is taken`:   {{Name: "a", Data: one}, {Name: "a", Data: one}},
		`"": the name`:             {{Data: one}},
		`"a": shape [2] needs 2`:   {{Name: "a", Shape: []int{2}, Data: one}},
		`"a": device lost`:         {{Name: "a", Load: func([]float32) error { return errors.New("device lost") }}},
		`gave 3 bytes, not 4`:      {{Name: "a", Copy: func(w io.Writer) error { _, err := w.Write(make([]byte, 3)); return err }}},
		`tensor "a": paper is out`: {{Name: "a", Copy: func(io.Writer) error { return errors.New("paper is out") }}},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "a.pth")
		if err := WritePTH(path, ts); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%v, want %q", err, want)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%v left behind, %v", left, err)
		}
	}
}

// TestCopyConverts: CopyTo gives what Float32 gives, in every type, from views
// too, and through both kinds of file.
func TestCopyConverts(t *testing.T) {
	p := openPTH(t, "testdata/pth/legacy.pth", PTHOptions{})
	f := open(t, "testdata/pth/expected.safetensors")
	type file interface {
		Info(string) (Info, bool)
		Float32(string, []float32) error
		CopyTo(io.Writer, string, DType) error
	}
	for _, name := range []string{"base", "every.second", "transposed", "half.T", "brain", "double", "expanded", "scalar", "empty"} {
		for kind, src := range map[string]file{"pth": p, "safetensors": f} {
			want := floats(t, src, name)
			for _, to := range []DType{F32, F16, BF16, F64} {
				var b bytes.Buffer
				if err := src.CopyTo(&b, name, to); err != nil {
					t.Fatal(err)
				}
				raw := make([]byte, len(want)*to.Size())
				fromFloat32(raw, want, to)
				if !bytes.Equal(b.Bytes(), raw) {
					t.Errorf("%s %s as %s differs", kind, name, to)
				}
			}
		}
	}
	for want, err := range map[string]error{
		"I32 does not convert to F32":   p.CopyTo(io.Discard, "i32", F32),
		"F32 does not convert to I32":   f.CopyTo(io.Discard, "base", I32),
		`tensor "x": no such tensor`:    f.CopyTo(io.Discard, "x", F32),
		`tensor "none": no such tensor`: p.CopyTo(io.Discard, "none", F32),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestLongViewsComeInPieces: rows longer than every buffer, spaced and not.
func TestLongViewsComeInPieces(t *testing.T) {
	const n = window/4 + chunk + 5
	raw := make([]byte, 4*2*n)
	for i := range 2 * n {
		le.PutUint32(raw[4*i:], uint32(i))
	}
	s := &storage{dtype: I32, numel: 2 * n}
	for name, x := range map[string]*pthTensor{
		"rows":   {s, 1, []int{n}, []int{1}},
		"spaced": {s, 1, []int{n}, []int{2}},
		"column": {s, 0, []int{2, n}, []int{1, 2}},
	} {
		i := 0
		err := x.eachRow(raw, func(row []byte) error {
			for ; len(row) > 0; row = row[4:] {
				at := x.offset + i%n*x.stride[len(x.stride)-1] + i/n
				if got := int(le.Uint32(row)); got != at {
					t.Fatalf("%s: element %d is %d, want %d", name, i, got, at)
				}
				i++
			}
			return nil
		})
		if err != nil || i != x.elements() {
			t.Errorf("%s: %d elements, %v, want %d", name, i, err, x.elements())
		}
	}
}
