// Statistics and normalisation of (n,h,w,c). A row of statistics is an item's
// channel, or with batch a channel of all items: `rows` groups of `pixels`.

// gather_stats sums, for the channels of a block (x) over a span (z) of the
// pixels of a group (y): x and x*x, or with gy: gy and gy*xhat. 32 x 8 threads.
KERNEL gather_stats(int pixels, int channels, int each, const float *x, const float *moments, const float *gy, double *parts) {
	SHARED(double, room);
	int lane = threadIdx.x % 32, high = threadIdx.x / 32, c = blockIdx.x * 32 + lane, group = blockIdx.y;
	int from = blockIdx.z * each, to = from + each < pixels ? from + each : pixels;
	double a = 0, b = 0;
	if (c < channels) {
		double mean = 0, rstd = 0;
		if (gy) {
			mean = moments[(group * channels + c) * 2];
			rstd = moments[(group * channels + c) * 2 + 1];
		}
		for (int p = from + high; p < to; p += 8) {
			int at = (group * pixels + p) * channels + c;
			double v = x[at];
			if (gy) {
				a += gy[at];
				b += gy[at] * (v - mean) * rstd;
			} else {
				a += v;
				b += v * v;
			}
		}
	}
	room[threadIdx.x] = a;
	room[256 + threadIdx.x] = b;
	__syncthreads();
	if (high || c >= channels) return;
	for (int i = 1; i < 8; i++) {
		a += room[i * 32 + lane];
		b += room[256 + i * 32 + lane];
	}
	int at = ((blockIdx.z * gridDim.y + group) * channels + c) * 2;
	parts[at] = a;
	parts[at + 1] = b;
}

// sum_lines adds n pixels of four channels to the sums, or with gy gy and gy*xhat.
template <int N> __device__ __forceinline__ void sum_lines(const Walk &w, const float *x, double *a, double *b) {
	Four v[N];
	for (int u = 0; u < N; u++) v[u] = four(x, w.at + u * w.stride);
	for (int u = 0; u < N; u++)
		for (int e = 0; e < 4; e++) {
			double one = v[u].of[e];
			a[e] += one;
			b[e] += one * one;
		}
}

template <int N> __device__ __forceinline__ void sum_lines(const Walk &w, const float *x, const float *gy, const Four *m, double *a, double *b) {
	Four v[N], g[N];
	for (int u = 0; u < N; u++) v[u] = four(x, w.at + u * w.stride);
	for (int u = 0; u < N; u++) g[u] = four(gy, w.at + u * w.stride);
	for (int u = 0; u < N; u++)
		for (int e = 0; e < 4; e++) {
			double one = g[u].of[e], mean = m[e / 2].of[e % 2 * 2], rstd = m[e / 2].of[e % 2 * 2 + 1];
			a[e] += one;
			b[e] += one * (v[u].of[e] - mean) * rstd;
		}
}

// deliver_sums adds up what a block's threads have of its channels, and leaves that.
__device__ __forceinline__ void deliver_sums(const Span &s, const double *a, const double *b, double *room, double *parts) {
	for (int e = 0; e < 4; e++) *(Pair *)(room + threadIdx.x * 8 + 2 * e) = {{a[e], b[e]}};
	__syncthreads();
	int width = 8 << s.shift, column = blockIdx.x * width + threadIdx.x;
	if ((int)threadIdx.x >= width || column >= 2 * s.channels) return;
	double sum = 0;
	for (int i = threadIdx.x; i < (int)blockDim.x * 8; i += width) sum += room[i];
	parts[(blockIdx.z * gridDim.y + blockIdx.y) * s.channels * 2 + column] = sum;
}

// gather_lines does what gather_stats does where channels are a multiple of four.
KERNEL gather_lines(Span s, const float *x, const float *moments, const float *gy, double *parts) {
	SHARED(double, room);
	Walk w = sweep(s);
	double a[4] = {}, b[4] = {};
	if (w.c < s.channels && gy) {
		Four m[2] = {four(moments, 2 * w.row), four(moments, 2 * w.row + 4)};
		for (; more<FEW>(w); pass<FEW>(w)) sum_lines<FEW>(w, x, gy, m, a, b);
		for (; more<1>(w); pass<1>(w)) sum_lines<1>(w, x, gy, m, a, b);
	} else if (w.c < s.channels) {
		for (; more<FEW>(w); pass<FEW>(w)) sum_lines<FEW>(w, x, a, b);
		for (; more<1>(w); pass<1>(w)) sum_lines<1>(w, x, a, b);
	}
	deliver_sums(s, a, b, room, parts);
}

// Gate is the gradient of a ReLU behind a normalisation: 1 where that is above 0,
// else low. What the normalisation made is made again, so that it need not be read.
struct Gate {
	int affine;
	float low;
	const float *gamma, *beta;
};

// Gates are those of four channels.
struct Gates {
	float low;
	bool affine;
	Four gamma, beta;
	__device__ __forceinline__ Gates(const Gate &g, int c) : low(g.low), affine(g.affine), gamma(), beta() {
		if (!affine) return;
		gamma = four(g.gamma, c);
		beta = four(g.beta, c);
	}
	// through takes the gradients of n lines, of which xhat is known, through.
	template <int N> __device__ __forceinline__ void through(const Four *xhat, Four *g) const {
		Four y[N];
		for (int u = 0; u < N; u++) y[u] = xhat[u];
		if (affine)
			for (int u = 0; u < N; u++)
				for (int e = 0; e < 4; e++) y[u].of[e] = y[u].of[e] * gamma.of[e] + beta.of[e];
		for (int u = 0; u < N; u++)
			for (int e = 0; e < 4; e++) g[u].of[e] *= y[u].of[e] > 0 ? 1 : low;
	}
};

template <int N> __device__ __forceinline__ void sum_gated(const Walk &w, const float *x, const float *gy, const Four *m, const Gates &gates, double *a, double *b) {
	Four v[N], g[N], xhat[N];
	for (int u = 0; u < N; u++) v[u] = four(x, w.at + u * w.stride);
	for (int u = 0; u < N; u++) g[u] = four(gy, w.at + u * w.stride);
	for (int u = 0; u < N; u++)
		for (int e = 0; e < 4; e++) xhat[u].of[e] = (v[u].of[e] - m[e / 2].of[e % 2 * 2]) * m[e / 2].of[e % 2 * 2 + 1];
	gates.through<N>(xhat, g);
	for (int u = 0; u < N; u++)
		for (int e = 0; e < 4; e++) {
			double one = g[u].of[e], mean = m[e / 2].of[e % 2 * 2], rstd = m[e / 2].of[e % 2 * 2 + 1];
			a[e] += one;
			b[e] += one * (v[u].of[e] - mean) * rstd;
		}
}

// gather_gated sums gy and gy*xhat, where gy comes through a gate.
KERNEL gather_gated(Span s, Gate gate, const float *x, const float *moments, const float *gy, double *parts) {
	SHARED(double, room);
	Walk w = sweep(s);
	double a[4] = {}, b[4] = {};
	if (w.c < s.channels) {
		Four m[2] = {four(moments, 2 * w.row), four(moments, 2 * w.row + 4)};
		Gates gates(gate, w.c);
		for (; more<2>(w); pass<2>(w)) sum_gated<2>(w, x, gy, m, gates, a, b);
		for (; more<1>(w); pass<1>(w)) sum_gated<1>(w, x, gy, m, gates, a, b);
	}
	deliver_sums(s, a, b, room, parts);
}

enum { MOMENTS, SUMS, FIRST };

// finish_stats joins the parts of n rows: the sums as they are, the first of them
// alone, or the moments of `pixels` values. A block has eight rows, at each 32
// threads that share its parts.
KERNEL finish_stats(int n, int parts, int kind, int pixels, float eps, const double *in, float *out) {
	SHARED(Pair, room);
	int t = threadIdx.x, i = blockIdx.x * 8 + t % 8;
	Pair sum = {};
	if (i < n) {
		for (int k = t / 8; k < parts; k += 32) {
			Pair part = ((const Pair *)in)[k * n + i];
			sum.of[0] += part.of[0];
			sum.of[1] += part.of[1];
		}
	}
	room[t] = sum;
	for (int half = 128; half >= 8; half /= 2) {
		__syncthreads();
		if (t >= half) continue;
		room[t].of[0] += room[t + half].of[0];
		room[t].of[1] += room[t + half].of[1];
	}
	if (t >= 8 || i >= n) return;
	double a = room[t].of[0], b = room[t].of[1];
	if (kind == FIRST) {
		out[i] = (float)a;
		return;
	}
	if (kind == MOMENTS) {
		a /= pixels;
		b = b / pixels - a * a;
		b = 1 / sqrt((b > 0 ? b : 0) + eps);
	}
	out[2 * i] = (float)a;
	out[2 * i + 1] = (float)b;
}

// normalize is (x-mean)*rstd*gamma+beta and what is fused behind it. item is
// what one row of moments serves.
KERNEL normalize(int n, Divisor channels, Divisor item, Post p, const float *x, const float *moments, const float *gamma, const float *beta, float *out) {
	EACH(i, n) {
		int c;
		split(channels, i, c);
		int row = item.over(i) * channels.by + c;
		float v = (x[i] - moments[2 * row]) * moments[2 * row + 1];
		if (gamma) v = v * gamma[c] + beta[c];
		post(p, v, i, out);
	}
}

// Scales are the numbers that four channels are normalised by: pairs of mean and
// rstd, gamma and beta.
struct Scales { Four moments[2], gamma, beta; };

template <int N> __device__ __forceinline__ void normalize_some(const Walk &w, const Post &p, const Scales &s, bool affine, const float *x, float *out) {
	Four v[N], add[N] = {};
	for (int u = 0; u < N; u++) v[u] = four(x, w.at + u * w.stride);
	if (p.add)
		for (int u = 0; u < N; u++) add[u] = four(p.add, w.at + u * w.stride);
	for (int u = 0; u < N; u++)
		for (int e = 0; e < 4; e++) v[u].of[e] = (v[u].of[e] - s.moments[e / 2].of[e % 2 * 2]) * s.moments[e / 2].of[e % 2 * 2 + 1];
	if (affine)
		for (int u = 0; u < N; u++)
			for (int e = 0; e < 4; e++) v[u].of[e] = v[u].of[e] * s.gamma.of[e] + s.beta.of[e];
	step_on<N>(p.kind0, p.slope0, v, add);
	step_on<N>(p.kind1, p.slope1, v, add);
	for (int u = 0; u < N; u++) {
		if (p.half) put_half(out, w.at + u * w.stride, v[u]);
		else put(out, w.at + u * w.stride, v[u]);
	}
}

// normalize_lines does what normalize does where channels are a multiple of four
// and no curve is behind it. A group is what one row of moments serves.
KERNEL normalize_lines(Span span, Post p, const float *x, const float *moments, const float *gamma, const float *beta, float *out) {
	Walk w = walk(span);
	if (w.c >= span.channels) return;
	Scales s = {{four(moments, 2 * w.row), four(moments, 2 * w.row + 4)}, {}, {}};
	if (gamma) {
		s.gamma = four(gamma, w.c);
		s.beta = four(beta, w.c);
	}
	for (; more<FEW>(w); pass<FEW>(w)) normalize_some<FEW>(w, p, s, gamma, x, out);
	for (; more<1>(w); pass<1>(w)) normalize_some<1>(w, p, s, gamma, x, out);
}

KERNEL norm_grad(int n, Divisor channels, Divisor item, int pixels, const float *x, const float *moments, const float *gy, const float *sums, const float *gamma, float *out) {
	EACH(i, n) {
		int c;
		split(channels, i, c);
		int row = item.over(i) * channels.by + c;
		float rstd = moments[2 * row + 1], xhat = (x[i] - moments[2 * row]) * rstd;
		float v = gy[i] - sums[2 * row] / pixels - xhat * (sums[2 * row + 1] / pixels);
		out[i] = v * (gamma ? rstd * gamma[c] : rstd);
	}
}

// Slopes are, of four channels, mean and rstd, the means of gy and of gy*xhat, and
// what the gradient is multiplied by.
struct Slopes {
	Four mean, rstd, g, gx, by;
	__device__ __forceinline__ Slopes(const Walk &w, int pixels, const float *moments, const float *sums, const float *gamma) {
		for (int e = 0; e < 4; e++) {
			int row = 2 * (w.row + e);
			mean.of[e] = moments[row];
			rstd.of[e] = moments[row + 1];
			g.of[e] = sums[row] / pixels;
			gx.of[e] = sums[row + 1] / pixels;
			by.of[e] = gamma ? rstd.of[e] * gamma[w.c + e] : rstd.of[e];
		}
	}
};

// norm_grad_some does n lines, through gates where there are some.
template <int N> __device__ __forceinline__ void norm_grad_some(const Walk &w, const Slopes &s, const Gates *gates, const float *x, const float *gy, float *out) {
	Four v[N], g[N];
	for (int u = 0; u < N; u++) v[u] = four(x, w.at + u * w.stride);
	for (int u = 0; u < N; u++) g[u] = four(gy, w.at + u * w.stride);
	for (int u = 0; u < N; u++)
		for (int e = 0; e < 4; e++) v[u].of[e] = (v[u].of[e] - s.mean.of[e]) * s.rstd.of[e];
	if (gates) gates->through<N>(v, g);
	for (int u = 0; u < N; u++) {
		for (int e = 0; e < 4; e++) v[u].of[e] = (g[u].of[e] - s.g.of[e] - v[u].of[e] * s.gx.of[e]) * s.by.of[e];
		put(out, w.at + u * w.stride, v[u]);
	}
}

// norm_grad_lines does what norm_grad does where channels are a multiple of four.
KERNEL norm_grad_lines(Span span, int pixels, const float *x, const float *moments, const float *gy, const float *sums, const float *gamma, float *out) {
	Walk w = walk(span);
	if (w.c >= span.channels) return;
	Slopes s(w, pixels, moments, sums, gamma);
	for (; more<FEW>(w); pass<FEW>(w)) norm_grad_some<FEW>(w, s, nullptr, x, gy, out);
	for (; more<1>(w); pass<1>(w)) norm_grad_some<1>(w, s, nullptr, x, gy, out);
}

// norm_grad_gated does so where gy comes through a gate.
KERNEL norm_grad_gated(Span span, Gate gate, int pixels, const float *x, const float *moments, const float *gy, const float *sums, float *out) {
	Walk w = walk(span);
	if (w.c >= span.channels) return;
	Slopes s(w, pixels, moments, sums, gate.gamma);
	Gates gates(gate, w.c);
	for (; more<2>(w); pass<2>(w)) norm_grad_some<2>(w, s, &gates, x, gy, out);
	for (; more<1>(w); pass<1>(w)) norm_grad_some<1>(w, s, &gates, x, gy, out);
}

KERNEL stored_moments(int n, float eps, const float *mean, const float *variance, float *out) {
	EACH(i, n) {
		out[2 * i] = mean[i];
		out[2 * i + 1] = (float)(1 / sqrt((double)variance[i] + eps));
	}
}

// sums_pick adds number `index` of pairs over items.
KERNEL sums_pick(int channels, int items, int index, const float *in, float *out) {
	EACH(c, channels) {
		double sum = 0;
		for (int n = 0; n < items; n++) sum += in[(n * channels + c) * 2 + index];
		out[c] = (float)sum;
	}
}
