package weights

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestWriteIsDeterministicAndAligned(t *testing.T) {
	dir := t.TempDir()
	a := Tensor{Name: "a", Shape: []int{3}, Data: []float32{1, 2, 3}}
	h := Tensor{Name: "Z", DType: F16, Shape: []int{3}, Data: []float32{1, 2, 3}}
	n := Tensor{Name: "n", DType: I64, Shape: []int{1}, Raw: make([]byte, 8)}
	b := Tensor{Name: "b", DType: U8, Shape: []int{1}, Raw: []byte{1}}
	var first []byte
	for i, ts := range [][]Tensor{{a, h, n, b}, {b, n, h, a}, {h, b, a, n}} {
		path := filepath.Join(dir, "m.safetensors")
		if err := Write(path, ts, map[string]string{"x": "1", "a": "2"}); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 && !slices.Equal(got, first) {
			t.Errorf("order %d gives other bytes", i)
		}
		first = got
		if names := open(t, path).Names(); !slices.Equal(names, []string{"n", "a", "Z", "b"}) {
			t.Errorf("names %v: wide elements come first, then the alphabet", names)
		}
	}
	if n := le.Uint64(first); (8+n)%8 != 0 {
		t.Errorf("data begins at %d, not at a multiple of 8", 8+n)
	}
}

func TestWriteRefuses(t *testing.T) {
	one := []float32{1}
	for name, c := range map[string]struct {
		tensors []Tensor
		meta    map[string]string
		want    string
	}{
		"twice":       {[]Tensor{{Name: "a", Data: one}, {Name: "a", Data: one}}, nil, `"a" is taken`},
		"reserved":    {[]Tensor{{Name: metadataKey, Data: one}}, nil, "is taken or impossible"},
		"no name":     {[]Tensor{{Data: one}}, nil, "is taken or impossible"},
		"not utf-8":   {[]Tensor{{Name: "\xff", Data: one}}, nil, "impossible"},
		"meta utf-8":  {nil, map[string]string{"a": "\xff"}, "is not UTF-8"},
		"no data":     {[]Tensor{{Name: "a", Shape: []int{2}}}, nil, "0 of Data, Load, Copy and Raw"},
		"two sources": {[]Tensor{{Name: "a", Data: one, Raw: make([]byte, 4)}}, nil, "2 of Data, Load, Copy and Raw"},
		"length":      {[]Tensor{{Name: "a", Shape: []int{2}, Data: one}}, nil, "needs 2 numbers, not 1"},
		"raw length":  {[]Tensor{{Name: "a", DType: I64, Raw: make([]byte, 7)}}, nil, "needs 8 bytes, not 7"},
		"integer":     {[]Tensor{{Name: "a", DType: I64, Data: one}}, nil, "give it as Raw"},
		"type":        {[]Tensor{{Name: "a", DType: 99, Data: one}}, nil, "DType(99) is no element type"},
		"negative":    {[]Tensor{{Name: "a", Shape: []int{-1}, Data: one}}, nil, "negative"},
		"f16":         {[]Tensor{{Name: "a", DType: F16, Data: []float32{65520}}}, nil, `tensor "a": 65520 does not fit F16`},
		"load": {[]Tensor{{Name: "a", Load: func([]float32) error { return errors.New("device lost") }}}, nil,
			`tensor "a": device lost`},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "m.safetensors")
		if err := os.WriteFile(path, []byte("old"), 0o640); err != nil {
			t.Fatal(err)
		}
		err := Write(path, c.tensors, c.meta)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		left, err := os.ReadDir(dir)
		if err != nil || len(left) != 1 {
			t.Errorf("%s: %v left behind, %v", name, left, err)
		}
		if old, err := os.ReadFile(path); err != nil || string(old) != "old" {
			t.Errorf("%s: the old file is %q, %v", name, old, err)
		}
	}
}

func TestWriteIntoNowhere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "no", "m.safetensors")
	err := Write(path, nil, nil)
	if !errors.Is(err, os.ErrNotExist) || err.Error() != "writing "+path+": no such file or directory" {
		t.Errorf("error is %v", err)
	}
	folder := t.TempDir()
	if err := Write(folder, nil, nil); err == nil || err.Error() != "writing "+folder+": file exists" {
		t.Errorf("a folder in the way gives %v", err)
	}
	full := "/dev/full/m.safetensors"
	if err := Write(full, nil, nil); err == nil || strings.Count(err.Error(), full) != 1 {
		t.Errorf("error is %v", err)
	}
}

func TestWriteKeepsPermissions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.safetensors")
	if err := os.WriteFile(path, nil, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, nil, nil); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
}

// TestLongTensorsCrossEveryBuffer covers the write buffer, the unrolled loops'
// ends and the windows of a mapped read.
func TestLongTensorsCrossEveryBuffer(t *testing.T) {
	n := window/4 + 1<<20/4 + 13
	data := make([]float32, n)
	for i := range data {
		data[i] = float32(i % 1021)
	}
	path := filepath.Join(t.TempDir(), "m.safetensors")
	err := Write(path, []Tensor{{Name: "a", Shape: []int{n}, Data: data}, {Name: "h", DType: F16, Shape: []int{n}, Data: data},
		{Name: "s", Shape: []int{3}, Data: data[:3]}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	f := open(t, path)
	for name, want := range map[string][]float32{"a": data, "h": data, "s": data[:3]} {
		if got := floats(t, f, name); !slices.Equal(got, want) {
			t.Errorf("%s differs", name)
		}
	}
}
