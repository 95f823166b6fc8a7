package cuda

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Options for Open.
type Options struct {
	// Card is its number, as nvidia-smi counts.
	Card int
	// Cache is the folder that compiled kernels are kept in; empty: the user's
	// cache folder.
	Cache string
	// Notice, where it is set, is told in a line, once, that kernels must be compiled
	// or ways to convolve be tried, which later runs find in the cache; and what of the
	// kernels does not serve on this card.
	Notice func(string)
}

// Card is what Probe knows of one card.
type Card struct {
	Name  string
	About string // name, memory, capability, versions of driver and compiler
	OK    bool   // it can be opened
	Total uint64 // bytes of its memory
}

// library is a shared library that is opened at run time.
type library struct {
	name  string
	files []string // by preference
	fix   string   // how it gets there
	needs string   // files of the same folder that it opens by name
}

var (
	libcuda = library{"libcuda", []string{"libcuda.so.1"}, "install NVIDIA's driver, 525 or later", ""}
	nvrtc   = library{"NVRTC", []string{"libnvrtc.so.13", "libnvrtc.so.12"}, "pip install nvidia-cuda-nvrtc-cu12, or name its folder in V2V_CUDA_PATH", "libnvrtc-builtins.so.*"}
	// cudnn is optional: own kernels serve without it.
	cudnn = library{"cuDNN", []string{"libcudnn.so.9"}, "pip install nvidia-cudnn-cu12, or name its folder in V2V_CUDA_PATH", ""}
	// and so is cublasLt.
	cublasLt = library{"cuBLASLt", []string{"libcublasLt.so.13", "libcublasLt.so.12"}, "pip install nvidia-cublas-cu12, or name its folder in V2V_CUDA_PATH", ""}
)

// Ways to convolve that V2V_CUDA_WITHOUT may name, for who wants to know what they
// do or has one that fails.
const (
	wayHopper   = "hopper"
	wayWinograd = "winograd" // of Hopper's: quicker, and less exact in bf16
	wayCuDNN    = "cudnn"
	wayCuBLASLt = "cublaslt"
)

// without is what V2V_CUDA_WITHOUT names, between commas.
func without() (map[string]bool, error) {
	left := map[string]bool{}
	for name := range strings.SplitSeq(os.Getenv("V2V_CUDA_WITHOUT"), ",") {
		switch name = strings.TrimSpace(name); name {
		case "":
		case wayHopper, wayWinograd, wayCuDNN, wayCuBLASLt:
			left[name] = true
		default:
			return nil, fmt.Errorf("V2V_CUDA_WITHOUT names %q, which is none of %s, %s, %s and %s", name, wayHopper, wayWinograd, wayCuDNN, wayCuBLASLt)
		}
	}
	return left, nil
}

// symbol is a function that is looked up, and the first version of CUDA whose
// library has it.
type symbol struct {
	name  string
	since int // 1000*major + 10*minor
}

// The functions asked for, by library. Those with a version in their names are
// what the headers' macros of the plain names stand for.
var symbols = map[string][]symbol{
	libcuda.name: {
		{"cuInit", 2000}, {"cuDriverGetVersion", 2020}, {"cuGetErrorName", 6000},
		{"cuDeviceGetCount", 2000}, {"cuDeviceGet", 2000}, {"cuDeviceGetName", 2000}, {"cuDeviceGetAttribute", 2000}, {"cuDeviceTotalMem_v2", 3020},
		{"cuDevicePrimaryCtxRetain", 7000}, {"cuDevicePrimaryCtxRelease_v2", 11000}, {"cuCtxSetCurrent", 4000},
		{"cuMemGetInfo_v2", 3020}, {"cuMemAlloc_v2", 3020}, {"cuMemFree_v2", 3020}, {"cuMemHostAlloc", 2020}, {"cuMemFreeHost", 2000},
		{"cuMemcpyHtoDAsync_v2", 3020}, {"cuMemcpyDtoHAsync_v2", 3020}, {"cuMemcpyDtoDAsync_v2", 3020}, {"cuMemsetD8Async", 3020},
		{"cuStreamCreate", 2000}, {"cuStreamDestroy_v2", 4000}, {"cuStreamSynchronize", 2000}, {"cuStreamWaitEvent", 3020},
		{"cuEventCreate", 2000}, {"cuEventDestroy_v2", 4000}, {"cuEventRecord", 2000}, {"cuEventSynchronize", 2000}, {"cuEventElapsedTime", 2000},
		{"cuModuleLoadData", 2000}, {"cuModuleUnload", 2000}, {"cuModuleGetFunction", 2000}, {"cuFuncSetAttribute", 9000}, {"cuLaunchKernel", 4000},
		{"cuStreamBeginCapture_v2", 10010}, {"cuStreamEndCapture", 10000}, {"cuGraphInstantiateWithFlags", 11040}, {"cuGraphLaunch", 10000},
		{"cuGraphDestroy", 10000}, {"cuGraphExecDestroy", 10000},
		{"cuTensorMapEncodeTiled", 12000},
	},
	cudnn.name: { // those of its own versions
		{"cudnnGetVersion", 9000}, {"cudnnCreate", 9000}, {"cudnnDestroy", 9000}, {"cudnnSetStream", 9000},
		{"cudnnBackendCreateDescriptor", 9000}, {"cudnnBackendDestroyDescriptor", 9000}, {"cudnnBackendSetAttribute", 9000},
		{"cudnnBackendGetAttribute", 9000}, {"cudnnBackendFinalize", 9000}, {"cudnnBackendExecute", 9000},
	},
	cublasLt.name: {
		{"cublasLtGetVersion", 10010}, {"cublasLtCreate", 10010}, {"cublasLtDestroy", 10010},
		{"cublasLtMatmulDescCreate", 11000}, {"cublasLtMatmulDescDestroy", 10010}, {"cublasLtMatmulDescSetAttribute", 10010},
		{"cublasLtMatrixLayoutCreate", 10010}, {"cublasLtMatrixLayoutDestroy", 10010},
		{"cublasLtMatmulPreferenceCreate", 10010}, {"cublasLtMatmulPreferenceDestroy", 10010}, {"cublasLtMatmulPreferenceSetAttribute", 10010},
		{"cublasLtMatmulAlgoGetHeuristic", 10010}, {"cublasLtMatmul", 10010},
	},
	nvrtc.name: {
		{"nvrtcVersion", 7000}, {"nvrtcCreateProgram", 7000}, {"nvrtcDestroyProgram", 7000}, {"nvrtcCompileProgram", 7000},
		{"nvrtcGetProgramLogSize", 7000}, {"nvrtcGetProgramLog", 7000}, {"nvrtcGetCUBINSize", 11010}, {"nvrtcGetCUBIN", 11010},
	},
}

// oldest is the first version of CUDA that a driver must support.
const oldest = 12000

// places lists what to open for a file, in order: V2V_CUDA_PATH, whatever the
// system's linker finds, CUDA's own folders, and those of Python packages.
func places(file string) []string {
	var at []string
	in := func(dirs ...string) {
		for _, d := range dirs {
			found, err := filepath.Glob(filepath.Join(d, file))
			if err == nil {
				at = append(at, found...)
			}
		}
	}
	in(filepath.SplitList(os.Getenv("V2V_CUDA_PATH"))...)
	at = append(at, file)
	for _, home := range []string{os.Getenv("CUDA_HOME"), os.Getenv("CUDA_PATH"), "/usr/local/cuda"} {
		if home != "" {
			in(filepath.Join(home, "lib64"), filepath.Join(home, "lib"))
		}
	}
	in("/usr/lib/wsl/lib")
	home, _ := os.UserHomeDir()
	for _, prefix := range []string{os.Getenv("VIRTUAL_ENV"), os.Getenv("CONDA_PREFIX"), filepath.Join(home, ".local"), filepath.Join(home, ".pyenv/versions/*"), "/usr/local", "/usr"} {
		if prefix != "" {
			in(filepath.Join(prefix, "lib/python3*/*-packages/nvidia/*/lib"))
		}
	}
	return at
}

// versions is whose versions a library's functions are counted in.
func (l library) versions() string {
	if l.name == cudnn.name {
		return cudnn.name
	}
	return "CUDA"
}

// forDriver leaves out what a driver loads nothing of: what a newer CUDA made.
func (l library) forDriver(driver int) library {
	if driver < 13000 {
		l.files = l.files[1:]
	}
	return l
}
