// The gradient of normalisation, and of a ReLU behind it.

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
