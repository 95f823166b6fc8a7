// CUDA C on the host: the kernels' own sources are compiled as C++ behind this.
// A block's threads are fibres that run in turn; a barrier is a turn given up.
#pragma once
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define __device__
#define __global__ __attribute__((visibility("default")))
#define __forceinline__ inline

struct dim { unsigned x, y, z; };
extern dim blockIdx, blockDim, gridDim, threadIdx;
extern char *shared_memory;
#define SHARED(T, name) T *name = (T *)shared_memory

// give_up passes the turn on; site tells the barriers of a kernel apart, and
// threads of a block that wait at different ones end the program.
void give_up(int site);
#define __syncthreads() give_up(__LINE__)

static inline unsigned __float_as_uint(float f) { unsigned u; memcpy(&u, &f, 4); return u; }
static inline float __uint_as_float(unsigned u) { float f; memcpy(&f, &u, 4); return f; }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline void atomicAdd(double *p, double v) { *p += v; }
static inline int atomicCAS(int *p, int was, int now) { int old = *p; if (old == was) *p = now; return old; }

// The matrix units, after the PTX manual's tables of fragments: a warp's threads
// lay their parts out, wait for each other, and take their results.
void mma(float *d, const unsigned *a, const unsigned *b, bool half);
static inline void mma_bf16(float *d, const unsigned *a, const unsigned *b) { mma(d, a, b, true); }
static inline void mma_tf32(float *d, const unsigned *a, const unsigned *b) { mma(d, a, b, false); }

// An entry calls a kernel with the arguments that a launch points at.
template <int... I> struct list {};
template <int N, int... I> struct upto : upto<N - 1, N - 1, I...> {};
template <int... I> struct upto<0, I...> { typedef list<I...> type; };
template <class... A, int... I> void unpack(void (*f)(A...), void **p, list<I...>) { f(*(A *)p[I]...); }
template <class... A> void invoke(void (*f)(A...), void **p) { unpack(f, p, typename upto<sizeof...(A)>::type()); }
template <class... A> struct Sizes { static const int n = sizeof...(A); static const int of[sizeof...(A)]; };
template <class... A> const int Sizes<A...>::of[sizeof...(A)] = {(int)sizeof(A)...};
template <class... A> Sizes<A...> sizes(void (*)(A...));
struct Entry { const char *name; void (*call)(void **); int count; const int *sizes; };
#define ENTRY(k) {#k, [](void **p) { invoke(k, p); }, decltype(sizes(k))::n, decltype(sizes(k))::of}
extern const Entry entries[];
