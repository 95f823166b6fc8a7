package cuda

// Numbers of the driver interface, as NVIDIA's reference gives them.
const (
	outOfMemory, noDevice = 2, 100 // CUresult: the statuses that are told apart

	multiprocessors, capabilityMajor, capabilityMinor = 16, 75, 76 // CUdevice_attribute: what is asked of a card

	maxDynamicShared = 8 // CUfunction_attribute

	nonBlocking = 1 // CUstream_flags: waits for nothing that other streams do
	noTiming    = 2 // CUevent_flags
	threadLocal = 1 // CUstreamCaptureMode: other threads may allocate meanwhile

	tensorFloat32, tensorBFloat16 = 7, 9 // CUtensorMapDataType
	tensorNoInterleave            = 0    // CUtensorMapInterleave
	tensorSwizzle128              = 3    // CUtensorMapSwizzle: 16-byte units of lines of 128 bytes are turned
	tensorPromote256              = 3    // CUtensorMapL2promotion
	tensorFillZeros               = 0    // CUtensorMapFloatOOBfill
)
