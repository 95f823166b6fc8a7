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
#define __noinline__ static
#define __launch_bounds__(...)

struct dim { unsigned x, y, z; };
extern dim blockIdx, blockDim, gridDim, threadIdx;
extern char *shared_memory;
#define SHARED(T, name) T *name = (T *)shared_memory

// fault is the number that FAKE_CUDA gives a name, or other.
long fault(const char *name, long other);

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

// Copies to shared memory are done only when they are waited for: what is read
// before is what was there.
void copy_later(char *to, const char *from, int bytes, int n);
void close_copies();
void wait_copies(int keep);
typedef char *Address;
static inline Address shared_address(void *p) { return (Address)p; }
static inline Address flip(Address at, int x) { return (Address)((uintptr_t)at ^ x); }
template <class X> inline void keep(X &) {}
template <int BYTES> inline void copy_async(Address to, const void *from, int at) { copy_later(to, (const char *)from, BYTES, at < 0 ? 0 : BYTES); }
template <int KEEP> inline void wait_copies() { wait_copies(KEEP); }

// The matrix units, after the PTX manual's tables of fragments: a warp's threads
// lay their parts out, wait for each other, and take their results.
void ldmatrix(unsigned *x, const char *row);
void ldmatrix_trans(unsigned *x, const char *row);
void multiply_fragments(float *d, const unsigned *a, const unsigned *b, bool half);
template <bool BF16> inline void mma(float *d, const unsigned *a, const unsigned *b) { multiply_fragments(d, a, b, BF16); }

// To the nearest of 10 bits, halves away from 0.
static inline unsigned to_tf32(unsigned x) { return (x & 0x7fffffff) > 0x7f800000 ? 0x7fffffff : (x + 0x1000) & 0xffffe000; }

// To the nearest of 7 bits, halves to even, the first to the lower half.
static inline unsigned one_bf16(float x) {
	unsigned u = __float_as_uint(x), rest = u & 0xffff, kept = u >> 16;
	return x != x ? 0x7fff : kept + (rest > 0x8000 || (rest == 0x8000 && kept % 2));
}
static inline unsigned two_bf16(float low, float high) { return one_bf16(low) | one_bf16(high) << 16; }

#include "hopper.h"

// An entry calls a kernel with the arguments that a launch points at.
template <int... I> struct list {};
template <int N, int... I> struct upto : upto<N - 1, N - 1, I...> {};
template <int... I> struct upto<0, I...> { typedef list<I...> type; };
template <class A> A argument(void *p) { A a; memcpy(&a, p, sizeof a); return a; }
template <class... A, int... I> void unpack(void (*f)(A...), void **p, list<I...>) { f(argument<A>(p[I])...); }
template <class... A> void invoke(void (*f)(A...), void **p) { unpack(f, p, typename upto<sizeof...(A)>::type()); }
constexpr int most() { return 0; }
template <class... N> constexpr int most(int n, N... more) { return n > most(more...) ? n : most(more...); }
template <class... A> struct Sizes { static const int n = sizeof...(A), alignment = most(alignof(A)...); static const int of[sizeof...(A)]; };
template <class... A> const int Sizes<A...>::of[sizeof...(A)] = {(int)sizeof(A)...};
template <class... A> Sizes<A...> sizes(void (*)(A...));
struct Entry { const char *name; void (*call)(void **); int count; const int *sizes; int alignment; };
#define ENTRY(k) {#k, [](void **p) { invoke(k, p); }, decltype(sizes(k))::n, decltype(sizes(k))::of, decltype(sizes(k))::alignment}
extern const Entry entries[];
