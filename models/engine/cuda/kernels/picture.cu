// Instances, and spectral normalisation.

__device__ __forceinline__ int level(float v) {
	double x = ((double)v + 1) * 127.5 + 0.5;
	return x <= 0 ? 0 : x >= 255 ? 255 : (int)x;
}

// find_instances gives every pixel a place among 2*size of its item, the same
// to pixels of the same colour: open addressing, keys of -1 are free.
KERNEL find_instances(int pixels, int size, const float *ids, int *keys, int *of) {
	EACH(i, pixels) {
		int key = level(ids[3 * i]) << 16 | level(ids[3 * i + 1]) << 8 | level(ids[3 * i + 2]);
		int base = i / size * 2 * size, at = (int)((unsigned)key * 2654435761u % (unsigned)(2 * size));
		for (;;) {
			int was = atomicCAS(&keys[base + at], -1, key);
			if (was == -1 || was == key) break;
			at = at + 1 < 2 * size ? at + 1 : 0;
		}
		of[i] = base + at;
	}
}

// sum_instances adds colours and, in a last column, pixels; in double, so that
// the order does not show.
KERNEL sum_instances(int pixels, int channels, const float *x, const int *of, double *sums) {
	EACH(i, pixels * (channels + 1)) {
		int at = i / (channels + 1), c = i % (channels + 1);
		atomicAdd(&sums[(long long)of[at] * (channels + 1) + c], c < channels ? (double)x[at * channels + c] : 1.0);
	}
}

KERNEL spread_instances(int n, int channels, const int *of, const double *sums, float *out) {
	EACH(i, n) {
		const double *s = sums + (long long)of[i / channels] * (channels + 1);
		out[i] = (float)(s[i % channels] / s[channels]);
	}
}

// inner is where element k of a row of a filter lies, whose k counts channels
// first: channels > 0 and size positions, or a plain row.
__device__ __forceinline__ int inner(int k, int channels, int size) {
	return channels ? k % size * channels + k / size : k;
}

// row_products is u = Wv, a block a row.
KERNEL row_products(int width, int channels, int size, const float *w, const float *v, double *u) {
	SHARED(double, room);
	double sum = 0;
	for (int k = threadIdx.x; k < width; k += blockDim.x) sum += (double)w[blockIdx.x * width + inner(k, channels, size)] * v[k];
	sum = total(sum, room);
	if (threadIdx.x == 0) u[blockIdx.x] = sum;
}

// length is the Euclidean length of n numbers; with g also the product of two
// tensors of m elements. One block.
KERNEL length(int n, const double *u, int m, const float *w, const float *g, double *out) {
	SHARED(double, room);
	double sum = 0, product = 0;
	for (int i = threadIdx.x; i < n; i += blockDim.x) sum += u[i] * u[i];
	for (int i = threadIdx.x; i < m; i += blockDim.x) product += (double)w[i] * g[i];
	sum = sqrt(total(sum, room));
	product = total(product, room);
	if (threadIdx.x == 0) {
		out[0] = sum > 1e-12 ? sum : 1e-12;
		out[1] = product;
	}
}

KERNEL spectral(int n, const float *w, const double *s, float *out) {
	EACH(i, n) out[i] = (float)(w[i] / s[0]);
}

KERNEL spectral_grad(int n, int width, int channels, int size, const float *g, const float *v, const double *u, const double *s, float *out) {
	EACH(i, n) {
		int o = i / width, k = i % width;
		int at = o * width + inner(k, channels, size);
		out[at] = (float)((g[at] - s[1] / s[0] * u[o] / s[0] * v[k]) / s[0]);
	}
}

KERNEL column_products(int rows, int width, int channels, int size, const float *w, const double *u, const double *s, double *next) {
	EACH(k, width) {
		double sum = 0;
		for (int o = 0; o < rows; o++) sum += u[o] / s[0] * w[o * width + inner(k, channels, size)];
		next[k] = sum;
	}
}

KERNEL unit(int n, const double *x, const double *length, float *out) {
	EACH(i, n) out[i] = (float)(x[i] / length[0]);
}
