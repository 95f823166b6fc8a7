// What every kernel shares. Pictures and filters of rank 4 lie as NHWC (a
// filter (O,I,KH,KW) as O,KH,KW,I); everything else is row-major. Sizes are
// elements. Sums are taken in double, in an order that the launch fixes.

#define KERNEL extern "C" __global__ void
#define EACH(i, n) for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < (n); i += gridDim.x * blockDim.x)

// Line is N numbers that are read and written at once.
template <class E, int N> struct alignas(N * sizeof(E) < 16 ? N * sizeof(E) : 16) Line {
	E of[N];
};

typedef Line<float, 4> Four;
typedef Line<double, 2> Pair;

__device__ __forceinline__ Four four(const float *p, int i) { return *(const Four *)(p + i); }
__device__ __forceinline__ void put(float *p, int i, const Four &v) { *(Four *)(p + i) = v; }

// These do so with what lies before the n-th number alone.
__device__ __forceinline__ Four four(const float *p, int i, int n) {
	if (i + 4 <= n) return four(p, i);
	Four v = {};
	for (int e = 0; e < 4; e++)
		if (i + e < n) v.of[e] = p[i + e];
	return v;
}
__device__ __forceinline__ void put(float *p, int i, int n, const Four &v) {
	if (i + 4 <= n) put(p, i, v);
	else for (int e = 0; e < 4; e++)
		if (i + e < n) p[i + e] = v.of[e];
}

// FEW lines are on their way to a thread at once, where it reads one after the
// other: memory is far.
enum { FEW = 4 };

// Divisor divides what is not negative, by the upper part of a product.
struct Divisor {
	int by;
	unsigned factor;
	int shift;
	__device__ __forceinline__ int over(int i) const { return (int)((unsigned long long)i * factor >> shift); }
};

// split divides i and leaves the rest.
__device__ __forceinline__ int split(const Divisor &d, int i, int &rest) {
	int q = d.over(i);
	rest = i - q * d.by;
	return q;
}

// Span is how blocks share (groups,pixels,channels) out: 1<<shift threads of a
// block stand side by side, at four channels each, and go through `each` pixels
// where they walk.
struct Span { int pixels, channels, each, shift; };

// Walk is a thread's way: from its first number `at`, pixels of a group from p up
// to `to`, in steps; c is its first channel, of all groups' channels the row.
struct Walk { int c, row, at, p, to, step, stride; };

__device__ __forceinline__ Walk walk(const Span &s) {
	Walk w;
	int wide = 1 << s.shift, from = blockIdx.z * s.each;
	w.c = (blockIdx.x * wide + threadIdx.x % wide) * 4;
	w.row = blockIdx.y * s.channels + w.c;
	w.p = from + (threadIdx.x >> s.shift);
	w.to = from + s.each < s.pixels ? from + s.each : s.pixels;
	w.step = blockDim.x >> s.shift;
	w.at = (blockIdx.y * s.pixels + w.p) * s.channels + w.c;
	w.stride = w.step * s.channels;
	return w;
}

// sweep is a walk from the last pixel to the first with all blocks side by side:
// what was written last is read while it is still near, and what follows, and
// goes from the first on, finds what was read last.
__device__ __forceinline__ Walk sweep(const Span &s) {
	Walk w = walk(s);
	int high = w.step;
	w.p = blockIdx.z * high + (threadIdx.x >> s.shift);
	w.to = s.pixels;
	w.step = gridDim.z * high;
	w.at = (blockIdx.y * s.pixels + s.pixels - 1 - w.p) * s.channels + w.c;
	w.stride = -w.step * s.channels;
	return w;
}

// more says whether n steps are left, pass goes on by them.
template <int N> __device__ __forceinline__ bool more(const Walk &w) { return w.p + (N - 1) * w.step < w.to; }
template <int N> __device__ __forceinline__ void pass(Walk &w) {
	w.p += N * w.step;
	w.at += N * w.stride;
}

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

__device__ __forceinline__ float from_bf16(unsigned short x) { return __uint_as_float((unsigned)x << 16); }

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

// step_on takes n lines by one of the steps behind a result, of those that need no
// curve.
template <int N> __device__ __forceinline__ void step_on(int kind, float slope, Four *v, const Four *add) {
	switch (kind) {
	case RELU:
		for (int u = 0; u < N; u++)
			for (int e = 0; e < 4; e++) v[u].of[e] = activate(RELU, 0, v[u].of[e]);
		break;
	case LEAKY:
		for (int u = 0; u < N; u++)
			for (int e = 0; e < 4; e++) v[u].of[e] = activate(LEAKY, slope, v[u].of[e]);
		break;
	case ADDED:
		for (int u = 0; u < N; u++)
			for (int e = 0; e < 4; e++) v[u].of[e] += add[u].of[e];
		break;
	}
}

// put_half writes four numbers as bfloat16.
__device__ __forceinline__ void put_half(void *p, int i, const Four &v) {
	*(Line<unsigned, 2> *)((unsigned short *)p + i) = {{two_bf16(v.of[0], v.of[1]), two_bf16(v.of[2], v.of[3])}};
}

// Stats is where statistics of results go as they are made: parts of sums of x and
// x*x for each of rows; items: an item has rows of its own.
struct Stats {
	double *parts;
	int rows, items;
	__device__ __forceinline__ void put(int place, int c, int channels, double a, double b) const {
		if (c < channels) *(Pair *)(parts + 2 * (place + c)) = {{a, b}};
	}
};

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
