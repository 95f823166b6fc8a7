//go:build cgo && !amd64

// Elsewhere channels never come in blocks of 16, and these are never called.
#include "kernels.h"

void v2v_filters(float *to, const float *w, int o, int c, int area, int transposed, int blocks) {}
size_t v2v_wino_scratch(const v2v_wino *k) { return 0; }
void v2v_wino_run(const v2v_wino *k, float *y, const float *x, const float *g, const float *bias, float *mom, char *scratch) {}
size_t v2v_taps_packed(const v2v_taps *k) { return 0; }
size_t v2v_taps_scratch(const v2v_taps *k) { return 0; }
void v2v_taps_pack(const v2v_taps *k, float *to, const float *w) {}
void v2v_taps_run(const v2v_taps *k, float *y, const float *x, const float *w, const float *bias, float *mom, char *scratch) {}
size_t v2v_stem_packed(const v2v_taps *k) { return 0; }
size_t v2v_stem_scratch(const v2v_taps *k) { return 0; }
void v2v_stem_pack(const v2v_taps *k, float *to, const float *w) {}
void v2v_stem_run(const v2v_taps *k, float *y, const float *x, const float *w, const float *bias, float *mom, char *scratch) {}
void v2v_head_pack(const v2v_head *k, float *to, const float *w, int first, int outputs) {}
void v2v_head_run(const v2v_head *k, float *y, const float *x, const float *w, const float *bias) {}
void v2v_border_half(uint16_t *y, const float *x, int planes, int h, int w, int pad, int reflect) {}
