//go:build cgo && amd64

// The transforms of 3x3 convolutions at stride one: F(4x4,3x3), 36
// multiplications where the direct convolution has 144. Its points are 0, 5/8,
// -5/8, 3/2, -3/2 and infinity: with the usual 0, 1, -1, 2, -2 the rounding of
// bfloat16 grows 9 times, with these 4 times (Barabasz et al. 2020, "Error
// analysis and improving the accuracy of Winograd convolution for deep neural
// networks", look for such points); they cost one multiplication more.
#include "wino.h"

enum { M = 4, N = 6, AHEAD = 9 * 256 }; // AHEAD: floats from a weight to that of 16 channels on

#define A (5 / 8.f)
#define B (3 / 2.f)
#define AA (A * A)
#define BB (B * B)

// into is B^T d for one column.
INLINE512 void into(vec *o, const vec *d) {
	vec aa = vset(-AA), bb = vset(-BB), sum = vset(-AA - BB), product = vset(AA * BB);
	vec e = vfma(bb, d[2], d[4]), f = vmul(vset(A), vfma(bb, d[1], d[3]));
	vec g = vfma(aa, d[2], d[4]), h = vmul(vset(B), vfma(aa, d[1], d[3]));
	o[0] = vfma(product, d[0], vfma(sum, d[2], d[4]));
	o[1] = vadd(e, f);
	o[2] = vsub(e, f);
	o[3] = vadd(g, h);
	o[4] = vsub(g, h);
	o[5] = vfma(product, d[1], vfma(sum, d[3], d[5]));
}

// outof is A^T m: N products to M outputs.
INLINE512 void outof(vec *o, const vec *m) {
	vec a = vadd(m[1], m[2]), b = vsub(m[1], m[2]), c = vadd(m[3], m[4]), e = vsub(m[3], m[4]);
	o[0] = vadd(vadd(m[0], a), c);
	o[1] = vfma(vset(A), b, vmul(vset(B), e));
	o[2] = vfma(vset(AA), a, vmul(vset(BB), c));
	o[3] = vfma(vset(AA * A), b, vfma(vset(BB * B), e, m[5]));
}

// spread is G g: three weights to N.
INLINE512 void spread(vec *o, vec g0, vec g1, vec g2) {
	const float p = 1 / (2 * AA * (AA - BB)), q = 1 / (2 * BB * (BB - AA));
	vec a = vfma(vset(p * AA), g2, vmul(vset(p), g0)), b = vmul(vset(p * A), g1);
	vec c = vfma(vset(q * BB), g2, vmul(vset(q), g0)), e = vmul(vset(q * B), g1);
	o[0] = vmul(vset(1 / (AA * BB)), g0);
	o[1] = vadd(a, b);
	o[2] = vsub(a, b);
	o[3] = vadd(c, e);
	o[4] = vsub(c, e);
	o[5] = g2;
}

INLINE512 void tile_in(void *v, size_t at, size_t gap, const float *x, const v2v_wino *k, int ty, int tx, int half) {
	int col[N];
	vec t[N][N];
	UNROLL for (int j = 0; j < N; j++) col[j] = outside(tx * M + j - k->pad, k->w, k->reflect);
	for (int i = 0; i < N; i++) {
		const float *row = row_at(x, outside(ty * M + i - k->pad, k->h, k->reflect), k->w);
		vec d[N];
		UNROLL for (int j = 0; j < N; j++) d[j] = pixel(row, col[j]);
		into(t[i], d);
	}
	UNROLL for (int j = 0; j < N; j++) {
		vec d[N], o[N];
		UNROLL for (int i = 0; i < N; i++) d[i] = t[i][j];
		into(o, d);
		UNROLL for (int i = 0; i < N; i++) put(v, at + (i * N + j) * gap, o[i], half);
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

// spread_in transforms the weights of `pair` neighbouring channels.
INLINE512 void spread_in(void *u, size_t to, size_t gap, const float *w, int pair) {
	vec t[2][3][N];
	UNROLL for (int n = 0; n < pair; n++)
		UNROLL for (int y = 0; y < 3; y++) {
			const float *at = w + n * 16 + y * 768;
			UNROLL for (int x = 0; x < 3; x++) _mm_prefetch((const char *)(at + x * 256 + AHEAD), _MM_HINT_T0);
			spread(t[n][y], vload(at), vload(at + 256), vload(at + 512));
		}
	for (int j = 0; j < N; j++) {
		vec e[N], f[N];
		spread(e, t[0][0][j], t[0][1][j], t[0][2][j]);
		if (pair == 2) spread(f, t[1][0][j], t[1][1][j], t[1][2][j]);
		UNROLL for (int y = 0; y < N; y++) {
			if (pair == 2)
				put_pair(u, to + (y * N + j) * gap, e[y], f[y]);
			else
				vstore((float *)u + to + (y * N + j) * gap, e[y]);
		}
	}
}

INLINE512 void weights_in(void *u, const float *g, const v2v_wino *k, int o, int nv, int c, int depth, int pair) {
	float turned[LIMIT / 16][9 * 256];
	const float *w[LIMIT / 16];
	for (int i = 0; i < depth; i += pair)
		for (int b = 0; b < nv; b++) {
			if (i % 16 == 0) {
				w[b] = v2v_weights_at(k, g, o + b, c + i);
				if (k->gradient) {
					turn(turned[b], w[b]);
					w[b] = turned[b];
				}
			}
			spread_in(u, (size_t)i * 16 * nv + b * 16 * pair, depth * 16 * nv + SKEW, w[b] + i % 16 * 16, pair);
		}
}

AVX512 static void weights_single(float *u, const float *g, const v2v_wino *k, int o, int nv, int c, int depth) {
	weights_in(u, g, k, o, nv, c, depth, 1);
}

AVX512 static void weights_half(float *u, const float *g, const v2v_wino *k, int o, int nv, int c, int depth) {
	weights_in(u, g, k, o, nv, c, depth, 2);
}

AVX512 static void tiles_out(float *y, const float *m, const v2v_wino *k, const float *bias, int nv, int from, int tiles, part *stat) {
	vec b = bias ? vload(bias) : _mm512_setzero_ps(), slope = vset(k->slope);
	moments mom = {.begun = 0};
	int tw = (k->ow + M - 1) / M;
	size_t g = (size_t)tiles * 16 * nv + SKEW;
	for (int t = 0; t < tiles; t++) {
		int ty = (from + t) / tw * M, tx = (from + t) % tw * M;
		int rows = k->oh - ty < M ? k->oh - ty : M, cols = k->ow - tx < M ? k->ow - tx : M;
		vec z[N][M];
		for (int i = 0; i < N; i++) {
			vec d[N];
			UNROLL for (int j = 0; j < N; j++) d[j] = vload(m + (i * N + j) * g + t * 16 * nv);
			outof(z[i], d);
		}
		UNROLL for (int j = 0; j < M; j++) {
			vec d[N], o[M];
			UNROLL for (int i = 0; i < N; i++) d[i] = z[i][j];
			outof(o, d);
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

// EACH point has a matrix of its own.
#define EACH 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35
const scheme v2v_wino_single = {M, N * N, N * N, tile_in_single, weights_single, tiles_out, {EACH}};
const scheme v2v_wino_half = {M, N * N, N * N, tile_in_half, weights_half, tiles_out, {EACH}};
