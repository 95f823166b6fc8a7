package weights

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// python runs one of testdata's scripts with Debian's Python, which has numpy
// and torch, and returns what it prints.
func python(t *testing.T, args ...string) []byte {
	t.Helper()
	const interpreter = "/usr/bin/python3"
	if out, err := exec.Command(interpreter, "-c", "import numpy, torch").CombinedOutput(); err != nil {
		t.Skipf("%s with python3-numpy and python3-torch is missing: %s", interpreter, out)
	}
	cmd := exec.Command(interpreter, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, stderr.String())
	}
	return out
}

func open(t *testing.T, path string) *File {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func floats(t *testing.T, f interface {
	Info(string) (Info, bool)
	Float32(string, []float32) error
}, name string) []float32 {
	t.Helper()
	i, ok := f.Info(name)
	if !ok {
		t.Fatalf("no tensor %q", name)
	}
	dst := make([]float32, i.Elements())
	if err := f.Float32(name, dst); err != nil {
		t.Fatal(err)
	}
	return dst
}

var goldenWeight = []float32{1.5, -2.25, 0.1, 3e-39, float32(math.Copysign(0, -1)), 65504}

func TestReadsWhatPythonWrote(t *testing.T) {
	f := open(t, "testdata/golden.safetensors")
	shapes := map[string]string{}
	for _, n := range f.Names() {
		i, _ := f.Info(n)
		shapes[n] = fmt.Sprint(i.DType, i.Shape)
	}
	want := map[string]string{
		"model.0.weight": "F32 [2 3]", "half": "F16 [2 3]", "brain": "BF16 [2 3]", "double": "F64 [2 3]", "count": "I64 []",
		`state é"`: "U8 [5]", "i32": "I32 [2]", "i16": "I16 [1 1]", "i8": "I8 [1]", "mask": "BOOL [2]", "none": "F32 [0 3]",
	}
	if d := cmp.Diff(want, shapes); d != "" {
		t.Error(d)
	}
	for name, want := range map[string][]float32{
		"model.0.weight": goldenWeight,
		"double":         goldenWeight,
		"half":           {1.5, -2.25, 0.0999755859375, 0, goldenWeight[4], 65504},
		"brain":          {1.5, -2.25, 0.10009765625, 33 * 0x1p-133, goldenWeight[4], 65536},
		"none":           {},
	} {
		if got := floats(t, f, name); !sameBits(got, want) {
			t.Errorf("%s = %v, want %v", name, got, want)
		}
	}
	for name, want := range map[string][]byte{
		"count": {0xf9, 255, 255, 255, 255, 255, 255, 255}, `state é"`: {0, 1, 2, 3, 4}, "i32": {1, 0, 0, 0, 254, 255, 255, 255}, "mask": {1, 0},
	} {
		if got, err := f.Bytes(name); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s = %v, %v, want %v", name, got, err, want)
		}
	}
	if got := f.Metadata()["format"]; got != "pt" {
		t.Errorf("metadata format = %q", got)
	}
}

func sameBits(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
}

func TestConversionsEqualNumpyAndTorch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "floats.safetensors")
	python(t, "testdata/safetensors.py", "floats", path)
	f := open(t, path)
	half, want := floats(t, f, "halves"), floats(t, f, "halves.f32")
	for i, got := range half {
		if i&0x7c00 == 0x7c00 && i&0x3ff != 0 {
			if !math.IsNaN(float64(got)) {
				t.Fatalf("half %#x = %v, want NaN", i, got)
			}
		} else if !sameBits(half[i:i+1], want[i:i+1]) {
			t.Fatalf("half %#x = %v, want %v", i, got, want[i])
		}
	}
	all := floats(t, f, "f")
	for name, round := range map[string]func(float32) uint16{"f.f16": toF16, "f.bf16": toBF16} {
		want, err := f.Bytes(name)
		if err != nil {
			t.Fatal(err)
		}
		for i, x := range all {
			if got := round(x); got != le.Uint16(want[2*i:]) {
				t.Fatalf("%s of %g (%#x) = %#x, want %#x", name, x, math.Float32bits(x), got, le.Uint16(want[2*i:]))
			}
		}
	}
	if got := toF16(float32(math.NaN())); got&0x7fff <= 0x7c00 {
		t.Errorf("NaN as F16 = %#x", got)
	}
	if got := toBF16(math.Float32frombits(0x7f800001)); got&0x7fff <= 0x7f80 {
		t.Errorf("NaN as BF16 = %#x", got)
	}
}

func TestPythonReadsWhatWeWrote(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.safetensors")
	meta := map[string]string{"format": "pt"}
	if err := SetConfig(meta, map[string]any{"ngf": 8}); err != nil {
		t.Fatal(err)
	}
	data := []float32{1, 2.5, -3, 0.1, 5, 6, 7, 8, 9, 10}
	load := func(dst []float32) error { copy(dst, data); return nil }
	err := Write(path, []Tensor{
		{Name: "z", Shape: []int{5, 2}, Data: data},
		{Name: "half <&> é", DType: F16, Shape: []int{10}, Load: load},
		{Name: "brain", DType: BF16, Shape: []int{10}, Load: load},
		{Name: "double", DType: F64, Shape: []int{10}, Data: data},
		{Name: "n", DType: I64, Raw: []byte{42, 0, 0, 0, 0, 0, 0, 0}},
		{Name: "rng", DType: U8, Shape: []int{3}, Raw: []byte{1, 2, 3}},
		{Name: "none", Shape: []int{0}},
	}, meta)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Metadata map[string]string
		Tensors  map[string][3]any
	}
	if err := json.Unmarshal(python(t, "testdata/safetensors.py", "show", path), &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]string{"format": "pt", "v2v": `{"ngf":8}`}, got.Metadata); d != "" {
		t.Error(d)
	}
	want := map[string]string{
		"z":          "[F32 [5 2] [1 2.5 -3 0.10000000149011612 5 6 7 8 9 10]]",
		"half <&> é": "[F16 [10] [1 2.5 -3 0.0999755859375 5 6 7 8 9 10]]",
		"brain":      "[BF16 [10] [1 2.5 -3 0.10009765625 5 6 7 8 9 10]]",
		"double":     "[F64 [10] [1 2.5 -3 0.10000000149011612 5 6 7 8 9 10]]",
		"n":          "[I64 [] [42]]", "rng": "[U8 [3] [1 2 3]]", "none": "[F32 [0] []]",
	}
	text := map[string]string{}
	for k, v := range got.Tensors {
		text[k] = fmt.Sprint(v)
	}
	if d := cmp.Diff(want, text); d != "" {
		t.Error(d)
	}
}

func TestConfig(t *testing.T) {
	type config struct {
		Arch string `json:"arch"`
		NGF  int    `json:"ngf"`
	}
	f := open(t, "testdata/golden.safetensors")
	var c config
	if err := f.Config(&c); err != nil || c != (config{"composite", 8}) {
		t.Errorf("config = %+v, %v", c, err)
	}
	var narrow struct {
		Arch string `json:"arch"`
	}
	if err := f.Config(&narrow); err == nil || !strings.Contains(err.Error(), `unknown field "ngf"`) {
		t.Errorf("an unknown key gives %v", err)
	}
	for name, c := range map[string]struct {
		meta map[string]string
		want string
	}{
		"none":     {nil, ErrNoConfig.Error()},
		"trailing": {map[string]string{configKey: `{"ngf":1} {}`}, "data after the JSON value"},
		"broken":   {map[string]string{configKey: `{"ngf":`}, "unexpected EOF"},
	} {
		path := filepath.Join(t.TempDir(), name)
		if err := Write(path, nil, c.meta); err != nil {
			t.Fatal(err)
		}
		err := open(t, path).Config(&config{})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
		if (c.meta == nil) != errors.Is(err, ErrNoConfig) {
			t.Errorf("%s: errors.Is ErrNoConfig is wrong for %v", name, err)
		}
	}
}

func TestReadErrors(t *testing.T) {
	f := open(t, "testdata/golden.safetensors")
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"missing": {f.Float32("nothing", nil), `tensor "nothing": no such tensor`},
		"length":  {f.Float32("half", make([]float32, 5)), `tensor "half" has 6 elements [2 3], not 5`},
		"integer": {f.Float32("count", make([]float32, 1)), `tensor "count" holds I64, not floating point`},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%s: %v", name, c.err)
		}
	}
	g, err := Open("testdata/golden.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(g.Close(), g.Close()); err != nil {
		t.Error(err)
	}
	if err := g.Float32("half", make([]float32, 6)); err == nil || !strings.Contains(err.Error(), "the file is closed") {
		t.Errorf("after Close: %v", err)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	golden, err := os.ReadFile("testdata/golden.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ content, want string }{
		"empty":     {"", "the file is empty"},
		"short":     {"\x01\x02", "truncated: 2 bytes are too few"},
		"truncated": {string(golden[:len(golden)-3]), fmt.Sprintf("truncated: header announces %d bytes, file has %d", len(golden), len(golden)-3)},
		"header":    {string(golden[:100]), "truncated: the header alone needs"},
		"longer":    {string(golden) + "x", "damaged: header announces"},
		"lfs":       {"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 5\n", "a Git LFS pointer"},
		"html":      {"\n<!DOCTYPE html><html>", "an HTML page"},
		"xml":       {"<?xml version=\"1.0\"?><Error>NoSuchKey</Error>", "an XML document"},
		"text":      {"Grüße, dies ist Text.\n", "a text file"},
		"legacy":    {legacyMagic + "\x80\x02M\xe9\x03.", "a PyTorch checkpoint: run `v2v import`"},
		"torch":     {zipHead("archive/data.pkl"), "a PyTorch checkpoint: run `v2v import`"},
		"zip":       {zipHead("README"), "a zip archive"},
		"pickle":    {"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00.", "a Python pickle"},
		"noise":     {"\xf3\x01\x02\x03\x04\x05\x06\x07\x08\x09", "not a safetensors file"},
		"notjson":   {"\x02\x00\x00\x00\x00\x00\x00\x00[]", "the header is not JSON"},
	} {
		path := filepath.Join(dir, name+".safetensors")
		if err := os.WriteFile(path, []byte(c.content), 0o644); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path)
		if err == nil {
			f.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := Open(filepath.Join(dir, "absent")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file gives %v", err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "a folder") {
		t.Errorf("a folder gives %v", err)
	}
}

func zipHead(name string) string {
	return "PK\x03\x04" + strings.Repeat("\x00", 22) + string([]byte{byte(len(name)), 0}) + "\x00\x00" + name + "\x80\x02"
}
