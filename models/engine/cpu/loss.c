//go:build cgo

#pragma GCC optimize("no-math-errno", "no-trapping-math")
#include "kernels.h"
#include <math.h>

void v2v_l1(float *out, const float *a, const float *b, size_t n) {
	double s = 0;
#pragma omp parallel for simd reduction(+ : s) schedule(static) if (n > 16384)
	for (size_t i = 0; i < n; i++) s += fabsf(a[i] - b[i]);
	*out = (float)(s / n);
}

void v2v_l1_grad(float *gx, const float *a, const float *b, const float *g, size_t n) {
	float f = *g / n;
#pragma omp parallel for simd schedule(static) if (n > 16384)
	for (size_t i = 0; i < n; i++) gx[i] = a[i] > b[i] ? f : a[i] < b[i] ? -f : 0;
}

void v2v_mse(float *out, const float *x, size_t n, float target) {
	double s = 0;
#pragma omp parallel for simd reduction(+ : s) schedule(static) if (n > 16384)
	for (size_t i = 0; i < n; i++) {
		float d = x[i] - target;
		s += d * d;
	}
	*out = (float)(s / n);
}

void v2v_mse_grad(float *gx, const float *x, const float *g, size_t n, float target) {
	float f = 2 * *g / n;
#pragma omp parallel for simd schedule(static) if (n > 16384)
	for (size_t i = 0; i < n; i++) gx[i] = f * (x[i] - target);
}

void v2v_mean(float *out, const float *x, size_t n) {
	double s = 0;
#pragma omp parallel for simd reduction(+ : s) schedule(static) if (n > 16384)
	for (size_t i = 0; i < n; i++) s += x[i];
	*out = (float)(s / n);
}

void v2v_mean_grad(float *gx, const float *g, size_t n) {
	float f = *g / n;
#pragma omp parallel for simd schedule(static) if (n > 16384)
	for (size_t i = 0; i < n; i++) gx[i] = f;
}
