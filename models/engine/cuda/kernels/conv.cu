// Convolutions as products of matrices (tile.cu): pictures are gathered as slices
// of them are brought.

// Geometry of a convolution: x (n,h,w,c) and y (n,oh,ow,o). The picture that is
// read and the filters lie as bfloat16 where half and half_filters say so.
struct Geometry {
	int n, h, w, c, oh, ow, o, kh, kw, stride, pad, reflect, half, half_filters;
};

// mirror is where row or column i of n lies beyond a mirrored border.
__device__ __forceinline__ int mirror(int i, int n) {
	int from = i < 0 ? -i : i, back = 2 * (n - 1) - from;
	return from < back ? from : back;
}

// What a block reads is told by structs with these members: DEEP and units are as
// in tile.cu. radix divides the depth; at is where the number of a place there and
// a row of the block lies, or NONE. Where the depth does not lie side by side, place
// is told the first of the w rows or columns that a thread brings. Rows behind the
// last are the last's again: what becomes of them nobody reads. STEADY: along a low
// digit's run each number lies along() behind the one before. BORDERS: rows at one
// place may differ in whether there is a number. PAIRED: the first matrix divides the
// depth alike.

// Taps is what each result reads of a picture, along the depth (ky,kx,c).
struct Taps {
	static constexpr bool DEEP = true, STEADY = true, BORDERS = true, FLAT = false, PAIRED = false;
	const Geometry &g;
	const Row *rows;
	__device__ __forceinline__ bool units(int n) const { return g.c % n == 0; }
	__device__ __forceinline__ Radix<false> radix() const { return {g.c, g.kw}; }
	__device__ __forceinline__ int along() const { return 1; }
	__device__ __forceinline__ void place(int, int) {}
	__device__ __forceinline__ int at(const Digits &p, int r) const {
		Row row = rows[r];
		if (p.high >= g.kh) return NONE;
		if (row.inside >= 0) return row.inside + (p.high * g.w + p.mid) * g.c + p.low;
		int y = row.y + p.high, x = row.x + p.mid;
		if (g.reflect) y = mirror(y, g.h), x = mirror(x, g.w);
		bool in = (unsigned)y < (unsigned)g.h && (unsigned)x < (unsigned)g.w;
		return in ? (row.picture + y * g.w + x) * g.c + p.low : NONE;
	}
};

// Filters is those of the block's columns, as they lie.
struct Filters {
	static constexpr bool DEEP = true, STEADY = true, BORDERS = false, FLAT = true, PAIRED = false;
	int from, o, depth;
	__device__ __forceinline__ bool units(int n) const { return depth % n == 0; }
	__device__ __forceinline__ Radix<true> radix() const { return {depth, 0}; }
	__device__ __forceinline__ int along() const { return 1; }
	__device__ __forceinline__ void place(int, int) {}
	__device__ __forceinline__ int at(const Digits &p, int r) const { return p.low >= depth ? NONE : (from + r < o ? from + r : o - 1) * depth + p.low; }
};

template <class T> __device__ __forceinline__ void conv(const Geometry &g, const Post &p, const void *in, const void *weights, const float *bias, float *out) {
	SHARED(Shared<T>, s);
	int pixels = g.n * g.oh * g.ow, from = blockIdx.x * T::ROWS;
	for (int r = threadIdx.x; r < T::ROWS; r += T::THREADS) {
		int m = from + r < pixels ? from + r : pixels - 1;
		int picture = m / (g.oh * g.ow) * g.h * g.w, y = m / g.ow % g.oh * g.stride - g.pad, x = m % g.ow * g.stride - g.pad;
		bool inside = y >= 0 && x >= 0 && y + g.kh <= g.h && x + g.kw <= g.w;
		s->rows[r] = {picture, y, x, inside ? (picture + y * g.w + x) * g.c : NONE};
	}
	__syncthreads();
	float acc[T::RESULTS] = {};
	int first = blockIdx.y * T::COLS, depth = g.kh * g.kw * g.c;
	Taps a = {g, s->rows};
	Filters b = {first, g.o, depth};
	product<T>(a, in, g.half, b, weights, g.half_filters, 0, depth, s, acc);
	deliver<T>(s, acc, [&](int row, int col, float sum) {
		int m = from + row, o = first + col;
		if (m < pixels && o < g.o) post(p, sum + (bias ? bias[o] : 0), m * g.o + o, out);
	});
}

// Scattered is what is gathered backward: the results that read a pixel, along
// the depth (tap,o). Only taps of the block's phase of the stride are met, of
// which there are high rows of across.
struct Scattered {
	static constexpr bool DEEP = true, STEADY = true, BORDERS = true, FLAT = false, PAIRED = false;
	const Geometry &g;
	const Row *rows;
	int high, across;
	__device__ __forceinline__ bool units(int n) const { return g.o % n == 0; }
	__device__ __forceinline__ Radix<false> radix() const { return {g.o, across}; }
	__device__ __forceinline__ int along() const { return 1; }
	__device__ __forceinline__ void place(int, int) {}
	__device__ __forceinline__ int at(const Digits &p, int r) const {
		Row row = rows[r];
		if (p.high >= high) return NONE;
		if (row.inside >= 0) return row.inside - (p.high * g.ow + p.mid) * g.o + p.low;
		int y = row.y - p.high, x = row.x - p.mid;
		bool in = (unsigned)y < (unsigned)g.oh && (unsigned)x < (unsigned)g.ow;
		return in ? (row.picture + y * g.ow + x) * g.o + p.low : NONE;
	}
};

// Turned is the filters of a phase with channels c as columns; ky and kx are its
// first tap.
struct Turned {
	static constexpr bool DEEP = false, STEADY = true, BORDERS = true, FLAT = false, PAIRED = true;
	const Geometry &g;
	int from, ky, kx, high, across, c;
	__device__ __forceinline__ bool units(int n) const { return g.c % n == 0; }
	__device__ __forceinline__ Radix<false> radix() const { return {g.o, across}; }
	__device__ __forceinline__ int along() const { return g.kh * g.kw * g.c; }
	__device__ __forceinline__ void place(int r, int w) { c = from + r < g.c ? from + r : g.c - w; }
	__device__ __forceinline__ int at(const Digits &p, int) const {
		return p.high < high ? ((p.low * g.kh + ky + p.high * g.stride) * g.kw + kx + p.mid * g.stride) * g.c + c : NONE;
	}
};

// conv_back gathers what conv scatters: out (n,h,w,c) of small (n,oh,ow,o).
template <class T> __device__ __forceinline__ void conv_back(const Geometry &g, const Post &p, const void *small, const void *weights, const float *bias, float *out) {
	SHARED(Shared<T>, s);
	int py = blockIdx.z / g.stride, px = blockIdx.z % g.stride;
	int high = count(py, g.h, g.stride), wide = count(px, g.w, g.stride), pixels = g.n * high * wide, from = blockIdx.x * T::ROWS;
	if (from >= pixels) return;
	int ky = (py + g.pad) % g.stride, kx = (px + g.pad) % g.stride, down = count(ky, g.kh, g.stride), taps = count(kx, g.kw, g.stride), across = taps > 0 ? taps : 1;
	for (int r = threadIdx.x; r < T::ROWS; r += T::THREADS) {
		int m = from + r < pixels ? from + r : pixels - 1;
		int picture = m / (high * wide) * g.oh * g.ow, y = (m / wide % high * g.stride + py + g.pad - ky) / g.stride, x = (m % wide * g.stride + px + g.pad - kx) / g.stride;
		bool inside = y >= down - 1 && x >= across - 1 && y < g.oh && x < g.ow;
		s->rows[r] = {picture, y, x, inside ? (picture + y * g.ow + x) * g.o : NONE};
	}
	__syncthreads();
	float acc[T::RESULTS] = {};
	int first = blockIdx.y * T::COLS;
	Scattered a = {g, s->rows, down, across};
	Turned b = {g, first, ky, kx, down, across, 0};
	product<T>(a, small, g.half, b, weights, g.half_filters, 0, down * taps * g.o, s, acc);
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
// (ky,kx,c). Both are 0 behind the last position; a layer of blocks ends there or
// with a slice.
struct Results {
	static constexpr bool DEEP = false, STEADY = true, BORDERS = true, FLAT = true, PAIRED = false;
	int from, o, end, row;
	__device__ __forceinline__ bool units(int n) const { return o % n == 0; }
	__device__ __forceinline__ Radix<true> radix() const { return {end, 0}; }
	__device__ __forceinline__ int along() const { return o; }
	__device__ __forceinline__ void place(int r, int w) { row = from + r < o ? from + r : o - w; }
	__device__ __forceinline__ int at(const Digits &p, int) const { return p.low >= end ? NONE : p.low * o + row; }
};

struct Positions {
	static constexpr bool DEEP = false, STEADY = false, BORDERS = true, FLAT = false, PAIRED = false;
	const Geometry &g;
	int from, width, y, x, c;
	__device__ __forceinline__ bool units(int n) const { return g.c % n == 0; }
	__device__ __forceinline__ Radix<false> radix() const { return {g.ow, g.oh}; }
	__device__ __forceinline__ int along() const { return 0; }
	__device__ __forceinline__ void place(int r, int w) {
		int col = from + r < width ? from + r : width - w;
		y = col / (g.kw * g.c) - g.pad;
		x = col / g.c % g.kw - g.pad;
		c = col % g.c;
	}
	__device__ __forceinline__ int at(const Digits &p, int) const {
		int down = p.mid * g.stride + y, right = p.low * g.stride + x;
		if (g.reflect) down = mirror(down, g.h), right = mirror(right, g.w);
		bool in = (unsigned)down < (unsigned)g.h && (unsigned)right < (unsigned)g.w && p.high < g.n;
		return in ? ((p.high * g.h + down) * g.w + right) * g.c + c : NONE;
	}
};

// conv_weights makes (o, kh*kw*c) of y and x. Each layer of blocks (z) sums
// `each` positions, a multiple of every tile's depth, into a part of its own.
template <class T> __device__ __forceinline__ void conv_weights(const Geometry &g, int each, const float *x, const float *gy, float *parts) {
	SHARED(Shared<T>, s);
	int width = g.kh * g.kw * g.c, row0 = blockIdx.x * T::ROWS, col0 = blockIdx.y * T::COLS;
	int from = blockIdx.z * each, pixels = g.n * g.oh * g.ow, to = from + each < pixels ? from + each : pixels;
	float acc[T::RESULTS] = {};
	Results a = {row0, g.o, to, 0};
	Positions b = {g, col0, width, 0, 0, 0};
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
