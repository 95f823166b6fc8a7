package cuda

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// facts is every number of dnnfacts.go by the name that cuDNN gives it.
var facts = map[string]int{
	"CUDNN_DATA_FLOAT": dnnFloat, "CUDNN_DATA_BFLOAT16": dnnBFloat16, "CUDNN_CROSS_CORRELATION": dnnCrossCorrelation,
	"CUDNN_POINTWISE_ADD": pwAdd, "CUDNN_POINTWISE_RELU_FWD": pwRelu, "CUDNN_POINTWISE_TANH_FWD": pwTanh, "CUDNN_POINTWISE_SIGMOID_FWD": pwSigmoid,
	"CUDNN_TYPE_HANDLE": typeHandle, "CUDNN_TYPE_DATA_TYPE": typeDataType, "CUDNN_TYPE_BOOLEAN": typeBoolean, "CUDNN_TYPE_INT64": typeInt64,
	"CUDNN_TYPE_FLOAT": typeFloat, "CUDNN_TYPE_DOUBLE": typeDouble, "CUDNN_TYPE_VOID_PTR": typePointer, "CUDNN_TYPE_CONVOLUTION_MODE": typeConvMode,
	"CUDNN_TYPE_HEUR_MODE": typeHeurMode, "CUDNN_TYPE_NUMERICAL_NOTE": typeNote, "CUDNN_TYPE_POINTWISE_MODE": typePointwise,
	"CUDNN_TYPE_BACKEND_DESCRIPTOR": typeDescriptor, "CUDNN_HEUR_MODE_B": heurB, "CUDNN_HEUR_MODE_A": heurA,
	"CUDNN_NUMERICAL_NOTE_TENSOR_CORE": noteTensorCore, "CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS": noteDownConvert,
	"CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION": noteReduced, "CUDNN_NUMERICAL_NOTE_FFT": noteFFT,
	"CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC": noteRandom, "CUDNN_NUMERICAL_NOTE_WINOGRAD": noteWinograd,
	"CUDNN_BACKEND_POINTWISE_DESCRIPTOR": ofPointwise, "CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR": ofConvolution, "CUDNN_BACKEND_ENGINE_DESCRIPTOR": ofEngine,
	"CUDNN_BACKEND_ENGINECFG_DESCRIPTOR": ofEngineConfig, "CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR": ofHeuristic,
	"CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR": ofPlan, "CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR": ofForward,
	"CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR": ofBackFilter, "CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR": ofBackData,
	"CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR": ofPointwiseOp, "CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR": ofGraph,
	"CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR": ofPack, "CUDNN_BACKEND_TENSOR_DESCRIPTOR": ofTensor,
	"CUDNN_ATTR_POINTWISE_MODE": pointwiseMode, "CUDNN_ATTR_POINTWISE_MATH_PREC": pointwisePrecision, "CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE": pointwiseSlope,
	"CUDNN_ATTR_CONVOLUTION_COMP_TYPE": convType, "CUDNN_ATTR_CONVOLUTION_CONV_MODE": convMode, "CUDNN_ATTR_CONVOLUTION_DILATIONS": convDilations,
	"CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES": convStrides, "CUDNN_ATTR_CONVOLUTION_POST_PADDINGS": convPost, "CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS": convPre,
	"CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS": convDims, "CUDNN_ATTR_ENGINEHEUR_MODE": heurMode, "CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH": heurGraph,
	"CUDNN_ATTR_ENGINEHEUR_RESULTS": heurResults, "CUDNN_ATTR_ENGINECFG_ENGINE": configEngine, "CUDNN_ATTR_EXECUTION_PLAN_HANDLE": planHandle,
	"CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG": planConfig, "CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE": planWorkspace,
	"CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA": forwardAlpha, "CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA": forwardAlpha + 1,
	"CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC": forwardAlpha + 2, "CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W": forwardW,
	"CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X": forwardX, "CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y": forwardY,
	"CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA": dataAlpha, "CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA": dataAlpha + 1,
	"CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC": dataAlpha + 2, "CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W": dataW,
	"CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX": dataDX, "CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY": dataDY,
	"CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA": filterAlpha, "CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA": filterAlpha + 1,
	"CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC": filterAlpha + 2, "CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW": filterDW,
	"CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X": filterX, "CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY": filterDY,
	"CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR": pointwiseDescriptor, "CUDNN_ATTR_OPERATION_POINTWISE_XDESC": pointwiseX,
	"CUDNN_ATTR_OPERATION_POINTWISE_BDESC": pointwiseB, "CUDNN_ATTR_OPERATION_POINTWISE_YDESC": pointwiseY,
	"CUDNN_ATTR_OPERATIONGRAPH_HANDLE": graphHandle, "CUDNN_ATTR_OPERATIONGRAPH_OPS": graphOps,
	"CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT": tensorAlignment, "CUDNN_ATTR_TENSOR_DATA_TYPE": tensorType, "CUDNN_ATTR_TENSOR_DIMENSIONS": tensorShape,
	"CUDNN_ATTR_TENSOR_STRIDES": tensorStrides, "CUDNN_ATTR_TENSOR_UNIQUE_ID": tensorID, "CUDNN_ATTR_TENSOR_IS_VIRTUAL": tensorVirtual,
	"CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS": packIDs, "CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS": packPointers, "CUDNN_ATTR_VARIANT_PACK_WORKSPACE": packWorkspace,
	"CUDNN_ATTR_ENGINE_NUMERICAL_NOTE": engineNotes,
}

// ltFacts is every number of ltfacts.go by its name.
var ltFacts = map[string]int{
	"CUDA_R_32F": ltFloat, "CUDA_R_16BF": ltBFloat16, "CUBLAS_COMPUTE_32F": ltCompute, "CUBLAS_COMPUTE_32F_FAST_TF32": ltComputeTF32, "CUBLAS_OP_T": ltTurned,
	"CUBLASLT_MATMUL_DESC_TRANSA": ltTurnA, "CUBLASLT_MATMUL_DESC_TRANSB": ltTurnB, "CUBLASLT_MATMUL_DESC_EPILOGUE": ltEpilogue,
	"CUBLASLT_MATMUL_DESC_BIAS_POINTER": ltBias, "CUBLASLT_EPILOGUE_DEFAULT": ltPlain, "CUBLASLT_EPILOGUE_RELU": ltRelu,
	"CUBLASLT_EPILOGUE_BIAS": ltBiased, "CUBLASLT_EPILOGUE_RELU_BIAS": ltBiasedRelu, "CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES": ltMostWorkspace,
}

// agree compares our numbers with those of a source.
func agree(t *testing.T, from string, source, facts map[string]int, statuses map[int]string) {
	t.Helper()
	ours := map[string]int{}
	for name, v := range facts {
		ours[name] = v
	}
	for v, name := range statuses {
		ours[name] = v
	}
	for name, v := range ours {
		if w, ok := source[name]; !ok || v != w {
			t.Errorf("%s is %d here, %s says %d (%v)", name, v, from, w, ok)
		}
	}
}

// TestFacts: the numbers are those that cudarc's bindings list.
func TestFacts(t *testing.T) {
	agree(t, "testdata/cudnn.txt", listed(t, "testdata/cudnn.txt"), facts, dnnStatuses)
	agree(t, "testdata/cublaslt.txt", listed(t, "testdata/cublaslt.txt"), ltFacts, ltStatuses)
}

// listed reads names and numbers.
func listed(t *testing.T, path string) map[string]int {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	source := map[string]int{}
	for _, line := range strings.Split(string(raw), "\n") {
		if f := strings.Fields(line); len(f) == 2 && f[0] != "#" {
			if source[f[0]], err = strconv.Atoi(f[1]); err != nil {
				t.Fatal(err)
			}
		}
	}
	return source
}

var (
	comments = regexp.MustCompile(`(?s)/\*.*?\*/|//[^\n]*`)
	enums    = regexp.MustCompile(`(?s)enum[^{;]*\{(.*?)\}`)
)

// enumerators reads the constants of a header's enums.
func enumerators(header string, into map[string]int) {
	for _, e := range enums.FindAllStringSubmatch(comments.ReplaceAllString(header, ""), -1) {
		next := 0
		for _, item := range strings.Split(e[1], ",") {
			f := strings.Fields(strings.Replace(item, "=", " ", 1))
			if len(f) > 1 {
				if v, err := strconv.Atoi(f[1]); err == nil {
					next = v
				} else if v, ok := into[f[1]]; ok {
					next = v
				}
			}
			if len(f) > 0 && strings.HasPrefix(f[0], "CUDNN_") {
				into[f[0]] = next
				next++
			}
		}
	}
}

// TestDNNHeader: the numbers are those of a real header, where there is one.
func TestDNNHeader(t *testing.T) {
	got := map[string]int{}
	enumerators("typedef enum { /* x = 5, */ CUDNN_A = 3, CUDNN_B, CUDNN_C = CUDNN_A, CUDNN_D } x;", got)
	if got["CUDNN_B"] != 4 || got["CUDNN_D"] != 4 || len(got) != 4 {
		t.Fatalf("enumerators %v", got)
	}
	dirs := []string{"/usr/include", "/usr/include/x86_64-linux-gnu", "/usr/local/cuda/include", filepath.Join(os.Getenv("CUDA_HOME"), "include")}
	for _, lib := range places("libcudnn.so.9") {
		dirs = append(dirs, filepath.Join(filepath.Dir(filepath.Dir(lib)), "include"))
	}
	for _, dir := range dirs {
		version, err := os.ReadFile(filepath.Join(dir, "cudnn_version.h"))
		if err != nil || !strings.Contains(string(version), "CUDNN_MAJOR 9") {
			continue
		}
		source := map[string]int{}
		for _, name := range []string{"cudnn_graph.h", "cudnn_ops.h", "cudnn_cnn.h"} {
			text, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			enumerators(string(text), source)
		}
		agree(t, dir, source, facts, dnnStatuses)
		return
	}
	t.Skip("cudnn_version.h of cuDNN 9 is missing, which Debian has no free package of (pip install nvidia-cudnn-cu12)")
}
