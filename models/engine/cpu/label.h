// Index pictures to channels; plain layout.
#ifndef V2V_LABEL_H
#define V2V_LABEL_H
#include <stddef.h>
#include <stdint.h>

void v2v_one_hot(float *y, const uint8_t *x, int n, int h, int w, int c, int oh, int ow);
void v2v_edges(float *y, const uint8_t *x, int n, int h, int w, int oh, int ow);
#endif
