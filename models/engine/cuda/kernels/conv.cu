// Convolutions as matrix products of tiles: the gathering of pictures happens
// while a tile is read. A block of 256 threads makes ROWS x COLS results in
// steps of DEPTH products; in f32 by fused multiply-adds, in tf32 and bf16 by
// the tensor cores (mma.sync, sums in float).

enum { F32, BF16, TF32 };
enum { ROWS = 128, COLS = 64, DEPTH = 32, TILE_A = ROWS * DEPTH / 256, TILE_B = COLS * DEPTH / 256 };

// In f32 the rows of a tile in shared memory are padded to different banks; the
// others pad so that a fragment's threads meet different banks.
template <int PREC> struct Row { enum { STRIDE = PREC == F32 ? DEPTH + 1 : DEPTH + 4 }; };
template <> struct Row<BF16> { enum { STRIDE = DEPTH + 8 }; }; // of 2 bytes

__device__ __forceinline__ float to_tf32(float x) {
	unsigned u = __float_as_uint(x);
	if (x != x) return x;
	return __uint_as_float((u + 0xfff + (u >> 13 & 1)) & 0xffffe000);
}

template <int PREC> __device__ __forceinline__ void keep(char *tile, int row, int k, float v) {
	int at = row * Row<PREC>::STRIDE + k;
	if (PREC == BF16) ((unsigned short *)tile)[at] = to_bf16(v);
	else ((float *)tile)[at] = PREC == TF32 ? to_tf32(v) : v;
}

// place tells which row and column of the tile result e of a thread is.
template <int PREC> __device__ __forceinline__ void place(int e, int &row, int &col) {
	int t = threadIdx.x;
	if (PREC == F32) {
		row = t / 16 + 16 * (e / 4);
		col = t % 16 + 16 * (e % 4);
		return;
	}
	int lane = t % 32, warp = t / 32;
	row = warp / 2 * 32 + e / 16 * 16 + lane / 4 + 8 * (e / 2 % 2);
	col = warp % 2 * 32 + e / 4 % 4 * 8 + lane % 4 * 2 + e % 2;
}

template <int PREC> __device__ __forceinline__ void multiply(const char *a, const char *b, float *acc) {
	int t = threadIdx.x;
	if (PREC == F32) {
		const float *pa = (const float *)a + t / 16 * Row<F32>::STRIDE, *pb = (const float *)b + t % 16 * Row<F32>::STRIDE;
		for (int k = 0; k < DEPTH; k++) {
			float x[8], y[4];
#pragma unroll
			for (int i = 0; i < 8; i++) x[i] = pa[i * 16 * Row<F32>::STRIDE + k];
#pragma unroll
			for (int j = 0; j < 4; j++) y[j] = pb[j * 16 * Row<F32>::STRIDE + k];
#pragma unroll
			for (int e = 0; e < 32; e++) acc[e] += x[e / 4] * y[e % 4];
		}
		return;
	}
	int lane = t % 32, warp = t / 32;
	int stride = PREC == BF16 ? (int)Row<BF16>::STRIDE / 2 : (int)Row<TF32>::STRIDE;
	const unsigned *pa = (const unsigned *)a + (warp / 2 * 32 + lane / 4) * stride + lane % 4;
	const unsigned *pb = (const unsigned *)b + (warp % 2 * 32 + lane / 4) * stride + lane % 4;
	for (int k = 0; k < (PREC == BF16 ? DEPTH / 2 : DEPTH); k += 8) {
#pragma unroll
		for (int i = 0; i < 2; i++) {
			const unsigned *at = pa + i * 16 * stride + k;
			unsigned x[4] = {at[0], at[8 * stride], at[4], at[8 * stride + 4]};
#pragma unroll
			for (int j = 0; j < 4; j++) {
				unsigned y[2] = {pb[j * 8 * stride + k], pb[j * 8 * stride + k + 4]};
				if (PREC == BF16) mma_bf16(acc + i * 16 + j * 4, x, y);
				else mma_tf32(acc + i * 16 + j * 4, x, y);
			}
		}
	}
}

// product adds the tile products of [k, end) to acc. L fetches what this thread
// holds of both tiles at a step: along the depth where A_DEEP or B_DEEP says so,
// else along rows or columns.
template <int PREC, class L> __device__ __forceinline__ void product(const L &l, int k, int end, char *a, char *b, float *acc) {
	float x[TILE_A], y[TILE_B];
	int t = threadIdx.x;
	l.fetch(k, end, x, y);
	for (; k < end; k += DEPTH) {
		__syncthreads();
#pragma unroll
		for (int i = 0; i < TILE_A; i++) {
			if (L::A_DEEP) keep<PREC>(a, t / DEPTH + i * (256 / DEPTH), t % DEPTH, x[i]);
			else keep<PREC>(a, t % ROWS, t / ROWS + i * (256 / ROWS), x[i]);
		}
#pragma unroll
		for (int i = 0; i < TILE_B; i++) {
			if (L::B_DEEP) keep<PREC>(b, t / DEPTH + i * (256 / DEPTH), t % DEPTH, y[i]);
			else keep<PREC>(b, t % COLS, t / COLS + i * (256 / COLS), y[i]);
		}
		__syncthreads();
		if (k + DEPTH < end) l.fetch(k + DEPTH, end, x, y);
		multiply<PREC>(a, b, acc);
	}
}

// Geometry of a convolution: x (n,h,w,c) and y (n,oh,ow,o). In bf16 the picture
// that is read lies as bfloat16 where half says so.
struct Geometry {
	int n, h, w, c, oh, ow, o, kh, kw, stride, pad, reflect, half;
};

template <int PREC> __device__ __forceinline__ float picture(const Geometry &g, const float *in, int i) {
	if (PREC == BF16 && g.half) return __uint_as_float((unsigned)((const unsigned short *)in)[i] << 16);
	return in[i];
}

__device__ __forceinline__ int mirrored(int i, int n, int reflect) {
	if (i >= 0 && i < n) return i;
	if (!reflect) return -1;
	return i < 0 ? -i : 2 * (n - 1) - i;
}

// A block's memory: two tiles, and where each of its rows lies.
struct Shared {
	char a[ROWS * (DEPTH + 4) * 4], b[COLS * (DEPTH + 4) * 4];
	int item[ROWS], y[ROWS], x[ROWS];
};

template <int PREC> struct Forward {
	enum { A_DEEP = 1, B_DEEP = 1 };
	const Geometry &g;
	const float *in, *weights;
	const Shared *rows;

	__device__ __forceinline__ void fetch(int k0, int end, float *a, float *b) const {
		int t = threadIdx.x, k = k0 + t % DEPTH, ky = k / (g.kw * g.c), kx = k / g.c % g.kw, c = k % g.c;
#pragma unroll
		for (int i = 0; i < TILE_A; i++) {
			int row = t / DEPTH + i * (256 / DEPTH), y = -1, x = -1;
			if (k < end && rows->item[row] >= 0) {
				y = mirrored(rows->y[row] + ky, g.h, g.reflect);
				x = mirrored(rows->x[row] + kx, g.w, g.reflect);
			}
			a[i] = y >= 0 && x >= 0 ? picture<PREC>(g, in, ((rows->item[row] * g.h + y) * g.w + x) * g.c + c) : 0;
		}
#pragma unroll
		for (int i = 0; i < TILE_B; i++) {
			int col = blockIdx.y * COLS + t / DEPTH + i * (256 / DEPTH);
			b[i] = k < end && col < g.o ? weights[(long long)col * end + k] : 0;
		}
	}
};

template <int PREC> __device__ __forceinline__ void conv(const Geometry &g, const Post &p, const float *in, const float *weights, const float *bias, float *out) {
	SHARED(Shared, s);
	int pixels = g.n * g.oh * g.ow, from = blockIdx.x * ROWS;
	for (int r = threadIdx.x; r < ROWS; r += blockDim.x) {
		int m = from + r;
		s->item[r] = m < pixels ? m / (g.oh * g.ow) : -1;
		s->y[r] = m / g.ow % g.oh * g.stride - g.pad;
		s->x[r] = m % g.ow * g.stride - g.pad;
	}
	__syncthreads();
	float acc[32] = {};
	Forward<PREC> l = {g, in, weights, s};
	product<PREC>(l, 0, g.kh * g.kw * g.c, s->a, s->b, acc);
#pragma unroll
	for (int e = 0; e < 32; e++) {
		int row, col;
		place<PREC>(e, row, col);
		int m = from + row, o = blockIdx.y * COLS + col;
		if (m >= pixels || o >= g.o) continue;
		post(p, acc[e] + (bias ? bias[o] : 0), m * g.o + o, out);
	}
}

// Backward gathers what Forward scatters: out (n,h,w,c) of small (n,oh,ow,o).
// Only taps of the block's phase of the stride are met.
template <int PREC> struct Backward {
	enum { A_DEEP = 1, B_DEEP = 0 };
	const Geometry &g;
	const float *small, *weights;
	const Shared *rows;
	int ky0, kx0, across; // first tap of the phase, taps in a row

	__device__ __forceinline__ void fetch(int k0, int end, float *a, float *b) const {
		int t = threadIdx.x, k = k0 + t % DEPTH, tap = k / g.o, o = k % g.o;
#pragma unroll
		for (int i = 0; i < TILE_A; i++) {
			int row = t / DEPTH + i * (256 / DEPTH);
			int y = rows->y[row] - tap / across, x = rows->x[row] - tap % across;
			bool in = k < end && rows->item[row] >= 0 && y >= 0 && y < g.oh && x >= 0 && x < g.ow;
			a[i] = in ? picture<PREC>(g, small, ((rows->item[row] * g.oh + y) * g.ow + x) * g.o + o) : 0;
		}
		int c = blockIdx.y * COLS + t % COLS;
#pragma unroll
		for (int i = 0; i < TILE_B; i++) {
			int at = k0 + t / COLS + i * (256 / COLS), of = at / g.o;
			int ky = ky0 + of / across * g.stride, kx = kx0 + of % across * g.stride;
			b[i] = at < end && c < g.c ? weights[(((long long)(at % g.o) * g.kh + ky) * g.kw + kx) * g.c + c] : 0;
		}
	}
};

__device__ __forceinline__ int count(int from, int n, int step) { return from < n ? (n - from + step - 1) / step : 0; }

template <int PREC> __device__ __forceinline__ void conv_back(const Geometry &g, const Post &p, const float *small, const float *weights, const float *bias, float *out) {
	SHARED(Shared, s);
	int py = blockIdx.z / g.stride, px = blockIdx.z % g.stride;
	int high = count(py, g.h, g.stride), wide = count(px, g.w, g.stride), pixels = g.n * high * wide, from = blockIdx.x * ROWS;
	if (from >= pixels) return;
	int ky0 = (py + g.pad) % g.stride, kx0 = (px + g.pad) % g.stride;
	int across = count(kx0, g.kw, g.stride);
	for (int r = threadIdx.x; r < ROWS; r += blockDim.x) {
		int m = from + r;
		s->item[r] = m < pixels ? m / (high * wide) : -1;
		s->y[r] = (m / wide % high * g.stride + py + g.pad - ky0) / g.stride;
		s->x[r] = (m % wide * g.stride + px + g.pad - kx0) / g.stride;
	}
	__syncthreads();
	float acc[32] = {};
	Backward<PREC> l = {g, small, weights, s, ky0, kx0, across > 0 ? across : 1};
	product<PREC>(l, 0, count(ky0, g.kh, g.stride) * across * g.o, s->a, s->b, acc);
#pragma unroll
	for (int e = 0; e < 32; e++) {
		int row, col;
		place<PREC>(e, row, col);
		int m = from + row, c = blockIdx.y * COLS + col;
		if (m >= pixels || c >= g.c) continue;
		int y = m / wide % high * g.stride + py, x = m % wide * g.stride + px;
		int at = ((m / (high * wide) * g.h + y) * g.w + x) * g.c + c;
		post(p, acc[e] + (bias ? bias[c] : 0), at, out);
	}
}

// Weights sums over positions: out (o, kh*kw*c) of y and gathered x.
struct Weights {
	enum { A_DEEP = 0, B_DEEP = 0 };
	const Geometry &g;
	const float *x, *gy;
	int ky, kx, c, inside; // of this thread's column

	__device__ __forceinline__ void fetch(int k0, int end, float *a, float *b) const {
		int t = threadIdx.x, o = blockIdx.x * ROWS + t % ROWS;
#pragma unroll
		for (int i = 0; i < TILE_A; i++) {
			int k = k0 + t / ROWS + i * (256 / ROWS);
			a[i] = k < end && o < g.o ? gy[k * g.o + o] : 0;
		}
#pragma unroll
		for (int i = 0; i < TILE_B; i++) {
			int k = k0 + t / COLS + i * (256 / COLS), y = -1, xx = -1;
			if (inside && k < end) {
				y = mirrored(k / g.ow % g.oh * g.stride - g.pad + ky, g.h, g.reflect);
				xx = mirrored(k % g.ow * g.stride - g.pad + kx, g.w, g.reflect);
			}
			b[i] = y >= 0 && xx >= 0 ? x[((k / (g.oh * g.ow) * g.h + y) * g.w + xx) * g.c + c] : 0;
		}
	}
};

// Each layer of blocks (z) sums `each` positions into a part of its own.
template <int PREC> __device__ __forceinline__ void conv_weights(const Geometry &g, int each, const float *x, const float *gy, float *parts) {
	SHARED(Shared, s);
	int width = g.kh * g.kw * g.c, col = blockIdx.y * COLS + threadIdx.x % COLS;
	int from = blockIdx.z * each, pixels = g.n * g.oh * g.ow, to = from + each < pixels ? from + each : pixels;
	float acc[32] = {};
	Weights l = {g, x, gy, col / (g.kw * g.c), col / g.c % g.kw, col % g.c, col < width};
	product<PREC>(l, from, to, s->a, s->b, acc);
#pragma unroll
	for (int e = 0; e < 32; e++) {
		int row, n;
		place<PREC>(e, row, n);
		int o = blockIdx.x * ROWS + row, at = blockIdx.y * COLS + n;
		if (o < g.o && at < width) parts[((long long)blockIdx.z * g.o + o) * width + at] = acc[e];
	}
}

KERNEL conv_f32(Geometry g, Post p, const float *x, const float *w, const float *b, float *y) { conv<F32>(g, p, x, w, b, y); }
KERNEL conv_bf16(Geometry g, Post p, const float *x, const float *w, const float *b, float *y) { conv<BF16>(g, p, x, w, b, y); }
KERNEL conv_tf32(Geometry g, Post p, const float *x, const float *w, const float *b, float *y) { conv<TF32>(g, p, x, w, b, y); }
KERNEL conv_back_f32(Geometry g, Post p, const float *y, const float *w, const float *b, float *x) { conv_back<F32>(g, p, y, w, b, x); }
KERNEL conv_back_bf16(Geometry g, Post p, const float *y, const float *w, const float *b, float *x) { conv_back<BF16>(g, p, y, w, b, x); }
KERNEL conv_back_tf32(Geometry g, Post p, const float *y, const float *w, const float *b, float *x) { conv_back<TF32>(g, p, y, w, b, x); }
KERNEL conv_weights_f32(Geometry g, int each, const float *x, const float *gy, float *parts) { conv_weights<F32>(g, each, x, gy, parts); }
KERNEL conv_weights_bf16(Geometry g, int each, const float *x, const float *gy, float *parts) { conv_weights<BF16>(g, each, x, gy, parts); }
KERNEL conv_weights_tf32(Geometry g, int each, const float *x, const float *gy, float *parts) { conv_weights<TF32>(g, each, x, gy, parts); }

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

// halve rounds to bfloat16.
KERNEL halve(int n, const float *in, unsigned short *out) {
	EACH(i, n) out[i] = to_bf16(in[i]);
}
