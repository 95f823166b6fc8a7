// Sums over everything, in two launches of a fixed shape.

enum { SUM, SUM_L1, SUM_MSE, SUM_BCE };

// reduce leaves a block's part of an item (y) of n elements.
KERNEL reduce(int f, int n, float p, const float *a, const float *b, double *parts) {
	SHARED(double, room);
	double sum = 0;
	const float *x = a + blockIdx.y * n;
	EACH(i, n) {
		double v = x[i];
		switch (f) {
		case SUM_L1: v = fabs(v - b[i]); break;
		case SUM_MSE: v = (v - p) * (v - p); break;
		case SUM_BCE: v = (v > 0 ? v : 0) + log1p(exp(-fabs(v))) - p * v; break;
		}
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
KERNEL jitter(int pixels, int size, int channels, int still, const float *x, const float *factors, const float *means, float *out) {
	EACH(i, pixels) {
		const float *p = factors + i / size * 3;
		float m = means[i / size], grey = 0;
		for (int c = 0; c < channels; c++) grey += x[i * channels + c];
		grey /= channels;
		for (int c = 0; c < channels; c++)
			out[i * channels + c] = p[2] * (p[1] * (x[i * channels + c] - grey) + grey - m) + m + (still ? 0 : p[0]);
	}
}
