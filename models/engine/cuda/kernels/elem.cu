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

// map is out = f(a, b) with the numbers p and q; g is a scalar gradient.
KERNEL map(int f, int kind, int n, float p, float q, const float *a, const float *b, const float *g, float *out) {
	float share = f >= OP_L1GRAD ? g[0] / n : 0;
	EACH(i, n) {
		float v = 0;
		switch (f) {
		case OP_ADD: v = a[i] + b[i]; break;
		case OP_SUB: v = a[i] - b[i]; break;
		case OP_MUL: v = a[i] * b[i]; break;
		case OP_SCALE: v = p * a[i] + q; break;
		case OP_ACT: v = activate(kind, p, a[i]); break;
		case OP_ACTGRAD: v = b[i] * slope_at(kind, p, a[i]); break;
		case OP_ADAMM: v = p * a[i] + (1 - p) * b[i]; break;
		case OP_ADAMV: v = p * a[i] + (1 - p) * b[i] * b[i]; break;
		case OP_L1GRAD: v = a[i] > b[i] ? share : a[i] < b[i] ? -share : 0; break;
		case OP_MSEGRAD: v = 2 * share * (a[i] - p); break;
		case OP_MEANGRAD: v = share; break;
		case OP_BCEGRAD: v = share * (1 / (1 + expf(-a[i])) - p); break;
		}
		out[i] = v;
	}
}

KERNEL fill(int n, float v, float *out) {
	EACH(i, n) out[i] = v;
}

// mul_one multiplies every channel by one plane, or blends two pictures by it.
KERNEL mul_one(int n, int channels, const float *a, const float *w, float *out) {
	EACH(i, n) out[i] = a[i] * w[i / channels];
}

KERNEL blend(int n, int channels, const float *raw, const float *warped, const float *weight, float *out) {
	EACH(i, n) {
		float w = weight[i / channels];
		out[i] = raw[i] * w + warped[i] * (1 - w);
	}
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
	EACH(i, n) out[i] = p[i] - h0 * m[i] / (sqrtf(v[i]) * h1 + eps);
}

// One parameter tensor of an Adam step.
struct Tensor {
	float *p, *m, *v;
	const float *g;
	int n, pad;
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
	float h0 = h[0], h1 = h[1];
	for (int i = from + threadIdx.x; i < to; i += blockDim.x) {
		float g = t.g[i];
		float m = beta1 * t.m[i] + (1 - beta1) * g;
		float v = beta2 * t.v[i] + (1 - beta2) * g * g;
		t.m[i] = m;
		t.v[i] = v;
		t.p[i] -= h0 * m / (sqrtf(v) * h1 + eps);
	}
}
