package cuda

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// driverHeader declares a part of the driver interface, each function as a type
// of its name with a t before it. It is nv-codec-headers 11.1 in Debian 12, for CUDA 7.5 and what came since.
const driverHeader = "/usr/include/ffnvcodec/dynlink_cuda.h"

// driverFacts is every number of driverfacts.go by the name that cuda.h gives it.
var driverFacts = map[string]int{
	"CUDA_ERROR_OUT_OF_MEMORY": outOfMemory, "CUDA_ERROR_NO_DEVICE": noDevice, "CUDA_SUCCESS": 0,
	"CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT":     multiprocessors,
	"CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR": capabilityMajor, "CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR": capabilityMinor,
	"CU_STREAM_NON_BLOCKING": nonBlocking, "CU_EVENT_DISABLE_TIMING": noTiming, "CU_STREAM_CAPTURE_MODE_THREAD_LOCAL": threadLocal,
	"CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES": maxDynamicShared,
}

// driverSizes is how many bytes values take that callers here read and pass on.
var driverSizes = map[string]int{
	"CUdeviceptr": 8, "CUcontext": 8, "CUstream": 8, "CUevent": 8, "CUmodule": 8, "CUfunction": 8, "size_t": 8, "CUdevice": 4, "CUresult": 4,
}

var (
	headerType = regexp.MustCompile(`typedef CUresult CUDAAPI t(cu\w+)\(([^)]*)\);`)
	fakeDriver = regexp.MustCompile(`(?m)^API (cu\w+)\(([^)]*)\)`)
	lastWord   = regexp.MustCompile(`\w+$`)
	typeWord   = regexp.MustCompile(`^(unsigned|int|char|float|size_t|u64)$`)
)

// prototypes reads the types of functions' arguments.
func prototypes(text string, pattern *regexp.Regexp) map[string][]string {
	found := map[string][]string{}
	for _, m := range pattern.FindAllStringSubmatch(text, -1) {
		types := []string{}
		for _, arg := range strings.Split(m[2], ",") {
			arg = strings.TrimSpace(arg)
			if name := lastWord.FindString(arg); name != arg && !typeWord.MatchString(name) {
				arg = strings.TrimSpace(strings.TrimSuffix(arg, name))
			}
			types = append(types, strings.ReplaceAll(arg, " *", "*"))
		}
		found[m[1]] = types
	}
	return found
}

// pointee is what a type points at, or empty where that is nothing whose size a
// caller must know.
func pointee(typ string) string {
	to, is := strings.CutSuffix(typ, "*")
	if !is || to == "void" || to == "const void" {
		return ""
	}
	return to
}

// evaluate has the C compiler say what expressions are, with the header before
// them.
func evaluate(t *testing.T, expressions map[string]bool) map[string]int {
	t.Helper()
	cc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("gcc is missing (apt install gcc), which knows the sizes of types")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "#include <stdio.h>\n#include %q\ntypedef unsigned long long u64;\nint main(void) {\n", driverHeader)
	for e := range expressions {
		fmt.Fprintf(&b, "printf(\"%%lld %s\\n\", (long long)(%s));\n", e, e)
	}
	b.WriteString("return 0;\n}\n")
	dir := t.TempDir()
	source, program := filepath.Join(dir, "ask.c"), filepath.Join(dir, "ask")
	if err := os.WriteFile(source, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(cc, "-o", program, source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command(program).Output()
	if err != nil {
		t.Fatal(err)
	}
	value := map[string]int{}
	for line := range strings.Lines(string(out)) {
		var v int
		number, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		if _, err := fmt.Sscan(number, &v); err != nil {
			t.Fatal(err)
		}
		value[name] = v
	}
	return value
}

// TestDriverHeader: the functions that a header declares take as many arguments
// as is written here, each an integer or a pointer, of the sizes that the fake
// driver takes them in; what callers here read of a result fits its place, and
// numbers and sizes are the header's.
func TestDriverHeader(t *testing.T) {
	raw, err := os.ReadFile(driverHeader)
	if err != nil {
		t.Skip(driverHeader + " is missing (apt install libffmpeg-nvenc-dev)")
	}
	fake, err := os.ReadFile("testdata/fake/driver.cpp")
	if err != nil {
		t.Fatal(err)
	}
	theirs, fakes := prototypes(string(raw), headerType), prototypes(string(fake), fakeDriver)
	theirs["cuDevicePrimaryCtxRelease_v2"] = theirs["cuDevicePrimaryCtxRelease"] // CUDA 11 gave it a new name, not other arguments
	var both, lacks []string
	for _, s := range symbols[libcuda.name] {
		if n := len(fakes[s.name]); n != arguments[s.name] {
			t.Errorf("%s takes %d arguments here, %d in the fake driver", s.name, arguments[s.name], n)
		}
		if _, ok := theirs[s.name]; ok {
			both = append(both, s.name)
		} else {
			lacks = append(lacks, s.name)
		}
	}
	if len(both) < 25 {
		t.Fatalf("%d functions were found in the header, that of nv-codec-headers 11.1 has 25", len(both))
	}
	t.Logf("%d functions held against the header, which lacks %q", len(both), lacks)
	value := compareNumbers(t, string(raw), typesOf(both, theirs, fakes))
	size := func(typ string) int { return value["sizeof("+typ+")"] }
	asked := asks(t)
	for _, name := range both {
		compareArguments(t, name, theirs[name], fakes[name], size)
		if to := pointee(theirs[name][0]); asked[name] && (to == "" || size(to) > 8) {
			t.Errorf("%s is asked for a result of 8 bytes, its first argument is %s", name, theirs[name][0])
		}
	}
}

// typesOf lists the types of functions' arguments, and what those point at.
func typesOf(names []string, prototypes ...map[string][]string) (types []string) {
	for _, p := range prototypes {
		for _, name := range names {
			for _, typ := range p[name] {
				types = append(types, typ)
				if to := pointee(typ); to != "" {
					types = append(types, to)
				}
			}
		}
	}
	return types
}

// compareNumbers holds driverFacts and driverSizes against the header and
// returns all values and sizes that were asked about.
func compareNumbers(t *testing.T, header string, types []string) map[string]int {
	t.Helper()
	expressions := map[string]bool{}
	for _, typ := range types {
		expressions["sizeof("+typ+")"] = true
	}
	for typ := range driverSizes {
		expressions["sizeof("+typ+")"] = true
	}
	var lacks []string
	for name := range driverFacts {
		if regexp.MustCompile(`\b` + name + `\b`).MatchString(header) {
			expressions[name] = true
		} else {
			lacks = append(lacks, name)
		}
	}
	if len(lacks) > 4 {
		t.Errorf("the header lacks %q, that of nv-codec-headers 11.1 lacks four", lacks)
	}
	t.Logf("%d constants held against the header, which lacks %q", len(driverFacts)-len(lacks), lacks)
	value := evaluate(t, expressions)
	for typ, want := range driverSizes {
		if got := value["sizeof("+typ+")"]; got != want {
			t.Errorf("%s takes %d bytes, not %d", typ, got, want)
		}
	}
	for name, want := range driverFacts {
		if got, ok := value[name]; ok && got != want {
			t.Errorf("%s is %d here, the header says %d", name, want, got)
		}
	}
	return value
}

// compareArguments holds a function's types against the table and the fake's.
func compareArguments(t *testing.T, name string, theirs, fake []string, size func(string) int) {
	t.Helper()
	if len(theirs) != arguments[name] || len(fake) != len(theirs) {
		t.Errorf("%s takes %d arguments here, %d in the header", name, arguments[name], len(theirs))
		return
	}
	for i, typ := range theirs {
		if size(typ) > 8 || typ == "float" || typ == "double" {
			t.Errorf("%s: argument %d is %s, which v2v_call does not pass", name, i, typ)
		}
		if size(typ) != size(fake[i]) || size(pointee(typ)) != size(pointee(fake[i])) {
			t.Errorf("%s: argument %d is %s in the header, %s in the fake driver", name, i, typ, fake[i])
		}
	}
}

// asks is which functions are called for a result.
func asks(t *testing.T) map[string]bool {
	t.Helper()
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	asked := map[string]bool{}
	for _, path := range sources {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range callSite.FindAllStringSubmatch(string(text), -1) {
			if m[1] == "ask" {
				asked[m[2]] = true
			}
		}
	}
	return asked
}
