//go:build cgo

package cuda

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// tensorMapFacts is numbers of tensor maps, which the memory unit of Hopper reads.
var tensorMapFacts = map[string]int{
	"CU_TENSOR_MAP_DATA_TYPE_FLOAT32": tensorFloat32, "CU_TENSOR_MAP_DATA_TYPE_BFLOAT16": tensorBFloat16, "CU_TENSOR_MAP_SWIZZLE_128B": tensorSwizzle128,
	"CU_TENSOR_MAP_INTERLEAVE_NONE": tensorNoInterleave, "CU_TENSOR_MAP_L2_PROMOTION_L2_256B": tensorPromote256,
	"CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE": tensorFillZeros, "sizeof(CUtensorMap)": 128, "alignof(CUtensorMap)": 64,
}

// layoutFacts is what is read and written of cuBLASLt's structs and types.
var layoutFacts = map[string]int{
	"offsetof(cublasLtMatmulHeuristicResult_t, algo)": 0, "offsetof(cublasLtMatmulHeuristicResult_t, workspaceSize)": ltAlgorithm,
	"offsetof(cublasLtMatmulHeuristicResult_t, state)": ltState, "sizeof(cublasLtMatmulHeuristicResult_t)": ltResult, "sizeof(cublasLtMatmulAlgo_t)": ltAlgorithm,
	"sizeof(cublasStatus_t)": 4, "sizeof(cublasOperation_t)": 4, "sizeof(cublasLtEpilogue_t)": 4, "sizeof(nvrtcResult)": 4, "sizeof(nvrtcProgram)": 8,
	"sizeof(cublasLtHandle_t)": 8, "sizeof(cublasLtMatmulDesc_t)": 8, "sizeof(cublasLtMatrixLayout_t)": 8, "sizeof(cublasLtMatmulPreference_t)": 8,
}

// signature is a function's arguments: the size of each, and of what it points at,
// 0 for nothing or what has none.
type signature []struct{ size, pointee int }

// questions is a program that says what headers declare. An argument that is
// neither an integer nor a pointer has size -1. The headers of halves, which want
// one that Debian has in another package, are taken as read.
const questions = `#define __CUDA_FP16_H__
#define __CUDA_BF16_H__
struct __half { unsigned short x; };
struct __nv_bfloat16 { unsigned short x; };
#include <cuda.h>
#include <nvrtc.h>
#include <cublasLt.h>
#include <cstddef>
#include <cstdio>
#include <type_traits>
typedef unsigned long long u64;
typedef CUtensorMap TensorMap;
template <class T, class = void> struct Whole { static const int size = 0; };
template <class T> struct Whole<T, decltype(void(sizeof(T)))> { static const int size = sizeof(T); };
template <> struct Whole<void, void> { static const int size = 0; };
template <class T> void argument() {
	typedef typename std::remove_cv<typename std::remove_pointer<T>::type>::type To;
	const bool pointer = std::is_pointer<T>::value;
	std::printf(" %d:%d", pointer || std::is_integral<T>::value || std::is_enum<T>::value ? (int)sizeof(T) : -1, pointer ? Whole<To>::size : 0);
}
template <class R, class... A> void declared(const char *name, R (*)(A...)) {
	std::printf("%s", name);
	int in_turn[] = {0, (argument<A>(), 0)...};
	(void)in_turn;
	std::printf("\n");
}
`

// toolkitHeaders is a folder with the toolkit's headers, or empty.
func toolkitHeaders() string {
	for _, dir := range append(toolkitFolders("include"), "/usr/include", "/usr/local/cuda/include", filepath.Join(os.Getenv("CUDA_HOME"), "include")) {
		whole := true
		for _, name := range []string{"cuda.h", "nvrtc.h", "cublasLt.h"} {
			_, err := os.Stat(filepath.Join(dir, name))
			whole = whole && err == nil
		}
		if whole {
			return dir
		}
	}
	return ""
}

// questioned has the C++ compiler answer: signatures by name, those of fakes
// behind "fake ", and numbers by expression.
func questioned(t *testing.T, functions, expressions []string, fakes map[string]string) (map[string]signature, map[string]int) {
	t.Helper()
	include := toolkitHeaders()
	if include == "" {
		t.Skip("cuda.h, nvrtc.h and cublasLt.h are missing (Debian non-free: nvidia-cuda-dev; CUDA_HEADERS=1 make test-nvrtc)")
	}
	cc, err := exec.LookPath("g++")
	if err != nil {
		t.Skip("g++ is missing (apt install g++), which reads the headers")
	}
	var b strings.Builder
	b.WriteString(questions)
	for _, name := range slices.Sorted(maps.Keys(fakes)) {
		fmt.Fprintf(&b, "typedef int fake_%s(%s);\n", name, fakes[name])
	}
	b.WriteString("int main() {\n")
	for _, name := range functions {
		fmt.Fprintf(&b, "declared(\"%s\", (decltype(&%s))0);\n", name, name)
	}
	for _, name := range slices.Sorted(maps.Keys(fakes)) {
		fmt.Fprintf(&b, "declared(\"fake_%s\", (fake_%s *)0);\n", name, name)
	}
	for _, e := range expressions {
		fmt.Fprintf(&b, "std::printf(\"= %%lld %s\\n\", (long long)(%s));\n", e, e)
	}
	b.WriteString("}\n")
	source := filepath.Join(t.TempDir(), "ask.cpp")
	if err := os.WriteFile(source, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	program := strings.TrimSuffix(source, ".cpp")
	if out, err := exec.Command(cc, "-std=c++14", "-w", "-I"+include, "-o", program, source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command(program).Output()
	if err != nil {
		t.Fatal(err)
	}
	return answers(t, string(out))
}

func answers(t *testing.T, text string) (map[string]signature, map[string]int) {
	t.Helper()
	signatures, numbers := map[string]signature{}, map[string]int{}
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if fields[0] == "=" {
			n, err := strconv.Atoi(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			numbers[strings.Join(fields[2:], " ")] = n
			continue
		}
		s := make(signature, len(fields)-1)
		for i, f := range fields[1:] {
			if _, err := fmt.Sscanf(f, "%d:%d", &s[i].size, &s[i].pointee); err != nil {
				t.Fatal(err)
			}
		}
		signatures[fields[0]] = s
	}
	return signatures, numbers
}

// fakeArguments reads the arguments of a fake library's functions.
func fakeArguments(t *testing.T, path string) map[string]string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, m := range fakeFunction.FindAllStringSubmatch(string(raw), -1) {
		found[m[1]] = m[2]
	}
	return found
}

var fakeFunction = regexp.MustCompile(`(?m)^API ((?:cu|nvrtc)\w+)\(([^)]*)\)`)

// TestToolkitHeaders: every function of the driver, of NVRTC and of cuBLASLt that
// is called takes as many arguments as are written here, each an integer or a
// pointer, of the sizes that the fakes of the driver and the compiler take them
// in; what callers read of a result fits its place; and every number and layout is
// the toolkit's.
func TestToolkitHeaders(t *testing.T) {
	var functions, expressions []string
	for name := range arguments {
		if !strings.HasPrefix(name, "cudnn") {
			functions = append(functions, name)
		}
	}
	numbers := map[string]int{}
	for typ, bytes := range driverSizes {
		numbers["sizeof("+typ+")"] = bytes
	}
	for _, facts := range []map[string]int{driverFacts, ltFacts, tensorMapFacts, layoutFacts} {
		maps.Copy(numbers, facts)
	}
	for n, name := range ltStatuses {
		numbers[name] = n
	}
	for e := range numbers {
		expressions = append(expressions, e)
	}
	fakes := fakeArguments(t, "testdata/fake/driver.cpp")
	maps.Copy(fakes, fakeArguments(t, "testdata/fake/nvrtc.cpp"))
	theirs, value := questioned(t, functions, expressions, fakes)
	asked := asks(t)
	for _, name := range functions {
		s, fake := theirs[name], theirs["fake_"+name]
		if len(s) != arguments[name] {
			t.Errorf("%s takes %d arguments here, %d in the header", name, arguments[name], len(s))
			continue
		}
		for i, a := range s {
			if a.size < 0 || a.size > 8 {
				t.Errorf("%s: argument %d is no integer or pointer, which v2v_call does not pass", name, i)
			}
			if fakes[name] != "" && (len(fake) != len(s) || fake[i] != a) {
				t.Errorf("%s: argument %d has size and pointee %v in the header, the fake has %v", name, i, a, fake)
			}
		}
		if asked[name] && (s[0].pointee == 0 || s[0].pointee > 8) {
			t.Errorf("%s is asked for a result of 8 bytes, its first argument points at %d", name, s[0].pointee)
		}
	}
	if !slices.Equal(slices.Sorted(maps.Keys(value)), slices.Sorted(maps.Keys(numbers))) {
		t.Errorf("of %d numbers %d were answered", len(numbers), len(value))
	}
	for e, want := range numbers {
		if value[e] != want {
			t.Errorf("%s is %d here, the header says %d", e, want, value[e])
		}
	}
	t.Logf("%d functions and %d numbers held against the headers in %s", len(functions), len(numbers), toolkitHeaders())
}
