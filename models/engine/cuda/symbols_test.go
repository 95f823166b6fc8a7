package cuda

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// arguments is how many arguments each function takes, written down by hand from the reference
// of the driver interface and of NVRTC 12, those of cuDNN and cuBLASLt as cudarc binds them. All but cuDNN's are held against
// the toolkit's headers where they are (TestToolkitHeaders), a part of the driver's against a free one (TestDriverHeader).
var arguments = map[string]int{
	"cuInit": 1, "cuDriverGetVersion": 1, "cuGetErrorName": 2, "cuDeviceGetCount": 1, "cuDeviceGet": 2, "cuDeviceGetName": 3,
	"cuDeviceGetAttribute": 3, "cuDeviceTotalMem_v2": 2, "cuDevicePrimaryCtxRetain": 2, "cuDevicePrimaryCtxRelease_v2": 1, "cuCtxSetCurrent": 1,
	"cuMemGetInfo_v2": 2, "cuMemAlloc_v2": 2, "cuMemFree_v2": 1, "cuMemHostAlloc": 3, "cuMemFreeHost": 1,
	"cuMemcpyHtoDAsync_v2": 4, "cuMemcpyDtoHAsync_v2": 4, "cuMemcpyDtoDAsync_v2": 4, "cuMemsetD8Async": 4,
	"cuStreamCreate": 2, "cuStreamDestroy_v2": 1, "cuStreamSynchronize": 1, "cuStreamWaitEvent": 3,
	"cuEventCreate": 2, "cuEventDestroy_v2": 1, "cuEventRecord": 2, "cuEventSynchronize": 1, "cuEventElapsedTime": 3,
	"cuModuleLoadData": 2, "cuModuleUnload": 1, "cuModuleGetFunction": 3, "cuFuncSetAttribute": 3, "cuLaunchKernel": 11,
	"cuStreamBeginCapture_v2": 2, "cuStreamEndCapture": 2, "cuGraphInstantiateWithFlags": 3, "cuGraphLaunch": 2,
	"cuGraphDestroy": 1, "cuGraphExecDestroy": 1, "cuTensorMapEncodeTiled": 12,
	"cudnnGetVersion": 0, "cudnnCreate": 1, "cudnnDestroy": 1, "cudnnSetStream": 2, "cudnnBackendCreateDescriptor": 2, "cudnnBackendDestroyDescriptor": 1,
	"cudnnBackendSetAttribute": 5, "cudnnBackendGetAttribute": 6, "cudnnBackendFinalize": 1, "cudnnBackendExecute": 3,
	"cublasLtGetVersion": 0, "cublasLtCreate": 1, "cublasLtDestroy": 1, "cublasLtMatmulDescCreate": 3, "cublasLtMatmulDescDestroy": 1,
	"cublasLtMatmulDescSetAttribute": 4, "cublasLtMatrixLayoutCreate": 5, "cublasLtMatrixLayoutDestroy": 1,
	"cublasLtMatmulPreferenceCreate": 1, "cublasLtMatmulPreferenceDestroy": 1, "cublasLtMatmulPreferenceSetAttribute": 4,
	"cublasLtMatmulAlgoGetHeuristic": 10, "cublasLtMatmul": 16,
	"nvrtcVersion": 2, "nvrtcCreateProgram": 6, "nvrtcDestroyProgram": 1, "nvrtcCompileProgram": 3,
	"nvrtcGetProgramLogSize": 2, "nvrtcGetProgramLog": 2, "nvrtcGetCUBINSize": 2, "nvrtcGetCUBIN": 2,
}

var callSite = regexp.MustCompile(`\.(call|ask|raw)\("((?:cu|cudnn|cublas|nvrtc)[A-Z]\w*)"`)

// TestSymbols: what is called is looked up, what is looked up is called, and
// with as many arguments as it takes; ask adds the first.
func TestSymbols(t *testing.T) {
	asked := map[string]bool{}
	for library, list := range symbols {
		for _, s := range list {
			if _, known := arguments[s.name]; asked[s.name] || !known || s.since < 2000 || s.since > oldest {
				t.Errorf("%s: %+v is asked for twice, without arguments, or newer than the oldest driver", library, s)
			}
			asked[s.name] = true
		}
	}
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	called := map[string]bool{}
	for _, path := range sources {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text := string(raw)
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		for _, at := range callSite.FindAllStringSubmatchIndex(text, -1) {
			how, name := text[at[2]:at[3]], text[at[4]:at[5]]
			called[name] = true
			n := countArguments(text[at[1]:])
			if how == "ask" {
				n++
			}
			if n != arguments[name] {
				t.Errorf("%s: %s is called with %d arguments, it takes %d", path, name, n, arguments[name])
			}
		}
		for name := range arguments { // those that are handed on by name
			if strings.Contains(text, `"`+name+`"`) && path != "libraries.go" {
				called[name] = true
			}
		}
	}
	for name := range asked {
		if !called[name] {
			t.Errorf("%s is looked up and never called", name)
		}
	}
	for name := range called {
		if !asked[name] {
			t.Errorf("%s is called and not looked up", name)
		}
	}
}

// countArguments counts the arguments behind a function's name, up to the
// bracket that ends the call.
func countArguments(rest string) (n int) {
	depth := 0
	for _, r := range rest {
		switch r {
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			if depth--; depth < 0 {
				return n
			}
		case ',':
			if depth == 0 {
				n++
			}
		}
	}
	return n
}

// TestPlaces: V2V_CUDA_PATH comes first, then the system's linker, then CUDA's
// folder and Python's.
func TestPlaces(t *testing.T) {
	dir := t.TempDir()
	var want []string
	for _, sub := range []string{"mine", "cuda/lib64", "env/lib/python3.12/site-packages/nvidia/cuda_nvrtc/lib"} {
		path := filepath.Join(dir, sub)
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		want = append(want, filepath.Join(path, "libprobe.so.7"))
		if err := os.WriteFile(want[len(want)-1], nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("V2V_CUDA_PATH", filepath.Join(dir, "mine"))
	t.Setenv("CUDA_HOME", filepath.Join(dir, "cuda"))
	t.Setenv("VIRTUAL_ENV", filepath.Join(dir, "env"))
	want = []string{want[0], "libprobe.so.7", want[1], want[2]}
	got := places("libprobe.so.7")
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("places %v, want %v", got, want)
	}
}
