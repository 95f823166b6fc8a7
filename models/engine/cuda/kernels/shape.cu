// Moving elements without changing them.

// copy_axis copies rows: from step `from` of src_row elements to step `to` of
// dst_row elements, n elements of each.
KERNEL copy_axis(int rows, int n, int src_row, int from, int dst_row, int to, const float *src, float *dst) {
	EACH(i, rows * n) dst[i / n * dst_row + to + i % n] = src[i / n * src_row + from + i % n];
}

// to_plain and to_inner turn (n,h,w,c) into (n,c,h,w) and back; size is h*w.
KERNEL to_plain(int n, int channels, int size, const float *in, float *out) {
	EACH(i, n) {
		int at = i % size, c = i / size % channels, item = i / size / channels;
		out[i] = in[(item * size + at) * channels + c];
	}
}

KERNEL to_inner(int n, int channels, int size, const float *in, float *out) {
	EACH(i, n) {
		int c = i % channels, at = i / channels % size, item = i / channels / size;
		out[i] = in[(item * channels + c) * size + at];
	}
}

__device__ __forceinline__ int table_row(float index, int rows) {
	float last = (float)(rows - 1);
	return index > 0 ? (int)(index < last ? index : last) : 0;
}

KERNEL gather(int n, int rows, int width, const float *table, const float *index, float *out) {
	EACH(i, n * width) out[i] = table[table_row(index[i / width], rows) * width + i % width];
}

KERNEL gather_grad(int n, int rows, int width, const float *index, const float *gy, float *out) {
	EACH(i, rows * width) {
		float sum = 0;
		for (int k = 0; k < n; k++)
			if (table_row(index[k], rows) == i / width) sum += gy[k * width + i % width];
		out[i] = sum;
	}
}
