// Convolutions of 3x3 at stride one by Winograd's F(4x4,3x3): 36 products where
// they have 144. Pictures become 36 matrices of tiles by channels, filters 36 of
// channels by channels, which bulk.cu multiplies. Points are 0, 5/8, -5/8, 3/2,
// -3/2 and infinity, with which bfloat16's rounding grows 4 times, with the usual
// 0, 1, -1, 2, -2 it does 9 times (Barabasz et al. 2020, "Error analysis and
// improving the accuracy of Winograd convolution for deep neural networks").

enum { WINO = 6, WINO_OUT = 4 };
typedef Line<float, 2> Two;

__device__ __forceinline__ Two mad(float a, const Two &x, const Two &y) { return {{a * x.of[0] + y.of[0], a * x.of[1] + y.of[1]}}; }
__device__ __forceinline__ Two scaled(float a, const Two &x) { return {{a * x.of[0], a * x.of[1]}}; }

// wino_into is B^T d of one row or column, each step apart.
__device__ __forceinline__ void wino_into(Two *d, int step) {
	const float a = 5 / 8.f, b = 3 / 2.f, aa = a * a, bb = b * b;
	Two d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step], d5 = d[5 * step];
	Two e = mad(-bb, d2, d4), f = scaled(a, mad(-bb, d1, d3)), g = mad(-aa, d2, d4), h = scaled(b, mad(-aa, d1, d3));
	d[0] = mad(aa * bb, d0, mad(-aa - bb, d2, d4));
	d[step] = mad(1, f, e);
	d[2 * step] = mad(-1, f, e);
	d[3 * step] = mad(1, h, g);
	d[4 * step] = mad(-1, h, g);
	d[5 * step] = mad(aa * bb, d1, mad(-aa - bb, d3, d5));
}

// wino_outof is A^T m: six to four.
__device__ __forceinline__ void wino_outof(Two *m, int step) {
	const float p = 5 / 8.f, q = 3 / 2.f;
	Two m0 = m[0], a = mad(1, m[step], m[2 * step]), b = mad(-1, m[2 * step], m[step]), c = mad(1, m[3 * step], m[4 * step]), e = mad(-1, m[4 * step], m[3 * step]), m5 = m[5 * step];
	m[0] = mad(1, m0, mad(1, a, c));
	m[step] = mad(p, b, scaled(q, e));
	m[2 * step] = mad(p * p, a, scaled(q * q, c));
	m[3 * step] = mad(p * p * p, b, mad(q * q * q, e, m5));
}

// wino_spread is G g: three to six.
__device__ __forceinline__ void wino_spread(float *o, int step, float g0, float g1, float g2) {
	const float a = 5 / 8.f, b = 3 / 2.f, aa = a * a, bb = b * b, p = 1 / (2 * aa * (aa - bb)), q = 1 / (2 * bb * (bb - aa));
	float even = p * g0 + p * aa * g2, odd = p * a * g1, even2 = q * g0 + q * bb * g2, odd2 = q * b * g1;
	o[0] = g0 / (aa * bb);
	o[step] = even + odd;
	o[2 * step] = even - odd;
	o[3 * step] = even2 + odd2;
	o[4 * step] = even2 - odd2;
	o[5 * step] = g2;
}

// Tiles is how pictures (n,h,w,c) and results (n,oh,ow,o) are cut: down x across
// tiles of 4x4 results, of all items `all`; c is the channels of what is walked.
struct Tiles { int h, w, c, oh, ow, pad, reflect, half, down, across, all; };

// wino_in makes (36,all,c) of a picture, two channels a thread.
KERNEL __launch_bounds__(128) wino_in(Tiles g, const void *in, unsigned *out) {
	int pairs = g.c / 2;
	EACH(i, g.all * pairs) {
		int c = i % pairs * 2, tile = i / pairs, x0 = tile % g.across * WINO_OUT - g.pad, y0 = tile / g.across % g.down * WINO_OUT - g.pad, item = tile / g.across / g.down;
		Two d[WINO][WINO];
		int column[WINO];
#pragma unroll
		for (int x = 0; x < WINO; x++) column[x] = mirrored(x0 + x, g.w, g.reflect) * g.c + c;
#pragma unroll
		for (int y = 0; y < WINO; y++) {
			int row = mirrored(y0 + y, g.h, g.reflect), at = (item * g.h + row) * g.w * g.c;
#pragma unroll
			for (int x = 0; x < WINO; x++) {
				d[y][x] = {};
				if (row < 0 || row >= g.h || column[x] < 0 || column[x] >= g.w * g.c) continue;
				if (g.half) {
					unsigned u = *(const unsigned *)((const unsigned short *)in + at + column[x]);
					d[y][x] = {{__uint_as_float(u << 16), __uint_as_float(u & 0xffff0000)}};
				} else d[y][x] = *(const Two *)((const float *)in + at + column[x]);
			}
		}
#pragma unroll
		for (int x = 0; x < WINO; x++) wino_into(&d[0][x], WINO);
#pragma unroll
		for (int y = 0; y < WINO; y++) {
			wino_into(d[y], 1);
#pragma unroll
			for (int x = 0; x < WINO; x++) out[((y * WINO + x) * g.all + tile) * pairs + c / 2] = two_bf16(d[y][x].of[0], d[y][x].of[1]);
		}
	}
}

// wino_filters makes (o,36,c) of filters (o,3,3,c).
KERNEL wino_filters(int o, int c, const float *in, unsigned short *out) {
	EACH(i, o * c) {
		const float *g = in + i / c * 9 * c + i % c;
		float t[3][WINO], u[WINO][WINO];
#pragma unroll
		for (int y = 0; y < 3; y++) wino_spread(t[y], 1, g[3 * y * c], g[(3 * y + 1) * c], g[(3 * y + 2) * c]);
#pragma unroll
		for (int x = 0; x < WINO; x++) wino_spread(&u[0][x], WINO, t[0][x], t[1][x], t[2][x]);
#pragma unroll
		for (int k = 0; k < WINO * WINO; k++) out[(i / c * WINO * WINO + k) * c + i % c] = to_bf16(u[k / WINO][k % WINO]);
	}
}

// wino_step takes results by one of the steps behind them.
__device__ __forceinline__ void wino_step(const Post &p, int kind, float slope, Two (*m)[WINO], int at, int row, int c, int tall, int wide) {
	if (kind == NOTHING) return;
#pragma unroll
	for (int y = 0; y < WINO_OUT; y++) {
#pragma unroll
		for (int x = 0; x < WINO_OUT; x++) {
			if (kind == ADDED) {
				if (y < tall && x < wide) m[y][x] = mad(1, *(const Two *)(p.add + at + y * row + x * c), m[y][x]);
			} else m[y][x] = {{activate(kind, slope, m[y][x].of[0]), activate(kind, slope, m[y][x].of[1])}};
		}
	}
}

// wino_out makes results of (36,all,c), with what is fused behind them.
KERNEL __launch_bounds__(128) wino_out(Tiles g, Post p, const float *in, const float *bias, float *out, Stats stats) {
	int pairs = g.c / 2;
	EACH(i, g.all * pairs) {
		int c = i % pairs * 2, tile = i / pairs, x0 = tile % g.across * WINO_OUT, y0 = tile / g.across % g.down * WINO_OUT, item = tile / g.across / g.down;
		Two m[WINO][WINO];
#pragma unroll
		for (int k = 0; k < WINO * WINO; k++) m[k / WINO][k % WINO] = *(const Two *)(in + (k * g.all + tile) * g.c + c);
#pragma unroll
		for (int x = 0; x < WINO; x++) wino_outof(&m[0][x], WINO);
		Two b = {};
		if (bias) b = *(const Two *)(bias + c);
#pragma unroll
		for (int y = 0; y < WINO_OUT; y++) {
			wino_outof(m[y], 1);
#pragma unroll
			for (int x = 0; x < WINO_OUT; x++) m[y][x] = mad(1, b, m[y][x]);
		}
		int row = g.ow * g.c, at = ((item * g.oh + y0) * g.ow + x0) * g.c + c, tall = g.oh - y0, wide = g.ow - x0;
		wino_step(p, p.kind0, p.slope0, m, at, row, g.c, tall, wide);
		wino_step(p, p.kind1, p.slope1, m, at, row, g.c, tall, wide);
		float a[2] = {}, squares[2] = {};
#pragma unroll
		for (int y = 0; y < WINO_OUT; y++) {
#pragma unroll
			for (int x = 0; x < WINO_OUT; x++) {
				if (y >= tall || x >= wide) continue;
				for (int e = 0; e < 2; e++) a[e] += m[y][x].of[e], squares[e] += m[y][x].of[e] * m[y][x].of[e];
				if (p.half) *(unsigned *)((unsigned short *)out + at + y * row + x * g.c) = two_bf16(m[y][x].of[0], m[y][x].of[1]);
				else *(Two *)(out + at + y * row + x * g.c) = m[y][x];
			}
		}
		if (!stats.parts) continue;
		int tiles = stats.items ? g.down * g.across : g.all, place = tile % tiles * stats.rows + (stats.items ? item * g.c : 0);
		for (int e = 0; e < 2; e++) stats.put(place, c + e, g.c, a[e], squares[e]);
	}
}
