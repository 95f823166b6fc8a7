//go:build cgo

#pragma GCC optimize("no-math-errno", "no-trapping-math")
#include "kernels.h"
#include <math.h>
#include <string.h>

// at finds where a pixel is sampled: the corner, the fractions, and whether
// each axis was inside the picture (its derivative is zero where clamped).
typedef struct {
	size_t i00, i01, i10, i11;
	float fx, fy;
	int inx, iny;
} spot;

static inline spot at(const float *flow, int x, int y, int h, int w) {
	size_t hw = (size_t)h * w, p = (size_t)y * w + x;
	float sx = x + flow[p], sy = y + flow[hw + p];
	spot s;
	s.inx = sx > 0 && sx < w - 1;
	s.iny = sy > 0 && sy < h - 1;
	sx = sx > 0 ? sx : 0; // also turns NaN into 0
	sy = sy > 0 ? sy : 0;
	sx = sx < w - 1 ? sx : w - 1;
	sy = sy < h - 1 ? sy : h - 1;
	int x0 = (int)sx, y0 = (int)sy, x1 = x0 + 1 < w ? x0 + 1 : x0, y1 = y0 + 1 < h ? y0 + 1 : y0;
	s.fx = sx - x0;
	s.fy = sy - y0;
	s.i00 = (size_t)y0 * w + x0, s.i01 = (size_t)y0 * w + x1;
	s.i10 = (size_t)y1 * w + x0, s.i11 = (size_t)y1 * w + x1;
	return s;
}

void v2v_warp(float *out, const float *img, const float *flow, int n, int c, int h, int w) {
	size_t hw = (size_t)h * w;
#pragma omp parallel for collapse(2) schedule(static)
	for (int b = 0; b < n; b++)
		for (int y = 0; y < h; y++)
			for (int x = 0; x < w; x++) {
				spot s = at(flow + 2 * hw * b, x, y, h, w);
				for (int k = 0; k < c; k++) {
					const float *i = img + ((size_t)b * c + k) * hw;
					float top = i[s.i00] * (1 - s.fx) + i[s.i01] * s.fx, bot = i[s.i10] * (1 - s.fx) + i[s.i11] * s.fx;
					out[((size_t)b * c + k) * hw + (size_t)y * w + x] = top * (1 - s.fy) + bot * s.fy;
				}
			}
}

void v2v_warp_grad_image(float *gx, const float *flow, const float *gy, int n, int c, int h, int w) {
	size_t hw = (size_t)h * w;
	// A plane to a thread: neighbours scatter to the same pixels.
#pragma omp parallel for collapse(2) schedule(static)
	for (int b = 0; b < n; b++)
		for (int k = 0; k < c; k++) {
			float *o = gx + ((size_t)b * c + k) * hw;
			memset(o, 0, hw * sizeof(float));
			for (int y = 0; y < h; y++)
				for (int x = 0; x < w; x++) {
					spot s = at(flow + 2 * hw * b, x, y, h, w);
					float g = gy[((size_t)b * c + k) * hw + (size_t)y * w + x];
					o[s.i00] += g * (1 - s.fx) * (1 - s.fy);
					o[s.i01] += g * s.fx * (1 - s.fy);
					o[s.i10] += g * (1 - s.fx) * s.fy;
					o[s.i11] += g * s.fx * s.fy;
				}
		}
}

void v2v_warp_grad_flow(float *gf, const float *img, const float *flow, const float *gy, int n, int c, int h, int w) {
	size_t hw = (size_t)h * w;
#pragma omp parallel for collapse(2) schedule(static)
	for (int b = 0; b < n; b++)
		for (int y = 0; y < h; y++)
			for (int x = 0; x < w; x++) {
				spot s = at(flow + 2 * hw * b, x, y, h, w);
				float du = 0, dv = 0;
				for (int k = 0; k < c; k++) {
					const float *i = img + ((size_t)b * c + k) * hw;
					float g = gy[((size_t)b * c + k) * hw + (size_t)y * w + x];
					du += g * ((i[s.i01] - i[s.i00]) * (1 - s.fy) + (i[s.i11] - i[s.i10]) * s.fy);
					dv += g * ((i[s.i10] - i[s.i00]) * (1 - s.fx) + (i[s.i11] - i[s.i01]) * s.fx);
				}
				size_t p = 2 * hw * b + (size_t)y * w + x;
				gf[p] = s.inx ? du : 0;
				gf[p + hw] = s.iny ? dv : 0;
			}
}

void v2v_from_bytes(float *y, const uint8_t *x, int n, int h, int w, int oh, int ow, int luma) {
	size_t hw = (size_t)oh * ow;
	int c = luma ? 1 : 3;
#pragma omp parallel for collapse(2) schedule(static)
	for (int b = 0; b < n; b++)
		for (int i = 0; i < oh; i++)
			for (int j = 0; j < ow; j++) {
				const uint8_t *p = x + (((size_t)b * h + (i < h ? i : h - 1)) * w + (j < w ? j : w - 1)) * 3;
				float *o = y + (size_t)b * c * hw + (size_t)i * ow + j;
				if (luma)
					o[0] = (0.299f * p[0] + 0.587f * p[1] + 0.114f * p[2]) / 127.5f - 1;
				else
					for (int k = 0; k < 3; k++) o[k * hw] = p[k] / 127.5f - 1;
			}
}

void v2v_to_bytes(uint8_t *y, const float *x, int n, int h, int w, int oh, int ow) {
	size_t hw = (size_t)h * w;
#pragma omp parallel for collapse(2) schedule(static)
	for (int b = 0; b < n; b++)
		for (int i = 0; i < oh; i++)
			for (int j = 0; j < ow; j++)
				for (int k = 0; k < 3; k++) {
					float t = (x[((size_t)b * 3 + k) * hw + (size_t)i * w + j] + 1) * 127.5f;
					t = t > 0 ? t : 0;
					t = t < 255 ? t : 255;
					y[(((size_t)b * oh + i) * ow + j) * 3 + k] = (uint8_t)lrintf(t);
				}
}
