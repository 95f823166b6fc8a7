//go:build cgo && amd64

// The transforms of 3x3 convolutions at stride two and of their transposes.
// Split by the parity of the pixels on the larger side, one dimension is a
// filter of one tap (the middle weight) and one of two taps (the outer ones).
// The first needs no transform; the second is F(4,2) at the points 0, 1, -1, 2
// and infinity. In two dimensions that makes (4+5)^2 = 81 products where the
// direct convolution has 144. The four positions of the untransformed part
// share their weights, so there are 6^2 matrices.
#include "wino.h"

enum { WAYS = 9 }; // of a dimension: 4 positions as they are, 5 points

// into5 is B^T d of F(4,2).
INLINE512 void into5(vec *o, vec d0, vec d1, vec d2, vec d3, vec d4) {
	vec two = vset(2), a = vsub(d3, d1);
	o[0] = vfma(two, vsub(d0, d2), a);
	o[1] = vsub(vsub(d3, d2), vmul(two, d1));
	o[2] = vfma(two, d1, vsub(d3, vmul(vset(3), d2)));
	o[3] = a;
	o[4] = vsub(vsub(d4, d2), vmul(two, a));
}

// outof5 is A^T m of F(4,2).
INLINE512 void outof5(vec *o, const vec *m) {
	vec a = vadd(m[1], m[2]), b = vsub(m[1], m[2]);
	o[0] = vadd(vadd(m[0], a), m[3]);
	o[1] = vfma(vset(2), m[3], b);
	o[2] = vfma(vset(4), m[3], a);
	o[3] = vadd(vfma(vset(8), m[3], b), m[4]);
}

// spread is the middle weight, and G (a,b) of F(4,2).
INLINE512 void spread(vec *o, vec a, vec mid, vec b) {
	vec third = vmul(vset(1.f / 6), vsub(b, a));
	o[0] = mid;
	o[1] = vmul(vset(0.5f), a);
	o[2] = vmul(vset(-0.5f), vadd(a, b));
	o[3] = third;
	o[4] = vfma(vset(1.f / 6), a, vmul(vset(1.f / 3), b));
	o[5] = b;
}

// ways turns a row of inputs into the nine ways of one dimension: of nine
// pixels at stride two the even ones count from the second, of five pixels
// when transposed the first four are taken as they are.
INLINE512 void ways(vec *o, const vec *d, int transposed) {
	if (transposed) {
		UNROLL for (int i = 0; i < 4; i++) o[i] = d[i];
		into5(o + 4, d[0], d[1], d[2], d[3], d[4]);
	} else {
		UNROLL for (int i = 0; i < 4; i++) o[i] = d[2 * i + 1];
		into5(o + 4, d[0], d[2], d[4], d[6], d[8]);
	}
}

INLINE512 void tile_in(float *v, size_t at, size_t gap, const float *x, const v2v_wino *k, int ty, int tx, int transposed) {
	int n = transposed ? 5 : 9, step = transposed ? 4 : 8, before = transposed ? 0 : 1, col[9];
	vec t[9][WAYS];
	UNROLL for (int j = 0; j < n; j++) col[j] = outside(tx * step + j - before, k->w, 0);
	for (int i = 0; i < n; i++) {
		const float *row = row_at(x, outside(ty * step + i - before, k->h, 0), k->w);
		vec d[9];
		UNROLL for (int j = 0; j < n; j++) d[j] = pixel(row, col[j]);
		ways(t[i], d, transposed);
	}
	for (int j = 0; j < WAYS; j++) {
		vec d[9], o[WAYS];
		UNROLL for (int i = 0; i < n; i++) d[i] = t[i][j];
		ways(o, d, transposed);
		UNROLL for (int i = 0; i < WAYS; i++) vstore(v + at + (i * WAYS + j) * gap, o[i]);
	}
}

AVX512 static void tile_in_strided(float *v, size_t at, size_t gap, const float *x, const v2v_wino *k, int ty, int tx) {
	tile_in(v, at, gap, x, k, ty, tx, 0);
}

AVX512 static void tile_in_transposed(float *v, size_t at, size_t gap, const float *x, const v2v_wino *k, int ty, int tx) {
	tile_in(v, at, gap, x, k, ty, tx, 1);
}

// weights_in: at stride two the taps of the odd pixels come in order, when
// transposed the last weight meets the first pixel.
INLINE512 void weights_in(float *u, const float *g, const v2v_wino *k, int o, int nv, int c, int depth, int transposed) {
	size_t gap = depth * 16 * nv + SKEW, next = (size_t)(k->c / 16) * 9 * 256;
	int a = transposed ? 2 : 0, b = 2 - a;
	for (int i = 0; i < depth; i++)
		for (int n = 0; n < nv; n++) {
			int ic = c + i;
			const float *w = g + (o + n) * next + ic / 16 * 9 * 256 + ic % 16 * 16;
			vec t[3][6];
			UNROLL for (int y = 0; y < 3; y++) spread(t[y], vload(w + (y * 3 + a) * 256), vload(w + (y * 3 + 1) * 256), vload(w + (y * 3 + b) * 256));
			float *to = u + (size_t)i * 16 * nv + n * 16;
			for (int j = 0; j < 6; j++) {
				vec r[6];
				spread(r, t[a][j], t[1][j], t[b][j]);
				UNROLL for (int y = 0; y < 6; y++) vstore(to + (y * 6 + j) * gap, r[y]);
			}
		}
}

AVX512 static void weights_in_strided(float *u, const float *g, const v2v_wino *k, int o, int nv, int c, int depth) {
	weights_in(u, g, k, o, nv, c, depth, 0);
}

AVX512 static void weights_in_transposed(float *u, const float *g, const v2v_wino *k, int o, int nv, int c, int depth) {
	weights_in(u, g, k, o, nv, c, depth, 1);
}

// together turns nine products into the outputs of one dimension: four sums at
// stride two, eight neighbours when transposed.
INLINE512 void together(vec *o, const vec *m, int transposed) {
	vec odd[4];
	outof5(odd, m + 4);
	UNROLL for (int i = 0; i < 4; i++) {
		if (transposed) {
			o[2 * i] = m[i];
			o[2 * i + 1] = odd[i];
		} else {
			o[i] = vadd(m[i], odd[i]);
		}
	}
}

INLINE512 void tiles_out(float *y, const float *m, const v2v_wino *k, const float *bias, int nv, int from, int tiles, part *stat, int transposed) {
	vec b = bias ? vload(bias) : _mm512_setzero_ps(), slope = vset(k->slope);
	moments mom = {.begun = 0};
	int side = transposed ? 8 : 4, tw = (k->ow + side - 1) / side;
	size_t g = (size_t)tiles * 16 * nv + SKEW;
	for (int t = 0; t < tiles; t++) {
		int ty = (from + t) / tw * side, tx = (from + t) % tw * side;
		int rows = k->oh - ty < side ? k->oh - ty : side, cols = k->ow - tx < side ? k->ow - tx : side;
		vec z[WAYS][8];
		for (int i = 0; i < WAYS; i++) {
			vec d[WAYS];
			UNROLL for (int j = 0; j < WAYS; j++) d[j] = vload(m + (i * WAYS + j) * g + t * 16 * nv);
			together(z[i], d, transposed);
		}
		for (int j = 0; j < cols; j++) {
			vec d[WAYS], o[8];
			UNROLL for (int i = 0; i < WAYS; i++) d[i] = z[i][j];
			together(o, d, transposed);
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

AVX512 static void tiles_out_strided(float *y, const float *m, const v2v_wino *k, const float *bias, int nv, int from, int tiles, part *stat) {
	tiles_out(y, m, k, bias, nv, from, tiles, stat, 0);
}

AVX512 static void tiles_out_transposed(float *y, const float *m, const v2v_wino *k, const float *bias, int nv, int from, int tiles, part *stat) {
	tiles_out(y, m, k, bias, nv, from, tiles, stat, 1);
}

// The four positions as they are share matrix row 0.
#define LINE(r) r, r, r, r, r + 1, r + 2, r + 3, r + 4, r + 5
#define SHARED_ROWS LINE(0), LINE(0), LINE(0), LINE(0), LINE(6), LINE(12), LINE(18), LINE(24), LINE(30)
const scheme v2v_wino_strided = {4, 81, 36, tile_in_strided, weights_in_strided, tiles_out_strided, {SHARED_ROWS}};
const scheme v2v_wino_transposed = {4, 81, 36, tile_in_transposed, weights_in_transposed, tiles_out_transposed, {SHARED_ROWS}};
