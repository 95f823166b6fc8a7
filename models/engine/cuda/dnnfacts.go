package cuda

// Numbers of cuDNN 9's backend interface, as the dual MIT and Apache licensed
// Rust crate cudarc lists them (src/cudnn/sys/sys_12080.rs, bound from the
// headers of cuDNN 9); testdata/cudnn.txt holds the list that the tests compare
// with.
const (
	dnnFloat, dnnBFloat16 = 0, 9 // cudnnDataType_t
	dnnCrossCorrelation   = 1    // cudnnConvolutionMode_t

	pwAdd, pwRelu, pwTanh, pwSigmoid = 0, 100, 101, 102 // cudnnPointwiseMode_t

	typeHandle, typeDataType, typeBoolean, typeInt64, typeFloat, typeDouble, typePointer = 0, 1, 2, 3, 4, 5, 6 // cudnnBackendAttributeType_t
	typeConvMode, typeHeurMode, typeNote, typePointwise, typeDescriptor                  = 7, 8, 11, 14, 15

	heurB, heurA = 1, 3 // cudnnBackendHeurMode_t

	// cudnnBackendNumericalNote_t
	noteTensorCore, noteDownConvert, noteReduced, noteFFT, noteRandom, noteWinograd = 0, 1, 2, 3, 4, 5

	// cudnnBackendDescriptorType_t
	ofPointwise, ofConvolution, ofEngine, ofEngineConfig, ofHeuristic, ofPlan = 0, 1, 2, 3, 4, 5
	ofForward, ofBackFilter, ofBackData, ofPointwiseOp                        = 10, 11, 12, 13
	ofGraph, ofPack, ofTensor                                                 = 15, 16, 17

	// cudnnBackendAttributeName_t
	pointwiseMode, pointwisePrecision, pointwiseSlope       = 0, 1, 5
	convType, convMode, convDilations, convStrides          = 100, 101, 102, 103
	convPost, convPre, convDims                             = 104, 105, 106
	heurMode, heurGraph, heurResults                        = 200, 201, 202
	configEngine                                            = 300
	planHandle, planConfig, planWorkspace                   = 400, 401, 402
	forwardAlpha, dataAlpha, filterAlpha                    = 700, 706, 712 // then beta and the convolution
	forwardW, forwardX, forwardY                            = 703, 704, 705
	dataW, dataDX, dataDY                                   = 709, 710, 711
	filterDW, filterX, filterDY                             = 715, 716, 717
	pointwiseDescriptor, pointwiseX, pointwiseB, pointwiseY = 750, 751, 752, 753
	graphHandle, graphOps                                   = 800, 801
	tensorAlignment, tensorType, tensorShape, tensorStrides = 900, 901, 902, 903
	tensorID, tensorVirtual                                 = 906, 907
	packIDs, packPointers, packWorkspace                    = 1000, 1001, 1003
	engineNotes                                             = 1303
)

// dnnStatuses names the statuses of cuDNN that are likely to be met.
var dnnStatuses = map[int]string{
	1001: "CUDNN_STATUS_NOT_INITIALIZED", 1002: "CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH", 1008: "CUDNN_STATUS_SUBLIBRARY_LOADING_FAILED",
	2000: "CUDNN_STATUS_BAD_PARAM", 3000: "CUDNN_STATUS_NOT_SUPPORTED", 3001: "CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN",
	4000: "CUDNN_STATUS_INTERNAL_ERROR", 4004: "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
	5000: "CUDNN_STATUS_EXECUTION_FAILED", 5001: "CUDNN_STATUS_EXECUTION_FAILED_CUDA_DRIVER",
}
