//go:build cgo && amd64

// Direct convolution as a sum over taps: at each tap a row of neighbouring
// pixels times the tap's weights, all accumulators in registers. One kernel
// serves stride one and two, plain inputs of few channels, and the transposed
// convolution at stride two, whose outputs of each parity are a dense
// convolution of their own (four small ones instead of one full of zeros).
#include "kernels.h"
#include <omp.h>
#include <string.h>
#include "avx512.h"

enum { MAX_TAPS = 64, BAND = 4 }; // BAND: rows of a task, in inputs of a transposed convolution

typedef struct {
	const float *bias;
	int act;
	float slope;
	moments *mom; // of each of the two blocks, or NULL
} epilogue;

INLINE512 void finish(int mr, int nv, float *y, ptrdiff_t ldy, ptrdiff_t block, vec (*r)[2], epilogue e) {
	vec slope = vset(e.slope);
	UNROLL for (int b = 0; b < nv; b++) {
		vec bias = e.bias ? vload(e.bias + b * 16) : _mm512_setzero_ps();
		UNROLL for (int m = 0; m < mr; m++) {
			vec v = vact(vadd(r[m][b], bias), e.act, slope);
			vstore(y + b * block + m * ldy, v);
			if (e.mom) moments_add(&e.mom[b], v);
		}
		if (e.mom) moments_fold(&e.mom[b]);
	}
}

// steps of one segment: nb blocks of `depth` inputs.
INLINE512 void steps(int mr, int nv, int px, int depth, vec (*r)[2], segment s) {
	if (depth == 16) {
		product(mr, nv, px, r, s);
		return;
	}
	for (int n = 0; n < s.nb; n++, s.a += s.next)
		for (int i = 0; i < depth; i++, s.w += 16 * nv) {
			vec w0 = vload(s.w), w1 = w0;
			if (nv == 2) w1 = vload(s.w + 16);
			UNROLL for (int m = 0; m < mr; m++) {
				vec v = vset(s.a[m * px + i]);
				r[m][0] = vfma(v, w0, r[m][0]);
				if (nv == 2) r[m][1] = vfma(v, w1, r[m][1]);
			}
		}
}

typedef void (*row_f)(float *, ptrdiff_t, ptrdiff_t, const segment *, int, int, epilogue);

INLINE512 void steps_half(int mr, int nv, int px, int depth, vec (*r)[2], segment s) { product_half(mr, nv, px, r, s); }

#define ROWS(MR, NV, PX, KIND, STEPS)                                                                                    \
	AVX512 static __attribute__((noinline)) void KIND##_##MR##_##NV##_##PX(float *y, ptrdiff_t ldy, ptrdiff_t block, const segment *s, \
		int n, int depth, epilogue e) {                                                                                  \
		vec r[MR][2];                                                                                                    \
		UNROLL for (int i = 0; i < MR; i++) r[i][0] = r[i][1] = _mm512_setzero_ps();                                     \
		for (int i = 0; i < n; i++) STEPS(MR, NV, PX, PX == 1 ? depth : 16, r, s[i]);                                    \
		finish(MR, NV, y, ldy, block, r, e);                                                                             \
	}
#define KINDS(MR)                                                                                                        \
	ROWS(MR, 1, 1, row, steps) ROWS(MR, 1, 16, row, steps) ROWS(MR, 1, 32, row, steps)                                   \
	ROWS(MR, 2, 1, row, steps) ROWS(MR, 2, 16, row, steps) ROWS(MR, 2, 32, row, steps)                                   \
	ROWS(MR, 1, 16, half, steps_half) ROWS(MR, 1, 32, half, steps_half)                                                  \
	ROWS(MR, 2, 16, half, steps_half) ROWS(MR, 2, 32, half, steps_half)
KINDS(1) KINDS(2) KINDS(4) KINDS(8) KINDS(11) KINDS(12) KINDS(13) KINDS(14)

#define ENTRY(MR)                                                                                                        \
	[MR] = {{row_##MR##_1_1, row_##MR##_1_16, row_##MR##_1_32, half_##MR##_1_16, half_##MR##_1_32},                      \
		{row_##MR##_2_1, row_##MR##_2_16, row_##MR##_2_32, half_##MR##_2_16, half_##MR##_2_32}}
static const row_f rows[MAX_MR + 1][2][5] = {ENTRY(1), ENTRY(2), ENTRY(4), ENTRY(8), ENTRY(11), ENTRY(12), ENTRY(13), ENTRY(14)};

static int share(int n) {
	int parts = (n + MAX_MR - 1) / MAX_MR, r = (n + parts - 1) / parts;
	while (!rows[r][0][0]) r--;
	return r;
}

// a tap of one phase: where it reads, and which of the k x k weights it takes.
typedef struct {
	int dy, dx, ky, kx;
} tap;

// taps_of lists the taps of the outputs of parity (py,px); for convolutions
// there is one parity.
static int taps_of(const v2v_taps *k, int py, int px, tap *t) {
	int n = 0;
	for (int y = 0; y < k->k; y++)
		for (int x = 0; x < k->k; x++) {
			if (!k->transposed) {
				t[n++] = (tap){y, x, y, x};
				continue;
			}
			int a = py + k->pad - y, b = px + k->pad - x; // out = 2*in - pad + k
			if (a % 2 == 0 && b % 2 == 0) t[n++] = (tap){a / 2 + 1, b / 2 + 1, y, x}; // the input has a border of one
		}
	return n;
}

static int groups_of(const v2v_taps *k) { return (k->o / 16 + 1) / 2; }
static int bands_of(const v2v_taps *k) {
	int r = k->transposed ? k->oh / 2 : k->oh;
	return (r + BAND - 1) / BAND;
}
static int lanes_of(const v2v_taps *k, int group) { return k->o / 16 - 2 * group < 2 ? 1 : 2; }

size_t v2v_taps_packed(const v2v_taps *k) { return k->stem ? v2v_stem_packed(k) : (size_t)k->o * k->c * k->k * k->k * sizeof(float); }
size_t v2v_taps_scratch(const v2v_taps *k) {
	if (k->stem) return v2v_stem_scratch(k);
	return (size_t)k->n * bands_of(k) * (k->o / 16 * sizeof(part) + 64);
}

// weight finds one weight in the caller's layout.
static float weight(const v2v_taps *k, const float *w, int o, int c, int ky, int kx) {
	int first = k->transposed ? c : o, second = k->transposed ? o : c, n = k->transposed ? k->o : k->c;
	if (!k->filter) return w[(((size_t)first * n + second) * k->k + ky) * k->k + kx];
	return w[((((size_t)(first / 16) * (n / 16) + second / 16) * k->k + ky) * k->k + kx) * 256 + second % 16 * 16 + first % 16];
}

// round_half is the nearest bfloat16, ties to even.
static uint16_t round_half(float x) {
	uint32_t b;
	memcpy(&b, &x, 4);
	return (b + 0x7fff + (b >> 16 & 1)) >> 16;
}

// pack_group writes the weights of 32 outputs in the order they are used.
static void pack_group(const v2v_taps *k, float *to, const float *w, int group) {
	int nv = lanes_of(k, group), kinds = k->transposed ? 4 : 1;
	uint16_t *half = (uint16_t *)to;
	tap t[MAX_TAPS];
	for (int kind = 0; kind < kinds; kind++) {
		int n = taps_of(k, kind / 2, kind % 2, t), pair = k->half ? 2 : 1;
		int outer = k->plain ? k->c : n, inner = k->plain ? n : k->c; // plain: by channel, then by tap
		for (int a = 0; a < outer; a++)
			for (int b = 0; b < inner; b += pair)
				for (int l = 0; l < 16 * nv; l++)
					for (int e = 0; e < pair; e++) {
						tap q = t[k->plain ? b : a];
						float x = weight(k, w, group * 32 + l, k->plain ? a : b + e, q.ky, q.kx);
						if (k->half)
							*half++ = round_half(x);
						else
							*to++ = x;
					}
	}
}

void v2v_taps_pack(const v2v_taps *k, float *to, const float *w) {
	if (k->stem) {
		v2v_stem_pack(k, to, w);
		return;
	}
#pragma omp parallel for schedule(dynamic)
	for (int g = 0; g < groups_of(k); g++) pack_group(k, (float *)at(to, (ptrdiff_t)g * 32 * k->c * k->k * k->k, k->half), w, g);
}

// band makes BAND rows (of each parity) of one group of outputs.
static void band(const v2v_taps *k, float *y, const float *x, const float *w, epilogue e, int nv, int from, int to) {
	int kinds = k->transposed ? 4 : 1, out = k->transposed ? 2 : 1, s = k->transposed ? 1 : k->stride, v = k->plain ? 1 : 16;
	int px = k->plain ? 0 : s + (k->half ? 2 : 0), width = k->ow / out;
	ptrdiff_t block = (ptrdiff_t)k->oh * k->ow * 16, plane = (ptrdiff_t)k->h * k->w;
	tap t[MAX_TAPS];
	segment seg[MAX_TAPS];
	for (int kind = 0; kind < kinds; kind++) {
		int n = taps_of(k, kind / 2, kind % 2, t);
		for (int r = from; r < to; r++)
			for (int c = 0; c < width;) {
				int mr = share(width - c), segs = k->plain ? k->c : n;
				const float *a = at(x, ((ptrdiff_t)r * s * k->w + c * s) * v, k->half);
				for (int i = 0; i < segs; i++)
					seg[i] = k->plain ? (segment){a + i * plane, k->w, w + (ptrdiff_t)i * n * 16 * nv, k->k}
							  : (segment){at(a, ((ptrdiff_t)t[i].dy * k->w + t[i].dx) * 16, k->half), plane * 16,
									at(w, (ptrdiff_t)i * k->c * 16 * nv, k->half), k->c / 16};
				float *to = y + ((ptrdiff_t)(r * out + kind / 2) * k->ow + c * out + kind % 2) * 16;
				rows[mr][nv - 1][px](to, out * 16, block, seg, segs, k->k, e);
				c += mr;
			}
		w = at(w, (ptrdiff_t)n * k->c * 16 * nv, k->half);
	}
}

// task makes one band of one group and leaves its moments.
AVX512 static void task(const v2v_taps *k, float *y, const float *x, const float *w, const float *bias, int group, int b, part *parts, int *count) {
	int nv = lanes_of(k, group), rows = k->transposed ? k->oh / 2 : k->oh;
	int from = b * BAND, to = from + BAND < rows ? from + BAND : rows;
	moments mom[2] = {{.begun = 0}, {.begun = 0}};
	epilogue e = {bias ? bias + group * 32 : NULL, k->act, k->slope, parts ? mom : NULL};
	band(k, y + (size_t)group * 2 * k->oh * k->ow * 16, x, at(w, (ptrdiff_t)group * 32 * k->c * k->k * k->k, k->half), e, nv, from, to);
	if (!parts) return;
	*count = (to - from) * k->ow * (k->transposed ? 4 : 1) / (k->transposed ? 2 : 1);
	for (int i = 0; i < nv; i++) moments_end(&mom[i], parts + group * 2 + i);
}

void v2v_taps_run(const v2v_taps *k, float *y, const float *x, const float *w, const float *bias, float *mom, char *scratch) {
	if (k->stem) {
		v2v_stem_run(k, y, x, w, bias, mom, scratch);
		return;
	}
	int bands = bands_of(k), groups = groups_of(k), blocks = k->o / 16;
	part *parts = mom ? (part *)scratch : NULL;
	int *count = (int *)(scratch + (size_t)k->n * bands * blocks * sizeof(part));
	size_t in = (size_t)k->c * k->h * k->w, out = (size_t)k->o * k->oh * k->ow;
#pragma omp parallel for collapse(3) schedule(dynamic)
	for (int n = 0; n < k->n; n++)
		for (int b = 0; b < bands; b++)
			for (int g = 0; g < groups; g++) {
				int no = n * bands + b;
				task(k, y + n * out, at(x, n * in, k->half), w, bias, g, b, mom ? parts + (size_t)no * blocks : NULL, count + no);
			}
	if (!mom) return;
	if (k->batch) {
		v2v_join(mom, parts, count, k->n * bands, blocks, k->eps);
		return;
	}
	for (int n = 0; n < k->n; n++)
		v2v_join(mom + (size_t)n * k->o * 2, parts + (size_t)n * bands * blocks, count + n * bands, bands, blocks, k->eps);
}

// v2v_border_half sets a border around planes of 16 channels, in bfloat16.
AVX512 static void border_row(uint16_t *to, const float *row, int w, int pad, int reflect) {
	for (int j = -pad; j < w + pad; j++, to += 16) {
		int from = j < 0 ? -j : j >= w ? 2 * (w - 1) - j : j;
		vec v = row && (reflect || from == j) ? vload(row + (ptrdiff_t)from * 16) : _mm512_setzero_ps();
		put(to, 0, v, 1);
	}
}

void v2v_border_half(uint16_t *y, const float *x, int planes, int h, int w, int pad, int reflect) {
	int oh = h + 2 * pad, ow = w + 2 * pad;
#pragma omp parallel for collapse(2) schedule(static)
	for (int p = 0; p < planes; p++)
		for (int i = 0; i < oh; i++) {
			int at = i - pad, from = at < 0 ? -at : at >= h ? 2 * (h - 1) - at : at;
			const float *row = reflect || from == at ? x + ((size_t)p * h + from) * w * 16 : NULL;
			border_row(y + ((size_t)p * oh + i) * ow * 16, row, w, pad, reflect);
		}
}
