//go:build cgo && amd64

// Winograd's minimal filtering F(4x4,3x3) (Lavin and Gray 2016, "Fast Algorithms
// for Convolutional Neural Networks"): 36 multiplications where the direct
// convolution has 144.
//
// Weights are transformed anew in each run, a few channels at a time into the
// second level cache: that costs a twentieth of the products, reads a quarter
// of the memory that weights transformed beforehand take, and serves weights
// that change with every step.
#include "kernels.h"
#include <omp.h>
#include <string.h>
#include "avx512.h"

enum { P = 36, TILES = 128, DEPTH = 256, LIMIT = 32 }; // tiles and input channels at a time; outputs of a task

// SKEW keeps the 36 streams that are written side by side out of each other's
// cache sets: distances that are powers of two would put them all into one.
enum { SKEW = 16 };

// B^T d for one column of six.
INLINE512 void into6(vec *o, vec d0, vec d1, vec d2, vec d3, vec d4, vec d5) {
	vec four = vset(4), five = vset(5), two = vset(2);
	vec a = vsub(d4, vmul(four, d2)), b = vsub(d3, vmul(four, d1));
	vec c = vsub(d4, d2), e = vmul(two, vsub(d3, d1));
	o[0] = vadd(vsub(vmul(four, d0), vmul(five, d2)), d4);
	o[1] = vadd(a, b);
	o[2] = vsub(a, b);
	o[3] = vadd(c, e);
	o[4] = vsub(c, e);
	o[5] = vadd(vsub(vmul(four, d1), vmul(five, d3)), d5);
}

// A^T m: six products to four outputs.
INLINE512 void outof6(vec *o, vec m0, vec m1, vec m2, vec m3, vec m4, vec m5) {
	vec a = vadd(m1, m2), b = vsub(m1, m2), c = vadd(m3, m4), e = vsub(m3, m4);
	o[0] = vadd(vadd(m0, a), c);
	o[1] = vfma(vset(2), e, b);
	o[2] = vfma(vset(4), c, a);
	o[3] = vadd(vfma(vset(8), e, b), m5);
}

// G g: three weights to six.
INLINE512 void spread6(vec *o, vec g0, vec g1, vec g2) {
	vec a = vmul(vset(-1.f / 6), vadd(g0, g2)), b = vmul(vset(-1.f / 6), g1);
	vec c = vfma(vset(1.f / 24), g0, vmul(vset(1.f / 6), g2)), e = vmul(vset(1.f / 12), g1);
	o[0] = vmul(vset(0.25f), g0);
	o[1] = vadd(a, b);
	o[2] = vsub(a, b);
	o[3] = vadd(c, e);
	o[4] = vsub(c, e);
	o[5] = g2;
}

// mirror is where a row outside the picture is read, or -1 for zeros.
static inline int mirror(int i, int n, int reflect) {
	if (i >= 0 && i < n) return i;
	if (!reflect) return -1;
	i = i < 0 ? -i : 2 * (n - 1) - i;
	return i >= 0 && i < n ? i : n - 1; // beyond what any output sees
}

// tile_in transforms one tile of one block of 16 channels. Out: 36 vectors,
// `gap` floats apart.
AVX512 static void tile_in(float *v, size_t gap, const float *x, const v2v_wino *k, int ty, int tx) {
	static const float zeros[16];
	vec t[6][6];
	int col[6];
	for (int j = 0; j < 6; j++) col[j] = mirror(tx * 4 + j - k->pad, k->w, k->reflect);
	for (int i = 0; i < 6; i++) {
		int y = mirror(ty * 4 + i - k->pad, k->h, k->reflect);
		const float *row = x + (size_t)(y < 0 ? 0 : y) * k->w * 16;
		vec d[6];
		UNROLL for (int j = 0; j < 6; j++) d[j] = vload(y < 0 || col[j] < 0 ? zeros : row + (size_t)col[j] * 16);
		into6(t[i], d[0], d[1], d[2], d[3], d[4], d[5]);
	}
	UNROLL for (int j = 0; j < 6; j++) {
		vec o[6];
		into6(o, t[0][j], t[1][j], t[2][j], t[3][j], t[4][j], t[5][j]);
		UNROLL for (int i = 0; i < 6; i++) vstore(v + (i * 6 + j) * gap, o[i]);
	}
}

// weights_in transforms the weights of `depth` input channels and nv blocks of
// outputs. g is OIhw16i16o; u is [36][depth][16*nv], skewed.
AVX512 static void weights_in(float *u, const float *g, const v2v_wino *k, int o, int nv, int c, int depth) {
	size_t gap = depth * 16 * nv + SKEW, next = (size_t)(k->c / 16) * 9 * 256;
	for (int i = 0; i < depth; i++)
		for (int b = 0; b < nv; b++) {
			int ic = c + i;
			const float *w = g + (o + b) * next + ic / 16 * 9 * 256 + ic % 16 * 16;
			for (int y = 0; y < 9; y++) _mm_prefetch((const char *)(w + y * 256 + 9 * 256), _MM_HINT_T0);
			vec t[3][6];
			UNROLL for (int y = 0; y < 3; y++) spread6(t[y], vload(w + y * 768), vload(w + y * 768 + 256), vload(w + y * 768 + 512));
			float *to = u + (size_t)i * 16 * nv + b * 16;
			UNROLL for (int j = 0; j < 6; j++) {
				vec r[6];
				spread6(r, t[0][j], t[1][j], t[2][j]);
				UNROLL for (int y = 0; y < 6; y++) vstore(to + (y * 6 + j) * gap, r[y]);
			}
		}
}

#define PRODUCT(MR, NV)                                                                        \
	AVX512 static __attribute__((noinline)) void product_##MR##_##NV(float *m, segment s, int more) { \
		vec r[MR][2];                                                                          \
		UNROLL for (int i = 0; i < MR; i++)                                                    \
			UNROLL for (int b = 0; b < NV; b++) r[i][b] = more ? vload(m + (i * NV + b) * 16) : _mm512_setzero_ps(); \
		product(MR, NV, 16, r, s);                                                             \
		UNROLL for (int i = 0; i < MR; i++)                                                    \
			UNROLL for (int b = 0; b < NV; b++) vstore(m + (i * NV + b) * 16, r[i][b]);        \
	}
#define PRODUCTS(NV) PRODUCT(1, NV) PRODUCT(2, NV) PRODUCT(4, NV) PRODUCT(8, NV) PRODUCT(11, NV) PRODUCT(12, NV) PRODUCT(13, NV) PRODUCT(14, NV)
PRODUCTS(1)
PRODUCTS(2)

typedef void (*product_f)(float *, segment, int);
#define ROW(NV) {0, product_1_##NV, product_2_##NV, 0, product_4_##NV, 0, 0, 0, product_8_##NV, 0, 0, product_11_##NV, product_12_##NV, product_13_##NV, product_14_##NV}
static const product_f products[2][MAX_MR + 1] = {ROW(1), ROW(2)};

// share says how many of n tiles the next product takes: about equal parts.
static int share(int n) {
	int parts = (n + MAX_MR - 1) / MAX_MR, r = (n + parts - 1) / parts;
	while (!products[0][r]) r--;
	return r;
}

// multiply: m[36][tiles][16*nv] (+)= v[36][depth/16][tiles][16] times u.
static void multiply(float *m, const float *v, size_t vgap, const float *u, int nv, int depth, int all, int tiles, int more) {
	for (int p = 0; p < P; p++)
		for (int t = 0; t < tiles;) {
			int mr = share(tiles - t);
			segment s = {v + p * vgap + t * 16, (ptrdiff_t)all * 16, u + (size_t)p * (depth * 16 * nv + SKEW), depth / 16};
			products[nv - 1][mr](m + (size_t)p * (tiles * 16 * nv + SKEW) + t * 16 * nv, s, more);
			t += mr;
		}
}

// tiles_out writes the outputs of one block of channels and gathers moments.
AVX512 static void tiles_out(float *y, const float *m, const v2v_wino *k, const float *bias, int nv, int from, int tiles, part *stat) {
	vec b = bias ? vload(bias) : _mm512_setzero_ps(), slope = vset(k->slope);
	moments mom = {0};
	int tw = (k->ow + 3) / 4;
	for (int t = 0; t < tiles; t++) {
		int ty = (from + t) / tw * 4, tx = (from + t) % tw * 4;
		int rows = k->oh - ty < 4 ? k->oh - ty : 4, cols = k->ow - tx < 4 ? k->ow - tx : 4;
		vec z[6][4];
		for (int i = 0; i < 6; i++) {
			size_t g = (size_t)tiles * 16 * nv + SKEW;
			const float *a = m + i * 6 * g + t * 16 * nv;
			outof6(z[i], vload(a), vload(a + g), vload(a + 2 * g), vload(a + 3 * g), vload(a + 4 * g), vload(a + 5 * g));
		}
		UNROLL for (int j = 0; j < 4; j++) {
			vec o[4];
			outof6(o, z[0][j], z[1][j], z[2][j], z[3][j], z[4][j], z[5][j]);
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

static int ceil_div(int a, int b) { return (a + b - 1) / b; }
static size_t align(size_t n) { return (n + 63) / 64 * 64; }

// geometry of the work: tiles of a picture, chunks of tiles, tasks of a chunk.
typedef struct {
	int tiles, chunks, groups, subs;
	size_t v, u, m; // floats of each buffer; v is shared, u and m are a thread's
	size_t counts, parts, total;
} plan;

static plan plan_of(const v2v_wino *k, int threads) {
	plan p;
	p.tiles = ceil_div(k->oh, 4) * ceil_div(k->ow, 4);
	p.chunks = ceil_div(p.tiles, TILES);
	p.groups = ceil_div(k->o, LIMIT);
	p.subs = ceil_div(threads, p.groups);
	int most = p.tiles < TILES ? p.tiles : TILES;
	if (p.subs > ceil_div(most, 8)) p.subs = ceil_div(most, 8);
	p.v = align(P * ((size_t)most * k->c + SKEW));
	p.u = align(P * (DEPTH * LIMIT + SKEW));
	p.m = align(P * ((size_t)most * LIMIT + SKEW));
	p.parts = (p.v + (p.u + p.m) * threads) * sizeof(float);
	p.counts = p.parts + align((size_t)k->n * p.chunks * p.subs * (k->o / 16) * sizeof(part));
	p.total = p.counts + align((size_t)k->n * p.chunks * p.subs * sizeof(int));
	return p;
}

size_t v2v_wino_scratch(const v2v_wino *k) { return plan_of(k, omp_get_max_threads()).total; }

// task makes `tiles` tiles from `from` on, of one group of output channels.
static void task(float *y, const float *v, size_t vgap, int first, int all, const float *g, const float *bias, const v2v_wino *k,
	int group, int from, int tiles, float *u, float *m, part *parts) {
	int o = group * (LIMIT / 16), nv = k->o / 16 - o < LIMIT / 16 ? k->o / 16 - o : LIMIT / 16;
	for (int c = 0; c < k->c; c += DEPTH) {
		int depth = k->c - c < DEPTH ? k->c - c : DEPTH;
		weights_in(u, g, k, o, nv, c, depth);
		multiply(m, v + ((size_t)c / 16 * all + from - first) * 16, vgap, u, nv, depth, all, tiles, c > 0);
	}
	for (int b = 0; b < nv; b++)
		tiles_out(y + (size_t)(o + b) * k->oh * k->ow * 16, m + b * 16, k, bias ? bias + (o + b) * 16 : NULL, nv, from, tiles,
			parts ? parts + o + b : NULL);
}

// outputs counts the pixels that tiles from..from+tiles hold.
static int outputs(const v2v_wino *k, int from, int tiles) {
	int tw = ceil_div(k->ow, 4), n = 0;
	for (int t = from; t < from + tiles; t++) {
		int rows = k->oh - t / tw * 4, cols = k->ow - t % tw * 4;
		n += (rows < 4 ? rows : 4) * (cols < 4 ? cols : 4);
	}
	return n;
}

void v2v_wino_run(const v2v_wino *k, float *y, const float *x, const float *g, const float *bias, float *mom, char *scratch) {
	int threads = omp_get_max_threads(), tw = ceil_div(k->ow, 4);
	plan p = plan_of(k, threads);
	float *v = (float *)scratch, *own = v + p.v;
	part *parts = mom ? (part *)(scratch + p.parts) : NULL;
	int *count = (int *)(scratch + p.counts);
#pragma omp parallel num_threads(threads)
	for (int n = 0; n < k->n; n++)
		for (int chunk = 0; chunk < p.chunks; chunk++) {
			int first = (int)((long)p.tiles * chunk / p.chunks), all = (int)((long)p.tiles * (chunk + 1) / p.chunks) - first;
			size_t vgap = (size_t)all * k->c + SKEW;
			const float *in = x + (size_t)n * k->c * k->h * k->w;
#pragma omp for collapse(2) schedule(static)
			for (int b = 0; b < k->c / 16; b++)
				for (int t = 0; t < all; t++)
					tile_in(v + ((size_t)b * all + t) * 16, vgap, in + (size_t)b * k->h * k->w * 16, k, (first + t) / tw, (first + t) % tw);
#pragma omp for collapse(2) schedule(dynamic)
			for (int s = 0; s < p.subs; s++)
				for (int group = 0; group < p.groups; group++) {
					int from = first + all * s / p.subs, tiles = first + all * (s + 1) / p.subs - from;
					int at = (n * p.chunks + chunk) * p.subs + s;
					float *u = own + (p.u + p.m) * omp_get_thread_num();
					if (mom) count[at] = outputs(k, from, tiles);
					task(y + (size_t)n * k->o * k->oh * k->ow, v, vgap, first, all, g, bias, k, group, from, tiles, u, u + p.u,
						mom ? parts + (size_t)at * (k->o / 16) : NULL);
				}
		}
	if (!mom) return;
	int each = p.chunks * p.subs; // parts of a picture
	if (k->batch) {
		v2v_join(mom, parts, count, k->n * each, k->o / 16, k->eps);
		return;
	}
	for (int n = 0; n < k->n; n++)
		v2v_join(mom + (size_t)n * k->o * 2, parts + (size_t)n * each * (k->o / 16), count + n * each, each, k->o / 16, k->eps);
}
