// Moving elements without changing them.

// copied copies rows: from step `from` of src_row elements to step `to` of
// dst_row elements, n elements of each, of a type. A thread has FEW of all.
template <class E> __device__ __forceinline__ void copied(int all, const Divisor &n, int src_row, int from, int dst_row, int to, const E *src, E *dst) {
	E v[FEW] = {};
	int at[FEW], first = blockIdx.x * FEW * blockDim.x + threadIdx.x;
	for (int u = 0, i = first; u < FEW; u++, i += blockDim.x) {
		int rest, row = split(n, i, rest);
		at[u] = row * dst_row + to + rest;
		if (i < all) v[u] = src[row * src_row + from + rest];
	}
	for (int u = 0, i = first; u < FEW; u++, i += blockDim.x)
		if (i < all) dst[at[u]] = v[u];
}

KERNEL copy_axis(int all, Divisor n, int src_row, int from, int dst_row, int to, const float *src, float *dst) {
	copied(all, n, src_row, from, dst_row, to, src, dst);
}

// copy_lines is copy_axis in lines of four numbers.
KERNEL copy_lines(int all, Divisor n, int src_row, int from, int dst_row, int to, const Four *src, Four *dst) {
	copied(all, n, src_row, from, dst_row, to, src, dst);
}

// to_plain and to_inner turn (n,h,w,c) into (n,c,h,w) and back; size is h*w.
KERNEL to_plain(int n, Divisor channels, Divisor size, const float *in, float *out) {
	EACH(i, n) {
		int at, c, item = split(channels, split(size, i, at), c);
		out[i] = in[(item * size.by + at) * channels.by + c];
	}
}

KERNEL to_inner(int n, Divisor channels, Divisor size, const float *in, float *out) {
	EACH(i, n) {
		int at, c, item = split(size, split(channels, i, c), at);
		out[i] = in[(item * channels.by + c) * size.by + at];
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
