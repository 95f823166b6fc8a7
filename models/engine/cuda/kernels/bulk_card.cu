// What a Hopper card alone has: tensors that are copied to shared memory as boxes
// by one instruction, barriers there that count bytes, and products that a
// warpgroup of 128 threads makes of what lies there (sm_90a).

// TensorMap is the driver's CUtensorMap.
struct alignas(64) TensorMap {
	u64 of[16];
};

// shared_1024 is a block's shared memory from a multiple of 1024 bytes on, where
// the pattern of 128-byte lines begins.
__device__ __forceinline__ char *shared_1024() { return shared_memory + (-shared_address(shared_memory) & 1023); }

// A barrier's phase is complete when all have arrived and all bytes have come.
__device__ __forceinline__ void barrier_init(u64 *b, int arrivals) {
	asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" :: "r"(shared_address(b)), "r"(arrivals) : "memory");
}
__device__ __forceinline__ void barriers_visible() {
	asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
	asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
__device__ __forceinline__ void barrier_expect(u64 *b, int bytes) {
	asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" :: "r"(shared_address(b)), "r"(bytes) : "memory");
}
__device__ __forceinline__ void barrier_arrive(u64 *b) {
	asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" :: "r"(shared_address(b)) : "memory");
}

__device__ __forceinline__ bool barrier_try(unsigned at, int parity) {
	unsigned done;
	asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
		: "=r"(done) : "r"(at), "r"(parity) : "memory");
	return done;
}

// barrier_wait waits for the phase of a parity. Where it does not come in some 40
// seconds by the card's clock the kernel ends, and the context with it; in a trial
// it is false after some hundredths of one.
__device__ __forceinline__ bool barrier_wait(u64 *b, int parity, int trial) {
	unsigned at = shared_address(b);
	if (barrier_try(at, parity)) return true;
	for (long long begin = clock64(); clock64() - begin < 1ll << (trial ? 26 : 36);)
		if (barrier_try(at, parity)) return true;
	if (!trial) __trap();
	return false;
}

__device__ __forceinline__ void bulk_load(void *to, const TensorMap *m, u64 *b, int c0, int c1, int c2, int c3, int c4) {
	asm volatile("cp.async.bulk.tensor.5d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5, %6, %7}], [%2];"
		:: "r"(shared_address(to)), "l"(m), "r"(shared_address(b)), "r"(c0), "r"(c1), "r"(c2), "r"(c3), "r"(c4) : "memory");
}
__device__ __forceinline__ void bulk_load(void *to, const TensorMap *m, u64 *b, int c0, int c1, int c2, int c3) {
	asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5, %6}], [%2];"
		:: "r"(shared_address(to)), "l"(m), "r"(shared_address(b)), "r"(c0), "r"(c1), "r"(c2), "r"(c3) : "memory");
}

// wgmma_matrix describes lines of 128 bytes along the depth, eight of which make
// the pattern of 1024 bytes: the address in 16 bytes, a distance that these do
// not use, that of the patterns, and how lines are turned.
__device__ __forceinline__ u64 wgmma_matrix(const void *at) {
	return (shared_address(at) >> 4 & 0x3fff) | 1ull << 16 | (u64)(1024 >> 4) << 32 | 1ull << 62;
}

// wgmma_turned describes lines of 128 bytes across the depth: of each of its
// numbers 64 rows or columns, eight of which make the pattern; chunks of 64 rows
// or columns are `chunk` bytes apart.
__device__ __forceinline__ u64 wgmma_turned(const void *at, int chunk) {
	return (shared_address(at) >> 4 & 0x3fff) | (u64)(chunk >> 4) << 16 | (u64)(1024 >> 4) << 32 | 1ull << 62;
}
__device__ __forceinline__ void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int KEEP> __device__ __forceinline__ void wgmma_wait() { asm volatile("wgmma.wait_group.sync.aligned %0;" :: "n"(KEEP) : "memory"); }

// wgmma adds 64 x N sums over 32 bytes of the depth to what a warpgroup holds in d;
// bulk.go writes it for each N.
template <bool BF16, int N> __device__ __forceinline__ void wgmma(float *d, u64 a, u64 b);

// wgmma_across is that of bfloat16 whose matrices both lie across the depth, 16 of it.
template <int N> __device__ __forceinline__ void wgmma_across(float *d, u64 a, u64 b);
