// What the AVX-512 kernels share: the innermost product, and statistics that
// are gathered while results are still in registers. Include only where
// __x86_64__ is defined; call only where the device's block is 16.
#ifndef V2V_AVX512_H
#define V2V_AVX512_H
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

// avx512bf16 is named so that one source serves both precisions; only code that
// is asked for bfloat16 holds such instructions.
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,fma")))
#define INLINE512 static inline __attribute__((always_inline)) AVX512
#define UNROLL _Pragma("GCC unroll 16")

typedef __m512 vec;

INLINE512 vec vload(const float *p) { return _mm512_loadu_ps(p); }
INLINE512 void vstore(float *p, vec v) { _mm512_storeu_ps(p, v); }
INLINE512 vec vset(float x) { return _mm512_set1_ps(x); }
INLINE512 vec vadd(vec a, vec b) { return _mm512_add_ps(a, b); }
INLINE512 vec vsub(vec a, vec b) { return _mm512_sub_ps(a, b); }
INLINE512 vec vmul(vec a, vec b) { return _mm512_mul_ps(a, b); }
INLINE512 vec vfma(vec a, vec b, vec c) { return _mm512_fmadd_ps(a, b, c); }

// vact applies ReLU (0) or leaky ReLU (1); any other kind leaves v.
INLINE512 vec vact(vec v, int act, vec slope) {
	vec zero = _mm512_setzero_ps();
	if (act == 0) return _mm512_max_ps(v, zero);
	if (act == 1) return _mm512_mask_mul_ps(v, _mm512_cmp_ps_mask(v, zero, _CMP_LT_OQ), v, slope);
	return v;
}

// A product of MR pixels and NV vectors of 16 output channels, the accumulators
// in registers throughout: 14 x 2 of them is what 32 registers hold. Pixels lie
// 16 floats apart in a; nb blocks of 16 input channels follow each other by
// `next` floats. w holds 16*NV weights for each input channel.
typedef struct {
	const float *a;
	ptrdiff_t next;
	const float *w;
	int nb;
} segment;

#define MAX_MR 14

INLINE512 void product(int mr, int nv, int px, vec (*r)[2], segment s) {
	const float *a = s.a, *w = s.w;
	for (int n = 0; n < s.nb; n++, a += s.next, w += 256 * nv)
		_Pragma("GCC unroll 4") for (int i = 0; i < 16; i++) {
			vec w0 = vload(w + i * 16 * nv), w1 = w0;
			if (nv == 2) w1 = vload(w + i * 32 + 16);
			UNROLL for (int m = 0; m < mr; m++) {
				vec v = vset(a[m * px + i]);
				r[m][0] = vfma(v, w0, r[m][0]);
				if (nv == 2) r[m][1] = vfma(v, w1, r[m][1]);
			}
		}
}

// product_half is product in bfloat16: channels in pairs, two products to a
// lane, sums in float. a and w hold bfloat16; w has 16*nv pairs for every two
// input channels.
INLINE512 void product_half(int mr, int nv, int px, vec (*r)[2], segment s) {
	const uint16_t *a = (const uint16_t *)s.a, *w = (const uint16_t *)s.w;
	for (int n = 0; n < s.nb; n++, a += s.next, w += 256 * nv)
		_Pragma("GCC unroll 4") for (int i = 0; i < 8; i++) {
			__m512bh w0 = (__m512bh)_mm512_loadu_si512(w + i * 32 * nv), w1 = w0;
			if (nv == 2) w1 = (__m512bh)_mm512_loadu_si512(w + i * 64 + 32);
			UNROLL for (int m = 0; m < mr; m++) {
				int pair;
				__builtin_memcpy(&pair, a + m * px + 2 * i, 4);
				__m512bh v = (__m512bh)_mm512_set1_epi32(pair);
				r[m][0] = _mm512_dpbf16_ps(r[m][0], v, w0);
				if (nv == 2) r[m][1] = _mm512_dpbf16_ps(r[m][1], v, w1);
			}
		}
}

// at counts elements of a buffer of floats or bfloat16s.
static inline const float *at(const float *base, ptrdiff_t n, int half) { return half ? (const float *)((const uint16_t *)base + n) : base + n; }

// put stores 16 numbers at an index counted in elements, as float or bfloat16.
INLINE512 void put(void *base, size_t at, vec v, int half) {
	if (half)
		_mm256_storeu_si256((__m256i *)((uint16_t *)base + at), (__m256i)_mm512_cvtneps_pbh(v));
	else
		vstore((float *)base + at, v);
}

// put_pair stores what two channels in a row hold for 16 outputs, interleaved
// and in bfloat16, at an index counted in elements.
INLINE512 void put_pair(void *base, size_t at, vec even, vec odd) {
	__m512i e = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(even)), o = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(odd));
	_mm512_storeu_si512((uint16_t *)base + at, _mm512_or_si512(e, _mm512_slli_epi32(o, 16)));
}

// Running sums of one channel block: x-shift and its square, in double.
typedef struct {
	vec shift, s, q; // s and q of the pixels since the last fold
	__m512d sum[2], square[2];
	int begun;
} moments;

INLINE512 void moments_fold(moments *m) {
	m->sum[0] = _mm512_add_pd(m->sum[0], _mm512_cvtps_pd(_mm512_castps512_ps256(m->s)));
	m->sum[1] = _mm512_add_pd(m->sum[1], _mm512_cvtps_pd(_mm512_extractf32x8_ps(m->s, 1)));
	m->square[0] = _mm512_add_pd(m->square[0], _mm512_cvtps_pd(_mm512_castps512_ps256(m->q)));
	m->square[1] = _mm512_add_pd(m->square[1], _mm512_cvtps_pd(_mm512_extractf32x8_ps(m->q, 1)));
	m->s = m->q = _mm512_setzero_ps();
}

INLINE512 void moments_start(moments *m, vec first) {
	m->shift = first;
	m->s = m->q = _mm512_setzero_ps();
	m->sum[0] = m->sum[1] = m->square[0] = m->square[1] = _mm512_setzero_pd();
	m->begun = 1;
}

// moments_add counts a pixel. The first one is the shift, so that a plane of
// one value has a variance of exactly zero.
INLINE512 void moments_add(moments *m, vec x) {
	if (!m->begun) moments_start(m, x);
	vec d = vsub(x, m->shift);
	m->s = vadd(m->s, d);
	m->q = vfma(d, d, m->q);
}

// part is what one task found of one channel block; tasks are joined in a
// fixed order, so that the sums do not depend on who did what.
typedef struct {
	float shift[16];
	double sum[16], square[16];
} part;

INLINE512 void moments_end(moments *m, part *p) {
	moments_fold(m);
	vstore(p->shift, m->shift);
	_mm512_storeu_pd(p->sum, m->sum[0]);
	_mm512_storeu_pd(p->sum + 8, m->sum[1]);
	_mm512_storeu_pd(p->square, m->square[0]);
	_mm512_storeu_pd(p->square + 8, m->square[1]);
}

// v2v_join turns parts[k][block] with count[k] pixels each into (mean, 1/sqrt(
// variance+eps)) for every channel, as v2v_moments leaves them.
void v2v_join(float *out, const part *parts, const int *count, int n, int blocks, float eps);
#endif
