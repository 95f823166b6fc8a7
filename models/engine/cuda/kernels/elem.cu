// Element by element.

enum {
	OP_ADD, OP_SUB, OP_MUL, OP_SCALE, OP_ACT, OP_ACTGRAD, OP_ADAMM, OP_ADAMV,
	OP_L1GRAD, OP_MSEGRAD, OP_MEANGRAD, OP_BCEGRAD
};

__device__ __forceinline__ float slope_at(int kind, float slope, float y) {
	switch (kind) {
	case TANH: return 1 - y * y;
	case SIGMOID: return y * (1 - y);
	}
	return y > 0 ? 1 : kind == LEAKY ? slope : 0;
}

// each_four is out = f(a, b) for n numbers, a line of four at once; b may be none.
// A block has FEW lines for each of its threads.
template <int N, bool TWO, class F> __device__ __forceinline__ void some_fours(int at, const float *a, const float *b, float *out, F f) {
	Four x[N], y[N] = {};
	for (int u = 0; u < N; u++) x[u] = four(a, at + u * 4 * (int)blockDim.x);
	if (TWO)
		for (int u = 0; u < N; u++) y[u] = four(b, at + u * 4 * (int)blockDim.x);
	for (int u = 0; u < N; u++) {
		for (int e = 0; e < 4; e++) x[u].of[e] = f(x[u].of[e], y[u].of[e]);
		put(out, at + u * 4 * (int)blockDim.x, x[u]);
	}
}

template <bool TWO, class F> __device__ __forceinline__ void each_four(int n, const float *a, const float *b, float *out, F f) {
	int line = 4 * blockDim.x, at = blockIdx.x * FEW * line + 4 * threadIdx.x;
	if (at + (FEW - 1) * line + 4 <= n) {
		some_fours<FEW, TWO>(at, a, b, out, f);
		return;
	}
	for (; at < n; at += line) {
		Four x = four(a, at, n), y = {};
		if (TWO) y = four(b, at, n);
		for (int e = 0; e < 4; e++) x.of[e] = f(x.of[e], y.of[e]);
		put(out, at, n, x);
	}
}

// map is out = f(a, b) with the numbers p and q; g is a scalar gradient.
KERNEL map(int f, int kind, int n, float p, float q, const float *a, const float *b, const float *g, float *out) {
	float share = f >= OP_L1GRAD ? g[0] / n : 0;
	switch (f) {
	case OP_ADD: each_four<true>(n, a, b, out, [](float x, float y) { return x + y; }); break;
	case OP_SUB: each_four<true>(n, a, b, out, [](float x, float y) { return x - y; }); break;
	case OP_MUL: each_four<true>(n, a, b, out, [](float x, float y) { return x * y; }); break;
	case OP_SCALE: each_four<false>(n, a, b, out, [=](float x, float) { return p * x + q; }); break;
	case OP_ACT:
		if (kind == RELU) each_four<false>(n, a, b, out, [](float x, float) { return activate(RELU, 0, x); });
		else if (kind == LEAKY) each_four<false>(n, a, b, out, [=](float x, float) { return activate(LEAKY, p, x); });
		else EACH(i, n) out[i] = activate(kind, p, a[i]);
		break;
	case OP_ACTGRAD:
		if (kind == TANH) each_four<true>(n, a, b, out, [](float x, float y) { return y * slope_at(TANH, 0, x); });
		else if (kind == SIGMOID) each_four<true>(n, a, b, out, [](float x, float y) { return y * slope_at(SIGMOID, 0, x); });
		else each_four<true>(n, a, b, out, [=](float x, float y) { return y * slope_at(LEAKY, kind == LEAKY ? p : 0, x); });
		break;
	case OP_ADAMM: each_four<true>(n, a, b, out, [=](float x, float y) { return p * x + (1 - p) * y; }); break;
	case OP_ADAMV: each_four<true>(n, a, b, out, [=](float x, float y) { return p * x + (1 - p) * y * y; }); break;
	case OP_L1GRAD: each_four<true>(n, a, b, out, [=](float x, float y) { return x > y ? share : x < y ? -share : 0; }); break;
	case OP_MSEGRAD: each_four<false>(n, a, b, out, [=](float x, float) { return 2 * share * (x - p); }); break;
	case OP_MEANGRAD: EACH(i, n) out[i] = share; break;
	case OP_BCEGRAD: EACH(i, n) out[i] = share * (1 / (1 + expf(-a[i])) - p); break;
	}
}

KERNEL fill(int n, float v, float *out) {
	EACH(i, n) out[i] = v;
}

// halve rounds to bfloat16.
KERNEL halve(int n, const float *in, unsigned short *out) {
	int line = 4 * blockDim.x, at = blockIdx.x * FEW * line + 4 * threadIdx.x;
	if (at + (FEW - 1) * line + 4 <= n) {
		Four v[FEW];
		for (int u = 0; u < FEW; u++) v[u] = four(in, at + u * line);
		for (int u = 0; u < FEW; u++) put_half(out, at + u * line, v[u]);
		return;
	}
	for (; at < n; at += line) {
		Four v = four(in, at, n);
		if (at + 4 <= n) put_half(out, at, v);
		else for (int e = 0; e < 4; e++)
			if (at + e < n) out[at + e] = to_bf16(v.of[e]);
	}
}

// mul_one multiplies every channel by one plane, blend blends two pictures by it.
// A thread has FEW numbers.
KERNEL mul_one(int n, Divisor channels, const float *a, const float *w, float *out) {
	int from = blockIdx.x * FEW * blockDim.x + threadIdx.x;
	float x[FEW] = {}, by[FEW] = {};
	for (int u = 0, i = from; u < FEW; u++, i += blockDim.x)
		if (i < n) x[u] = a[i], by[u] = w[channels.over(i)];
	for (int u = 0, i = from; u < FEW; u++, i += blockDim.x)
		if (i < n) out[i] = x[u] * by[u];
}

KERNEL blend(int n, Divisor channels, const float *raw, const float *warped, const float *weight, float *out) {
	int from = blockIdx.x * FEW * blockDim.x + threadIdx.x;
	float x[FEW] = {}, y[FEW] = {}, w[FEW] = {};
	for (int u = 0, i = from; u < FEW; u++, i += blockDim.x)
		if (i < n) x[u] = raw[i], y[u] = warped[i], w[u] = weight[channels.over(i)];
	for (int u = 0, i = from; u < FEW; u++, i += blockDim.x)
		if (i < n) out[i] = x[u] * w[u] + y[u] * (1 - w[u]);
}

KERNEL mul_sum(int pixels, int channels, const float *a, const float *b, float *out) {
	EACH(i, pixels) {
		double sum = 0;
		for (int c = 0; c < channels; c++) sum += (double)a[i * channels + c] * b[i * channels + c];
		out[i] = (float)sum;
	}
}

KERNEL adam_p(int n, float eps, const float *p, const float *m, const float *v, const float *h, float *out) {
	float h0 = h[0], h1 = h[1];
	EACH(line, (n + 3) / 4) {
		Four a = four(p, 4 * line, n), b = four(m, 4 * line, n), c = four(v, 4 * line, n);
		for (int e = 0; e < 4; e++) a.of[e] -= h0 * b.of[e] / (sqrtf(c.of[e]) * h1 + eps);
		put(out, 4 * line, n, a);
	}
}

// One parameter tensor of an Adam step.
struct Tensor {
	float *p, *m, *v;
	const float *g;
	int n, pad;
};

// Rates is what an Adam step is told; step takes one parameter on by its gradient.
struct Rates {
	float beta1, beta2, eps, h0, h1;
	__device__ __forceinline__ void step(float g, float &p, float &m, float &v) const {
		m = beta1 * m + (1 - beta1) * g;
		v = beta2 * v + (1 - beta2) * g * g;
		p -= h0 * m / (sqrtf(v) * h1 + eps);
	}
};

// adam steps every tensor of a list at once: a block takes `each` elements, and
// first says at which block a tensor begins.
KERNEL adam(int tensors, int each, float beta1, float beta2, float eps, const Tensor *list, const int *first, const float *h) {
	int lo = 0, hi = tensors - 1;
	while (lo < hi) {
		int mid = (lo + hi + 1) / 2;
		if (first[mid] <= (int)blockIdx.x) lo = mid;
		else hi = mid - 1;
	}
	Tensor t = list[lo];
	int from = ((int)blockIdx.x - first[lo]) * each;
	int to = from + each < t.n ? from + each : t.n;
	Rates r = {beta1, beta2, eps, h[0], h[1]};
	for (int i = from + 4 * threadIdx.x; i < to; i += 4 * blockDim.x) {
		Four g = four(t.g, i, to), p = four(t.p, i, to), m = four(t.m, i, to), v = four(t.v, i, to);
		for (int e = 0; e < 4; e++) r.step(g.of[e], p.of[e], m.of[e], v.of[e]);
		put(t.m, i, to, m);
		put(t.v, i, to, v);
		put(t.p, i, to, p);
	}
}
