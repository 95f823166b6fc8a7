//go:build cgo

#include "label.h"
#include <string.h>

static inline int inside(int i, int n) { return i < 0 ? 0 : i < n ? i : n - 1; }

void v2v_one_hot(float *y, const uint8_t *x, int n, int h, int w, int c, int oh, int ow) {
	size_t hw = (size_t)oh * ow;
#pragma omp parallel for collapse(2) schedule(static)
	for (int b = 0; b < n; b++)
		for (int i = 0; i < oh; i++) {
			const uint8_t *row = x + ((size_t)b * h + inside(i, h)) * w * 3;
			float *to = y + (size_t)b * c * hw + (size_t)i * ow;
			for (int k = 0; k < c; k++) {
				for (int j = 0; j < w; j++) to[k * hw + j] = row[3 * j] == k;
				for (int j = w; j < ow; j++) to[k * hw + j] = row[3 * (w - 1)] == k;
			}
		}
}

void v2v_edges(float *y, const uint8_t *x, int n, int h, int w, int oh, int ow) {
#pragma omp parallel for collapse(2) schedule(static)
	for (int b = 0; b < n; b++)
		for (int i = 0; i < oh; i++) {
			const uint8_t *at = x + (size_t)b * h * w * 3;
			const uint8_t *row = at + (size_t)inside(i, h) * w * 3;
			const uint8_t *above = at + (size_t)inside(i - 1, h) * w * 3, *below = at + (size_t)inside(i + 1, h) * w * 3;
			for (int j = 0; j < ow; j++) {
				size_t p = 3 * (size_t)inside(j, w), left = 3 * (size_t)inside(j - 1, w), right = 3 * (size_t)inside(j + 1, w);
				y[((size_t)b * oh + i) * ow + j] = memcmp(row + p, above + p, 3) || memcmp(row + p, below + p, 3) ||
					memcmp(row + p, row + left, 3) || memcmp(row + p, row + right, 3);
			}
		}
}
