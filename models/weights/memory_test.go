package weights

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// sparseLegacy makes a legacy checkpoint of n tensors of numel floats, which
// are zeros that take no room on the disk.
func sparseLegacy(t testing.TB, path string, n, numel int) {
	t.Helper()
	text := func(s string) string { return string(append(le.AppendUint32([]byte("X"), uint32(len(s))), s...)) }
	number := string(le.AppendUint32([]byte("J"), uint32(numel)))
	head := bytes.NewBufferString(legacyMagic + "\x80\x02M\xe9\x03.\x80\x02}.\x80\x02}(")
	keys := "\x80\x02]("
	for i := range n {
		key := text(fmt.Sprint(i))
		keys += key
		head.WriteString(text(fmt.Sprintf("w%d", i)) + "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") +
			"ctorch\nFloatStorage\n" + key + text("cpu") + number + "NtQK\x00" + number + "\x85K\x01\x85\x89NtR")
	}
	head.WriteString("u." + keys + "e.")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	at := int64(head.Len())
	if _, err := f.Write(head.Bytes()); err != nil {
		t.Fatal(err)
	}
	for range n {
		if _, err := f.WriteAt(le.AppendUint64(nil, uint64(numel)), at); err != nil {
			t.Fatal(err)
		}
		at += 8 + 4*int64(numel)
	}
	if err := f.Truncate(at); err != nil {
		t.Fatal(err)
	}
}

// mappedKB is how much of mapped files the process holds at the moment.
func mappedKB(t *testing.T) (kb int) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skipf("Linux's /proc is missing: %v", err)
	}
	_, rest, ok := strings.Cut(string(status), "RssFile:")
	if _, err := fmt.Sscan(rest, &kb); err != nil || !ok {
		t.Fatalf("no RssFile in /proc/self/status: %v", err)
	}
	return kb
}

// TestImportStreams: converting a checkpoint holds one tensor at a time, not
// the file and not a second copy.
func TestImportStreams(t *testing.T) {
	const n, numel = 32, 1 << 20 // 128 MB in tensors of 4
	dir := t.TempDir()
	src, dst := filepath.Join(dir, "big.pth"), filepath.Join(dir, "big.safetensors")
	sparseLegacy(t, src, n, numel)
	mapped := mappedKB(t)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	p := openPTH(t, src, PTHOptions{})
	var ts []Tensor
	for _, name := range p.Names() {
		i, _ := p.Info(name)
		ts = append(ts, Tensor{Name: name, Shape: i.Shape, Load: func(dst []float32) error { return p.Float32(name, dst) }})
	}
	if err := Write(dst, ts, nil); err != nil {
		t.Fatal(err)
	}
	f := open(t, dst)
	buf := make([]float32, numel)
	for _, name := range f.Names() {
		if err := f.Float32(name, buf); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if len(ts) != n || len(f.Names()) != n {
		t.Errorf("%d tensors in, %d out, want %d", len(ts), len(f.Names()), n)
	}
	if mb := (after.TotalAlloc - before.TotalAlloc) >> 20; mb > 12 {
		t.Errorf("%d MB were allocated for a file of %d: want two tensors of 4 and little else", mb, n*numel*4>>20)
	}
	if grown := (mappedKB(t) - mapped) >> 10; grown > 32 {
		t.Errorf("%d MB of the files stay mapped in", grown)
	}
}

// The model that is loaded weighs as much as vid2vid's composite at ngf 128.
const modelMB = 365

func BenchmarkLoad(b *testing.B) {
	for _, t := range []DType{F32, F16, BF16, F64} {
		b.Run(t.String(), func(b *testing.B) {
			const tensors = 73
			each := modelMB << 20 / tensors / t.Size()
			path := filepath.Join(b.TempDir(), "m.safetensors")
			var ts []Tensor
			for i := range tensors {
				ts = append(ts, Tensor{Name: fmt.Sprint(i), DType: t, Shape: []int{each}, Load: func(dst []float32) error {
					for j := range dst {
						dst[j] = float32(j%4096) * 0.001
					}
					return nil
				}})
			}
			if err := Write(path, ts, nil); err != nil {
				b.Fatal(err)
			}
			dst := make([]float32, each)
			b.SetBytes(int64(tensors * each * t.Size()))
			for b.Loop() {
				f, err := Open(path)
				if err != nil {
					b.Fatal(err)
				}
				for _, name := range f.Names() {
					if err := f.Float32(name, dst); err != nil {
						b.Fatal(err)
					}
				}
				if err := f.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkWrite(b *testing.B) {
	data := make([]float32, modelMB<<18)
	for i := range data {
		data[i] = float32(i%4096) * 0.001
	}
	for _, t := range []DType{F32, F16, BF16} {
		b.Run(t.String(), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "m.safetensors")
			b.SetBytes(int64(len(data) * t.Size()))
			for b.Loop() {
				if err := Write(path, []Tensor{{Name: "a", DType: t, Shape: []int{len(data)}, Data: data}}, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkOpenPTH reads the description of as many tensors as the largest
// published network has, several times over.
func BenchmarkOpenPTH(b *testing.B) {
	path := filepath.Join(b.TempDir(), "many.pth")
	sparseLegacy(b, path, 2000, 16)
	for b.Loop() {
		p, err := OpenPTH(path, PTHOptions{})
		if err != nil {
			b.Fatal(err)
		}
		if err := p.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
