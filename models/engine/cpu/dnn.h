// Convolutions of every direction through oneDNN's C interface.
#ifndef V2V_DNN_H
#define V2V_DNN_H
#include <stddef.h>

enum { V2V_PLAIN, V2V_BLOCKED, V2V_FILTER, V2V_ANY };
enum { V2V_FWD, V2V_BWD_DATA, V2V_BWD_WEIGHTS, V2V_DECONV };
enum { V2V_ACT_NONE = -1, V2V_ACT_RELU, V2V_ACT_LEAKY, V2V_ACT_TANH, V2V_ACT_SIGMOID };

// One convolution. Sizes are those of the forward convolution (for V2V_DECONV
// those of the transposed one: c and h,w enter, o and oh,ow leave).
typedef struct {
	int kind, n, c, h, w, o, oh, ow, kh, kw, stride, pad, pad_end, bias;
	int src, wei, dst; // layouts of the caller's memory
	int act;
	float slope;
	int winograd, prepacked; // prepacked: weights are given in the primitive's own format
	int block;
} v2v_conv_spec;

typedef struct v2v_conv v2v_conv;

// v2v_conv_new returns 0 or oneDNN's status.
int v2v_conv_new(v2v_conv **out, const v2v_conv_spec *s);
void v2v_conv_free(v2v_conv *c);
size_t v2v_conv_scratch(const v2v_conv *c);
size_t v2v_conv_packed(const v2v_conv *c); // bytes of packed weights
const char *v2v_conv_impl(const v2v_conv *c);
// v2v_conv_pack turns plain weights into the primitive's own format.
int v2v_conv_pack(v2v_conv *c, float *plain, void *packed);
// a: source, b: weights, bias or NULL, d: destination. For the backward kinds
// the one that is missing forward (gradient of source, of weights) is written.
int v2v_conv_run(v2v_conv *c, void *a, void *b, float *bias, void *d, char *scratch);

typedef struct v2v_reorder v2v_reorder;
int v2v_reorder_new(v2v_reorder **out, const int dims[4], int from, int to, int block);
int v2v_reorder_run(v2v_reorder *r, float *from, float *to);
void v2v_reorder_free(v2v_reorder *r);

int v2v_isa(void); // effective instruction set of oneDNN, dnnl_cpu_isa_t
#endif
