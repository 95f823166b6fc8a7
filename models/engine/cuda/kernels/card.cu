// What only a card has: shared memory that a launch sizes, asynchronous copies to
// it, and the matrix units.

typedef unsigned long long u64;

extern __shared__ __align__(128) char shared_memory[];
#define SHARED(T, name) T *name = (T *)shared_memory

// Address is one in shared memory, which a block finds once: to turn a pointer
// into one takes three instructions.
typedef unsigned Address;
__device__ __forceinline__ Address shared_address(const void *p) {
	Address at;
	asm("{ .reg .u64 a; cvta.to.shared.u64 a, %1; cvt.u32.u64 %0, a; }" : "=r"(at) : "l"(p));
	return at;
}

// flip is at bytes ^ x, for x less than what the address of a slice is a multiple of.
__device__ __forceinline__ Address flip(Address at, int x) { return at ^ x; }

// keep has a value stay in a register: the compiler would rather find again, in
// every slice, what a thread number says.
__device__ __forceinline__ void keep(int &x) { asm volatile("" : "+r"(x)); }
__device__ __forceinline__ void keep(const char *&x) { asm volatile("" : "+l"(x)); }

// copy_async begins to copy BYTES (4 or 16) to shared memory, or to fill them with
// zeros where at is less than 0. close_copies makes a group of those since the one
// before, wait_copies waits for all groups but the last KEEP. That the number of
// bytes is one of two constants spares what others need.
template <int BYTES> __device__ __forceinline__ void copy_async(Address to, const void *from, int at) {
	if (BYTES == 16) asm volatile("{ .reg .pred p; .reg .u32 n; setp.ge.s32 p, %2, 0; selp.u32 n, 16, 0, p; cp.async.cg.shared.global [%0], [%1], 16, n; }" :: "r"(to), "l"(from), "r"(at) : "memory");
	else asm volatile("{ .reg .pred p; .reg .u32 n; setp.ge.s32 p, %2, 0; selp.u32 n, 4, 0, p; cp.async.ca.shared.global [%0], [%1], 4, n; }" :: "r"(to), "l"(from), "r"(at) : "memory");
}
__device__ __forceinline__ void close_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int KEEP> __device__ __forceinline__ void wait_copies() { asm volatile("cp.async.wait_group %0;" :: "n"(KEEP) : "memory"); }

// ldmatrix reads four matrices of 8x8 numbers of two bytes, whose rows of 16
// bytes the threads of a warp point at, eight threads at each matrix.
__device__ __forceinline__ void ldmatrix(unsigned *x, Address row) {
	asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
		: "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3]) : "r"(row) : "memory");
}
__device__ __forceinline__ void ldmatrix_trans(unsigned *x, Address row) {
	asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
		: "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3]) : "r"(row) : "memory");
}

__device__ __forceinline__ unsigned to_tf32(unsigned x) {
	unsigned y;
	asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(y) : "f"(__uint_as_float(x)));
	return y;
}

// two_bf16 rounds two numbers to bfloat16, the first to the lower half.
__device__ __forceinline__ unsigned two_bf16(float low, float high) {
	unsigned y;
	asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(y) : "f"(high), "f"(low));
	return y;
}

template <bool BF16> __device__ __forceinline__ void mma(float *d, const unsigned *a, const unsigned *b) {
	if (BF16) {
		asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
			: "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
			: "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
		return;
	}
	asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
		: "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
		: "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
