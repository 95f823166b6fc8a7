//go:build cgo && amd64

// The transforms of 3x3 convolutions at stride one: F(4x4,3x3) in float, 36
// multiplications where the direct convolution has 144; F(2x2,3x3) in bfloat16,
// 16 for 36, because the larger one would blow bfloat16's rounding up 25 times.
#include "wino.h"

// M outputs a side of a tile, made from N inputs.
#define M(half) ((half) ? 2 : 4)
#define N(half) (M(half) + 2)

// into is B^T d for one column.
INLINE512 void into(vec *o, const vec *d, int half) {
	if (half) {
		o[0] = vsub(d[0], d[2]);
		o[1] = vadd(d[1], d[2]);
		o[2] = vsub(d[2], d[1]);
		o[3] = vsub(d[1], d[3]);
		return;
	}
	vec four = vset(4), five = vset(5), two = vset(2);
	vec a = vsub(d[4], vmul(four, d[2])), b = vsub(d[3], vmul(four, d[1]));
	vec c = vsub(d[4], d[2]), e = vmul(two, vsub(d[3], d[1]));
	o[0] = vadd(vsub(vmul(four, d[0]), vmul(five, d[2])), d[4]);
	o[1] = vadd(a, b);
	o[2] = vsub(a, b);
	o[3] = vadd(c, e);
	o[4] = vsub(c, e);
	o[5] = vadd(vsub(vmul(four, d[1]), vmul(five, d[3])), d[5]);
}

// outof is A^T m: N products to M outputs.
INLINE512 void outof(vec *o, const vec *m, int half) {
	vec a = vadd(m[1], m[2]), b = vsub(m[1], m[2]);
	if (half) {
		o[0] = vadd(m[0], a);
		o[1] = vsub(b, m[3]);
		return;
	}
	vec c = vadd(m[3], m[4]), e = vsub(m[3], m[4]);
	o[0] = vadd(vadd(m[0], a), c);
	o[1] = vfma(vset(2), e, b);
	o[2] = vfma(vset(4), c, a);
	o[3] = vadd(vfma(vset(8), e, b), m[5]);
}

// spread is G g: three weights to N.
INLINE512 void spread(vec *o, vec g0, vec g1, vec g2, int half) {
	if (half) {
		vec a = vmul(vset(0.5f), vadd(g0, g2)), b = vmul(vset(0.5f), g1);
		o[0] = g0;
		o[1] = vadd(a, b);
		o[2] = vsub(a, b);
		o[3] = g2;
		return;
	}
	vec a = vmul(vset(-1.f / 6), vadd(g0, g2)), b = vmul(vset(-1.f / 6), g1);
	vec c = vfma(vset(1.f / 24), g0, vmul(vset(1.f / 6), g2)), e = vmul(vset(1.f / 12), g1);
	o[0] = vmul(vset(0.25f), g0);
	o[1] = vadd(a, b);
	o[2] = vsub(a, b);
	o[3] = vadd(c, e);
	o[4] = vsub(c, e);
	o[5] = g2;
}

INLINE512 void tile_in(void *v, size_t at, size_t gap, const float *x, const v2v_wino *k, int ty, int tx, int half) {
	int m = M(half), n = N(half), col[6];
	vec t[6][6];
	UNROLL for (int j = 0; j < n; j++) col[j] = outside(tx * m + j - k->pad, k->w, k->reflect);
	for (int i = 0; i < n; i++) {
		const float *row = row_at(x, outside(ty * m + i - k->pad, k->h, k->reflect), k->w);
		vec d[6];
		UNROLL for (int j = 0; j < n; j++) d[j] = pixel(row, col[j]);
		into(t[i], d, half);
	}
	UNROLL for (int j = 0; j < n; j++) {
		vec d[6], o[6];
		UNROLL for (int i = 0; i < n; i++) d[i] = t[i][j];
		into(o, d, half);
		UNROLL for (int i = 0; i < n; i++) put(v, at + (i * n + j) * gap, o[i], half);
	}
}

AVX512 static void tile_in_single(float *v, size_t at, size_t gap, const float *x, const v2v_wino *k, int ty, int tx) {
	tile_in(v, at, gap, x, k, ty, tx, 0);
}

AVX512 static void tile_in_half(float *v, size_t at, size_t gap, const float *x, const v2v_wino *k, int ty, int tx) {
	tile_in(v, at, gap, x, k, ty, tx, 1);
}

// turn writes the nine 16x16 blocks of a gradient: rows and columns exchanged,
// the taps in reverse.
AVX512 static void turn(float *to, const float *from) {
	__m512i row = _mm512_mullo_epi32(_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0), _mm512_set1_epi32(16));
	for (int t = 0; t < 9; t++)
		for (int i = 0; i < 16; i++) vstore(to + (8 - t) * 256 + i * 16, _mm512_i32gather_ps(row, from + t * 256 + i, 4));
}

INLINE512 void weights_in(void *u, const float *g, const v2v_wino *k, int o, int nv, int c, int depth, int half) {
	size_t gap = depth * 16 * nv + SKEW;
	float turned[2][9 * 256];
	const float *w[2];
	for (int i = 0; i < depth; i += 2) {
		for (int b = 0; i % 16 == 0 && b < nv; b++) {
			int cb = (c + i) / 16;
			w[b] = g + (k->gradient ? (size_t)cb * (k->o / 16) + o + b : (size_t)(o + b) * (k->c / 16) + cb) * 9 * 256;
			if (k->gradient) {
				turn(turned[b], w[b]);
				w[b] = turned[b];
			}
		}
		for (int b = 0; b < nv; b++) {
			vec t[2][3][6];
			UNROLL for (int n = 0; n < 2; n++) {
				const float *at = w[b] + (i % 16 + n) * 16;
				if (!k->gradient)
					for (int y = 0; y < 9; y++) _mm_prefetch((const char *)(at + y * 256 + 9 * 256), _MM_HINT_T0);
				UNROLL for (int y = 0; y < 3; y++) spread(t[n][y], vload(at + y * 768), vload(at + y * 768 + 256), vload(at + y * 768 + 512), half);
			}
			size_t to = (size_t)i * 16 * nv + b * (half ? 32 : 16);
			for (int j = 0; j < N(half); j++) {
				vec e[6], f[6];
				spread(e, t[0][0][j], t[0][1][j], t[0][2][j], half);
				spread(f, t[1][0][j], t[1][1][j], t[1][2][j], half);
				for (int y = 0; y < N(half); y++) put_pair(u, to + (y * N(half) + j) * gap, 16 * nv, e[y], f[y], half);
			}
		}
	}
}

AVX512 static void weights_in_single(float *u, const float *g, const v2v_wino *k, int o, int nv, int c, int depth) {
	weights_in(u, g, k, o, nv, c, depth, 0);
}

AVX512 static void weights_in_half(float *u, const float *g, const v2v_wino *k, int o, int nv, int c, int depth) {
	weights_in(u, g, k, o, nv, c, depth, 1);
}

INLINE512 void tiles_out(float *y, const float *m, const v2v_wino *k, const float *bias, int nv, int from, int tiles, part *stat, int half) {
	vec b = bias ? vload(bias) : _mm512_setzero_ps(), slope = vset(k->slope);
	moments mom = {.begun = 0};
	int side = M(half), n = N(half), tw = (k->ow + side - 1) / side;
	size_t g = (size_t)tiles * 16 * nv + SKEW;
	for (int t = 0; t < tiles; t++) {
		int ty = (from + t) / tw * side, tx = (from + t) % tw * side;
		int rows = k->oh - ty < side ? k->oh - ty : side, cols = k->ow - tx < side ? k->ow - tx : side;
		vec z[6][4];
		for (int i = 0; i < n; i++) {
			vec d[6];
			UNROLL for (int j = 0; j < n; j++) d[j] = vload(m + (i * n + j) * g + t * 16 * nv);
			outof(z[i], d, half);
		}
		UNROLL for (int j = 0; j < side; j++) {
			vec d[6], o[4];
			UNROLL for (int i = 0; i < n; i++) d[i] = z[i][j];
			outof(o, d, half);
			if (j >= cols) break;
			for (int i = 0; i < rows; i++) {
				vec out = vact(vadd(o[i], b), k->act, slope);
				vstore(y + ((size_t)(ty + i) * k->ow + tx + j) * 16, out);
				if (stat) moments_add(&mom, out);
			}
		}
		if (stat) moments_fold(&mom);
	}
	if (stat) moments_end(&mom, stat);
}

AVX512 static void tiles_out_single(float *y, const float *m, const v2v_wino *k, const float *bias, int nv, int from, int tiles, part *stat) {
	tiles_out(y, m, k, bias, nv, from, tiles, stat, 0);
}

AVX512 static void tiles_out_half(float *y, const float *m, const v2v_wino *k, const float *bias, int nv, int from, int tiles, part *stat) {
	tiles_out(y, m, k, bias, nv, from, tiles, stat, 1);
}

// EACH point has a matrix of its own.
#define EACH 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35
const scheme v2v_wino_single = {4, 36, 36, tile_in_single, weights_in_single, tiles_out_single, {EACH}};
const scheme v2v_wino_half = {2, 16, 16, tile_in_half, weights_in_half, tiles_out_half, {EACH}};
