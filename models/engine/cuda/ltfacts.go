package cuda

// Numbers of cuBLASLt, the same in CUDA 12 and 13, as the dual MIT and Apache
// licensed Rust crate cudarc lists them (src/cublaslt/sys/sys_12080.rs, bound
// from the headers of CUDA 12.8); testdata/cublaslt.txt holds the list that the
// tests compare with.
const (
	ltFloat, ltBFloat16 = 0, 14 // cudaDataType_t

	ltCompute, ltComputeTF32 = 68, 77 // cublasComputeType_t

	ltTurned = 1 // cublasOperation_t

	// cublasLtMatmulDescAttributes_t
	ltTurnA, ltTurnB, ltEpilogue, ltBias = 3, 4, 7, 8

	// cublasLtEpilogue_t
	ltPlain, ltRelu, ltBiased, ltBiasedRelu = 1, 2, 4, 6

	ltMostWorkspace = 1 // cublasLtMatmulPreferenceAttributes_t
)

// A cublasLtMatmulHeuristicResult_t, in bytes: where the workspace's size and
// the status are behind the algorithm, and all of it.
const ltAlgorithm, ltState, ltResult = 64, 72, 96

// ltStatuses names the statuses of cuBLASLt.
var ltStatuses = map[int]string{
	1: "CUBLAS_STATUS_NOT_INITIALIZED", 3: "CUBLAS_STATUS_ALLOC_FAILED", 7: "CUBLAS_STATUS_INVALID_VALUE", 8: "CUBLAS_STATUS_ARCH_MISMATCH",
	11: "CUBLAS_STATUS_MAPPING_ERROR", 13: "CUBLAS_STATUS_EXECUTION_FAILED", 14: "CUBLAS_STATUS_INTERNAL_ERROR", 15: "CUBLAS_STATUS_NOT_SUPPORTED",
}
