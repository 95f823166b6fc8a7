//go:build cgo

#pragma GCC optimize("no-math-errno", "no-trapping-math")
#include "picture.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static inline size_t row(float index, size_t rows) {
	if (!(index > 0)) return 0; // NaN too
	return index < rows - 1 ? (size_t)index : rows - 1;
}

void v2v_gather(float *y, const float *table, const float *index, size_t n, size_t rows, size_t d) {
	for (size_t i = 0; i < n; i++) memcpy(y + i * d, table + row(index[i], rows) * d, d * sizeof(float));
}

void v2v_gather_grad(float *g, const float *index, const float *gy, size_t n, size_t rows, size_t d) {
	memset(g, 0, rows * d * sizeof(float));
	for (size_t i = 0; i < n; i++) {
		float *to = g + row(index[i], rows) * d;
		for (size_t k = 0; k < d; k++) to[k] += gy[i * d + k];
	}
}

void v2v_bce(float *out, const float *x, size_t n, float target) {
	double s = 0;
#pragma omp parallel for reduction(+ : s) schedule(static) if (n > 16384)
	for (size_t i = 0; i < n; i++) s += fmaxf(x[i], 0) + log1pf(expf(-fabsf(x[i]))) - target * x[i];
	*out = (float)(s / n);
}

void v2v_bce_grad(float *gx, const float *x, const float *g, size_t n, float target) {
	float f = *g / n;
#pragma omp parallel for schedule(static) if (n > 16384)
	for (size_t i = 0; i < n; i++) gx[i] = f * (1 / (1 + expf(-x[i])) - target);
}

void v2v_jitter(float *y, const float *x, const float *factors, int n, int c, size_t hw, int still) {
#pragma omp parallel for schedule(static)
	for (int b = 0; b < n; b++) {
		const float *from = x + (size_t)b * c * hw, *p = factors + 3 * b;
		float *to = y + (size_t)b * c * hw, plus = still ? 0 : p[0];
		double mean = 0;
		for (size_t i = 0; i < c * hw; i++) mean += from[i];
		float m = (float)(mean / (c * hw));
		for (size_t i = 0; i < hw; i++) {
			float pixel = 0;
			for (int k = 0; k < c; k++) pixel += from[k * hw + i];
			pixel /= c;
			for (int k = 0; k < c; k++) to[k * hw + i] = p[2] * (p[1] * (from[k * hw + i] - pixel) + pixel - m) + m + plus;
		}
	}
}

// times is one element of Wv.
static inline double times(const float *w, const float *v, size_t k) {
	double s = 0;
#pragma omp simd reduction(+ : s)
	for (size_t i = 0; i < k; i++) s += (double)w[i] * v[i];
	return s;
}

// sigma is |Wv|, kept from zero.
static double sigma(const float *w, const float *v, size_t o, size_t k) {
	double s = 0;
#pragma omp parallel for reduction(+ : s) schedule(static) if (o * k > 16384)
	for (size_t i = 0; i < o; i++) {
		double u = times(w + i * k, v, k);
		s += u * u;
	}
	return fmax(sqrt(s), 1e-12);
}

void v2v_spectral(float *y, const float *w, const float *v, size_t o, size_t k) {
	double by = 1 / sigma(w, v, o, k);
#pragma omp parallel for simd schedule(static) if (o * k > 16384)
	for (size_t i = 0; i < o * k; i++) y[i] = (float)(w[i] * by);
}

void v2v_spectral_grad(float *gw, const float *w, const float *v, const float *g, size_t o, size_t k) {
	double s = sigma(w, v, o, k), inner = 0;
#pragma omp parallel for simd reduction(+ : inner) schedule(static) if (o * k > 16384)
	for (size_t i = 0; i < o * k; i++) inner += (double)w[i] * g[i];
#pragma omp parallel for schedule(static) if (o * k > 16384)
	for (size_t i = 0; i < o; i++) {
		double u = inner / s * times(w + i * k, v, k) / s;
		for (size_t j = 0; j < k; j++) gw[i * k + j] = (float)((g[i * k + j] - u * v[j]) / s);
	}
}

void v2v_spectral_step(float *next, const float *w, const float *v, size_t o, size_t k) {
	double s = sigma(w, v, o, k), length = 0;
	double *sum = calloc(k, sizeof(double));
	if (!sum) { // no memory: the direction stays
		memcpy(next, v, k * sizeof(float));
		return;
	}
	for (size_t i = 0; i < o; i++) {
		double u = times(w + i * k, v, k) / s;
		for (size_t j = 0; j < k; j++) sum[j] += u * w[i * k + j];
	}
	for (size_t j = 0; j < k; j++) length += sum[j] * sum[j];
	length = fmax(sqrt(length), 1e-12);
	for (size_t j = 0; j < k; j++) next[j] = (float)(sum[j] / length);
	free(sum);
}
