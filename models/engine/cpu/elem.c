//go:build cgo

#pragma GCC optimize("no-math-errno", "no-trapping-math")
#include "kernels.h"
#include <immintrin.h>
#include <math.h>
#include <omp.h>

void v2v_threads(int n) { omp_set_num_threads(n); }

// Denormals make a convolution fifty times slower and change no picture; every
// compute thread flushes them.
void v2v_flush_denormals(void) {
#pragma omp parallel
	_mm_setcsr(_mm_getcsr() | 0x8040);
}

// v2v_keep_denormals lets the calling thread alone keep them, or not.
void v2v_keep_denormals(int keep) { _mm_setcsr(keep ? _mm_getcsr() & ~0x8040u : _mm_getcsr() | 0x8040); }

#define EACH(body)                                  \
	_Pragma("omp parallel for simd schedule(static) if (n > 16384)") for (size_t i = 0; i < n; i++) { body; }

// fast_exp is expf as Cephes computes it (Moshier 1989), within 2e-7 relative,
// in a form that compilers turn into vectors.
static inline float fast_exp(float x) {
	x = x > 88 ? 88 : x < -87 ? -87 : x;
	float n = rintf(x * 1.44269504f), r = x - n * 0.693359375f + n * 2.12194440e-4f;
	float p = ((((1.9875691500e-4f * r + 1.3981999507e-3f) * r + 8.3334519073e-3f) * r + 4.1665795894e-2f) * r + 1.6666665459e-1f) * r + 5.0000001201e-1f;
	union { int32_t i; float f; } scale = {((int32_t)n + 127) << 23};
	return (p * r * r + r + 1) * scale.f;
}

void v2v_act(float *y, const float *x, size_t n, int kind, float slope) {
	switch (kind) {
	case 0: EACH(y[i] = x[i] > 0 ? x[i] : 0) break;
	case 1: EACH(y[i] = x[i] > 0 ? x[i] : x[i] * slope) break;
	case 2: EACH(y[i] = 1 - 2 / (fast_exp(2 * x[i]) + 1)) break;
	case 3: EACH(y[i] = 1 / (1 + fast_exp(-x[i]))) break;
	}
}

void v2v_act_grad(float *gx, const float *y, const float *gy, size_t n, int kind, float slope) {
	switch (kind) {
	case 0: EACH(gx[i] = y[i] > 0 ? gy[i] : 0) break;
	case 1: EACH(gx[i] = y[i] > 0 ? gy[i] : gy[i] * slope) break;
	case 2: EACH(gx[i] = gy[i] * (1 - y[i] * y[i])) break;
	case 3: EACH(gx[i] = gy[i] * y[i] * (1 - y[i])) break;
	}
}

void v2v_add(float *y, const float *a, const float *b, size_t n) { EACH(y[i] = a[i] + b[i]) }
void v2v_sub(float *y, const float *a, const float *b, size_t n) { EACH(y[i] = a[i] - b[i]) }
void v2v_mul(float *y, const float *a, const float *b, size_t n) { EACH(y[i] = a[i] * b[i]) }
void v2v_scale(float *y, const float *x, size_t n, float by, float plus) { EACH(y[i] = by * x[i] + plus) }

void v2v_mul_channels(float *y, const float *a, const float *b, int n, int c, int hw) {
#pragma omp parallel for schedule(static)
	for (int p = 0; p < n * c; p++) {
		const float *bb = b + (size_t)(p / c) * hw, *aa = a + (size_t)p * hw;
		float *yy = y + (size_t)p * hw;
		for (int i = 0; i < hw; i++) yy[i] = aa[i] * bb[i];
	}
}

void v2v_mul_sum(float *y, const float *a, const float *b, int n, int c, int hw) {
#pragma omp parallel for collapse(2) schedule(static)
	for (int i = 0; i < n; i++)
		for (int j = 0; j < hw; j++) {
			float s = 0;
			for (int k = 0; k < c; k++) {
				size_t at = ((size_t)i * c + k) * hw + j;
				s += a[at] * b[at];
			}
			y[(size_t)i * hw + j] = s;
		}
}

void v2v_blend(float *y, const float *raw, const float *warped, const float *w, int n, int c, int hw) {
#pragma omp parallel for schedule(static)
	for (int p = 0; p < n * c; p++) {
		const float *m = w + (size_t)(p / c) * hw;
		size_t at = (size_t)p * hw;
		for (int i = 0; i < hw; i++) y[at + i] = raw[at + i] * m[i] + warped[at + i] * (1 - m[i]);
	}
}

void v2v_adam_m(float *y, const float *m, const float *g, size_t n, float beta) { EACH(y[i] = beta * m[i] + (1 - beta) * g[i]) }
void v2v_adam_v(float *y, const float *v, const float *g, size_t n, float beta) { EACH(y[i] = beta * v[i] + (1 - beta) * g[i] * g[i]) }

void v2v_adam_p(float *y, const float *p, const float *m, const float *v, const float *h, size_t n, float eps) {
	float lr = h[0], k = h[1];
	EACH(y[i] = p[i] - lr * m[i] / (sqrtf(v[i]) * k + eps))
}
