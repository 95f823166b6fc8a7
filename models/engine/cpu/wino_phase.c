//go:build cgo && amd64

// The transforms of 3x3 and 4x4 convolutions at stride two and of their
// transposes. Split by the parity of the pixels on the larger side, one
// dimension of a 3x3 one is a filter of one tap (the middle weight) and one of
// two taps (the outer ones). The first needs no transform; the second is F(4,2)
// at the points 0, 1, -1, 2 and infinity. In two dimensions that makes
// (4+5)^2 = 81 products where the direct convolution has 144; the four positions
// of the untransformed part share their weights, so there are 6^2 matrices. A
// 4x4 one is two filters of two taps: (5+5)^2 = 100 products for 256.
#include "wino.h"

// WAYS of a dimension: 4 positions as they are and 5 points, or twice 5 points.
#define WAYS(k4) ((k4) ? 10 : 9)
enum { MOST = 10 };

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

// pair is G (a,b) of F(4,2).
INLINE512 void pair(vec *o, vec a, vec b) {
	o[0] = vmul(vset(0.5f), a);
	o[1] = vmul(vset(-0.5f), vadd(a, b));
	o[2] = vmul(vset(1.f / 6), vsub(b, a));
	o[3] = vfma(vset(1.f / 6), a, vmul(vset(1.f / 3), b));
	o[4] = b;
}

// spread turns the weights of a dimension into those of its 6 or 10 different
// ways. At stride two the taps come in order, when transposed the last weight
// meets the first pixel.
INLINE512 void spread(vec *o, const vec *g, int transposed, int k4) {
	if (k4) {
		pair(o, g[transposed ? 3 : 0], g[transposed ? 1 : 2]);
		pair(o + 5, g[transposed ? 2 : 1], g[transposed ? 0 : 3]);
	} else {
		o[0] = g[1];
		pair(o + 1, g[transposed ? 2 : 0], g[transposed ? 0 : 2]);
	}
}

// A tile reads `reach` pixels a side, the first of them `before` its own.
static inline int reach(int transposed, int k4) { return (transposed ? 5 : 9) + k4; }

// ways turns a row of inputs into the ways of one dimension.
INLINE512 void ways(vec *o, const vec *d, int transposed, int k4) {
	int step = transposed ? 1 : 2;
	if (k4) {
		into5(o, d[0], d[step], d[2 * step], d[3 * step], d[4 * step]);
		d++;
		into5(o + 5, d[0], d[step], d[2 * step], d[3 * step], d[4 * step]);
		return;
	}
	UNROLL for (int i = 0; i < 4; i++) o[i] = d[transposed ? i : 2 * i + 1];
	into5(o + 4, d[0], d[step], d[2 * step], d[3 * step], d[4 * step]);
}

INLINE512 void tile_in(float *v, size_t at, size_t gap, const float *x, const v2v_wino *k, int ty, int tx, int transposed, int k4) {
	int n = reach(transposed, k4), m = WAYS(k4), step = transposed ? 4 : 8, before = transposed ? k4 : k->pad, col[MOST];
	vec t[MOST][MOST];
	UNROLL for (int j = 0; j < n; j++) col[j] = outside(tx * step + j - before, k->w, 0);
	for (int i = 0; i < n; i++) {
		const float *row = row_at(x, outside(ty * step + i - before, k->h, 0), k->w);
		vec d[MOST];
		UNROLL for (int j = 0; j < n; j++) d[j] = pixel(row, col[j]);
		ways(t[i], d, transposed, k4);
	}
	for (int j = 0; j < m; j++) {
		vec d[MOST], o[MOST];
		UNROLL for (int i = 0; i < n; i++) d[i] = t[i][j];
		ways(o, d, transposed, k4);
		UNROLL for (int i = 0; i < m; i++) vstore(v + at + (i * m + j) * gap, o[i]);
	}
}

INLINE512 void weights_in(float *u, const float *g, const v2v_wino *k, int o, int nv, int c, int depth, int transposed, int k4) {
	int side = 3 + k4, out = k4 ? 10 : 6;
	size_t gap = depth * 16 * nv + SKEW, next = (size_t)(k->c / 16) * side * side * 256;
	for (int i = 0; i < depth; i++)
		for (int n = 0; n < nv; n++) {
			int ic = c + i;
			const float *w = g + (o + n) * next + (size_t)(ic / 16) * side * side * 256 + ic % 16 * 16;
			vec t[4][MOST];
			UNROLL for (int y = 0; y < side; y++) {
				vec r[4];
				UNROLL for (int x = 0; x < side; x++) r[x] = vload(w + (y * side + x) * 256);
				spread(t[y], r, transposed, k4);
			}
			float *to = u + (size_t)i * 16 * nv + n * 16;
			for (int j = 0; j < out; j++) {
				vec column[4], r[MOST];
				UNROLL for (int y = 0; y < side; y++) column[y] = t[y][j];
				spread(r, column, transposed, k4);
				UNROLL for (int y = 0; y < out; y++) vstore(to + (y * out + j) * gap, r[y]);
			}
		}
}

// together turns the products of one dimension into its outputs: four sums at
// stride two, eight neighbours when transposed.
INLINE512 void together(vec *o, const vec *m, int transposed, int k4) {
	vec even[4], odd[4];
	if (k4)
		outof5(even, m);
	else
		UNROLL for (int i = 0; i < 4; i++) even[i] = m[i];
	outof5(odd, m + WAYS(k4) - 5);
	UNROLL for (int i = 0; i < 4; i++) {
		if (transposed) {
			o[2 * i] = even[i];
			o[2 * i + 1] = odd[i];
		} else {
			o[i] = vadd(even[i], odd[i]);
		}
	}
}

INLINE512 void tiles_out(float *y, const float *m, const v2v_wino *k, const float *bias, int nv, int from, int tiles, part *stat, int transposed, int k4) {
	vec b = bias ? vload(bias) : _mm512_setzero_ps(), slope = vset(k->slope);
	moments mom = {.begun = 0};
	int side = transposed ? 8 : 4, tw = (k->ow + side - 1) / side, n = WAYS(k4);
	size_t g = (size_t)tiles * 16 * nv + SKEW;
	for (int t = 0; t < tiles; t++) {
		int ty = (from + t) / tw * side, tx = (from + t) % tw * side;
		int rows = k->oh - ty < side ? k->oh - ty : side, cols = k->ow - tx < side ? k->ow - tx : side;
		vec z[MOST][8];
		for (int i = 0; i < n; i++) {
			vec d[MOST];
			UNROLL for (int j = 0; j < n; j++) d[j] = vload(m + (i * n + j) * g + t * 16 * nv);
			together(z[i], d, transposed, k4);
		}
		for (int j = 0; j < cols; j++) {
			vec d[MOST], o[8];
			UNROLL for (int i = 0; i < n; i++) d[i] = z[i][j];
			together(o, d, transposed, k4);
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

#define SCHEME(NAME, TRANSPOSED, K4)                                                                                              \
	AVX512 static void in_##NAME(float *v, size_t at, size_t gap, const float *x, const v2v_wino *k, int ty, int tx) {             \
		tile_in(v, at, gap, x, k, ty, tx, TRANSPOSED, K4);                                                                         \
	}                                                                                                                              \
	AVX512 static void weights_##NAME(float *u, const float *g, const v2v_wino *k, int o, int nv, int c, int depth) {              \
		weights_in(u, g, k, o, nv, c, depth, TRANSPOSED, K4);                                                                      \
	}                                                                                                                              \
	AVX512 static void out_##NAME(float *y, const float *m, const v2v_wino *k, const float *b, int nv, int from, int tiles, part *s) { \
		tiles_out(y, m, k, b, nv, from, tiles, s, TRANSPOSED, K4);                                                                 \
	}
SCHEME(strided, 0, 0)
SCHEME(transposed, 1, 0)
SCHEME(strided4, 0, 1)
SCHEME(transposed4, 1, 1)

// The four positions as they are share matrix row 0.
#define LINE(r) r, r, r, r, r + 1, r + 2, r + 3, r + 4, r + 5
#define SHARED_ROWS LINE(0), LINE(0), LINE(0), LINE(0), LINE(6), LINE(12), LINE(18), LINE(24), LINE(30)
#define TEN(r) r, r + 1, r + 2, r + 3, r + 4, r + 5, r + 6, r + 7, r + 8, r + 9
#define HUNDRED TEN(0), TEN(10), TEN(20), TEN(30), TEN(40), TEN(50), TEN(60), TEN(70), TEN(80), TEN(90)
const scheme v2v_wino_strided = {4, 81, 36, in_strided, weights_strided, out_strided, {SHARED_ROWS}};
const scheme v2v_wino_transposed = {4, 81, 36, in_transposed, weights_transposed, out_transposed, {SHARED_ROWS}};
const scheme v2v_wino_strided4 = {4, 100, 100, in_strided4, weights_strided4, out_strided4, {HUNDRED}};
const scheme v2v_wino_transposed4 = {4, 100, 100, in_transposed4, weights_transposed4, out_transposed4, {HUNDRED}};
