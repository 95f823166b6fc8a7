// Convolutions on Hopper's tensor cores (wgmma), which read both matrices from
// shared memory: one warp has boxes of the picture and the filters copied there,
// STAGES slices ahead, and one or two warpgroups multiply. What is read lies as bfloat16
// or as float rounded to tf32, with channels in units of 16 bytes; a slice is 128
// bytes of the depth of one tap. Borders of zeros are what lies outside of the
// tensor that a map describes; mirrored ones are in the picture.

template <bool BF16_, int ROWS_, int COLS_, int GROUPS_, int STAGES_> struct BulkTile {
	static constexpr bool BF16 = BF16_;
	static constexpr int ROWS = ROWS_, COLS = COLS_, GROUPS = GROUPS_, STAGES = STAGES_; // GROUPS warpgroups multiply
	static constexpr int LINE = 128, DEPTH = LINE / (BF16 ? 2 : 4); // bytes and numbers of a slice
	static constexpr int HIGH = ROWS / GROUPS / 64; // products of 64 rows of a warpgroup
	static constexpr int A = ROWS * LINE, B = COLS * LINE, STAGE = (A + B + 1023) / 1024 * 1024;
};

// Bulk is what a launch makes: n items of h x w results of o channels. A block's
// ROWS of them are `across` columns of `high` rows of as many items as that leaves.
// A transposed convolution has `phase` times `phase` layers of blocks, each of the
// taps that meet its results. Columns x and rows y read at
// x*step + sign*tap - pad of the picture; window: a tap is one along the rows
// alone, whose columns lie together, and results are read as they are counted;
// apart: each item has filters of its own, as taps of a row.
struct Bulk {
	int n, h, w, o, across, high, kh, kw, slices, phase, step, sign, pad, window, apart, trial;
};

// Patience waits for barriers. In a trial one that does not come ends all waiting:
// there are wrong numbers then, which who tries a kernel looks for.
struct Patience {
	int trial;
	bool gone;
	__device__ __forceinline__ void wait(u64 *b, int parity) {
		if (!gone && !barrier_wait(b, parity, trial)) gone = true;
	}
};

// Ring is a block's stages of slices, and barriers: what is full, what has been read,
// and where all who multiply join behind the last.
template <class T> struct Ring {
	char *slices;
	u64 *full, *empty, *joined;
	Patience patience;

	__device__ __forceinline__ Ring(int trial) : slices(shared_1024()), patience({trial, false}) {
		full = (u64 *)(slices + T::STAGES * T::STAGE), empty = full + T::STAGES, joined = empty + T::STAGES;
		if (threadIdx.x == 0) {
			for (int i = 0; i < T::STAGES; i++) {
				barrier_init(full + i, 1);
				barrier_init(empty + i, T::GROUPS);
			}
			barrier_init(joined, 128 * T::GROUPS);
			barriers_visible();
		}
		__syncthreads();
	}

	// bring calls f for each step with where its slice goes and the barrier that counts
	// its bytes.
	template <class F> __device__ __forceinline__ void bring(int steps, const F &f) {
		for (int i = 0, stage = 0, turn = 1; i < steps; i++) {
			patience.wait(empty + stage, turn);
			if (patience.gone) return;
			barrier_expect(full + stage, T::A + T::B);
			f(i, slices + stage * T::STAGE, full + stage);
			if (++stage == T::STAGES) stage = 0, turn ^= 1;
		}
	}

	// multiply calls f for each slice, whose products go on while the next is waited for.
	template <class F> __device__ __forceinline__ void multiply(int steps, const F &f) {
		for (int i = 0, stage = 0, turn = 0; i < steps; i++) {
			patience.wait(full + stage, turn);
			wgmma_fence();
			f(slices + stage * T::STAGE);
			wgmma_commit();
			wgmma_wait<1>(); // the slice before has been read
			if (i && threadIdx.x % 128 == 0) barrier_arrive(empty + (stage ? stage - 1 : T::STAGES - 1));
			if (++stage == T::STAGES) stage = 0, turn ^= 1;
		}
		wgmma_wait<0>();
	}

	// join waits for all who multiply, for the n-th time.
	__device__ __forceinline__ void join(int n) {
		barrier_arrive(joined);
		patience.wait(joined, n % 2);
	}
};

// Place is a block's part of the work.
struct Place {
	int item, y, x, tall, wide; // its first result, and how many there are of its phase
	int py, px, ky, kx, taps, across, top, left;
};

template <class T> __device__ __forceinline__ bool find(const Bulk &g, Place &p) {
	p.py = blockIdx.z / g.phase, p.px = blockIdx.z % g.phase;
	p.tall = count(p.py, g.h, g.phase), p.wide = count(p.px, g.w, g.phase);
	int nx = (count(0, g.w, g.phase) + g.across - 1) / g.across, ny = (count(0, g.h, g.phase) + g.high - 1) / g.high;
	p.x = blockIdx.x % nx * g.across, p.y = blockIdx.x / nx % ny * g.high, p.item = blockIdx.x / nx / ny * (T::ROWS / (g.across * g.high));
	p.ky = (p.py + g.pad) % g.phase, p.kx = (p.px + g.pad) % g.phase;
	int down = count(p.ky, g.kh, g.phase);
	p.across = count(p.kx, g.kw, g.phase), p.taps = down * p.across;
	p.top = g.sign > 0 ? -g.pad : (p.py + g.pad - p.ky) / g.phase;
	p.left = g.sign > 0 ? -g.pad : (p.px + g.pad - p.kx) / g.phase;
	return p.y < p.tall && p.x < p.wide;
}

// bring has a slice's boxes copied.
template <class T> __device__ __forceinline__ void bring(const Bulk &g, const Place &p, const TensorMap *a, const TensorMap *b, char *to, u64 *full, int tap, int slice) {
	int ty = tap / p.across, tx = tap % p.across, k = slice * T::DEPTH;
	if (g.window) bulk_load(to, a, full, k, p.x, ty, p.y, p.item);
	else bulk_load(to, a, full, k, p.x * g.step + g.sign * tx + p.left, 0, p.y * g.step + g.sign * ty + p.top, p.item);
	bulk_load(to + T::A, b, full, k, p.kx + tx * g.phase + (g.apart ? p.item : 0), p.ky + ty * g.phase, blockIdx.y * T::COLS);
}

// place_of is which part of the statistics a block's are.
__device__ __forceinline__ int place_of(const Bulk &g, const Place &p, const Stats &stats) {
	int tiles = stats.items ? gridDim.x / g.n : gridDim.x;
	return (blockIdx.z * tiles + blockIdx.x % tiles) * stats.rows + (stats.items ? p.item * g.o : 0);
}

// row_of is where the row of results begins that number r of a block's is of, or -1.
template <class T> __device__ __forceinline__ int row_of(const Bulk &g, const Place &p, int r) {
	int x = p.x + r % g.across, y = p.y + r / g.across % g.high, item = p.item + r / (g.across * g.high);
	if (x >= p.wide || y >= p.tall || item >= g.n) return -1;
	return ((item * g.h + y * g.phase + p.py) * g.w + x * g.phase + p.px) * g.o;
}

// plainly writes results that nothing is fused behind, two neighbours of every eight
// columns, and leaves their statistics if asked: threads' sums of a column pass
// through shared memory.
template <class T> __device__ __forceinline__ void plainly(const Bulk &g, const Place &p, const Stats &stats, const float (*acc)[T::COLS / 2], int first, int col, Ring<T> &ring,
	const float *bias, float *out) {
	constexpr int LINES = 32 * T::GROUPS, STRIDE = T::COLS + 8, PLANE = LINES * STRIDE;
	static_assert(2 * PLANE * 4 <= T::STAGES * T::STAGE && T::COLS <= 128 * T::GROUPS, "sums pass through the slices' memory");
	int t = threadIdx.x, at[2 * T::HIGH];
	float *mine = (float *)ring.slices + (t / 32 * 8 + t % 32 / 4) * STRIDE + t % 4 * 2;
#pragma unroll
	for (int i = 0; i < 2 * T::HIGH; i++) at[i] = row_of<T>(g, p, first + i / 2 * 64 + i % 2 * 8);
	if (stats.parts) {
		ring.join(0); // now nobody reads the slices
	}
#pragma unroll
	for (int j = 0; j < T::COLS / 8; j++) {
		Line<float, 2> a = {}, b = {}, base = {};
		if (bias && col + 8 * j < g.o) base = *(const Line<float, 2> *)(bias + col + 8 * j);
#pragma unroll
		for (int i = 0; i < 2 * T::HIGH; i++) {
			Line<float, 2> v = {{acc[i / 2][4 * j + i % 2 * 2] + base.of[0], acc[i / 2][4 * j + i % 2 * 2 + 1] + base.of[1]}};
			if (at[i] < 0) continue;
			if (col + 8 * j < g.o) *(Line<float, 2> *)(out + at[i] + col + 8 * j) = v;
			for (int e = 0; e < 2; e++) a.of[e] += v.of[e], b.of[e] += v.of[e] * v.of[e];
		}
		if (!stats.parts) continue;
		*(Line<float, 2> *)(mine + 8 * j) = a;
		*(Line<float, 2> *)(mine + PLANE + 8 * j) = b;
	}
	if (!stats.parts) return;
	ring.join(1);
	if (t >= T::COLS) return;
	double a = 0, b = 0;
	for (int i = 0; i < LINES; i++) a += ((float *)ring.slices)[i * STRIDE + t], b += ((float *)ring.slices)[PLANE + i * STRIDE + t];
	stats.put(place_of(g, p, stats), blockIdx.y * T::COLS + t, g.o, a, b);
}

// hand_out writes what a thread holds. What something is fused behind passes through
// shared memory, from which a loop takes it that is not unrolled: what can be
// fused is long.
template <class T> __device__ __forceinline__ void hand_out(const Bulk &g, const Place &p, const Post &fused, const Stats &stats, const float (*acc)[T::COLS / 2], Ring<T> &ring,
	const float *bias, float *out) {
	int t = threadIdx.x, first = t / 128 * (T::ROWS / T::GROUPS) + t % 128 / 32 * 16 + t % 32 / 4, col = blockIdx.y * T::COLS + t % 4 * 2;
	keep(col); // lest what bounds it stays in registers all along
	if (fused.kind0 == NOTHING && fused.kind1 == NOTHING && !fused.half && g.o % 2 == 0) {
		plainly<T>(g, p, stats, acc, first, col, ring, bias, out);
		return;
	}
	float *mine = (float *)ring.slices + t;
	ring.join(0); // now nobody reads the slices
#pragma unroll
	for (int i = 0; i < T::HIGH * T::COLS / 2; i++) mine[128 * T::GROUPS * i] = acc[i / (T::COLS / 2)][i % (T::COLS / 2)];
#pragma unroll 1
	for (int i = 0; i < T::HIGH * T::COLS / 2; i++) {
		int e = i % (T::COLS / 2), o = col + e / 4 * 8 + e % 2;
		int at = row_of<T>(g, p, first + i / (T::COLS / 2) * 64 + e / 2 % 2 * 8);
		if (at >= 0 && o < g.o) post(fused, mine[128 * T::GROUPS * i] + (bias ? bias[o] : 0), at + o, out);
	}
}

// bulk makes the results of a block.
template <class T> __device__ __forceinline__ void bulk(const Bulk &g, const Post &post, const Stats &stats, const TensorMap *a, const TensorMap *b, const float *bias, float *out) {
	Place p;
	if (!find<T>(g, p)) {
		if (stats.parts && threadIdx.x < T::COLS) stats.put(place_of(g, p, stats), blockIdx.y * T::COLS + threadIdx.x, g.o, 0, 0);
		return;
	}
	Ring<T> ring(g.trial);
	int t = threadIdx.x, group = t / 128, steps = p.taps * g.slices;
	if (group == T::GROUPS) {
		int tap = 0, slice = 0;
		if (t % 32) return;
		ring.bring(steps, [&](int, char *to, u64 *full) {
			bring<T>(g, p, a, b, to, full, tap, slice);
			if (++slice == g.slices) slice = 0, tap++;
		});
		return;
	}
	float acc[T::HIGH][T::COLS / 2] = {};
	ring.multiply(steps, [&](const char *from) {
		u64 x = wgmma_matrix(from + group * (T::A / T::GROUPS)), y = wgmma_matrix(from + T::A);
#pragma unroll
		for (int k = 0; k < 4; k++) {
#pragma unroll
			for (int m = 0; m < T::HIGH; m++) wgmma<T::BF16, T::COLS>(acc[m], x + m * (64 * T::LINE / 16) + 2 * k, y + 2 * k);
		}
	});
	hand_out<T>(g, p, post, stats, acc, ring, bias, out);
}
