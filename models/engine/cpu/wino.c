//go:build cgo && amd64

// Winograd's minimal filtering (Lavin and Gray 2016, "Fast Algorithms for
// Convolutional Neural Networks"): F(4x4,3x3) in float, 36 multiplications where
// the direct convolution has 144; F(2x2,3x3) in bfloat16, 16 for 36, because the
// larger transform would blow bfloat16's rounding errors up 25 times.
//
// Weights are transformed anew in each run, a few channels at a time into the
// second level cache: that costs a sixth of the products, reads a quarter
// of the memory that weights transformed beforehand take, and serves weights
// that change with every step.
#include "kernels.h"
#include <omp.h>
#include <string.h>
#include "avx512.h"

enum { TILES = 128, DEPTH = 256, LIMIT = 32 }; // tiles (of 4x4) and input channels at a time; outputs of a task

// M outputs a side of a tile, made from N inputs.
#define M(half) ((half) ? 2 : 4)
#define N(half) (M(half) + 2)
#define P(half) (N(half) * N(half))

// SKEW keeps the streams that are written side by side out of each other's
// cache sets: distances that are powers of two would put them all into one.
enum { SKEW = 16 };

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

// mirror is where a row outside the picture is read, or -1 for zeros.
static inline int mirror(int i, int n, int reflect) {
	if (i >= 0 && i < n) return i;
	if (!reflect) return -1;
	i = i < 0 ? -i : 2 * (n - 1) - i;
	return i >= 0 && i < n ? i : n - 1; // beyond what any output sees
}

// tile_in transforms one tile of one block of 16 channels. Out: P vectors at v,
// `gap` apart.
INLINE512 void tile_in(void *v, size_t at, size_t gap, const float *x, const v2v_wino *k, int ty, int tx, int half) {
	static const float zeros[16];
	int m = M(half), n = N(half), col[6];
	vec t[6][6];
	UNROLL for (int j = 0; j < n; j++) col[j] = mirror(tx * m + j - k->pad, k->w, k->reflect);
	for (int i = 0; i < n; i++) {
		int y = mirror(ty * m + i - k->pad, k->h, k->reflect);
		const float *row = x + (size_t)(y < 0 ? 0 : y) * k->w * 16;
		vec d[6];
		UNROLL for (int j = 0; j < n; j++) d[j] = vload(y < 0 || col[j] < 0 ? zeros : row + (size_t)col[j] * 16);
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

// weights_in transforms the weights of `depth` input channels and nv blocks of
// outputs. g is OIhw16i16o; u is [P][depth][16*nv], skewed, or in bfloat16
// [P][depth/2][16*nv][2].
INLINE512 void weights_in(void *u, const float *g, const v2v_wino *k, int o, int nv, int c, int depth, int half) {
	size_t gap = depth * 16 * nv + SKEW, next = (size_t)(k->c / 16) * 9 * 256;
	for (int i = 0; i < depth; i += 2)
		for (int b = 0; b < nv; b++) {
			int ic = c + i;
			const float *w = g + (o + b) * next + ic / 16 * 9 * 256 + ic % 16 * 16;
			vec t[2][3][6];
			for (int n = 0; n < 2; n++, w += 16) {
				for (int y = 0; y < 9; y++) _mm_prefetch((const char *)(w + y * 256 + 9 * 256), _MM_HINT_T0);
				UNROLL for (int y = 0; y < 3; y++) spread(t[n][y], vload(w + y * 768), vload(w + y * 768 + 256), vload(w + y * 768 + 512), half);
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

AVX512 static void weights_in_single(float *u, const float *g, const v2v_wino *k, int o, int nv, int c, int depth) {
	weights_in(u, g, k, o, nv, c, depth, 0);
}

AVX512 static void weights_in_half(float *u, const float *g, const v2v_wino *k, int o, int nv, int c, int depth) {
	weights_in(u, g, k, o, nv, c, depth, 1);
}

#define PRODUCT(MR, NV, KIND, WITH)                                                            \
	AVX512 static __attribute__((noinline)) void KIND##_##MR##_##NV(float *m, segment s, int more) { \
		vec r[MR][2];                                                                          \
		UNROLL for (int i = 0; i < MR; i++)                                                    \
			UNROLL for (int b = 0; b < NV; b++) r[i][b] = more ? vload(m + (i * NV + b) * 16) : _mm512_setzero_ps(); \
		WITH(MR, NV, 16, r, s);                                                                \
		UNROLL for (int i = 0; i < MR; i++)                                                    \
			UNROLL for (int b = 0; b < NV; b++) vstore(m + (i * NV + b) * 16, r[i][b]);        \
	}
#define PRODUCTS(NV, KIND, WITH)                                                                                        \
	PRODUCT(1, NV, KIND, WITH) PRODUCT(2, NV, KIND, WITH) PRODUCT(4, NV, KIND, WITH) PRODUCT(8, NV, KIND, WITH)         \
	PRODUCT(11, NV, KIND, WITH) PRODUCT(12, NV, KIND, WITH) PRODUCT(13, NV, KIND, WITH) PRODUCT(14, NV, KIND, WITH)
PRODUCTS(1, single, product)
PRODUCTS(2, single, product)
PRODUCTS(1, half, product_half)
PRODUCTS(2, half, product_half)

typedef void (*product_f)(float *, segment, int);
#define ROW(NV, KIND)                                                                                                \
	{[1] = KIND##_1_##NV, [2] = KIND##_2_##NV, [4] = KIND##_4_##NV, [8] = KIND##_8_##NV, [11] = KIND##_11_##NV,       \
		[12] = KIND##_12_##NV, [13] = KIND##_13_##NV, [14] = KIND##_14_##NV}
static const product_f products[2][2][MAX_MR + 1] = {{ROW(1, single), ROW(2, single)}, {ROW(1, half), ROW(2, half)}};

// share says how many of n tiles the next product takes: about equal parts.
static int share(int n) {
	int parts = (n + MAX_MR - 1) / MAX_MR, r = (n + parts - 1) / parts;
	while (!products[0][0][r]) r--;
	return r;
}

// multiply: m[P][tiles][16*nv] (+)= v[P][depth/16][tiles][16] times u.
static void multiply(float *m, const float *v, size_t vgap, const float *u, int nv, int depth, int all, int tiles, int more, int half) {
	for (int p = 0; p < P(half); p++)
		for (int t = 0; t < tiles;) {
			int mr = share(tiles - t);
			segment s = {at(v, p * vgap + t * 16, half), (ptrdiff_t)all * 16, at(u, (size_t)p * (depth * 16 * nv + SKEW), half), depth / 16};
			products[half][nv - 1][mr](m + (size_t)p * (tiles * 16 * nv + SKEW) + t * 16 * nv, s, more);
			t += mr;
		}
}

// tiles_out writes the outputs of one block of channels and gathers moments.
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
	int side = M(k->half), limit = TILES * 16 / (side * side), points = P(k->half);
	p.tiles = ceil_div(k->oh, side) * ceil_div(k->ow, side);
	p.chunks = ceil_div(p.tiles, limit);
	p.groups = ceil_div(k->o, LIMIT);
	p.subs = ceil_div(threads, p.groups);
	int most = p.tiles < limit ? p.tiles : limit;
	if (p.subs > ceil_div(most, 8)) p.subs = ceil_div(most, 8);
	p.v = align(points * ((size_t)most * k->c + SKEW)); // more than enough in bfloat16
	p.u = align(points * (DEPTH * LIMIT + SKEW));
	p.m = align(points * ((size_t)most * LIMIT + SKEW));
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
		(k->half ? weights_in_half : weights_in_single)(u, g, k, o, nv, c, depth);
		multiply(m, at(v, ((size_t)c / 16 * all + from - first) * 16, k->half), vgap, u, nv, depth, all, tiles, c > 0, k->half);
	}
	for (int b = 0; b < nv; b++)
		(k->half ? tiles_out_half : tiles_out_single)(y + (size_t)(o + b) * k->oh * k->ow * 16, m + b * 16, k,
			bias ? bias + (o + b) * 16 : NULL, nv, from, tiles, parts ? parts + o + b : NULL);
}

// outputs counts the pixels that tiles from..from+tiles hold.
static int outputs(const v2v_wino *k, int from, int tiles) {
	int side = M(k->half), tw = ceil_div(k->ow, side), n = 0;
	for (int t = from; t < from + tiles; t++) {
		int rows = k->oh - t / tw * side, cols = k->ow - t % tw * side;
		n += (rows < side ? rows : side) * (cols < side ? cols : side);
	}
	return n;
}

void v2v_wino_run(const v2v_wino *k, float *y, const float *x, const float *g, const float *bias, float *mom, char *scratch) {
	int threads = omp_get_max_threads(), tw = ceil_div(k->ow, M(k->half));
	plan p = plan_of(k, threads);
	float *v = (float *)scratch, *own = v + p.v;
	part *parts = mom ? (part *)(scratch + p.parts) : NULL;
	int *count = (int *)(scratch + p.counts);
	void (*transform)(float *, size_t, size_t, const float *, const v2v_wino *, int, int) = k->half ? tile_in_half : tile_in_single;
#pragma omp parallel num_threads(threads)
	for (int n = 0; n < k->n; n++)
		for (int chunk = 0; chunk < p.chunks; chunk++) {
			int first = (int)((long)p.tiles * chunk / p.chunks), all = (int)((long)p.tiles * (chunk + 1) / p.chunks) - first;
			size_t vgap = (size_t)all * k->c + SKEW;
			const float *in = x + (size_t)n * k->c * k->h * k->w;
#pragma omp for collapse(2) schedule(static)
			for (int b = 0; b < k->c / 16; b++)
				for (int t = 0; t < all; t++)
					transform(v, ((size_t)b * all + t) * 16, vgap, in + (size_t)b * k->h * k->w * 16, k, (first + t) / tw, (first + t) % tw);
#pragma omp for collapse(2) schedule(dynamic)
			for (int s = 0; s < p.subs; s++)
				for (int group = 0; group < p.groups; group++) {
					int from = first + all * s / p.subs, tiles = first + all * (s + 1) / p.subs - from;
					int task_no = (n * p.chunks + chunk) * p.subs + s;
					float *u = own + (p.u + p.m) * omp_get_thread_num();
					if (mom) count[task_no] = outputs(k, from, tiles);
					task(y + (size_t)n * k->o * k->oh * k->ow, v, vgap, first, all, g, bias, k, group, from, tiles, u, u + p.u,
						mom ? parts + (size_t)task_no * (k->o / 16) : NULL);
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
