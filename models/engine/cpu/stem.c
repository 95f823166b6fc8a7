//go:build cgo && amd64

// First layers: 7x7 at stride one from a few plain channels. The rows of the
// kernel are filtered minimally, F(4,7) at the points 0, +-3/8, +-3/4, +-5/4,
// +-5/2 and infinity (of 14 candidates for each pair, those that round least):
// 70 products for 4 outputs and a channel where the direct convolution has 196.
#include "kernels.h"
#include <omp.h>
#include <string.h>
#include "avx512.h"

enum { TAPS = 7, OUT = 4, PAIRS = 4, POINTS = 2 * PAIRS + 2, GROUP = 32, ROWS = 16 }; // GROUP: outputs at a time; ROWS of a task

static const double pairs[PAIRS] = {3 / 8., 3 / 4., 5 / 4., 5 / 2.};

// polynomial multiplies (y - points[i]^2) for all i but one; lowest power first.
static void polynomial(float *to, int but) {
	double p[PAIRS + 1] = {1};
	int n = 0;
	for (int i = 0; i < PAIRS; i++) {
		if (i == but) continue;
		n++;
		for (int j = n; j >= 0; j--) p[j] = (j > 0 ? p[j - 1] : 0) - pairs[i] * pairs[i] * (j < n ? p[j] : 0);
	}
	for (int i = 0; i <= n; i++) to[i] = p[i];
}

// filters is B^T: of all pairs together, and of all but each.
typedef struct {
	float all[PAIRS + 1], but[PAIRS][PAIRS];
} filters;

static filters filters_of(void) {
	filters f;
	polynomial(f.all, -1);
	for (int i = 0; i < PAIRS; i++) polynomial(f.but[i], i);
	return f;
}

// point is 0, then the pairs with both signs.
static double point(int i) { return i == 0 ? 0 : i % 2 ? pairs[(i - 1) / 2] : -pairs[(i - 1) / 2]; }

static int tiles_of(const v2v_taps *k) { return (k->ow + OUT - 1) / OUT; }
static int padded(const v2v_taps *k) { return (tiles_of(k) + 15) / 16 * 16; }
static int bands_of(const v2v_taps *k) { return (k->oh + ROWS - 1) / ROWS; }
static size_t row_size(const v2v_taps *k) { return (size_t)k->c * POINTS * padded(k); }
static size_t parts_size(const v2v_taps *k) { return (size_t)k->n * bands_of(k) * (k->o / 16 * sizeof(part) + 64); }

size_t v2v_stem_packed(const v2v_taps *k) { return (size_t)k->o * k->c * TAPS * POINTS * sizeof(float); }
size_t v2v_stem_scratch(const v2v_taps *k) { return parts_size(k) + omp_get_max_threads() * TAPS * row_size(k) * sizeof(float); }

// v2v_stem_pack: to[o/32][point][row of the kernel][c][32] is G g.
void v2v_stem_pack(const v2v_taps *k, float *to, const float *w) {
	for (int o = 0; o < k->o; o++)
		for (int c = 0; c < k->c; c++)
			for (int y = 0; y < TAPS; y++)
				for (int p = 0; p < POINTS; p++) {
					const float *g = w + (((size_t)o * k->c + c) * TAPS + y) * TAPS;
					double sum = 0, power = 1, scale = 1;
					for (int i = 0; i < POINTS - 1; i++)
						if (i != p) scale *= point(p) - point(i);
					for (int x = 0; x < TAPS; x++, power *= point(p)) sum += power * g[x];
					to[((((size_t)(o / GROUP) * POINTS + p) * TAPS + y) * k->c + c) * GROUP + o % GROUP] = p < POINTS - 1 ? sum / scale : g[TAPS - 1];
				}
}

// row_in transforms a row of each channel: v[c][point][tile].
AVX512 static void row_in(const v2v_taps *k, const filters *f, float *v, const float *x) {
	__m512i lanes = _mm512_mullo_epi32(_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0), _mm512_set1_epi32(OUT));
	int n = padded(k);
	for (int c = 0; c < k->c; c++, x += (size_t)k->h * k->w, v += (size_t)POINTS * n)
		for (int t = 0; t < n; t += 16) {
			vec d[POINTS];
			UNROLL for (int j = 0; j < POINTS; j++) {
				__m512i at = _mm512_add_epi32(lanes, _mm512_set1_epi32(t * OUT + j));
				d[j] = _mm512_mask_i32gather_ps(_mm512_setzero_ps(), _mm512_cmplt_epi32_mask(at, _mm512_set1_epi32(k->w)), at, x, 4);
			}
			vec first = d[8], last = d[9];
			UNROLL for (int i = 0; i < PAIRS; i++) {
				first = vfma(vset(f->all[i]), d[2 * i], first);
				last = vfma(vset(f->all[i]), d[2 * i + 1], last);
				vec even = d[8], odd = d[7];
				UNROLL for (int j = 0; j < PAIRS - 1; j++) {
					even = vfma(vset(f->but[i][j]), d[2 * j + 2], even);
					odd = vfma(vset(f->but[i][j]), d[2 * j + 1], odd);
				}
				odd = vmul(odd, vset(pairs[i]));
				vstore(v + (2 * i + 1) * n + t, vadd(even, odd));
				vstore(v + (2 * i + 2) * n + t, vsub(even, odd));
			}
			vstore(v + t, first);
			vstore(v + (POINTS - 1) * n + t, last);
		}
}

typedef void (*tiles_f)(float *, const float *const *, size_t, size_t, int, const float *);
#define TILES(MR)                                                                                                             \
	AVX512 static __attribute__((noinline)) void tiles_##MR(float *m, const float *const *row, size_t at, size_t gap, int c, const float *w) { \
		vec r[MR][2];                                                                                                         \
		UNROLL for (int i = 0; i < MR; i++) r[i][0] = r[i][1] = _mm512_setzero_ps();                                          \
		for (int y = 0; y < TAPS; y++) {                                                                                      \
			const float *a = row[y] + at;                                                                                     \
			for (int n = 0; n < c; n++, a += gap, w += GROUP) {                                                               \
				vec w0 = vload(w), w1 = vload(w + 16);                                                                        \
				UNROLL for (int i = 0; i < MR; i++) {                                                                         \
					vec v = vset(a[i]);                                                                                       \
					r[i][0] = vfma(v, w0, r[i][0]);                                                                           \
					r[i][1] = vfma(v, w1, r[i][1]);                                                                           \
				}                                                                                                             \
			}                                                                                                                 \
		}                                                                                                                     \
		UNROLL for (int i = 0; i < MR; i++) {                                                                                 \
			vstore(m + i * GROUP, r[i][0]);                                                                                   \
			vstore(m + i * GROUP + 16, r[i][1]);                                                                              \
		}                                                                                                                     \
	}
TILES(1) TILES(2) TILES(4) TILES(8) TILES(11) TILES(12) TILES(13) TILES(14)
static const tiles_f tiles[MAX_MR + 1] = {[1] = tiles_1, [2] = tiles_2, [4] = tiles_4, [8] = tiles_8,
	[11] = tiles_11, [12] = tiles_12, [13] = tiles_13, [14] = tiles_14};

// outof is A^T m.
INLINE512 void outof(vec *o, const float *m) {
	o[0] = vload(m);
	o[1] = o[2] = _mm512_setzero_ps();
	o[3] = vload(m + (POINTS - 1) * MAX_MR * GROUP);
	UNROLL for (int i = 0; i < PAIRS; i++) {
		const float a = pairs[i];
		vec p = vload(m + (2 * i + 1) * MAX_MR * GROUP), q = vload(m + (2 * i + 2) * MAX_MR * GROUP);
		vec even = vadd(p, q), odd = vsub(p, q);
		o[0] = vadd(o[0], even);
		o[1] = vfma(vset(a), odd, o[1]);
		o[2] = vfma(vset(a * a), even, o[2]);
		o[3] = vfma(vset(a * a * a), odd, o[3]);
	}
}

// row_out makes one row of a group of outputs.
AVX512 static void row_out(const v2v_taps *k, float *y, const float *const *row, const float *w, const float *bias, moments *mom) {
	float m[POINTS * MAX_MR * GROUP] __attribute__((aligned(64)));
	vec slope = vset(k->slope), b[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
	if (bias) b[0] = vload(bias), b[1] = vload(bias + 16);
	size_t n = padded(k);
	for (int t = 0, all = tiles_of(k), mr; t < all; t += mr) {
		int parts = (all - t + MAX_MR - 1) / MAX_MR;
		mr = (all - t + parts - 1) / parts;
		while (!tiles[mr]) mr--;
		for (int p = 0; p < POINTS; p++)
			tiles[mr](m + p * MAX_MR * GROUP, row, p * n + t, POINTS * n, k->c, w + (size_t)p * TAPS * k->c * GROUP);
		for (int l = 0; l < 2; l++) {
			for (int i = 0; i < mr; i++) {
				vec o[OUT];
				float *to = y + (size_t)l * k->oh * k->ow * 16 + (t + i) * OUT * 16;
				int cols = k->ow - (t + i) * OUT;
				outof(o, m + i * GROUP + l * 16);
				UNROLL for (int j = 0; j < OUT; j++) {
					if (j >= cols) break;
					vec v = vact(vadd(o[j], b[l]), k->act, slope);
					vstore(to + j * 16, v);
					if (mom) moments_add(&mom[l], v);
				}
			}
			if (mom) moments_fold(&mom[l]);
		}
	}
}

// band makes rows from..to, the transformed rows of its input in a ring.
AVX512 static void band(const v2v_taps *k, const filters *f, float *y, const float *x, const float *w, const float *bias, int from, int to, float *ring, part *parts) {
	int groups = k->o / GROUP;
	moments mom[groups][2];
	memset(mom, 0, sizeof mom);
	for (int r = from; r < from + TAPS - 1; r++) row_in(k, f, ring + r % TAPS * row_size(k), x + (size_t)r * k->w);
	for (int r = from; r < to; r++) {
		const float *row[TAPS];
		int next = r + TAPS - 1;
		row_in(k, f, ring + next % TAPS * row_size(k), x + (size_t)next * k->w);
		for (int i = 0; i < TAPS; i++) row[i] = ring + (r + i) % TAPS * row_size(k);
		for (int g = 0; g < groups; g++)
			row_out(k, y + ((size_t)g * 2 * k->oh + r) * k->ow * 16, row, w + (size_t)g * POINTS * TAPS * k->c * GROUP,
				bias ? bias + g * GROUP : NULL, parts ? mom[g] : NULL);
	}
	for (int i = 0; parts && i < 2 * groups; i++) moments_end(&mom[i / 2][i % 2], parts + i);
}

void v2v_stem_run(const v2v_taps *k, float *y, const float *x, const float *w, const float *bias, float *mom, char *scratch) {
	int bands = bands_of(k), blocks = k->o / 16;
	part *parts = mom ? (part *)scratch : NULL;
	int *count = (int *)(scratch + (size_t)k->n * bands * blocks * sizeof(part));
	float *rings = (float *)(scratch + parts_size(k));
	filters f = filters_of();
#pragma omp parallel for schedule(dynamic)
	for (int task = 0; task < k->n * bands; task++) {
		int n = task / bands, from = task % bands * ROWS, to = from + ROWS < k->oh ? from + ROWS : k->oh;
		count[task] = (to - from) * k->ow;
		band(k, &f, y + (size_t)n * k->o * k->oh * k->ow, x + (size_t)n * k->c * k->h * k->w, w, bias, from, to,
			rings + omp_get_thread_num() * TAPS * row_size(k), mom ? parts + (size_t)task * blocks : NULL);
	}
	if (!mom) return;
	if (k->batch) {
		v2v_join(mom, parts, count, k->n * bands, blocks, k->eps);
		return;
	}
	for (int n = 0; n < k->n; n++) v2v_join(mom + (size_t)n * k->o * 2, parts + (size_t)n * bands * blocks, count + n * bands, bands, blocks, k->eps);
}
