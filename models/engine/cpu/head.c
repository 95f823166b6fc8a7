//go:build cgo && amd64

// Convolutions to a handful of channels, the heads of a generator. With one to
// four outputs there is nothing to vectorise over; the lanes are the input
// channels instead, added up at the end. Heads that read the same features run
// as one. The transposed 4x4 convolution at stride two is a 2x2 one for each
// parity of its rows and columns.
#include "kernels.h"
#include <omp.h>
#include "avx512.h"

// A head makes MR pixels, `step` apart, of NO outputs: x nChw16c with its border,
// w [c/16][k][k][no][16].
#define HEAD(MR, NO)                                                                                                  \
	AVX512 static __attribute__((noinline)) void head_##MR##_##NO(float *y, size_t plane, const float *x, const float *w, \
		const float *bias, const v2v_head *k) {                                                                       \
		int side = k->transposed ? 2 : k->k, step = k->transposed ? 2 : 1;                                            \
		vec r[MR][NO];                                                                                                \
		UNROLL for (int m = 0; m < MR; m++)                                                                           \
			UNROLL for (int o = 0; o < NO; o++) r[m][o] = _mm512_setzero_ps();                                        \
		for (int b = 0; b < k->c / 16; b++)                                                                           \
			for (int ky = 0; ky < side; ky++) {                                                                       \
				const float *a = x + ((size_t)b * k->h + ky) * k->w * 16;                                             \
				for (int kx = 0; kx < side; kx++, a += 16, w += 16 * NO) {                                            \
					vec g[NO];                                                                                        \
					UNROLL for (int o = 0; o < NO; o++) g[o] = vload(w + o * 16);                                     \
					UNROLL for (int m = 0; m < MR; m++) {                                                             \
						vec v = vload(a + m * 16);                                                                    \
						UNROLL for (int o = 0; o < NO; o++) r[m][o] = vfma(v, g[o], r[m][o]);                         \
					}                                                                                                 \
				}                                                                                                     \
			}                                                                                                         \
		UNROLL for (int m = 0; m < MR; m++)                                                                           \
			UNROLL for (int o = 0; o < NO; o++) y[o * plane + m * step] = _mm512_reduce_add_ps(r[m][o]) + bias[o];           \
	}
HEAD(16, 1) HEAD(12, 2) HEAD(8, 3) HEAD(6, 4) HEAD(1, 1) HEAD(1, 2) HEAD(1, 3) HEAD(1, 4)

typedef void (*head_f)(float *, size_t, const float *, const float *, const float *, const v2v_head *);
static const struct {
	int mr;
	head_f wide, one;
} heads[5] = {{0}, {16, head_16_1, head_1_1}, {12, head_12_2, head_1_2}, {8, head_8_3, head_1_3}, {6, head_6_4, head_1_4}};

void v2v_head_pack(const v2v_head *k, float *to, const float *w, int first, int outputs) {
	int area = k->k * k->k;
	for (int o = 0; o < outputs; o++)
		for (int c = 0; c < k->c; c++)
			for (int i = 0; i < area; i++) {
				int at = i, part = 0;
				const float *from = w + ((size_t)o * k->c + c) * area + i;
				if (k->transposed) { // tap 3, 1 of the even rows, 2, 0 of the odd ones
					int y = i / 4, x = i % 4;
					part = (y % 2 ? 0 : 2) + (x % 2 ? 0 : 1);
					at = (1 - y / 2) * 2 + 1 - x / 2;
					from = w + ((size_t)c * k->o + o) * area + i;
				}
				int side = k->transposed ? 4 : area;
				to[(((size_t)part * (k->c / 16) + c / 16) * side + at) * k->o * 16 + (first + o) * 16 + c % 16] = *from;
			}
}

// head_row makes one row, or with transposed one parity of it.
static void head_row(const v2v_head *k, float *y, size_t plane, const float *x, const float *w, const float *bias, int width) {
	int m = 0, mr = heads[k->o].mr, step = k->transposed ? 2 : 1;
	for (; m + mr <= width; m += mr) heads[k->o].wide(y + m * step, plane, x + m * 16, w, bias, k);
	for (; m < width; m++) heads[k->o].one(y + m * step, plane, x + m * 16, w, bias, k);
}

void v2v_head_run(const v2v_head *k, float *y, const float *x, const float *w, const float *bias) {
	int t = k->transposed, rows = t ? k->h - 2 : k->h - k->k + 1, width = t ? k->w - 2 : k->w - k->k + 1;
	size_t in = (size_t)k->c * k->h * k->w, plane = (size_t)rows * width * (t ? 4 : 1), part = (size_t)k->c * 4 * k->o;
#pragma omp parallel for collapse(2) schedule(dynamic, 4)
	for (int n = 0; n < k->n; n++)
		for (int r = 0; r < rows; r++)
			for (int p = 0; p < (t ? 4 : 1); p++) {
				const float *a = x + n * in + ((size_t)(r + p / 2) * k->w + p % 2) * 16;
				float *to = y + n * k->o * plane + (t ? ((size_t)2 * r + p / 2) * 2 * width + p % 2 : (size_t)r * width);
				head_row(k, to, plane, a, w + p * part, bias, width);
			}
}
