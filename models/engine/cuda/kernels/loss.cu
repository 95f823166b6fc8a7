// Sums over everything, in two launches of a fixed shape.

enum { SUM, SUM_L1, SUM_MSE, SUM_BCE };

// term is what a number adds to a sum that takes no curve.
template <int F> __device__ __forceinline__ double term(double v, double b, float p) {
	return F == SUM_L1 ? fabs(v - b) : F == SUM_MSE ? (v - p) * (v - p) : v;
}

// sum_fours is a thread's part of the sum over n numbers, lines of four at a time.
template <int F> __device__ __forceinline__ double sum_fours(int n, float p, const float *x, const float *b) {
	double sum[4] = {};
	int line = 4 * blockDim.x, step = gridDim.x * FEW * line, at = blockIdx.x * FEW * line + 4 * threadIdx.x;
	for (; at + (FEW - 1) * line + 4 <= n; at += step) {
		Four v[FEW], w[FEW] = {};
		for (int u = 0; u < FEW; u++) v[u] = four(x, at + u * line);
		if (F == SUM_L1)
			for (int u = 0; u < FEW; u++) w[u] = four(b, at + u * line);
		for (int u = 0; u < FEW; u++)
			for (int e = 0; e < 4; e++) sum[e] += term<F>(v[u].of[e], w[u].of[e], p);
	}
	for (; at < n; at += line)
		for (int e = 0; e < 4; e++)
			if (at + e < n) sum[e] += term<F>(x[at + e], F == SUM_L1 ? b[at + e] : 0, p);
	return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

// reduce leaves a block's part of an item (y) of n elements, several items are summed
// plainly.
KERNEL reduce(int f, int n, float p, const float *a, const float *b, double *parts) {
	SHARED(double, room);
	double sum = 0;
	const float *x = a + blockIdx.y * n;
	bool aligned = gridDim.y == 1 || n % 4 == 0;
	if (f == SUM && aligned) sum = sum_fours<SUM>(n, p, x, b);
	else if (f == SUM_L1) sum = sum_fours<SUM_L1>(n, p, x, b);
	else if (f == SUM_MSE) sum = sum_fours<SUM_MSE>(n, p, x, b);
	else EACH(i, n) {
		double v = x[i];
		if (f == SUM_BCE) v = (v > 0 ? v : 0) + log1p(exp(-fabs(v))) - p * v;
		sum += v;
	}
	sum = total(sum, room);
	if (threadIdx.x == 0) parts[blockIdx.y * gridDim.x + blockIdx.x] = sum;
}

// mean divides the sum of an item's (x) parts by n.
KERNEL mean(int parts, int n, const double *in, float *out) {
	SHARED(double, room);
	double sum = 0;
	for (int i = threadIdx.x; i < parts; i += blockDim.x) sum += in[blockIdx.x * parts + i];
	sum = total(sum, room);
	if (threadIdx.x == 0) out[blockIdx.x] = (float)(sum / n);
}

struct Terms {
	const float *term[32];
	float weight[32];
};

KERNEL combine(int n, Terms t, float *out) {
	if (blockIdx.x * blockDim.x + threadIdx.x) return;
	double sum = 0;
	for (int i = 0; i < n; i++) sum += (double)t.weight[i] * t.term[i][0];
	out[0] = (float)sum;
}

// jitter: factors are brightness, saturation and contrast of each item.
KERNEL jitter(int pixels, Divisor size, int channels, int still, const float *x, const float *factors, const float *means, float *out) {
	EACH(i, pixels) {
		int item = size.over(i);
		const float *p = factors + item * 3;
		float m = means[item], grey = 0;
		for (int c = 0; c < channels; c++) grey += x[i * channels + c];
		grey /= channels;
		for (int c = 0; c < channels; c++)
			out[i * channels + c] = p[2] * (p[1] * (x[i * channels + c] - grey) + grey - m) + m + (still ? 0 : p[0]);
	}
}
