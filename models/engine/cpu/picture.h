// Kernels of the networks that make pictures of codes; plain layout.
#ifndef V2V_PICTURE_H
#define V2V_PICTURE_H
#include <stddef.h>

void v2v_gather(float *y, const float *table, const float *index, size_t n, size_t rows, size_t d);
void v2v_gather_grad(float *g, const float *index, const float *gy, size_t n, size_t rows, size_t d);
void v2v_bce(float *out, const float *x, size_t n, float target);
void v2v_bce_grad(float *gx, const float *x, const float *g, size_t n, float target);
void v2v_jitter(float *y, const float *x, const float *factors, int n, int c, size_t hw, int still);
void v2v_spectral(float *y, const float *w, const float *v, size_t o, size_t k);
void v2v_spectral_grad(float *gw, const float *w, const float *v, const float *g, size_t o, size_t k);
void v2v_spectral_step(float *next, const float *w, const float *v, size_t o, size_t k);
#endif
