// Package cpu runs programs on the processor: oneDNN for convolutions, kernels
// of our own for the rest, all on one OpenMP thread pool.
//
// A program comes in, an executable with every layout, algorithm and byte of
// memory decided comes out. Rank-4 values whose channels fill whole blocks are
// kept blocked by 16 channels (8 without AVX-512) from one convolution to the
// next; what the caller binds is plain. One locked OS thread owns the device.
package cpu
