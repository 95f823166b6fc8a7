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

// finish_stats joins the parts of n rows: sums as they are, or with eps the
// moments of `pixels` values.
KERNEL finish_stats(int n, int parts, int sums, int pixels, float eps, const double *in, float *out) {
	EACH(i, n) {
		double a = 0, b = 0;
		for (int k = 0; k < parts; k++) {
			a += in[(k * n + i) * 2];
			b += in[(k * n + i) * 2 + 1];
		}
		if (!sums) {
			a /= pixels;
			b = b / pixels - a * a;
			b = 1 / sqrt((b > 0 ? b : 0) + eps);
		}
		out[2 * i] = (float)a;
		out[2 * i + 1] = (float)b;
	}
}

// normalize is (x-mean)*rstd*gamma+beta and what is fused behind it. item is
// the size of what one row of moments serves, 0 for all.
KERNEL normalize(int n, int channels, int item, Post p, const float *x, const float *moments, const float *gamma, const float *beta, float *out) {
	EACH(i, n) {
		int c = i % channels, row = (item ? i / item * channels : 0) + c;
		float v = (x[i] - moments[2 * row]) * moments[2 * row + 1];
		if (gamma) v = v * gamma[c] + beta[c];
		post(p, v, i, out);
	}
}

KERNEL norm_grad(int n, int channels, int item, int pixels, const float *x, const float *moments, const float *gy, const float *sums, const float *gamma, float *out) {
	EACH(i, n) {
		int c = i % channels, row = (item ? i / item * channels : 0) + c;
		float rstd = moments[2 * row + 1], xhat = (x[i] - moments[2 * row]) * rstd;
		float v = gy[i] - sums[2 * row] / pixels - xhat * (sums[2 * row + 1] / pixels);
		out[i] = v * (gamma ? rstd * gamma[c] : rstd);
	}
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
