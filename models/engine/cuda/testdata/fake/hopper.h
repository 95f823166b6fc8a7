// What cards of compute capability 9.0 have beside older ones, after NVIDIA's PTX
// manual: barriers in shared memory that count arrivals and bytes, copies of boxes
// of tensors, and products of matrices that a group of four warps has done while
// it goes on. What the manual leaves open ends the program.
#pragma once

#define __grid_constant__
typedef unsigned long long u64;

// TensorMap describes a tensor in global memory and the box that a copy takes of
// it; cuTensorMapEncodeTiled fills it, in a form of the fake's own.
struct alignas(64) TensorMap { u64 of[16]; };

// Barriers are initialised by a thread that then calls barriers_visible; others
// use them behind the next __syncthreads. barrier_wait never gives up here: where
// no thread can go on the program ends.
void barrier_init(u64 *b, int arrivals);
void barriers_visible();
void barrier_expect(u64 *b, int bytes);
void barrier_arrive(u64 *b);
bool barrier_wait(u64 *b, int parity);
inline bool barrier_wait(u64 *b, int parity, int) { return barrier_wait(b, parity); }

// A box is copied at once in every other grid; in those between, when a thread
// waits for its barrier and no thread can go on.
void bulk_load(void *to, const TensorMap *m, u64 *b, const int *at, int rank);
inline void bulk_load(void *to, const TensorMap *m, u64 *b, int c0, int c1, int c2, int c3) {
	int at[] = {c0, c1, c2, c3};
	bulk_load(to, m, b, at, 4);
}
inline void bulk_load(void *to, const TensorMap *m, u64 *b, int c0, int c1, int c2, int c3, int c4) {
	int at[] = {c0, c1, c2, c3, c4};
	bulk_load(to, m, b, at, 5);
}

// Products read their operands when the last of 128 threads has asked for them,
// or, in the grids whose boxes come at once, when all of the group wait and no
// thread can go on. Until a thread has waited its results hold a NaN. What a
// product reads must not be a place where a copy is on its way, nor the other way
// round.
u64 wgmma_matrix(const void *at);
void wgmma_fence();
void wgmma_commit();
void wgmma_wait(int keep);
void wgmma(float *d, u64 a, u64 b, int n, bool bf16);
template <int KEEP> inline void wgmma_wait() {
	static_assert(KEEP >= 0 && KEEP < 8, "groups that may stay in flight");
	wgmma_wait(KEEP);
}
template <bool BF16, int N> inline void wgmma(float *d, u64 a, u64 b) {
	static_assert(N % 8 == 0 && N >= 8 && N <= 256, "columns of a product");
	wgmma(d, a, b, N, BF16);
}
u64 wgmma_turned(const void *at, int chunk);
void wgmma_across(float *d, u64 a, u64 b, int n);
template <int N> inline void wgmma_across(float *d, u64 a, u64 b) { wgmma_across(d, a, b, N); }
static inline char *shared_1024() { return shared_memory; } // which begins there
