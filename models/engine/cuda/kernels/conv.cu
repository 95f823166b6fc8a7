// Convolutions as products of matrices (tile.cu): pictures are gathered as slices
// of them are brought.

// Geometry of a convolution: x (n,h,w,c) and y (n,oh,ow,o). The picture that is
// read and the filters lie as bfloat16 where half and half_filters say so.
struct Geometry {
	int n, h, w, c, oh, ow, o, kh, kw, stride, pad, reflect, half, half_filters;
};

__device__ __forceinline__ int mirrored(int i, int n, int reflect) {
	if (i >= 0 && i < n) return i;
	if (!reflect) return -1;
	return i < 0 ? -i : 2 * (n - 1) - i;
}

// Rows is where each row of a block lies in a picture; an item less than 0 is none.
struct Rows {
	const int *item, *y, *x;
};

// Taps is what each result reads of a picture, along the depth (ky,kx,c).
struct Taps {
	static constexpr bool DEEP = true;
	const Geometry &g;
	Rows rows;
	__device__ __forceinline__ bool units(int n) const { return g.c % n == 0; }
	__device__ __forceinline__ long long at(int r, int k) const {
		if (rows.item[r] < 0) return -1;
		int y = mirrored(rows.y[r] + k / (g.kw * g.c), g.h, g.reflect), x = mirrored(rows.x[r] + k / g.c % g.kw, g.w, g.reflect);
		return y >= 0 && x >= 0 ? ((rows.item[r] * g.h + y) * g.w + x) * g.c + k % g.c : -1;
	}
};

// Filters is those of the block's columns, as they lie.
struct Filters {
	static constexpr bool DEEP = true;
	int from, o, depth;
	__device__ __forceinline__ bool units(int n) const { return depth % n == 0; }
	__device__ __forceinline__ long long at(int r, int k) const { return from + r < o ? (long long)(from + r) * depth + k : -1; }
};

template <class T> __device__ __forceinline__ void conv(const Geometry &g, const Post &p, const void *in, const void *weights, const float *bias, float *out) {
	SHARED(Shared<T>, s);
	int pixels = g.n * g.oh * g.ow, from = blockIdx.x * T::ROWS;
	for (int r = threadIdx.x; r < T::ROWS; r += T::THREADS) {
		int m = from + r;
		s->item[r] = m < pixels ? m / (g.oh * g.ow) : -1;
		s->y[r] = m / g.ow % g.oh * g.stride - g.pad;
		s->x[r] = m % g.ow * g.stride - g.pad;
	}
	__syncthreads();
	float acc[T::RESULTS] = {};
	int first = blockIdx.y * T::COLS, depth = g.kh * g.kw * g.c;
	Taps a = {g, {s->item, s->y, s->x}};
	Filters b = {first, g.o, depth};
	product<T>(a, in, g.half, b, weights, g.half_filters, 0, depth, s, acc);
	deliver<T>(s, acc, [&](int row, int col, float sum) {
		int m = from + row, o = first + col;
		if (m < pixels && o < g.o) post(p, sum + (bias ? bias[o] : 0), m * g.o + o, out);
	});
}

// Scattered is what is gathered backward: the results that read a pixel, along
// the depth (tap,o). Only taps of the block's phase of the stride are met, of
// which a row has across.
struct Scattered {
	static constexpr bool DEEP = true;
	const Geometry &g;
	Rows rows;
	int across;
	__device__ __forceinline__ bool units(int n) const { return g.o % n == 0; }
	__device__ __forceinline__ long long at(int r, int k) const {
		int tap = k / g.o, y = rows.y[r] - tap / across, x = rows.x[r] - tap % across;
		bool in = rows.item[r] >= 0 && y >= 0 && y < g.oh && x >= 0 && x < g.ow;
		return in ? ((rows.item[r] * g.oh + y) * g.ow + x) * g.o + k % g.o : -1;
	}
};

// Turned is the filters of a phase with channels c as columns; ky and kx are its
// first tap.
struct Turned {
	static constexpr bool DEEP = false;
	const Geometry &g;
	int from, ky, kx, across;
	__device__ __forceinline__ bool units(int n) const { return g.c % n == 0; }
	__device__ __forceinline__ long long at(int r, int k) const {
		int tap = k / g.o, y = ky + tap / across * g.stride, x = kx + tap % across * g.stride;
		return from + r < g.c ? (((long long)(k % g.o) * g.kh + y) * g.kw + x) * g.c + from + r : -1;
	}
};

// conv_back gathers what conv scatters: out (n,h,w,c) of small (n,oh,ow,o).
template <class T> __device__ __forceinline__ void conv_back(const Geometry &g, const Post &p, const void *small, const void *weights, const float *bias, float *out) {
	SHARED(Shared<T>, s);
	int py = blockIdx.z / g.stride, px = blockIdx.z % g.stride;
	int high = count(py, g.h, g.stride), wide = count(px, g.w, g.stride), pixels = g.n * high * wide, from = blockIdx.x * T::ROWS;
	if (from >= pixels) return;
	int ky = (py + g.pad) % g.stride, kx = (px + g.pad) % g.stride, taps = count(kx, g.kw, g.stride), across = taps > 0 ? taps : 1;
	for (int r = threadIdx.x; r < T::ROWS; r += T::THREADS) {
		int m = from + r;
		s->item[r] = m < pixels ? m / (high * wide) : -1;
		s->y[r] = (m / wide % high * g.stride + py + g.pad - ky) / g.stride;
		s->x[r] = (m % wide * g.stride + px + g.pad - kx) / g.stride;
	}
	__syncthreads();
	float acc[T::RESULTS] = {};
	int first = blockIdx.y * T::COLS;
	Scattered a = {g, {s->item, s->y, s->x}, across};
	Turned b = {g, first, ky, kx, across};
	product<T>(a, small, g.half, b, weights, g.half_filters, 0, count(ky, g.kh, g.stride) * taps * g.o, s, acc);
	deliver<T>(s, acc, [&](int row, int col, float sum) {
		int m = from + row, c = first + col;
		if (m >= pixels || c >= g.c) return;
		int y = m / wide % high * g.stride + py, x = m % wide * g.stride + px;
		int at = ((m / (high * wide) * g.h + y) * g.w + x) * g.c + c;
		post(p, sum + (bias ? bias[c] : 0), at, out);
	});
}

// Results and Positions are what a filter's gradient sums over positions: the
// gradient of the results, and the picture at each of the block's columns
// (ky,kx,c).
struct Results {
	static constexpr bool DEEP = false;
	int from, o;
	__device__ __forceinline__ bool units(int n) const { return o % n == 0; }
	__device__ __forceinline__ long long at(int r, int k) const { return from + r < o ? (long long)k * o + from + r : -1; }
};

struct Positions {
	static constexpr bool DEEP = false;
	const Geometry &g;
	int from, width;
	__device__ __forceinline__ bool units(int n) const { return g.c % n == 0; }
	__device__ __forceinline__ long long at(int r, int k) const {
		int col = from + r;
		if (col >= width) return -1;
		int y = mirrored(k / g.ow % g.oh * g.stride - g.pad + col / (g.kw * g.c), g.h, g.reflect);
		int x = mirrored(k % g.ow * g.stride - g.pad + col / g.c % g.kw, g.w, g.reflect);
		return y >= 0 && x >= 0 ? ((k / (g.oh * g.ow) * g.h + y) * g.w + x) * g.c + col % g.c : -1;
	}
};

// conv_weights makes (o, kh*kw*c) of y and x. Each layer of blocks (z) sums
// `each` positions into a part of its own.
template <class T> __device__ __forceinline__ void conv_weights(const Geometry &g, int each, const float *x, const float *gy, float *parts) {
	SHARED(Shared<T>, s);
	int width = g.kh * g.kw * g.c, row0 = blockIdx.x * T::ROWS, col0 = blockIdx.y * T::COLS;
	int from = blockIdx.z * each, pixels = g.n * g.oh * g.ow, to = from + each < pixels ? from + each : pixels;
	float acc[T::RESULTS] = {};
	Results a = {row0, g.o};
	Positions b = {g, col0, width};
	product<T>(a, gy, false, b, x, false, from, to, s, acc);
	deliver<T>(s, acc, [&](int row, int col, float sum) {
		int o = row0 + row, at = col0 + col;
		if (o < g.o && at < width) parts[((long long)blockIdx.z * g.o + o) * width + at] = sum;
	});
}

// add_parts sums the parts of conv_weights in their order.
KERNEL add_parts(int n, int parts, const float *in, float *out) {
	EACH(i, n) {
		double sum = 0;
		for (int k = 0; k < parts; k++) sum += in[(long long)k * n + i];
		out[i] = (float)sum;
	}
}

// fold adds every position of a mirrored padding to the pixel it shows:
// in (n,h+2*pad,w+2*pad,c) to out (n,h,w,c).
KERNEL fold(int n, int h, int w, int c, int pad, const float *in, float *out) {
	EACH(i, n * h * w * c) {
		int x = i / c % w, y = i / c / w % h, item = i / c / w / h, wp = w + 2 * pad, hp = h + 2 * pad;
		int ys[3] = {y + pad, pad - y, 2 * (h - 1) - y + pad}, xs[3] = {x + pad, pad - x, 2 * (w - 1) - x + pad};
		double sum = 0;
		for (int a = 0; a < 3; a++) {
			if (ys[a] < 0 || ys[a] >= hp || (a == 1 && y == 0) || (a == 2 && y == h - 1)) continue;
			for (int b = 0; b < 3; b++) {
				if (xs[b] < 0 || xs[b] >= wp || (b == 1 && x == 0) || (b == 2 && x == w - 1)) continue;
				sum += in[((item * hp + ys[a]) * wp + xs[b]) * c + i % c];
			}
		}
		out[i] = (float)sum;
	}
}
