//go:build cgo && amd64

// Convolutions to a handful of channels, the heads of a generator. With one to
// four outputs there is nothing to vectorise over; the lanes are the input
// channels instead, added up at the end. Heads that read the same features run
// as one.
#include "kernels.h"
#include <omp.h>
#include "avx512.h"

// row makes mr pixels of no outputs: x nChw16c with its border, w
// [c/16][k][k][no][16].
#define HEAD(MR, NO)                                                                                                  \
	AVX512 static __attribute__((noinline)) void head_##MR##_##NO(float *y, size_t plane, const float *x, const float *w, \
		const float *bias, const v2v_head *k) {                                                                       \
		vec r[MR][NO];                                                                                                \
		UNROLL for (int m = 0; m < MR; m++)                                                                           \
			UNROLL for (int o = 0; o < NO; o++) r[m][o] = _mm512_setzero_ps();                                        \
		for (int b = 0; b < k->c / 16; b++)                                                                           \
			for (int ky = 0; ky < k->k; ky++) {                                                                       \
				const float *a = x + ((size_t)b * k->h + ky) * k->w * 16;                                             \
				for (int kx = 0; kx < k->k; kx++, a += 16, w += 16 * NO) {                                            \
					vec g[NO];                                                                                        \
					UNROLL for (int o = 0; o < NO; o++) g[o] = vload(w + o * 16);                                     \
					UNROLL for (int m = 0; m < MR; m++) {                                                             \
						vec v = vload(a + m * 16);                                                                    \
						UNROLL for (int o = 0; o < NO; o++) r[m][o] = vfma(v, g[o], r[m][o]);                         \
					}                                                                                                 \
				}                                                                                                     \
			}                                                                                                         \
		UNROLL for (int m = 0; m < MR; m++)                                                                           \
			UNROLL for (int o = 0; o < NO; o++) y[o * plane + m] = _mm512_reduce_add_ps(r[m][o]) + bias[o];           \
	}
HEAD(16, 1) HEAD(12, 2) HEAD(8, 3) HEAD(6, 4) HEAD(1, 1) HEAD(1, 2) HEAD(1, 3) HEAD(1, 4)

typedef void (*head_f)(float *, size_t, const float *, const float *, const float *, const v2v_head *);
static const struct {
	int mr;
	head_f wide, one;
} heads[5] = {{0}, {16, head_16_1, head_1_1}, {12, head_12_2, head_1_2}, {8, head_8_3, head_1_3}, {6, head_6_4, head_1_4}};

void v2v_head_pack(const v2v_head *k, float *to, const float *w, int first, int outputs) {
	for (int o = 0; o < outputs; o++)
		for (int c = 0; c < k->c; c++)
			for (int i = 0; i < k->k * k->k; i++)
				to[(((size_t)(c / 16) * k->k * k->k + i) * k->o + first + o) * 16 + c % 16] = w[((size_t)o * k->c + c) * k->k * k->k + i];
}

void v2v_head_run(const v2v_head *k, float *y, const float *x, const float *w, const float *bias) {
	int oh = k->h - k->k + 1, ow = k->w - k->k + 1;
	size_t in = (size_t)k->c * k->h * k->w, plane = (size_t)oh * ow;
	head_f wide = heads[k->o].wide, one = heads[k->o].one;
	int mr = heads[k->o].mr;
#pragma omp parallel for collapse(2) schedule(dynamic, 4)
	for (int n = 0; n < k->n; n++)
		for (int r = 0; r < oh; r++) {
			const float *a = x + n * in + (size_t)r * k->w * 16;
			float *to = y + n * k->o * plane + (size_t)r * ow;
			int m = 0;
			for (; m + mr <= ow; m += mr) wide(to + m, plane, a + m * 16, w, bias, k);
			for (; m < ow; m++) one(to + m, plane, a + m * 16, w, bias, k);
		}
}
