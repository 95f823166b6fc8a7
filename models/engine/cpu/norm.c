//go:build cgo

#pragma GCC optimize("no-math-errno", "no-trapping-math")
#include "kernels.h"
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#define LANES 16
#define CHUNK 256 // pixels summed in float before they go to double

// A plane is read as rows of LANES (or v=8) floats whatever its layout: with
// v == 1 the lanes are neighbouring pixels and are added up at the end.
static inline __attribute__((always_inline)) void lane_sums(const float *x, size_t steps, int lanes, const float *shift, double *s, double *q) {
	for (size_t at = 0; at < steps; at += CHUNK) {
		size_t end = at + CHUNK < steps ? at + CHUNK : steps;
		float a[LANES] = {0}, b[LANES] = {0};
		for (size_t i = at; i < end; i++)
			for (int l = 0; l < lanes; l++) {
				float d = x[i * lanes + l] - shift[l];
				a[l] += d;
				b[l] += d * d;
			}
		for (int l = 0; l < lanes; l++) s[l] += a[l], q[l] += b[l];
	}
}

static inline __attribute__((always_inline)) void lane_products(const float *x, const float *g, size_t steps, int lanes, const float *mean, double *s, double *q) {
	for (size_t at = 0; at < steps; at += CHUNK) {
		size_t end = at + CHUNK < steps ? at + CHUNK : steps;
		float a[LANES] = {0}, b[LANES] = {0};
		for (size_t i = at; i < end; i++)
			for (int l = 0; l < lanes; l++) {
				float gy = g[i * lanes + l];
				a[l] += gy;
				b[l] += gy * (x[i * lanes + l] - mean[l]);
			}
		for (int l = 0; l < lanes; l++) s[l] += a[l], q[l] += b[l];
	}
}

// plane_sums: sums of (x-shift) and its square for the v channels of a plane.
static void plane_sums(const float *x, int hw, int v, const float *shift, double *s, double *q) {
	double a[LANES] = {0}, b[LANES] = {0};
	float k[LANES];
	for (int l = 0; l < LANES; l++) k[l] = shift[v == 1 ? 0 : l % v];
	if (v == 16) {
		lane_sums(x, hw, 16, k, s, q);
	} else if (v == 8) {
		lane_sums(x, hw, 8, k, s, q);
	} else {
		size_t steps = hw / LANES;
		lane_sums(x, steps, LANES, k, a, b);
		for (int l = 0; l < LANES; l++) s[0] += a[l], q[0] += b[l];
		for (int i = steps * LANES; i < hw; i++) {
			double d = x[i] - k[0];
			s[0] += d, q[0] += d * d;
		}
	}
}

static void plane_products(const float *x, const float *g, int hw, int v, const float *mean, double *s, double *q) {
	double a[LANES] = {0}, b[LANES] = {0};
	float k[LANES];
	for (int l = 0; l < LANES; l++) k[l] = mean[v == 1 ? 0 : l % v];
	if (v == 16) {
		lane_products(x, g, hw, 16, k, s, q);
	} else if (v == 8) {
		lane_products(x, g, hw, 8, k, s, q);
	} else {
		size_t steps = hw / LANES;
		lane_products(x, g, steps, LANES, k, a, b);
		for (int l = 0; l < LANES; l++) s[0] += a[l], q[0] += b[l];
		for (int i = steps * LANES; i < hw; i++) s[0] += g[i], q[0] += (double)g[i] * (x[i] - k[0]);
	}
}

void v2v_moments(float *out, const float *x, int n, int c, int hw, int v, int batch, float eps) {
	int blocks = c / v, groups = batch ? 1 : n, each = batch ? n : 1;
#pragma omp parallel for collapse(2) schedule(static)
	for (int g = 0; g < groups; g++)
		for (int b = 0; b < blocks; b++) {
			double s[LANES] = {0}, q[LANES] = {0};
			const float *shift = x + ((size_t)g * blocks + b) * hw * v; // the first pixel
			for (int i = 0; i < each; i++) plane_sums(x + ((size_t)(g + i) * blocks + b) * hw * v, hw, v, shift, s, q);
			double m = (double)each * hw;
			for (int l = 0; l < v; l++) {
				float *o = out + ((size_t)g * c + b * v + l) * 2;
				double mean = s[l] / m, var = q[l] / m - mean * mean;
				o[0] = (float)(shift[l] + mean);
				o[1] = (float)(1 / sqrt((var > 0 ? var : 0) + eps));
			}
		}
}

#ifdef __x86_64__
#include "avx512.h"
// Joined in double by the parallel form of the variance (Chan et al. 1979).
void v2v_join(float *out, const part *parts, const int *count, int n, int blocks, float eps) {
	for (int c = 0; c < blocks * 16; c++) {
		double mean = 0, m2 = 0, total = 0;
		for (int k = 0; k < n; k++) {
			const part *p = parts + (size_t)k * blocks + c / 16;
			double s = p->sum[c % 16] / count[k], own = p->square[c % 16] - s * p->sum[c % 16];
			double d = p->shift[c % 16] + s - mean, all = total + count[k];
			mean += d * count[k] / all;
			m2 += own + d * d * total * count[k] / all;
			total = all;
		}
		double var = m2 / total;
		out[2 * c] = (float)mean;
		out[2 * c + 1] = (float)(1 / sqrt((var > 0 ? var : 0) + eps));
	}
}
#endif

static inline __attribute__((always_inline)) float activate(float y, int act, float slope) {
	switch (act) {
	case 0: return y > 0 ? y : 0;
	case 1: return y > 0 ? y : y * slope;
	case 2: return tanhf(y);
	case 3: return 1 / (1 + expf(-y));
	}
	return y;
}

static inline __attribute__((always_inline)) void norm_row(float *y, const float *x, const float *add, size_t steps, int lanes,
	const float *a, const float *m, const float *b, int act1, int act2, float s1, float s2) {
	// (x-m)*a, not x*a-m*a: a plane of one value must come out exactly flat,
	// for the next normalisation would blow up its rounding errors.
	if (add)
		for (size_t i = 0; i < steps; i++)
			for (int l = 0; l < lanes; l++)
				y[i * lanes + l] = activate(activate(a[l] * (x[i * lanes + l] - m[l]) + b[l], act1, s1) + add[i * lanes + l], act2, s2);
	else
		for (size_t i = 0; i < steps; i++)
			for (int l = 0; l < lanes; l++) y[i * lanes + l] = activate(a[l] * (x[i * lanes + l] - m[l]) + b[l], act1, s1);
}

static inline __attribute__((always_inline)) void norm_plane(float *y, const float *x, const float *add, size_t hw, int v,
	const float *a, const float *m, const float *b, int act1, int act2, float s1, float s2) {
	size_t steps = v == 1 ? hw / LANES : hw;
	if (v == 8)
		norm_row(y, x, add, steps, 8, a, m, b, act1, act2, s1, s2);
	else
		norm_row(y, x, add, steps, LANES, a, m, b, act1, act2, s1, s2);
	if (v == 1)
		for (size_t i = steps * LANES; i < hw; i++) {
			float t = activate(a[0] * (x[i] - m[0]) + b[0], act1, s1);
			y[i] = add ? activate(t + add[i], act2, s2) : t;
		}
}

void v2v_normalize(float *y, const float *x, const float *mom, const float *gamma, const float *beta, const float *add,
	int n, int c, int hw, int v, int batch, int act1, int act2, float slope1, float slope2) {
	int blocks = c / v;
	// Pieces of a plane, so that a handful of planes still feeds every thread.
	int parts = hw >= 4096 ? 4 : 1, part = (hw / parts + LANES) / LANES * LANES;
#pragma omp parallel for collapse(3) schedule(static)
	for (int i = 0; i < n; i++)
		for (int b = 0; b < blocks; b++)
			for (int p = 0; p < parts; p++) {
				float sa[LANES], sm[LANES], sb[LANES];
				for (int l = 0; l < LANES; l++) {
					int ch = b * v + (v == 1 ? 0 : l % v);
					const float *m = mom + ((size_t)(batch ? 0 : i) * c + ch) * 2;
					sa[l] = gamma ? m[1] * gamma[ch] : m[1];
					sm[l] = m[0];
					sb[l] = beta ? beta[ch] : 0;
				}
				int from = p * part, to = from + part < hw ? from + part : hw;
				if (from >= to) continue;
				size_t at = (((size_t)i * blocks + b) * hw + from) * v;
				const float *ad = add ? add + at : NULL;
				if (act1 == 0 && !add)
					norm_plane(y + at, x + at, NULL, to - from, v, sa, sm, sb, 0, -1, 0, 0);
				else if (act1 == 1 && !add)
					norm_plane(y + at, x + at, NULL, to - from, v, sa, sm, sb, 1, -1, slope1, 0);
				else if (act1 < 0 && act2 < 0)
					norm_plane(y + at, x + at, ad, to - from, v, sa, sm, sb, -1, -1, 0, 0);
				else
					norm_plane(y + at, x + at, ad, to - from, v, sa, sm, sb, act1, act2, slope1, slope2);
			}
}

void v2v_norm_sums(float *out, const float *x, const float *mom, const float *gy, int n, int c, int hw, int v, int batch) {
	int blocks = c / v, groups = batch ? 1 : n, each = batch ? n : 1;
#pragma omp parallel for collapse(2) schedule(static)
	for (int g = 0; g < groups; g++)
		for (int b = 0; b < blocks; b++) {
			double s[LANES] = {0}, q[LANES] = {0};
			float mean[LANES];
			for (int l = 0; l < v; l++) mean[l] = mom[((size_t)g * c + b * v + l) * 2];
			for (int i = 0; i < each; i++) {
				size_t at = ((size_t)(g + i) * blocks + b) * hw * v;
				plane_products(x + at, gy + at, hw, v, mean, s, q);
			}
			for (int l = 0; l < v; l++) {
				size_t o = ((size_t)g * c + b * v + l) * 2;
				out[o] = (float)s[l];
				out[o + 1] = (float)(q[l] * mom[o + 1]);
			}
		}
}

static inline __attribute__((always_inline)) void grad_row(float *gx, const float *x, const float *gy, size_t steps, int lanes,
	const float *a, const float *b, const float *k) {
	for (size_t i = 0; i < steps; i++)
		for (int l = 0; l < lanes; l++) gx[i * lanes + l] = a[l] * gy[i * lanes + l] + b[l] * x[i * lanes + l] + k[l];
}

void v2v_norm_grad(float *gx, const float *x, const float *mom, const float *gy, const float *sums, const float *gamma,
	int n, int c, int hw, int v, int batch) {
	int blocks = c / v;
	double m = (double)hw * (batch ? n : 1);
#pragma omp parallel for collapse(2) schedule(static)
	for (int i = 0; i < n; i++)
		for (int b = 0; b < blocks; b++) {
			// gx = a*gy + b*x + k, the formula of NormGradX multiplied out.
			float a[LANES], bx[LANES], k[LANES];
			for (int l = 0; l < LANES; l++) {
				int ch = b * v + (v == 1 ? 0 : l % v);
				size_t o = ((size_t)(batch ? 0 : i) * c + ch) * 2;
				double r = mom[o + 1], f = gamma ? gamma[ch] * r : r;
				a[l] = (float)f;
				bx[l] = (float)(-f * r * sums[o + 1] / m);
				k[l] = (float)(-f * sums[o] / m + f * r * mom[o] * sums[o + 1] / m);
			}
			size_t at = ((size_t)i * blocks + b) * hw * v;
			size_t steps = v == 1 ? hw / LANES : hw;
			if (v == 8)
				grad_row(gx + at, x + at, gy + at, steps, 8, a, bx, k);
			else
				grad_row(gx + at, x + at, gy + at, steps, LANES, a, bx, k);
			if (v == 1)
				for (int j = steps * LANES; j < hw; j++) gx[at + j] = a[0] * gy[at + j] + bx[0] * x[at + j] + k[0];
		}
}

void v2v_sums_pick(float *out, const float *sums, int n, int c, int index) {
	for (int ch = 0; ch < c; ch++) {
		double s = 0;
		for (int i = 0; i < n; i++) s += sums[((size_t)i * c + ch) * 2 + index];
		out[ch] = (float)s;
	}
}

void v2v_channel_sum(float *out, const float *x, int n, int c, int hw, int v) {
	int blocks = c / v;
#pragma omp parallel for schedule(static)
	for (int b = 0; b < blocks; b++) {
		double s[LANES] = {0}, q[LANES] = {0};
		const float zero[LANES] = {0};
		for (int i = 0; i < n; i++) plane_sums(x + ((size_t)i * blocks + b) * hw * v, hw, v, zero, s, q);
		for (int l = 0; l < v; l++) out[b * v + l] = (float)s[l];
	}
}
