// v2v's own CPU kernels. A tensor of rank 4 is `planes` pictures of hw pixels,
// each pixel `v` floats wide: v is 1 and planes N*C in the plain layout, v is
// the block and planes N*C/v in the blocked one. All run on OpenMP's threads.
#ifndef V2V_KERNELS_H
#define V2V_KERNELS_H
#include <stddef.h>
#include <stdint.h>

void v2v_threads(int n);
void v2v_flush_denormals(void);
void v2v_keep_denormals(int keep);

// norm.c: n pictures of c channels; moments and sums are (n or 1,c,2).
void v2v_moments(float *out, const float *x, int n, int c, int hw, int v, int batch, float eps);
void v2v_normalize(float *y, const float *x, const float *mom, const float *gamma, const float *beta, const float *add,
	int n, int c, int hw, int v, int batch, int act1, int act2, float slope1, float slope2);
void v2v_norm_sums(float *out, const float *x, const float *mom, const float *gy, int n, int c, int hw, int v, int batch);
void v2v_norm_grad(float *gx, const float *x, const float *mom, const float *gy, const float *sums, const float *gamma,
	int n, int c, int hw, int v, int batch);
void v2v_sums_pick(float *out, const float *sums, int n, int c, int index);
void v2v_channel_sum(float *out, const float *x, int n, int c, int hw, int v);

// wino.c: 3x3 convolutions, and 4x4 ones of the other kinds than square, x and y nChw16c, weights OIhw16i16o (of the
// transposed kind IOhw16o16i), channels multiples of 16. AVX-512 only. Where mom is not NULL it receives
// the result's moments, of all n pictures together where batch is set.
enum { V2V_WINO_SQUARE, V2V_WINO_STRIDED, V2V_WINO_TRANSPOSED }; // stride one; two; and the transpose of two, padded by one
typedef struct {
	int kind, n, c, h, w, o, oh, ow;
	int k4;           // 4x4
	int pad, reflect; // zeros, or in the square kind mirrored
	int act;          // ReLU, leaky ReLU, or -1
	float slope;
	int batch; // of the moments
	float eps;
	int half;     // products in bfloat16
	int gradient; // square kind: weights are those of a convolution from o to c, of which y is x's gradient
} v2v_wino;
// v2v_filters lays weights out as OIhw16i16o. They come as oihw, or with
// transposed as iohw, in blocks of 16 by 16 (the second channel first) or plain.
void v2v_filters(float *to, const float *w, int o, int c, int area, int transposed, int blocks);
size_t v2v_wino_scratch(const v2v_wino *k); // bytes, for the threads set now
void v2v_wino_run(const v2v_wino *k, float *y, const float *x, const float *g, const float *bias, float *mom, char *scratch);

// taps.c: direct convolution to blocks of 16 channels. AVX-512 only. x is
// nChw16c with its border already around it, or with `plain` nchw; y is nChw16c.
typedef struct {
	int n, c, h, w, o, oh, ow; // h and w with the border
	int k, stride;
	int transposed, pad; // stride two; x has a border of one zero all around
	int plain;           // x; then k wide is at most 16
	int filter;          // weights are OIhw16i16o, else oihw (iohw transposed)
	int act;
	float slope;
	int batch;
	float eps;
	int half; // x and the packed weights are bfloat16
	int stem; // plain, 7 wide, o a multiple of 32: by stem.c
} v2v_taps;
void v2v_border_half(uint16_t *y, const float *x, int planes, int h, int w, int pad, int reflect); // nChw16c
size_t v2v_taps_packed(const v2v_taps *k);
size_t v2v_taps_scratch(const v2v_taps *k);
void v2v_taps_pack(const v2v_taps *k, float *to, const float *w);
size_t v2v_stem_packed(const v2v_taps *k);
size_t v2v_stem_scratch(const v2v_taps *k);
void v2v_stem_pack(const v2v_taps *k, float *to, const float *w); // w is oihw
void v2v_stem_run(const v2v_taps *k, float *y, const float *x, const float *w, const float *bias, float *mom, char *scratch);
void v2v_taps_run(const v2v_taps *k, float *y, const float *x, const float *w, const float *bias, float *mom, char *scratch);

// head.c: stride one, or 4x4 transposed at stride two; at most 4 outputs; x
// nChw16c with its border, y nchw.
typedef struct {
	int n, c, h, w, o, k; // h and w with the border
	int transposed;
} v2v_head;
void v2v_head_pack(const v2v_head *k, float *to, const float *w, int first, int outputs); // w oihw, of some outputs; iohw transposed
void v2v_head_run(const v2v_head *k, float *y, const float *x, const float *w, const float *bias);

// elem.c: flat over any layout.
void v2v_act(float *y, const float *x, size_t n, int kind, float slope);
void v2v_act_grad(float *gx, const float *y, const float *gy, size_t n, int kind, float slope);
void v2v_add(float *y, const float *a, const float *b, size_t n);
void v2v_sub(float *y, const float *a, const float *b, size_t n);
void v2v_mul(float *y, const float *a, const float *b, size_t n);
void v2v_mul_channels(float *y, const float *a, const float *b, int n, int c, int hw);
void v2v_mul_sum(float *y, const float *a, const float *b, int n, int c, int hw);
void v2v_scale(float *y, const float *x, size_t n, float by, float plus);
void v2v_blend(float *y, const float *raw, const float *warped, const float *w, int n, int c, int hw);
void v2v_adam_m(float *y, const float *m, const float *g, size_t n, float beta);
void v2v_adam_v(float *y, const float *v, const float *g, size_t n, float beta);
void v2v_adam_p(float *y, const float *p, const float *m, const float *v, const float *h, size_t n, float eps);

// shape.c
void v2v_copy_rows(float *dst, const float *src, size_t rows, size_t len, size_t dst_stride, size_t src_stride);
void v2v_zero(float *dst, size_t n);
void v2v_reflect(float *y, const float *x, int planes, int h, int w, int v, int pad);
void v2v_zero_border(float *y, const float *x, int planes, int h, int w, int v, int pad);
void v2v_reflect_grad(float *gx, const float *gy, int planes, int h, int w, int v, int pad);
void v2v_avgpool(float *y, const float *x, int planes, int h, int w, int v, int oh, int ow, int k, int stride, int pad);
void v2v_avgpool_grad(float *gx, const float *gy, int planes, int h, int w, int v, int oh, int ow, int k, int stride, int pad);
void v2v_resize(float *y, const float *x, int planes, int h, int w, int v, int oh, int ow, int bilinear);
void v2v_resize_grad(float *gx, const float *gy, int planes, int h, int w, int v, int oh, int ow, int bilinear);

// warp.c: plain layout.
void v2v_warp(float *y, const float *x, const float *flow, int n, int c, int h, int w);
void v2v_warp_grad_image(float *gx, const float *flow, const float *gy, int n, int c, int h, int w);
void v2v_warp_grad_flow(float *gf, const float *x, const float *flow, const float *gy, int n, int c, int h, int w);
void v2v_from_bytes(float *y, const uint8_t *x, int n, int h, int w, int oh, int ow, int luma);
void v2v_to_bytes(uint8_t *y, const float *x, int n, int h, int w, int oh, int ow);

// loss.c: sums run in double precision.
void v2v_l1(float *out, const float *a, const float *b, size_t n);
void v2v_l1_grad(float *gx, const float *a, const float *b, const float *g, size_t n);
void v2v_mse(float *out, const float *x, size_t n, float target);
void v2v_mse_grad(float *gx, const float *x, const float *g, size_t n, float target);
void v2v_mean(float *out, const float *x, size_t n);
void v2v_mean_grad(float *gx, const float *g, size_t n);
#endif
