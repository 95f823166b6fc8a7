// Gradients of filters on Hopper's tensor cores: what is summed runs over
// positions, 64 in a slice, so that both matrices lie across the depth: 128 bytes
// of channels of each position. A block makes ROWS output channels by COLS columns
// of one tap, of a part of the positions.

// Spread is what a launch sums: n items of h x w positions, `across` columns by
// `high` rows by as many items as that leaves of which make a slice, `each` slices
// in a layer of blocks (z), for o output channels. The picture has c channels in
// units of 16 bytes, width; window: the taps of a row lie together as columns.
struct Spread {
	int n, h, w, o, c, width, across, high, kh, kw, step, pad, window, each, trial;
};

template <class T> __device__ __forceinline__ void bulk_filters(const Spread &g, const TensorMap *gy, const TensorMap *x, float *parts) {
	constexpr int CHUNK = 64 * T::LINE, BOXES = (T::ROWS + T::COLS) / 64; // 64 channels of 64 positions
	Ring<T> ring(g.trial);
	int wide = g.window ? g.kw * g.width : g.width, tiles = (wide + T::COLS - 1) / T::COLS, across = g.window ? 1 : g.kw;
	int o = blockIdx.x * T::ROWS, col = blockIdx.y % tiles * T::COLS, ky = blockIdx.y / tiles / across, kx = blockIdx.y / tiles % across;
	int nx = (g.w + g.across - 1) / g.across, ny = (g.h + g.high - 1) / g.high, items = 64 / (g.across * g.high);
	int all = nx * ny * ((g.n + items - 1) / items), from = blockIdx.z * g.each, steps = (from + g.each < all ? g.each : all - from);
	int t = threadIdx.x, group = t / 128;
	if (group == T::GROUPS) {
		if (t % 32) return;
		ring.bring(steps, [&](int i, char *to, u64 *full) {
			int px = (from + i) % nx * g.across, py = (from + i) / nx % ny * g.high, item = (from + i) / nx / ny * items;
#pragma unroll
			for (int j = 0; j < BOXES; j++) {
				if (j < T::ROWS / 64) bulk_load(to + j * CHUNK, gy, full, o + 64 * j, px, 0, py, item);
				else if (g.window) bulk_load(to + j * CHUNK, x, full, col + 64 * j - T::ROWS, px, ky, py, item);
				else bulk_load(to + j * CHUNK, x, full, col + 64 * j - T::ROWS, px * g.step + kx - g.pad, 0, py * g.step + ky - g.pad, item);
			}
		});
		return;
	}
	float acc[T::COLS / 2] = {};
	ring.multiply(steps, [&](const char *at) {
		u64 a = wgmma_turned(at + group * CHUNK, CHUNK), b = wgmma_turned(at + T::A, CHUNK);
#pragma unroll
		for (int k = 0; k < 4; k++) wgmma_across<T::COLS>(acc, a + k * (16 * T::LINE / 16), b + k * (16 * T::LINE / 16));
	});
#pragma unroll
	for (int e = 0; e < T::COLS / 2; e++) {
		int row = o + group * 64 + t % 128 / 32 * 16 + e / 2 % 2 * 8 + t % 32 / 4, at = col + e / 4 * 8 + t % 4 * 2 + e % 2;
		int tap = g.window ? at / g.width : kx, c = g.window ? at % g.width : at;
		if (row < g.o && at < wide && c < g.c) parts[(((long long)blockIdx.z * g.o + row) * g.kh + ky) * g.kw * g.c + tap * g.c + c] = acc[e];
	}
}
