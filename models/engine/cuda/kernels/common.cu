// What every kernel shares. Pictures and filters of rank 4 lie as NHWC (a
// filter (O,I,KH,KW) as O,KH,KW,I); everything else is row-major. Sizes are
// elements. Sums are taken in double, in an order that the launch fixes.

#define KERNEL extern "C" __global__ void
#define EACH(i, n) for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < (n); i += gridDim.x * blockDim.x)

// Line is N numbers that are read and written at once.
template <class E, int N> struct alignas(N * sizeof(E) < 16 ? N * sizeof(E) : 16) Line {
	E of[N];
};

enum { RELU, LEAKY, TANH, SIGMOID, ADDED, NOTHING };

// curve is called, for it is long and convolutions finish many results.
__device__ __noinline__ float curve(int kind, float x) { return kind == TANH ? tanhf(x) : 1 / (1 + expf(-x)); }

__device__ __forceinline__ float activate(int kind, float slope, float x) {
	switch (kind) {
	case RELU: return x > 0 || x != x ? x : 0;
	case LEAKY: return x > 0 || x != x ? x : slope * x;
	case TANH:
	case SIGMOID: return curve(kind, x);
	}
	return x;
}

__device__ __forceinline__ unsigned short to_bf16(float x) {
	unsigned u = __float_as_uint(x);
	if (x != x) return 0x7fff;
	return (unsigned short)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

// Post is up to two steps fused behind a result, which lies as bfloat16 where
// half says so.
struct Post {
	int kind0, kind1;
	float slope0, slope1;
	const float *add;
	int half, gap;
};

// post finishes result v, which is number i of out.
__device__ __forceinline__ void post(const Post &p, float v, int i, float *out) {
	v = p.kind0 == ADDED ? v + p.add[i] : activate(p.kind0, p.slope0, v);
	v = p.kind1 == ADDED ? v + p.add[i] : activate(p.kind1, p.slope1, v);
	if (p.half) ((unsigned short *)out)[i] = to_bf16(v);
	else out[i] = v;
}

// count is how many of n things there are from one on in steps.
__device__ __forceinline__ int count(int from, int n, int step) { return from < n ? (n - from + step - 1) / step : 0; }

// total adds v over the threads of a block; all of them get the sum. room is
// a double for each thread.
__device__ __forceinline__ double total(double v, double *room) {
	int t = threadIdx.x;
	__syncthreads();
	room[t] = v;
	__syncthreads();
	for (int half = blockDim.x / 2; half > 0; half /= 2) {
		if (t < half) room[t] += room[t + half];
		__syncthreads();
	}
	return room[0];
}
