//go:build cgo

#include "dnn.h"
#include <oneapi/dnnl/dnnl.h>
#include <stdlib.h>
#include <string.h>

#define TRY(x)                     \
	do {                           \
		int st_ = (int)(x);        \
		if (st_ != dnnl_success) { \
			st = st_;              \
			goto done;             \
		}                          \
	} while (0)

static dnnl_engine_t the_engine(void) {
	static dnnl_engine_t e;
	if (!e) dnnl_engine_create(&e, dnnl_cpu, 0);
	return e;
}

static dnnl_stream_t the_stream(void) {
	static dnnl_stream_t s;
	if (!s) dnnl_stream_create(&s, the_engine(), dnnl_stream_default_flags);
	return s;
}

int v2v_isa(void) { return (int)dnnl_get_effective_cpu_isa(); }

static dnnl_format_tag_t tag_of(int layout, int block) {
	switch (layout) {
	case V2V_BLOCKED: return block == 16 ? dnnl_nChw16c : dnnl_nChw8c;
	case V2V_FILTER: return block == 16 ? dnnl_OIhw16i16o : dnnl_OIhw8i8o;
	case V2V_ANY: return dnnl_format_tag_any;
	}
	return dnnl_abcd;
}

static int md4(dnnl_memory_desc_t *md, int a, int b, int c, int d, dnnl_format_tag_t tag) {
	dnnl_dims_t dims = {a, b, c, d};
	return (int)dnnl_memory_desc_init_by_tag(md, 4, dims, dnnl_f32, tag);
}

// filter_md describes weights as the caller stores them. Transposed
// convolutions store (I,O,KH,KW) and are described to oneDNN as (O,I,KH,KW).
static int filter_md(dnnl_memory_desc_t *md, const v2v_conv_spec *s, int layout) {
	if (s->kind != V2V_DECONV) return md4(md, s->o, s->c, s->kh, s->kw, tag_of(layout, s->block));
	dnnl_memory_desc_t stored;
	const int swap[4] = {1, 0, 2, 3};
	int st = md4(&stored, s->c, s->o, s->kh, s->kw, tag_of(layout, s->block));
	return st ? st : (int)dnnl_memory_desc_permute_axes(md, &stored, swap);
}

// An operand: the caller's memory, the primitive's memory, and the reorder
// between them where they differ.
typedef struct {
	dnnl_memory_desc_t user, prim;
	dnnl_memory_t user_mem, prim_mem, inner_mem; // inner: prim_mem seen with the caller's channels
	void *user_at, *prim_at, *inner_at;
	dnnl_primitive_t reorder;
	size_t at, bytes; // in scratch
	int arg, out;
} operand;

static int up(int n, int block) { return (n + block - 1) / block * block; }

struct v2v_conv {
	v2v_conv_spec s;
	int o, c; // channels that the primitive sees: the caller's, or whole blocks
	dnnl_primitive_desc_t pd;
	dnnl_primitive_t prim;
	operand x[3]; // source, weights, destination
	dnnl_memory_t bias, scratch;
	void *bias_at, *scratch_at;
	size_t scratch_bytes, total;
};

static int activation(dnnl_primitive_attr_t attr, const v2v_conv_spec *s) {
	static const dnnl_alg_kind_t algs[] = {dnnl_eltwise_relu, dnnl_eltwise_relu, dnnl_eltwise_tanh, dnnl_eltwise_logistic};
	dnnl_post_ops_t ops = NULL;
	int st = 0;
	if (s->act < 0) return 0;
	TRY(dnnl_post_ops_create(&ops));
	TRY(dnnl_post_ops_append_eltwise(ops, 1.f, algs[s->act], s->act == V2V_ACT_LEAKY ? s->slope : 0.f, 0.f));
	TRY(dnnl_primitive_attr_set_post_ops(attr, ops));
done:
	if (ops) dnnl_post_ops_destroy(ops);
	return st;
}

// describe creates the primitive descriptor with the primitive's own formats.
static int describe(v2v_conv *c) {
	const v2v_conv_spec *s = &c->s;
	dnnl_dims_t strides = {s->stride, s->stride}, dil = {0, 0};
	dnnl_dims_t lo = {s->pad, s->pad}, hi = {s->pad_end, s->pad_end};
	dnnl_memory_desc_t src, wei, dst, bias;
	dnnl_primitive_attr_t attr = NULL;
	dnnl_primitive_desc_t hint = NULL;
	dnnl_convolution_desc_t cd;
	dnnl_deconvolution_desc_t dd;
	int st = 0, deconv = s->kind == V2V_DECONV;
	dnnl_alg_kind_t alg = s->winograd ? dnnl_convolution_winograd : dnnl_convolution_direct;

	// Where the caller's memory is plain, the primitive may choose, unless the
	// channels were made up to whole blocks.
	int free_src = s->src == V2V_PLAIN && c->c == s->c, free_dst = s->dst == V2V_PLAIN && c->o == s->o;
	TRY(md4(&src, s->n, c->c, s->h, s->w, tag_of(free_src ? V2V_ANY : V2V_BLOCKED, s->block)));
	TRY(md4(&dst, s->n, c->o, s->oh, s->ow, tag_of(free_dst ? V2V_ANY : V2V_BLOCKED, s->block)));
	TRY(md4(&wei, c->o, c->c, s->kh, s->kw, dnnl_format_tag_any));
	dnnl_dims_t o = {c->o};
	TRY(dnnl_memory_desc_init_by_tag(&bias, 1, o, dnnl_f32, dnnl_a));
	dnnl_memory_desc_t *b = s->bias ? &bias : NULL;
	TRY(dnnl_primitive_attr_create(&attr));
	TRY(dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user));
	if (deconv) {
		TRY(activation(attr, s));
		TRY(dnnl_dilated_deconvolution_forward_desc_init(&dd, dnnl_forward_inference, dnnl_deconvolution_direct, &src, &wei, b, &dst,
			strides, dil, lo, hi));
		TRY(dnnl_primitive_desc_create(&c->pd, &dd, attr, the_engine(), NULL));
	} else if (s->kind == V2V_FWD) {
		TRY(activation(attr, s));
		TRY(dnnl_dilated_convolution_forward_desc_init(&cd, dnnl_forward_inference, alg, &src, &wei, b, &dst, strides, dil, lo, hi));
		TRY(dnnl_primitive_desc_create(&c->pd, &cd, attr, the_engine(), NULL));
	} else {
		TRY(dnnl_dilated_convolution_forward_desc_init(&cd, dnnl_forward_training, dnnl_convolution_direct, &src, &wei, NULL, &dst, strides, dil, lo, hi));
		TRY(dnnl_primitive_desc_create(&hint, &cd, NULL, the_engine(), NULL));
		if (s->kind == V2V_BWD_DATA)
			TRY(dnnl_dilated_convolution_backward_data_desc_init(&cd, alg, &src, &wei, &dst, strides, dil, lo, hi));
		else
			TRY(dnnl_dilated_convolution_backward_weights_desc_init(&cd, alg, &src, &wei, NULL, &dst, strides, dil, lo, hi));
		TRY(dnnl_primitive_desc_create(&c->pd, &cd, attr, the_engine(), hint));
	}
done:
	if (hint) dnnl_primitive_desc_destroy(hint);
	if (attr) dnnl_primitive_attr_destroy(attr);
	return st;
}

static int link_operand(v2v_conv *c, operand *x, const dnnl_memory_desc_t *user, dnnl_query_t what, int arg, int out) {
	int st = 0;
	dnnl_memory_desc_t inner;
	x->user = *user;
	x->arg = arg;
	x->out = out;
	x->prim = *dnnl_primitive_desc_query_md(c->pd, what, 0);
	TRY(dnnl_memory_create(&x->prim_mem, &x->prim, the_engine(), DNNL_MEMORY_NONE));
	if (dnnl_memory_desc_equal(&x->user, &x->prim) || (what == dnnl_query_weights_md && c->s.prepacked)) return 0;
	TRY(dnnl_memory_create(&x->user_mem, &x->user, the_engine(), DNNL_MEMORY_NONE));
	dnnl_primitive_desc_t rd;
	// The caller's channels inside whole blocks: the reorder in fills the rest
	// with zeros, the reorder out drops it.
	inner = x->prim;
	memcpy(inner.dims, x->user.dims, sizeof inner.dims);
	const dnnl_memory_desc_t *from = out ? &inner : &x->user, *to = out ? &x->user : &inner;
	TRY(dnnl_reorder_primitive_desc_create(&rd, from, the_engine(), to, the_engine(), NULL));
	st = (int)dnnl_primitive_create(&x->reorder, rd);
	dnnl_primitive_desc_destroy(rd);
	if (!st) st = (int)dnnl_memory_create(&x->inner_mem, &inner, the_engine(), DNNL_MEMORY_NONE);
	x->bytes = dnnl_memory_desc_get_size(&x->prim);
done:
	return st;
}

int v2v_conv_new(v2v_conv **out, const v2v_conv_spec *s) {
	v2v_conv *c = calloc(1, sizeof *c);
	int st = 0;
	c->s = *s;
	c->o = s->o, c->c = s->c;
	*out = NULL;
	st = describe(c);
	// oneDNN has gradients for ragged channels only as a reference, a thousand
	// times slower; made up to whole blocks they are fast.
	int backward = s->kind == V2V_BWD_DATA || s->kind == V2V_BWD_WEIGHTS;
	if (backward && (st || strncmp(v2v_conv_impl(c), "ref", 3) == 0) && (s->o % s->block || s->c % s->block)) {
		if (c->pd) dnnl_primitive_desc_destroy(c->pd);
		c->pd = NULL;
		c->o = up(s->o, s->block), c->c = up(s->c, s->block);
		st = describe(c);
	}
	if (st) goto done;
	TRY(dnnl_primitive_create(&c->prim, c->pd));
	dnnl_memory_desc_t src, wei, dst;
	TRY(md4(&src, s->n, s->c, s->h, s->w, tag_of(s->src, s->block)));
	TRY(filter_md(&wei, s, s->wei));
	TRY(md4(&dst, s->n, s->o, s->oh, s->ow, tag_of(s->dst, s->block)));
	int bd = s->kind == V2V_BWD_DATA, bw = s->kind == V2V_BWD_WEIGHTS;
	TRY(link_operand(c, &c->x[0], &src, bd ? dnnl_query_diff_src_md : dnnl_query_src_md, bd ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, bd));
	TRY(link_operand(c, &c->x[1], &wei, bw ? dnnl_query_diff_weights_md : dnnl_query_weights_md,
		bw ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS, bw));
	TRY(link_operand(c, &c->x[2], &dst, bd || bw ? dnnl_query_diff_dst_md : dnnl_query_dst_md,
		bd || bw ? DNNL_ARG_DIFF_DST : DNNL_ARG_DST, !bd && !bw));
	if (s->bias) {
		dnnl_memory_desc_t b;
		dnnl_dims_t o = {s->o};
		TRY(dnnl_memory_desc_init_by_tag(&b, 1, o, dnnl_f32, dnnl_a));
		TRY(dnnl_memory_create(&c->bias, &b, the_engine(), DNNL_MEMORY_NONE));
	}
	const dnnl_memory_desc_t *sp = dnnl_primitive_desc_query_md(c->pd, dnnl_query_scratchpad_md, 0);
	c->scratch_bytes = (dnnl_memory_desc_get_size(sp) + 63) / 64 * 64;
	TRY(dnnl_memory_create(&c->scratch, sp, the_engine(), DNNL_MEMORY_NONE));
	c->total = c->scratch_bytes;
	for (int i = 0; i < 3; i++) {
		c->x[i].at = c->total;
		c->total += (c->x[i].bytes + 63) / 64 * 64;
	}
	*out = c;
	return 0;
done:
	v2v_conv_free(c);
	return st;
}

void v2v_conv_free(v2v_conv *c) {
	if (!c) return;
	for (int i = 0; i < 3; i++) {
		if (c->x[i].user_mem) dnnl_memory_destroy(c->x[i].user_mem);
		if (c->x[i].prim_mem) dnnl_memory_destroy(c->x[i].prim_mem);
		if (c->x[i].inner_mem) dnnl_memory_destroy(c->x[i].inner_mem);
		if (c->x[i].reorder) dnnl_primitive_destroy(c->x[i].reorder);
	}
	if (c->bias) dnnl_memory_destroy(c->bias);
	if (c->scratch) dnnl_memory_destroy(c->scratch);
	if (c->prim) dnnl_primitive_destroy(c->prim);
	if (c->pd) dnnl_primitive_desc_destroy(c->pd);
	free(c);
}

size_t v2v_conv_scratch(const v2v_conv *c) { return c->total; }
size_t v2v_conv_packed(const v2v_conv *c) { return dnnl_memory_desc_get_size(&c->x[1].prim); }

const char *v2v_conv_impl(const v2v_conv *c) {
	const char *name = "";
	dnnl_primitive_desc_query(c->pd, dnnl_query_impl_info_str, 0, &name);
	return name;
}

static int point(dnnl_memory_t m, void **at, void *p) {
	if (*at == p) return 0;
	*at = p;
	return (int)dnnl_memory_set_data_handle_v2(m, p, the_stream());
}

static int convert(operand *x) {
	dnnl_exec_arg_t a[2] = {{DNNL_ARG_FROM, x->out ? x->inner_mem : x->user_mem}, {DNNL_ARG_TO, x->out ? x->user_mem : x->inner_mem}};
	return (int)dnnl_primitive_execute(x->reorder, the_stream(), 2, a);
}

int v2v_conv_pack(v2v_conv *c, float *plain, void *packed) {
	dnnl_memory_desc_t user;
	dnnl_memory_t from = NULL, to = NULL;
	dnnl_primitive_desc_t rd = NULL;
	dnnl_primitive_t r = NULL;
	int st = 0;
	TRY(filter_md(&user, &c->s, V2V_PLAIN));
	TRY(dnnl_memory_create(&from, &user, the_engine(), plain));
	TRY(dnnl_memory_create(&to, &c->x[1].prim, the_engine(), packed));
	TRY(dnnl_reorder_primitive_desc_create(&rd, &user, the_engine(), &c->x[1].prim, the_engine(), NULL));
	TRY(dnnl_primitive_create(&r, rd));
	dnnl_exec_arg_t a[2] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
	TRY(dnnl_primitive_execute(r, the_stream(), 2, a));
	TRY(dnnl_stream_wait(the_stream()));
done:
	if (r) dnnl_primitive_destroy(r);
	if (rd) dnnl_primitive_desc_destroy(rd);
	if (from) dnnl_memory_destroy(from);
	if (to) dnnl_memory_destroy(to);
	return st;
}

int v2v_conv_run(v2v_conv *c, void *a, void *b, float *bias, void *d, char *scratch) {
	void *p[3] = {a, b, d};
	dnnl_exec_arg_t args[5];
	int n = 0, st = 0;
	for (int i = 0; i < 3; i++) {
		operand *x = &c->x[i];
		if (x->reorder) {
			TRY(point(x->user_mem, &x->user_at, p[i]));
			TRY(point(x->prim_mem, &x->prim_at, scratch + x->at));
			TRY(point(x->inner_mem, &x->inner_at, scratch + x->at));
			if (!x->out) TRY(convert(x));
		} else {
			TRY(point(x->prim_mem, &x->prim_at, p[i]));
		}
		args[n++] = (dnnl_exec_arg_t){x->arg, x->prim_mem};
	}
	if (c->bias) {
		TRY(point(c->bias, &c->bias_at, bias));
		args[n++] = (dnnl_exec_arg_t){DNNL_ARG_BIAS, c->bias};
	}
	TRY(point(c->scratch, &c->scratch_at, scratch));
	args[n++] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, c->scratch};
	TRY(dnnl_primitive_execute(c->prim, the_stream(), n, args));
	for (int i = 0; i < 3; i++)
		if (c->x[i].reorder && c->x[i].out) TRY(convert(&c->x[i]));
done:
	return st;
}

struct v2v_reorder {
	dnnl_memory_t from, to;
	dnnl_primitive_t prim;
};

int v2v_reorder_new(v2v_reorder **out, const int d[4], int from, int to, int block) {
	v2v_reorder *r = calloc(1, sizeof *r);
	dnnl_memory_desc_t a, b;
	dnnl_primitive_desc_t pd = NULL;
	int st = 0;
	*out = NULL;
	TRY(md4(&a, d[0], d[1], d[2], d[3], tag_of(from, block)));
	TRY(md4(&b, d[0], d[1], d[2], d[3], tag_of(to, block)));
	TRY(dnnl_memory_create(&r->from, &a, the_engine(), DNNL_MEMORY_NONE));
	TRY(dnnl_memory_create(&r->to, &b, the_engine(), DNNL_MEMORY_NONE));
	TRY(dnnl_reorder_primitive_desc_create(&pd, &a, the_engine(), &b, the_engine(), NULL));
	TRY(dnnl_primitive_create(&r->prim, pd));
	dnnl_primitive_desc_destroy(pd);
	*out = r;
	return 0;
done:
	if (pd) dnnl_primitive_desc_destroy(pd);
	v2v_reorder_free(r);
	return st;
}

int v2v_reorder_run(v2v_reorder *r, float *from, float *to) {
	int st = 0;
	TRY(dnnl_memory_set_data_handle_v2(r->from, from, the_stream()));
	TRY(dnnl_memory_set_data_handle_v2(r->to, to, the_stream()));
	dnnl_exec_arg_t a[2] = {{DNNL_ARG_FROM, r->from}, {DNNL_ARG_TO, r->to}};
	TRY(dnnl_primitive_execute(r->prim, the_stream(), 2, a));
	TRY(dnnl_stream_wait(the_stream()));
done:
	return st;
}

void v2v_reorder_free(v2v_reorder *r) {
	if (!r) return;
	if (r->from) dnnl_memory_destroy(r->from);
	if (r->to) dnnl_memory_destroy(r->to);
	if (r->prim) dnnl_primitive_destroy(r->prim);
	free(r);
}
