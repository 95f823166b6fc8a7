//go:build cgo

#pragma GCC optimize("no-math-errno", "no-trapping-math")
#include "kernels.h"
#include <math.h>
#include <string.h>

void v2v_copy_rows(float *dst, const float *src, size_t rows, size_t len, size_t dst_stride, size_t src_stride) {
#pragma omp parallel for schedule(static)
	for (size_t r = 0; r < rows; r++) memcpy(dst + r * dst_stride, src + r * src_stride, len * sizeof(float));
}

void v2v_zero(float *dst, size_t n) { memset(dst, 0, n * sizeof(float)); }

static inline int mirror(int i, int n) { return i < 0 ? -i : i >= n ? 2 * n - 2 - i : i; }

void v2v_reflect(float *y, const float *x, int planes, int h, int w, int v, int pad) {
	int oh = h + 2 * pad, ow = w + 2 * pad;
#pragma omp parallel for collapse(2) schedule(static)
	for (int p = 0; p < planes; p++)
		for (int i = 0; i < oh; i++) {
			const float *from = x + ((size_t)p * h + mirror(i - pad, h)) * w * v;
			float *to = y + ((size_t)p * oh + i) * ow * v;
			memcpy(to + (size_t)pad * v, from, (size_t)w * v * sizeof(float));
			for (int j = 0; j < pad; j++) {
				memcpy(to + (size_t)j * v, from + (size_t)(pad - j) * v, v * sizeof(float));
				memcpy(to + (size_t)(pad + w + j) * v, from + (size_t)(w - 2 - j) * v, v * sizeof(float));
			}
		}
}

void v2v_zero_border(float *y, const float *x, int planes, int h, int w, int v, int pad) {
	int oh = h + 2 * pad, ow = w + 2 * pad;
#pragma omp parallel for collapse(2) schedule(static)
	for (int p = 0; p < planes; p++)
		for (int i = 0; i < oh; i++) {
			float *to = y + ((size_t)p * oh + i) * ow * v;
			if (i < pad || i >= pad + h) {
				memset(to, 0, (size_t)ow * v * sizeof(float));
				continue;
			}
			memset(to, 0, (size_t)pad * v * sizeof(float));
			memcpy(to + (size_t)pad * v, x + ((size_t)p * h + i - pad) * w * v, (size_t)w * v * sizeof(float));
			memset(to + (size_t)(pad + w) * v, 0, (size_t)pad * v * sizeof(float));
		}
}

void v2v_reflect_grad(float *gx, const float *gy, int planes, int h, int w, int v, int pad) {
	int oh = h + 2 * pad, ow = w + 2 * pad;
#pragma omp parallel for schedule(static)
	for (int p = 0; p < planes; p++) {
		float *to = gx + (size_t)p * h * w * v;
		memset(to, 0, (size_t)h * w * v * sizeof(float));
		for (int i = 0; i < oh; i++) {
			float *row = to + (size_t)mirror(i - pad, h) * w * v;
			const float *from = gy + ((size_t)p * oh + i) * ow * v;
			for (int j = 0; j < pad; j++)
				for (int l = 0; l < v; l++) {
					row[(size_t)(pad - j) * v + l] += from[(size_t)j * v + l];
					row[(size_t)(w - 2 - j) * v + l] += from[(size_t)(pad + w + j) * v + l];
				}
			const float *mid = from + (size_t)pad * v;
			for (int j = 0; j < w * v; j++) row[j] += mid[j];
		}
	}
}

void v2v_avgpool(float *y, const float *x, int planes, int h, int w, int v, int oh, int ow, int k, int stride, int pad) {
#pragma omp parallel for collapse(2) schedule(static)
	for (int p = 0; p < planes; p++)
		for (int i = 0; i < oh; i++) {
			int a0 = i * stride - pad, a1 = a0 + k;
			a0 = a0 < 0 ? 0 : a0, a1 = a1 > h ? h : a1;
			for (int j = 0; j < ow; j++) {
				int b0 = j * stride - pad, b1 = b0 + k;
				b0 = b0 < 0 ? 0 : b0, b1 = b1 > w ? w : b1;
				float f = 1.f / ((a1 - a0) * (b1 - b0));
				float *o = y + (((size_t)p * oh + i) * ow + j) * v;
				if (v == 1) {
					float s = 0;
					for (int a = a0; a < a1; a++)
						for (int b = b0; b < b1; b++) s += x[((size_t)p * h + a) * w + b];
					*o = s * f;
					continue;
				}
				memset(o, 0, v * sizeof(float));
				for (int a = a0; a < a1; a++)
					for (int b = b0; b < b1; b++)
						for (int l = 0; l < v; l++) o[l] += x[(((size_t)p * h + a) * w + b) * v + l];
				for (int l = 0; l < v; l++) o[l] *= f;
			}
		}
}

void v2v_avgpool_grad(float *gx, const float *gy, int planes, int h, int w, int v, int oh, int ow, int k, int stride, int pad) {
#pragma omp parallel for schedule(static)
	for (int p = 0; p < planes; p++) {
		float *to = gx + (size_t)p * h * w * v;
		memset(to, 0, (size_t)h * w * v * sizeof(float));
		for (int i = 0; i < oh; i++)
			for (int j = 0; j < ow; j++) {
				int a0 = i * stride - pad, b0 = j * stride - pad, a1 = a0 + k, b1 = b0 + k;
				a0 = a0 < 0 ? 0 : a0, b0 = b0 < 0 ? 0 : b0, a1 = a1 > h ? h : a1, b1 = b1 > w ? w : b1;
				float f = 1.f / ((a1 - a0) * (b1 - b0));
				const float *g = gy + (((size_t)p * oh + i) * ow + j) * v;
				for (int a = a0; a < a1; a++)
					for (int b = b0; b < b1; b++)
						for (int l = 0; l < v; l++) to[((size_t)a * w + b) * v + l] += g[l] * f;
			}
	}
}

// sample finds the two source rows (or columns) of an output one, pixel
// centres at half.
static inline void sample(int o, int n, int on, int bilinear, int *i0, int *i1, float *f) {
	if (!bilinear) {
		int i = (int)((float)o * ((float)n / on));
		*i0 = *i1 = i < n ? i : n - 1;
		*f = 0;
		return;
	}
	float s = (o + 0.5f) * ((float)n / on) - 0.5f;
	if (s < 0) s = 0;
	*i0 = (int)s;
	if (*i0 > n - 1) *i0 = n - 1;
	*i1 = *i0 + 1 < n ? *i0 + 1 : n - 1;
	*f = s - *i0;
}

void v2v_resize(float *y, const float *x, int planes, int h, int w, int v, int oh, int ow, int bilinear) {
#pragma omp parallel for collapse(2) schedule(static)
	for (int p = 0; p < planes; p++)
		for (int i = 0; i < oh; i++) {
			int a0, a1, b0, b1;
			float fa, fb;
			sample(i, h, oh, bilinear, &a0, &a1, &fa);
			const float *r0 = x + ((size_t)p * h + a0) * w * v, *r1 = x + ((size_t)p * h + a1) * w * v;
			for (int j = 0; j < ow; j++) {
				sample(j, w, ow, bilinear, &b0, &b1, &fb);
				float *o = y + (((size_t)p * oh + i) * ow + j) * v;
				for (int l = 0; l < v; l++) {
					float top = r0[b0 * v + l] * (1 - fb) + r0[b1 * v + l] * fb;
					float bot = r1[b0 * v + l] * (1 - fb) + r1[b1 * v + l] * fb;
					o[l] = top * (1 - fa) + bot * fa;
				}
			}
		}
}

void v2v_resize_grad(float *gx, const float *gy, int planes, int h, int w, int v, int oh, int ow, int bilinear) {
#pragma omp parallel for schedule(static)
	for (int p = 0; p < planes; p++) {
		float *to = gx + (size_t)p * h * w * v;
		memset(to, 0, (size_t)h * w * v * sizeof(float));
		for (int i = 0; i < oh; i++) {
			int a0, a1, b0, b1;
			float fa, fb;
			sample(i, h, oh, bilinear, &a0, &a1, &fa);
			for (int j = 0; j < ow; j++) {
				sample(j, w, ow, bilinear, &b0, &b1, &fb);
				const float *g = gy + (((size_t)p * oh + i) * ow + j) * v;
				for (int l = 0; l < v; l++) {
					to[((size_t)a0 * w + b0) * v + l] += g[l] * (1 - fa) * (1 - fb);
					to[((size_t)a0 * w + b1) * v + l] += g[l] * (1 - fa) * fb;
					to[((size_t)a1 * w + b0) * v + l] += g[l] * fa * (1 - fb);
					to[((size_t)a1 * w + b1) * v + l] += g[l] * fa * fb;
				}
			}
		}
	}
}
