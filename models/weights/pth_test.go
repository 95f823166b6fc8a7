package weights

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func openPTH(t *testing.T, path string, o PTHOptions) *PTH {
	t.Helper()
	p, err := OpenPTH(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// sameTensors compares a checkpoint with the safetensors file that holds the
// same tensors: names, types, shapes, bytes and conversions.
func sameTensors(t *testing.T, p *PTH, want *File) {
	t.Helper()
	if len(p.Names()) != len(want.Names()) {
		t.Errorf("%d tensors, want %d", len(p.Names()), len(want.Names()))
	}
	for _, name := range want.Names() {
		w, _ := want.Info(name)
		g, ok := p.Info(name)
		if !ok || fmt.Sprint(g) != fmt.Sprint(w) {
			t.Errorf("%s is %v %v, want %v", name, g, ok, w)
			continue
		}
		wb, err := want.Bytes(name)
		gb, err2 := p.Bytes(name)
		if err != nil || err2 != nil || !bytes.Equal(wb, gb) {
			t.Errorf("%s: bytes %x %v %v, want %x", name, gb, err, err2, wb)
		}
		if w.DType.Float() && !sameBits(floats(t, p, name), floats(t, want, name)) {
			t.Errorf("%s: numbers differ", name)
		}
	}
}

func TestCheckpointsOfPyTorch(t *testing.T) {
	want := open(t, "testdata/pth/expected.safetensors")
	for _, name := range []string{"zip", "zip4", "legacy"} {
		p := openPTH(t, "testdata/pth/"+name+".pth", PTHOptions{})
		sameTensors(t, p, want)
		if n := p.Names(); n[0] != "base" || n[len(n)-1] != "empty" {
			t.Errorf("%s: not in the checkpoint's order: %v", name, n)
		}
	}
}

// TestCheckpointsMadeNow runs the same comparison on files of the PyTorch that
// is installed, which may be newer than the goldens'.
func TestCheckpointsMadeNow(t *testing.T) {
	dir := t.TempDir()
	python(t, "-B", "-W", "ignore", "testdata/pth.py", dir)
	want := open(t, filepath.Join(dir, "expected.safetensors"))
	for _, name := range []string{"zip", "zip4", "legacy"} {
		sameTensors(t, openPTH(t, filepath.Join(dir, name+".pth"), PTHOptions{}), want)
	}
}

func TestCheckpointNames(t *testing.T) {
	conv := []string{"0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked"}
	prefixed := func(prefix string) []string {
		var names []string
		for _, n := range conv {
			names = append(names, prefix+n)
		}
		return names
	}
	for _, c := range []struct {
		file    string
		options PTHOptions
		want    []string
	}{
		{"module", PTHOptions{}, conv},
		{"module", PTHOptions{KeepModule: true}, prefixed("module.module.")},
		{"wrapped", PTHOptions{}, conv},
		{"wrapped", PTHOptions{Key: "state_dict"}, conv},
		{"two", PTHOptions{}, []string{"params.w", "params_ema.w"}},
		{"two", PTHOptions{Key: "params_ema"}, []string{"w"}},
		{"python2", PTHOptions{}, []string{"a", "b"}},
	} {
		if got := openPTH(t, "testdata/pth/"+c.file+".pth", c.options).Names(); !slices.Equal(got, c.want) {
			t.Errorf("%s %+v: %v, want %v", c.file, c.options, got, c.want)
		}
	}
	p := openPTH(t, "testdata/pth/python2.pth", PTHOptions{})
	for name, want := range map[string][]float32{"a": {1, 2, 3, 4}, "b": {3, 4, 5, 6}} {
		if got := floats(t, p, name); !slices.Equal(got, want) {
			t.Errorf("%s = %v, want %v", name, got, want)
		}
	}
	if got := floats(t, openPTH(t, "testdata/pth/two.pth", PTHOptions{Key: "params_ema"}), "w"); !slices.Equal(got, []float32{1, 1}) {
		t.Errorf("params_ema is %v", got)
	}
}

func TestTrimModule(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"module.a module.b", "a b"}, {"module.a b", "module.a b"}, {"module.module.a", "a"}, {"module.", "module."},
	} {
		if got := strings.Join(TrimModule(strings.Fields(c.in)), " "); got != c.want {
			t.Errorf("%q becomes %q, want %q", c.in, got, c.want)
		}
	}
}

func TestOpenPTHSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join("testdata/pth", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	legacy, zipped := read("legacy.pth"), read("zip.pth")
	for name, c := range map[string]struct{ content, want string }{
		"script":           {read("script.pth"), "a TorchScript archive"},
		"optimizer":        {read("optimizer.pth"), "an optimizer state"},
		"whole":            {read("whole.pth"), `a whole pickled module "torch.nn.modules.activation.ReLU", not a state dict`},
		"whole legacy":     {read("whole_legacy.pth"), "a whole pickled module"},
		"list":             {read("list.pth"), "no dictionary of tensors"},
		"none":             {read("none.pth"), "no tensors"},
		"bomb":             {read("bomb.pth"), "more than 16 times the file"},
		"complex":          {read("complex.pth"), "torch.ComplexFloatStorage"},
		"safetensors":      {read("expected.safetensors"), "a safetensors file, which needs no import"},
		"lfs":              {"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"},
		"html":             {"<html><head>", "an HTML page"},
		"noise":            {"\xf3\x01\x02\x03\x04\x05\x06\x07\x08\x09", "not a PyTorch checkpoint"},
		"tar":              {strings.Repeat("a", 257) + "ustar", "a tar archive"},
		"pickle":           {"\x80\x02}q\x00.", "a Python pickle"},
		"truncated zip":    {zipped[:len(zipped)-30], "damaged or truncated"},
		"truncated legacy": {legacy[:len(legacy)-3], "truncated: storage"},
		"short legacy":     {legacy[:400], "ends within an instruction"},
		"big endian":       {strings.Replace(legacy, "little_endianq\x02\x88", "little_endianq\x02\x89", 1), "big-endian"},
		"protocol":         {strings.Replace(legacy, "M\xe9\x03", "M\xe8\x03", 1), "legacy protocol"},
		"count":            {strings.Replace(legacy, "\x78\x00\x00\x00\x00\x00\x00\x00", "\x77\x00\x00\x00\x00\x00\x00\x00", 1), "has 119 elements, not 120"},
	} {
		path := filepath.Join(dir, name+".pth")
		if err := os.WriteFile(path, []byte(c.content), 0o644); err != nil {
			t.Fatal(err)
		}
		p, err := OpenPTH(path, PTHOptions{})
		if err == nil {
			p.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := OpenPTH("testdata/pth/two.pth", PTHOptions{Key: "ema"}); err == nil || !strings.Contains(err.Error(), `only "params", "params_ema"`) {
		t.Errorf("a missing key gives %v", err)
	}
	if _, err := OpenPTH(filepath.Join(dir, "absent"), PTHOptions{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file gives %v", err)
	}
}

func TestPTHReadErrors(t *testing.T) {
	p, err := OpenPTH("testdata/pth/zip.pth", PTHOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, bytesErr := p.Bytes("nothing")
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"missing": {p.Float32("nothing", nil), `tensor "nothing": no such tensor`},
		"bytes":   {bytesErr, `tensor "nothing": no such tensor`},
		"length":  {p.Float32("half", nil), `tensor "half" has 15 elements [3 5], not 0`},
		"integer": {p.Float32("i32", make([]float32, 6)), `tensor "i32" holds I32, not floating point`},
		"close":   {errors.Join(p.Close(), p.Close(), p.Float32("half", make([]float32, 15))), "the file is closed"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) || !strings.Contains(c.err.Error(), "testdata/pth/zip.pth") {
			t.Errorf("%s: %v", name, c.err)
		}
	}
}

// rezip writes a zip.pth again, entry by entry.
func rezip(t *testing.T, change func(w *zip.Writer, h *zip.FileHeader, body []byte)) string {
	t.Helper()
	r, err := zip.OpenReader("testdata/pth/zip.pth")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	path := filepath.Join(t.TempDir(), "again.pth")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	w := zip.NewWriter(out)
	for _, f := range r.File {
		body := make([]byte, f.UncompressedSize64)
		src, err := f.Open()
		if err == nil {
			_, err = src.Read(body)
		}
		if err != nil && len(body) > 0 && err.Error() != "EOF" {
			t.Fatal(err)
		}
		change(w, &zip.FileHeader{Name: f.Name, Method: zip.Store}, body)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestHostileArchives(t *testing.T) {
	put := func(w *zip.Writer, h *zip.FileHeader, body []byte) {
		f, err := w.CreateHeader(&zip.FileHeader{Name: h.Name, Method: h.Method})
		if err == nil {
			_, err = f.Write(body)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	data := func(h *zip.FileHeader) bool { return strings.Contains(h.Name, "/data/") }
	for name, c := range map[string]struct {
		change func(w *zip.Writer, h *zip.FileHeader, body []byte)
		want   string
	}{
		"as it was": {put, ""},
		"compressed": {func(w *zip.Writer, h *zip.FileHeader, body []byte) {
			if data(h) {
				h.Method = zip.Deflate
			}
			put(w, h, body)
		}, "is compressed or encrypted"},
		"twice": {func(w *zip.Writer, h *zip.FileHeader, body []byte) { put(w, h, body); put(w, h, body) }, "twice"},
		"shortened": {func(w *zip.Writer, h *zip.FileHeader, body []byte) {
			if data(h) {
				body = body[:len(body)/2]
			}
			put(w, h, body)
		}, "too few for"},
		"missing": {func(w *zip.Writer, h *zip.FileHeader, body []byte) {
			if !data(h) {
				put(w, h, body)
			}
		}, "the archive lacks it"},
		"big-endian": {func(w *zip.Writer, h *zip.FileHeader, body []byte) {
			put(w, h, body)
			if strings.HasSuffix(h.Name, "/data.pkl") {
				put(w, &zip.FileHeader{Name: strings.TrimSuffix(h.Name, "data.pkl") + "byteorder"}, []byte("big"))
			}
		}, "big-endian"},
		"pictures": {func(w *zip.Writer, h *zip.FileHeader, body []byte) { h.Name = "a/b/" + h.Name; put(w, h, body) }, "unpack it first"},
	} {
		p, err := OpenPTH(rezip(t, c.change), PTHOptions{})
		if err == nil {
			sameTensors(t, p, open(t, "testdata/pth/expected.safetensors"))
			p.Close()
		}
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestViewsStayWithinTheirStorage(t *testing.T) {
	s := &storageView{&storage{dtype: F32, numel: 10}, 2, 6}
	const huge = math.MaxInt
	for _, c := range []struct {
		offset        int
		shape, stride []int
		ok            bool
	}{
		{0, []int{2, 3}, []int{3, 1}, true},
		{3, []int{3}, []int{1}, true},
		{5, []int{}, []int{}, true},
		{5, []int{1, 1}, []int{100, -100}, true}, // strides of single elements say nothing
		{0, []int{6, 2}, []int{1, 0}, true},
		{9999, []int{0, 4}, []int{4, 1}, true}, // touches nothing
		{6, []int{}, []int{}, false},
		{1, []int{2, 3}, []int{3, 1}, false},
		{0, []int{2}, []int{6}, false},
		{5, []int{2}, []int{-1}, false},
		{-1, []int{1}, []int{1}, false},
		{huge, []int{1}, []int{1}, false},
		{huge, []int{2}, []int{1}, false},
		{1, []int{2}, []int{huge}, false},
		{0, []int{2, 2, 2}, []int{huge / 2, huge / 2, 4}, false},
		{0, []int{1 << 40, 1 << 40}, []int{0, 0}, false},
		{0, []int{-2, -3}, []int{3, 1}, false},
		{0, []int{2, 3}, []int{3}, false},
	} {
		_, err := rebuildTensor(pyTuple{s, c.offset, tuple(c.shape), tuple(c.stride), false, nil})
		if (err == nil) != c.ok {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func tuple(ns []int) pyTuple {
	var t pyTuple
	for _, n := range ns {
		t = append(t, n)
	}
	return t
}
