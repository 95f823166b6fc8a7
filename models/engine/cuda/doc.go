// Package cuda runs programs on an NVIDIA card. Nothing is linked: libcuda and
// NVRTC are opened at run time, so that one binary serves every machine; so is
// cuDNN 9, where it is, for the convolutions that it computes faster.
//
// A program comes in, an executable comes out: kernels embedded as CUDA C and
// compiled by NVRTC for the card, temporaries in one arena by lifetime, a run
// as one CUDA graph. Pictures and filters of rank 4 lie as NHWC on the card;
// Read and Write of a buffer turn them. Whoever asked for a device, a buffer or
// an executable closes it, the device last.
package cuda
