//go:build cgo

package cuda_test

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// fakeFaults is what the fake says of a kernel with a fault, where copies come
// late and where they come at once.
var fakeFaults = []struct{ fault, late, atOnce string }{
	{"data", "a matrix that a bulk load still has to bring", "a bulk load to \\d+, where a product reads that was not waited for"},
	{"free", "a bulk load to \\d+, where a product reads that was not waited for", ""},
	{"early", "a bulk load to \\d+, where a product reads that was not waited for", ""},
	{"commit", "a bulk load to \\d+, where a product reads that was not waited for", ""},
	{"wait", "wrong numbers, copies late", "wrong numbers, copies at once"},
	{"bytes", "no thread can go on\n.*threads 0 to 255 wait for parity . of the mbarrier at \\d+ in phase ., which 0 arrivals and -16 bytes are to come for", ""},
	{"alignment", "a matrix at \\d+, not in the first row of a swizzle's 1024 bytes", ""},
	{"slice", "a matrix at \\d+, not in the first row of a swizzle's 1024 bytes", ""},
	{"fence", "no wgmma_fence before the first of a group", ""},
	{"visible", "barriers_visible was not called", ""},
	{"sync", "the mbarrier at \\d+ is not initialised", "no __syncthreads is behind the initialisation of the mbarrier"},
	{"few", "threads 0 to 126 wait for the rest of its warpgroup", "a thread ends with products that nobody waited for"},
	{"differ", "wgmma: descriptors", ""},
	{"place", "bulk_load: byte 16448 of shared memory, which is no multiple of 128", ""},
	{"arrivals", "more arrivals than the 1 of the mbarrier", ""},
	{"parity", "a matrix that a bulk load still has to bring", "a bulk load to \\d+, where a product reads that was not waited for"},
	{"twice", "an arrival in phase 1 of the mbarrier at \\d+, and no thread has waited for the one before", ""},
	{"map", "a tensor map that cuTensorMapEncodeTiled did not make", ""},
	{"written", "registers of a product in flight were written", ""},
	{"over", "is not initialised, or was written over", ""},
	{"tail", "byte 81976 of shared memory was written", ""},
	{"unwaited", "the block ends before a bulk load that nobody waited for", ""},
	{"deep", "threads of a block wait at lines", ""},
}

// TestFakeHopper: the fake's tensor maps refuse what the driver's reference
// forbids, boxes and products are what a plain loop makes them, a ring of stages
// between a producer and two consumers multiplies right, and each fault in it is
// seen.
func TestFakeHopper(t *testing.T) {
	needFake(t)
	fake, err := filepath.Abs("testdata/fake")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	args := append([]string{"-std=c++14", "-O2", "-fno-strict-aliasing", "-Wall", "-Wextra", "-Werror", "-Wno-psabi", "-I" + fake, "-o", "hopper",
		fake + "/bulk_test.cpp", fake + "/wgmma_test.cpp"}, driverSources(fake)...)
	if err := compileFake(dir, "hopper", args); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (string, error) {
		out, err := exec.Command(filepath.Join(dir, "hopper"), args...).CombinedOutput()
		return string(out), err
	}
	for _, args := range [][]string{{"boxes"}, {"refusals"}, {"products"}, {"none"}, {"none", "at once"}} {
		if out, err := run(args...); err != nil {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
	t.Setenv("FAKE_CUDA_ORDER", "1")
	if out, _ := run("wait"); out != strings.Repeat("wrong numbers, copies late\n", 2) {
		t.Errorf("with an order that is told: %q", out)
	}
	t.Setenv("FAKE_CUDA_ORDER", "")
	for _, f := range fakeFaults {
		if f.atOnce == "" {
			f.atOnce = f.late
		}
		for _, c := range [][]string{{f.late, f.fault}, {f.atOnce, f.fault, "at once"}} {
			if out, err := run(c[1:]...); err == nil || !regexp.MustCompile(c[0]).MatchString(out) {
				t.Errorf("%v: %v, want %q in\n%s", c[1:], err, c[0], out)
			}
		}
	}
}
