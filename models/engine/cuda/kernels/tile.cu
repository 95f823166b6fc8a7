// Products of matrices, by tiles: a block makes ROWS x COLS sums in slices of
// DEPTH products that lie in shared memory, STAGES of them in turn. While it
// multiplies one slice the next are on their way. F32 multiplies and adds in
// float, the others by the tensor cores (mma.sync, sums in float). What is read
// lies as float and is copied asynchronously in F32 and TF32; in HALF it lies as
// bfloat16 and is copied so too; in BF16 it is rounded on its way through
// registers, where it does not lie as bfloat16 already.

enum { F32, BF16, TF32, HALF };

// A block has DOWN x ACROSS warps, each of which makes an equal part of the tile;
// in F32 its 256 threads make every 16th row and column. Whatever its shape, a
// sum is added up in the order of its products: all tiles give the same.
template <int PREC_, int ROWS_, int COLS_, int DEPTH_, int DOWN_, int ACROSS_, int STAGES_> struct Tile {
	static constexpr int PREC = PREC_, ROWS = ROWS_, COLS = COLS_, DEPTH = DEPTH_, DOWN = DOWN_, ACROSS = ACROSS_, STAGES = STAGES_;
	static constexpr int THREADS = 32 * DOWN * ACROSS, RESULTS = ROWS * COLS / THREADS;
	static constexpr int BYTES = PREC == BF16 || PREC == HALF ? 2 : 4, UNIT = 16 / BYTES; // of a number; numbers in 16 bytes
	static constexpr int STEP = 2 * UNIT; // the depth of an mma.sync
	static constexpr int HIGH = ROWS / DOWN / 16, WIDE = COLS / ACROSS / 8; // fragments of a warp
	static constexpr int A = ROWS * DEPTH * BYTES, B = COLS * DEPTH * BYTES;
};

// Side is one of both matrices in a slice. Its lines run along the depth where
// DEEP, else along its rows or columns, of which there are LENGTH. Lines lie one
// behind the other; the units of 16 bytes of line l are turned by an exclusive or
// with a number of l, so that the eight lines of a part of a fragment, or the
// threads that fill lines, meet all 32 banks.
template <class T, bool DEEP_, int LENGTH_> struct Side {
	static constexpr bool DEEP = DEEP_;
	static constexpr int LENGTH = LENGTH_, LINE = DEEP ? T::DEPTH : LENGTH, LINES = DEEP ? LENGTH : T::DEPTH, UNITS = LINE / T::UNIT;

	// of is the byte of a row or column at a depth.
	static __device__ __forceinline__ int of(int r, int k) {
		int line = DEEP ? r : k, e = DEEP ? k : r;
		// Short lines lie PACK in 128 bytes. Numbers of 4 bytes that do not run along
		// the depth are read one by one: two units of each of four lines.
		constexpr int PACK = UNITS < 8 ? 8 / UNITS : 1, SPAN = UNITS < 8 ? UNITS : 8;
		int turn = !DEEP && T::BYTES == 4 ? line / PACK % (SPAN / 2) * 2 : line / PACK % SPAN;
		return (line * UNITS + (e / T::UNIT ^ turn)) * 16 + e % T::UNIT * T::BYTES;
	}
};

// A block's memory: slices of both matrices, and where each of its rows lies.
template <class T> struct Shared {
	char slices[T::STAGES][T::A + T::B];
	int item[T::ROWS], y[T::ROWS], x[T::ROWS];
};

__device__ __forceinline__ float from_bf16(unsigned short x) { return __uint_as_float((unsigned)x << 16); }

// Matrix is where the numbers of a side come from: L says at which element the one
// of a row and a depth lies, or -1 where it is 0. Where units is true, those of 16
// bytes in shared memory lie together here, too, at a multiple of their size.
template <class T, class S, class L> struct Matrix {
	const L &l;
	const void *data;
	bool units, half; // half: it lies as bfloat16

	// walk calls f with what this thread brings of the slice at k: the W numbers
	// at a row and a depth, and their place among what it brings.
	template <int W, class F> __device__ __forceinline__ void walk(int k, int end, const F &f) const {
		constexpr int PER = S::LINE / W, COUNT = (S::LINES * PER + T::THREADS - 1) / T::THREADS;
		static_assert(T::THREADS % PER == 0, "a thread keeps its place in a line");
		int line = threadIdx.x / PER, e = threadIdx.x % PER * W;
#pragma unroll
		for (int i = 0; i < COUNT; i++, line += T::THREADS / PER) {
			if (S::LINES * PER % T::THREADS && line >= S::LINES) break;
			int r = S::DEEP ? line : e, d = S::DEEP ? e : line;
			f(i * W, S::of(r, d), k + d < end ? l.at(r, k + d) : -1);
		}
	}

	template <int W> __device__ __forceinline__ void copy(char *slice, int k, int end) const {
		constexpr int N = W * T::BYTES;
		const char *from = (const char *)data;
		walk<W>(k, end, [&](int, int to, long long at) { copy_async<N>(slice + to, from + (at < 0 ? 0 : at * T::BYTES), at < 0 ? 0 : N); });
	}

	template <int W> __device__ __forceinline__ void hold(float *held, int k, int end) const {
		walk<W>(k, end, [&](int i, int, long long at) {
			Line<float, W> x = {};
			if (at >= 0 && !half) x = *(const Line<float, W> *)((const float *)data + at);
			if (at >= 0 && half) {
				Line<unsigned short, W> h = *(const Line<unsigned short, W> *)((const unsigned short *)data + at);
#pragma unroll
				for (int j = 0; j < W; j++) x.of[j] = from_bf16(h.of[j]);
			}
#pragma unroll
			for (int j = 0; j < W; j++) held[i + j] = x.of[j];
		});
	}

	template <int W> __device__ __forceinline__ void round(const float *held, char *slice) const {
		walk<W>(0, 0, [&](int i, int to, long long) {
			Line<unsigned short, W> x;
#pragma unroll
			for (int j = 0; j < W; j++) x.of[j] = to_bf16(held[i + j]);
			*(Line<unsigned short, W> *)(slice + to) = x;
		});
	}

	// start begins to bring the slice at k; what passes registers is there once
	// finish has been called, too.
	__device__ __forceinline__ void start(float *held, char *slice, int k, int end) const {
		if (T::PREC == HALF || (T::BYTES == 4 && units)) copy<T::UNIT>(slice, k, end);
		else if (T::BYTES == 4) copy<T::BYTES == 4 ? 1 : T::UNIT>(slice, k, end);
		else if (units) hold<T::UNIT>(held, k, end);
		else hold<1>(held, k, end);
	}
	__device__ __forceinline__ void finish(const float *held, char *slice) const {
		if (T::PREC != BF16) return;
		if (units) round<T::UNIT>(held, slice);
		else round<1>(held, slice);
	}
};

// fragment reads four parts of 8 rows or columns by 16 bytes of the depth as
// mma.sync wants them: for the first matrix the next 8 rows come before the next
// 16 bytes, for the second behind.
template <class T, class S, bool FIRST> __device__ __forceinline__ void fragment(const char *slice, int r, int k, unsigned *x) {
	int lane = threadIdx.x % 32, down = FIRST ? lane / 8 % 2 : lane / 16, deep = FIRST ? lane / 16 : lane / 8 % 2;
	if (S::DEEP) ldmatrix(x, slice + S::of(r + 8 * down + lane % 8, k + T::UNIT * deep));
	else if (T::BYTES == 2) ldmatrix_trans(x, slice + S::of(r + 8 * down, k + T::UNIT * deep + lane % 8));
	else {
#pragma unroll
		for (int i = 0; i < 4; i++) x[i] = *(const unsigned *)(slice + S::of(r + 8 * (FIRST ? i % 2 : i / 2) + lane / 4, k + 4 * (FIRST ? i / 2 : i % 2) + lane % 4));
	}
	if (T::PREC == TF32) {
#pragma unroll
		for (int i = 0; i < 4; i++) x[i] = to_tf32(x[i]);
	}
}

// quad reads four numbers along the depth.
template <class T, class S> __device__ __forceinline__ Line<float, 4> quad(const char *slice, int r, int k) {
	if (S::DEEP) return *(const Line<float, 4> *)(slice + S::of(r, k));
	Line<float, 4> x;
#pragma unroll
	for (int i = 0; i < 4; i++) x.of[i] = *(const float *)(slice + S::of(r, k + i));
	return x;
}

// multiply adds the products of a slice to a thread's results.
template <class T, class A, class B> __device__ __forceinline__ void multiply(const char *a, const char *b, float *acc) {
	int t = threadIdx.x, warp = t / 32;
	if (T::PREC == F32) {
		constexpr int M = T::ROWS / 16, N = T::COLS / 16;
		for (int k = 0; k < T::DEPTH; k += 4) {
			Line<float, 4> x[M], y[N];
#pragma unroll
			for (int i = 0; i < M; i++) x[i] = quad<T, A>(a, t / 16 + 16 * i, k);
#pragma unroll
			for (int j = 0; j < N; j++) y[j] = quad<T, B>(b, t % 16 + 16 * j, k);
#pragma unroll
			for (int q = 0; q < 4; q++) {
#pragma unroll
				for (int e = 0; e < M * N; e++) acc[e] += x[e / N].of[q] * y[e % N].of[q];
			}
		}
		return;
	}
	int row = warp / T::ACROSS * (T::ROWS / T::DOWN), col = warp % T::ACROSS * (T::COLS / T::ACROSS);
#pragma unroll
	for (int k = 0; k < T::DEPTH; k += T::STEP) {
		unsigned y[2 * T::WIDE];
#pragma unroll
		for (int j = 0; j < T::WIDE; j += 2) fragment<T, B, false>(b, col + 8 * j, k, y + 2 * j);
#pragma unroll
		for (int i = 0; i < T::HIGH; i++) {
			unsigned x[4];
			fragment<T, A, true>(a, row + 16 * i, k, x);
#pragma unroll
			for (int j = 0; j < T::WIDE; j++) mma<T::BYTES == 2>(acc + (i * T::WIDE + j) * 4, x, y + 2 * j);
		}
	}
}

// deliver hands each result of a block to f with its row and column in the tile,
// neighbours in a row to neighbouring threads: 16 rows of each of the warps that
// stand above each other pass through shared memory at a time.
template <class T, class F> __device__ __forceinline__ void deliver(Shared<T> *s, const float *acc, const F &f) {
	constexpr bool WARPS = T::PREC != F32;
	constexpr int GROUPS = WARPS ? T::DOWN : 1, EACH = T::ROWS / GROUPS, STRIDE = T::COLS + 8, N = T::RESULTS / (EACH / 16);
	static_assert(GROUPS * 16 * STRIDE * 4 <= sizeof s->slices, "results pass through the slices' memory");
	float *pass = (float *)s->slices;
	int t = threadIdx.x, lane = t % 32, warp = t / 32;
#pragma unroll
	for (int i = 0; i < EACH / 16; i++) {
		__syncthreads();
#pragma unroll
		for (int e = 0; e < N; e++) {
			int row = WARPS ? warp / T::ACROSS * 16 + lane / 4 + 8 * (e / 2 % 2) : t / 16;
			int col = WARPS ? warp % T::ACROSS * (T::COLS / T::ACROSS) + e / 4 * 8 + lane % 4 * 2 + e % 2 : t % 16 + 16 * e;
			pass[row * STRIDE + col] = acc[i * N + e];
		}
		__syncthreads();
#pragma unroll 1
		for (int at = t; at < GROUPS * 16 * T::COLS; at += T::THREADS) {
			int row = at / T::COLS, col = at % T::COLS;
			f(row / 16 * EACH + i * 16 + row % 16, col, pass[row * STRIDE + col]);
		}
	}
}

// product adds the products of the depths [k, end) to acc. Each turn of the loop
// is behind one barrier: then the slice it multiplies is there for all threads,
// and the one before, whose place the slice STAGES-1 ahead takes, read by all. A
// group of copies is closed in each turn, be it empty, so that all but the last
// STAGES-2 groups are those that this turn needs.
template <class T, class LA, class LB>
__device__ __forceinline__ void product(const LA &la, const void *adata, bool ahalf, const LB &lb, const void *bdata, bool bhalf, int k, int end, Shared<T> *s, float *acc) {
	typedef Side<T, LA::DEEP, T::ROWS> A;
	typedef Side<T, LB::DEEP, T::COLS> B;
	Matrix<T, A, LA> a = {la, adata, la.units(T::UNIT), ahalf};
	Matrix<T, B, LB> b = {lb, bdata, lb.units(T::UNIT), bhalf};
	constexpr int HELD = T::PREC == BF16 ? T::DEPTH : 0; // a line's numbers that pass registers
	float x[T::ROWS * HELD / T::THREADS + 1], y[(T::COLS * HELD + T::THREADS - 1) / T::THREADS + T::UNIT];
	int now = 0, free = 0, begin = k; // slices; the first turns only bring
	for (k -= (T::STAGES - 1) * T::DEPTH; k < end; k += T::DEPTH) {
		bool ready = k >= begin;
		if (ready) {
			wait_copies<T::STAGES - 2>();
			__syncthreads();
		}
		int next = k + (T::STAGES - 1) * T::DEPTH;
		char *to = s->slices[free], *from = s->slices[now];
		if (next < end) {
			a.start(x, to, next, end);
			b.start(y, to + T::A, next, end);
		}
		close_copies();
		if (ready) multiply<T, A, B>(from, from + T::A, acc);
		if (next < end) {
			a.finish(x, to);
			b.finish(y, to + T::A);
		}
		free = free + 1 < T::STAGES ? free + 1 : 0;
		if (ready) now = now + 1 < T::STAGES ? now + 1 : 0;
	}
}
