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

// join_parts adds up every `each` of the parts of n rows.
KERNEL join_parts(int n, int parts, int each, const double *in, double *out) {
	EACH(i, n * ((parts + each - 1) / each)) {
		int row = i % n, from = i / n * each, to = from + each < parts ? from + each : parts;
		Pair sum = {};
		for (int k = from; k < to; k++) {
			Pair part = ((const Pair *)in)[k * n + row];
			sum.of[0] += part.of[0];
			sum.of[1] += part.of[1];
		}
		((Pair *)out)[i] = sum;
	}
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
struct Scales {
	Four moments[2], gamma, beta;
	__device__ __forceinline__ Scales(const Walk &w, const float *moments, const float *g, const float *b) : moments{four(moments, 2 * w.row), four(moments, 2 * w.row + 4)}, gamma(), beta() {
		if (!g) return;
		gamma = four(g, w.c);
		beta = four(b, w.c);
	}
};

// normalized makes n lines and what is behind them.
template <int N> __device__ __forceinline__ void normalized(const Walk &w, const Post &p, const Scales &s, bool affine, const float *x, Four *v) {
	Four add[N] = {};
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
}

// store writes n lines where they lie.
template <int N> __device__ __forceinline__ void store(const Walk &w, int half, const Four *v, float *out) {
	for (int u = 0; u < N; u++) {
		if (half) put_half(out, w.at + u * w.stride, v[u]);
		else put(out, w.at + u * w.stride, v[u]);
	}
}

template <int N> __device__ __forceinline__ void normalize_some(const Walk &w, const Post &p, const Scales &s, bool affine, const float *x, float *out) {
	Four v[N];
	normalized<N>(w, p, s, affine, x, v);
	store<N>(w, p.half, v, out);
}

// normalize_lines does what normalize does where channels are a multiple of four
// and no curve is behind it. A group is what one row of moments serves.
KERNEL normalize_lines(Span span, Post p, const float *x, const float *moments, const float *gamma, const float *beta, float *out) {
	Walk w = walk(span);
	if (w.c >= span.channels) return;
	Scales s(w, moments, gamma, beta);
	for (; more<FEW>(w); pass<FEW>(w)) normalize_some<FEW>(w, p, s, gamma, x, out);
	for (; more<1>(w); pass<1>(w)) normalize_some<1>(w, p, s, gamma, x, out);
}

// Border is a frame of pad mirrored pixels around pictures of h x w.
struct Border {
	Divisor h, w;
	int pad;
	// mirrors is where a line of n pixels shows pixel i: at its own place and up to
	// two more, or -1.
	__device__ __forceinline__ void mirrors(int i, int n, int *at) const {
		at[0] = i + pad;
		at[1] = i > 0 && i <= pad ? pad - i : -1;
		at[2] = i < n - 1 && i >= n - 1 - pad ? 2 * (n - 1) - i + pad : -1;
	}
};

// put_framed writes a line of a pixel of all items as bfloat16 wherever the
// picture with its border shows it.
__device__ __forceinline__ void put_framed(const Border &f, int pixel, int channels, int c, const Four &v, void *out) {
	int x, y, item = split(f.h, split(f.w, pixel, x), y), wide = f.w.by + 2 * f.pad, ys[3], xs[3];
	f.mirrors(y, f.h.by, ys);
	f.mirrors(x, f.w.by, xs);
	item *= f.h.by + 2 * f.pad;
	put_half(out, ((item + ys[0]) * wide + xs[0]) * channels + c, v);
	if ((ys[1] & ys[2] & xs[1] & xs[2]) < 0) return;
	for (int a = 0; a < 3; a++)
		for (int b = 0; b < 3; b++)
			if (a + b > 0 && ys[a] >= 0 && xs[b] >= 0) put_half(out, ((item + ys[a]) * wide + xs[b]) * channels + c, v);
}

template <int N> __device__ __forceinline__ void normalize_framed_some(const Walk &w, int pixel, int channels, const Post &p, const Border &f, const Scales &s, bool affine, const float *x, float *out, void *framed) {
	Four v[N];
	normalized<N>(w, p, s, affine, x, v);
	if (out) store<N>(w, p.half, v, out);
	for (int u = 0; u < N; u++) put_framed(f, pixel + w.p + u * w.step, channels, w.c, v[u], framed);
}

// normalize_framed also writes what convolutions read, as bfloat16 with its
// border; out may be none.
KERNEL normalize_framed(Span span, Post p, Border f, const float *x, const float *moments, const float *gamma, const float *beta, float *out, void *framed) {
	Walk w = walk(span);
	if (w.c >= span.channels) return;
	Scales s(w, moments, gamma, beta);
	int pixel = blockIdx.y * span.pixels;
	for (; more<2>(w); pass<2>(w)) normalize_framed_some<2>(w, pixel, span.channels, p, f, s, gamma, x, out, framed);
	for (; more<1>(w); pass<1>(w)) normalize_framed_some<1>(w, pixel, span.channels, p, f, s, gamma, x, out, framed);
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
