package cuda_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/v2v/v2v/models/engine/cuda"
)

// TestClang: a compiler for cards that is not NVIDIA's takes the source as NVRTC
// will get it, for the oldest card that serves, without a warning, and
// leaves every kernel and the instructions of cards in its PTX. Clang does not
// read the text of those; ptxas would. What convolutions sum up stays in
// registers: an index that is not known when a loop is unrolled would move it to
// memory.
func TestClang(t *testing.T) {
	clang := ""
	for _, name := range []string{"clang", "clang-14", "clang-16", "clang-19"} {
		if path, err := exec.LookPath(name); err == nil {
			clang = path
		}
	}
	if clang == "" {
		t.Skip("clang is missing (apt install clang)")
	}
	header, err := os.ReadFile("testdata/clang/card.h")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	source, ptx := filepath.Join(dir, "kernels.cu"), filepath.Join(dir, "kernels.ptx")
	if err := os.WriteFile(source, append(header, cuda.Source()...), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(clang, "-x", "cuda", "--cuda-device-only", "--cuda-gpu-arch=sm_80", "-nocudainc", "-nocudalib", "-std=c++14", "-O1",
		"-Wall", "-Wextra", "-Werror", "-Xclang", "-target-feature", "-Xclang", "+ptx70", "-S", "-o", ptx, source).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(ptx)
	if err != nil {
		t.Fatal(err)
	}
	entries, kernels := strings.Count(string(text), ".entry"), strings.Count(cuda.Source(), "\nKERNEL ")
	if entries != kernels || kernels < 40 {
		t.Errorf("%d entries of %d kernels", entries, kernels)
	}
	for _, entry := range strings.Split(string(text), ".entry ")[1:] {
		if name, body, _ := strings.Cut(entry, "("); strings.HasPrefix(name, "conv") && strings.Contains(body, ".local") {
			t.Errorf("%s keeps numbers in local memory", name)
		}
	}
	for _, instruction := range []string{"cp.async.cg.shared.global", "cp.async.ca.shared.global", "cp.async.commit_group", "cp.async.wait_group 0;", "cp.async.wait_group 1;",
		"ldmatrix.sync.aligned.m8n8.x4.shared.b16", "ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16", "cvt.rna.tf32.f32", "cvt.rn.bf16x2.f32", "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32"} {
		if !strings.Contains(string(text), instruction) {
			t.Errorf("no %s in the PTX", instruction)
		}
	}
}
