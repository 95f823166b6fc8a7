//go:build cgo && amd64

// Winograd's minimal filtering (Lavin and Gray 2016, "Fast Algorithms for
// Convolutional Neural Networks"): pictures are cut into tiles, tiles and weights
// are transformed, and each point of the transform is a product of matrices.
//
// Weights are transformed anew in each run, a few channels at a time into the
// second level cache: that costs a sixth of the products, reads a quarter
// of the memory that weights transformed beforehand take, and serves weights
// that change with every step.
#include "wino.h"
#include <omp.h>
#include <string.h>

// Output positions at a time; bytes of transformed weights that the second level
// cache may hold and of transformed inputs that the third may; and the fewest
// tiles that are worth a transformation of the weights.
enum { POSITIONS = 2048, WEIGHTS = 600 << 10, SHARED = 12 << 20, MIN_TILES = 32 };

static int ceil_div(int a, int b) { return (a + b - 1) / b; }

static const scheme *scheme_of(const v2v_wino *k);

// depth_of is the number of input channels at a time, about equal parts.
static int depth_of(const v2v_wino *k) {
	int most = WEIGHTS / (scheme_of(k)->matrices * LIMIT * (k->half ? 2 : 4)) / 16 * 16, parts = ceil_div(k->c, most);
	return ceil_div(ceil_div(k->c, 16), parts) * 16;
}

static const scheme *scheme_of(const v2v_wino *k) {
	if (k->kind == V2V_WINO_STRIDED) return k->k4 ? &v2v_wino_strided4 : &v2v_wino_strided;
	if (k->kind == V2V_WINO_TRANSPOSED) return k->k4 ? &v2v_wino_transposed4 : &v2v_wino_transposed;
	return k->half ? &v2v_wino_half : &v2v_wino_single;
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

// ahead is memory that is wanted after the products at hand: weights come from
// far away, and products leave the way there idle.
typedef struct {
	const char *from[LIMIT / 16];
	size_t bytes, done, step; // of each; fetched so far; at a time
} ahead;

static inline void fetch(ahead *a, int nv) {
	for (size_t end = a->done + a->step; a->done < end && a->done < a->bytes; a->done += 64)
		for (int b = 0; b < nv; b++) __builtin_prefetch(a->from[b] + a->done, 0, 2);
}

// multiply: m[points][tiles][16*nv] (+)= v[points][depth/16][tiles][16] times
// the matrix of each point.
static void multiply(const scheme *sc, float *m, const float *v, size_t vgap, const float *u, int nv, int depth, int all, int tiles, int more, int half, ahead *next) {
	for (int p = 0; p < sc->points; p++)
		for (int t = 0; t < tiles;) {
			int mr = share(tiles - t);
			fetch(next, nv);
			segment s = {at(v, p * vgap + t * 16, half), (ptrdiff_t)all * 16, at(u, (size_t)sc->matrix[p] * (depth * 16 * nv + SKEW), half), depth / 16};
			products[half][nv - 1][mr](m + (size_t)p * (tiles * 16 * nv + SKEW) + t * 16 * nv, s, more);
			t += mr;
		}
}

// The positions that are cut into tiles are those of the smaller picture.
static int high(const v2v_wino *k) { return k->kind == V2V_WINO_TRANSPOSED ? k->h : k->oh; }
static int wide(const v2v_wino *k) { return k->kind == V2V_WINO_TRANSPOSED ? k->w : k->ow; }

static size_t align(size_t n) { return (n + 63) / 64 * 64; }

// geometry of the work: tiles of a picture, chunks of tiles, tasks of a chunk.
typedef struct {
	int tiles, chunks, groups, subs;
	size_t v, u, m; // floats of each buffer; v is shared, u and m are a thread's
	size_t counts, parts, total;
} plan;

static plan plan_of(const v2v_wino *k, int threads) {
	plan p;
	const scheme *s = scheme_of(k);
	int limit = POSITIONS / (s->side * s->side);
	while (limit > MIN_TILES && (size_t)limit * s->points * k->c * sizeof(float) > SHARED) limit /= 2;
	p.tiles = ceil_div(high(k), s->side) * ceil_div(wide(k), s->side);
	p.chunks = ceil_div(p.tiles, limit);
	p.groups = ceil_div(k->o, LIMIT);
	p.subs = ceil_div(threads, p.groups);
	int most = p.tiles < limit ? p.tiles : limit;
	if (p.subs > ceil_div(most, 8)) p.subs = ceil_div(most, 8);
	p.v = align(s->points * ((size_t)most * k->c + SKEW)); // more than enough in bfloat16
	p.u = align(s->matrices * (depth_of(k) * LIMIT + SKEW));
	p.m = align(s->points * ((size_t)most * LIMIT + SKEW));
	p.parts = (p.v + (p.u + p.m) * threads) * sizeof(float);
	p.counts = p.parts + align((size_t)k->n * p.chunks * p.subs * (k->o / 16) * sizeof(part));
	p.total = p.counts + align((size_t)k->n * p.chunks * p.subs * sizeof(int));
	return p;
}

size_t v2v_wino_scratch(const v2v_wino *k) { return plan_of(k, omp_get_max_threads()).total; }

const float *v2v_weights_at(const v2v_wino *k, const float *g, int o, int c) {
	int area = k->k4 ? 16 : 9;
	return g + (k->gradient ? (size_t)(c / 16) * (k->o / 16) + o : (size_t)o * (k->c / 16) + c / 16) * area * 256;
}

// coming is the weights that the thread will transform after those of `depth`
// inputs from c on: of this group's next inputs, or of the group it will
// probably be given next.
static ahead coming(const v2v_wino *k, const float *g, int group, int c, int depth, int products) {
	ahead a = {.bytes = 0};
	int o = group * (LIMIT / 16), area = k->k4 ? 16 : 9;
	c += depth;
	if (c >= k->c) {
		c = 0;
		o += omp_get_num_threads() * (LIMIT / 16);
	}
	if (k->gradient || o + LIMIT / 16 > k->o / 16) return a;
	if (depth > k->c - c) depth = k->c - c;
	a.bytes = (size_t)depth * area * 16 * sizeof(float);
	a.step = (a.bytes / products + 64) / 64 * 64;
	for (int b = 0; b < LIMIT / 16; b++) a.from[b] = (const char *)v2v_weights_at(k, g, o + b, c);
	return a;
}

// task makes `tiles` tiles from `from` on, of one group of output channels.
static void task(float *y, const float *v, size_t vgap, int first, int all, const float *g, const float *bias, const v2v_wino *k,
	int group, int from, int tiles, float *u, float *m, part *parts) {
	const scheme *s = scheme_of(k);
	int o = group * (LIMIT / 16), nv = k->o / 16 - o < LIMIT / 16 ? k->o / 16 - o : LIMIT / 16;
	int most = depth_of(k);
	for (int c = 0; c < k->c; c += most) {
		int depth = k->c - c < most ? k->c - c : most;
		s->weights(u, g, k, o, nv, c, depth);
		ahead next = coming(k, g, group, c, depth, s->points * ceil_div(tiles, MAX_MR));
		multiply(s, m, at(v, ((size_t)c / 16 * all + from - first) * 16, k->half), vgap, u, nv, depth, all, tiles, c > 0, k->half, &next);
	}
	for (int b = 0; b < nv; b++)
		s->out(y + (size_t)(o + b) * k->oh * k->ow * 16, m + b * 16, k,
			bias ? bias + (o + b) * 16 : NULL, nv, from, tiles, parts ? parts + o + b : NULL);
}

// outputs counts the pixels that tiles from..from+tiles hold.
static int outputs(const v2v_wino *k, int from, int tiles) {
	int side = scheme_of(k)->side, tw = ceil_div(wide(k), side), n = 0;
	for (int t = from; t < from + tiles; t++) {
		int rows = high(k) - t / tw * side, cols = wide(k) - t % tw * side;
		n += (rows < side ? rows : side) * (cols < side ? cols : side);
	}
	return k->kind == V2V_WINO_TRANSPOSED ? 4 * n : n;
}

void v2v_wino_run(const v2v_wino *k, float *y, const float *x, const float *g, const float *bias, float *mom, char *scratch) {
	const scheme *sc = scheme_of(k);
	int threads = omp_get_max_threads(), tw = ceil_div(wide(k), sc->side);
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
					sc->in(v, ((size_t)b * all + t) * 16, vgap, in + (size_t)b * k->h * k->w * 16, k, (first + t) / tw, (first + t) % tw);
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

void v2v_filters(float *to, const float *w, int o, int c, int area, int transposed, int blocks) {
	int n = transposed ? o : c; // of the second channel as stored
#pragma omp parallel for collapse(2) schedule(static)
	for (int ob = 0; ob < o / 16; ob++)
		for (int cb = 0; cb < c / 16; cb++)
			for (int a = 0; a < area; a++)
				for (int i = 0; i < 16; i++)
					for (int l = 0; l < 16; l++) {
						int first = transposed ? cb * 16 + i : ob * 16 + l, second = transposed ? ob * 16 + l : cb * 16 + i;
						size_t from = blocks ? (((size_t)(first / 16) * (n / 16) + second / 16) * area + a) * 256 + second % 16 * 16 + first % 16
								     : ((size_t)first * n + second) * area + a;
						to[(((size_t)ob * (c / 16) + cb) * area + a) * 256 + i * 16 + l] = w[from];
					}
}
