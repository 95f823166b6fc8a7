// What a block does with slices (tile.cu): it has them brought, multiplies them, and
// hands its sums out.

// Reader reads a warp's fragments of a side, COUNT of 16 rows or columns: four parts
// of 8 by 16 bytes of the depth as mma.sync wants them. For the first matrix the
// next 8 rows come before the next 16 bytes, for the second behind. Where parts lie
// in a slice is found once; those that are not kept are a constant further on or, by
// how units are turned, an exclusive or with one away.
template <class T, class S, bool FIRST, int COUNT> struct Reader {
	static constexpr int BLOCKS = S::SINGLY ? 2 * COUNT : COUNT; // within 128 bytes lie 4
	static constexpr int KEPT = S::DEEP ? 1 : BLOCKS < 4 ? BLOCKS : 4;
	static_assert(16 % S::TURNS == 0 && (!S::SINGLY || 4 % S::TURNS == 0), "lines further on are turned alike");
	int at[KEPT];

	__device__ __forceinline__ Reader(int r) {
		int lane = threadIdx.x % 32, down = FIRST ? lane / 8 % 2 : lane / 16, deep = FIRST ? lane / 16 : lane / 8 % 2;
#pragma unroll
		for (int i = 0; i < KEPT; i++) {
			if (S::DEEP) at[i] = S::of(r + 8 * down + lane % 8, T::UNIT * deep);
			else if (S::SINGLY) at[i] = S::of(r + 8 * i + lane / 4, lane % 4);
			else at[i] = S::of(r + 16 * i + 8 * down, T::UNIT * deep + lane % 8);
			keep(at[i]);
		}
	}

	// read reads fragment i of a step of the depth from the slice at byte now.
	__device__ __forceinline__ void read(unsigned *x, Address slices, const char *memory, int now, int i, int step) const {
		if (S::DEEP) ldmatrix(x, flip(slices + (now + at[0]), step * T::STEP * T::BYTES) + i * 16 * S::BYTES);
		else if (!S::SINGLY) ldmatrix_trans(x, slices + (now + at[i % KEPT]) + i / KEPT * 128 + step * T::STEP * S::BYTES);
		else {
#pragma unroll
			for (int j = 0; j < 4; j++) {
				int block = 2 * i + (FIRST ? j % 2 : j / 2), line = step * T::STEP + 4 * (FIRST ? j / 2 : j % 2);
				x[j] = *(const unsigned *)(memory + (now + at[block % KEPT]) + block / KEPT * 128 + line * S::BYTES);
			}
		}
		if (T::PREC == TF32) {
#pragma unroll
			for (int j = 0; j < 4; j++) x[j] = to_tf32(x[j]);
		}
	}
};

// quad reads four numbers along the depth.
template <class T, class S> __device__ __forceinline__ Line<float, 4> quad(const char *slice, int r, int k, Kind<true>) {
	return *(const Line<float, 4> *)(slice + S::of(r, k));
}
template <class T, class S> __device__ __forceinline__ Line<float, 4> quad(const char *slice, int r, int k, Kind<false>) {
	Line<float, 4> x;
#pragma unroll
	for (int i = 0; i < 4; i++) x.of[i] = *(const float *)(slice + S::of(r, k + i));
	return x;
}

// Multiplier adds the products of a slice, at byte now of slices, to a thread's
// results; the second, by tensor cores.
template <class T, class A, class B, bool CORES> struct Multiplier {
	static constexpr int M = T::ROWS / 16, N = T::COLS / 16;
	const char *slices;
	__device__ __forceinline__ void multiply(int now, float *acc) const {
		const char *a = slices + now, *b = a + T::A;
		for (int k = 0; k < T::DEPTH; k += 4) {
			Line<float, 4> x[M], y[N];
#pragma unroll
			for (int i = 0; i < M; i++) x[i] = quad<T, A>(a, threadIdx.x / 16 + 16 * i, k, Kind<A::DEEP>());
#pragma unroll
			for (int j = 0; j < N; j++) y[j] = quad<T, B>(b, threadIdx.x % 16 + 16 * j, k, Kind<B::DEEP>());
#pragma unroll
			for (int q = 0; q < 4; q++) {
#pragma unroll
				for (int e = 0; e < M * N; e++) acc[e] += x[e / N].of[q] * y[e % N].of[q];
			}
		}
	}
	__device__ __forceinline__ Multiplier(const char *memory, Address) : slices(memory) {}
};

template <class T, class A, class B> struct Multiplier<T, A, B, true> {
	static constexpr int DOWN = T::ROWS / T::DOWN, ACROSS = T::COLS / T::ACROSS; // rows and columns of a warp
	const char *memory;
	Address slices;
	Reader<T, A, true, T::HIGH> a;
	Reader<T, B, false, T::WIDE / 2> b;
	__device__ __forceinline__ Multiplier(const char *memory, Address slices)
		: memory(memory), slices(slices), a(threadIdx.x / 32 / T::ACROSS * DOWN), b(threadIdx.x / 32 % T::ACROSS * ACROSS) {}
	__device__ __forceinline__ void multiply(int now, float *acc) const {
#pragma unroll
		for (int step = 0; step < T::DEPTH / T::STEP; step++) {
			unsigned y[2 * T::WIDE];
#pragma unroll
			for (int j = 0; j < T::WIDE / 2; j++) b.read(y + 4 * j, slices + T::A, memory + T::A, now, j, step);
#pragma unroll
			for (int i = 0; i < T::HIGH; i++) {
				unsigned x[4];
				a.read(x, slices, memory, now, i, step);
#pragma unroll
				for (int j = 0; j < T::WIDE; j++) mma<T::BYTES == 2>(acc + (i * T::WIDE + j) * 4, x, y + 2 * j);
			}
		}
	}
};

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

template <class S, class O> __device__ __forceinline__ S &either(S &first, O &, Kind<true>) { return first; }
template <class F, class S> __device__ __forceinline__ S &either(F &, S &second, Kind<false>) { return second; }

// product adds the products of the depths [k, end) to acc. Each turn of the loop
// is behind one barrier: then the slice it multiplies is there for all threads,
// and the one before, whose place the slice STAGES-1 ahead takes, read by all. A
// group of copies is closed in each turn, be it empty, so that all but the last
// STAGES-2 groups are those that this turn needs. The first turns only bring.
template <class T, class LA, class LB>
__device__ __forceinline__ void product(const LA &la, const void *adata, bool ahalf, const LB &lb, const void *bdata, bool bhalf, int k, int end, Shared<T> *s, float *acc) {
	typedef Side<T, LA::DEEP, T::ROWS> A;
	typedef Side<T, LB::DEEP, T::COLS> B;
	constexpr int SLICE = T::A + T::B, AHEAD = T::STAGES - 1;
	char *memory = s->slices[0];
	Address slices = shared_address(memory);
	Slices<T, LA::FLAT> first(la.radix(), k);
	Slices<T, LB::FLAT> other(lb.radix(), k);
	Slices<T, LB::FLAT> &second = either(first, other, Kind<LB::PAIRED>());
	Matrix<T, A, LA> a(la, adata, ahalf, first);
	Matrix<T, B, LB> b(lb, bdata, bhalf, second);
	if (A::DEEP == B::DEEP && A::LINE == B::LINE) b.first = a.first;
	Multiplier<T, A, B, T::PREC != F32> m(memory, slices);
	int count = (end - k + T::DEPTH - 1) / T::DEPTH, to = 0; // the byte of the slice that is brought
	for (int turn = -AHEAD; turn < count; turn++) {
		if (turn >= 0) {
			wait_copies<T::STAGES - 2>();
			__syncthreads();
		}
		bool more = turn + AHEAD < count;
		if (more) {
			bool anew = first.next(LA::STEADY);
			if (anew) a.find();
			if (LB::PAIRED ? anew : second.next(LB::STEADY)) b.find();
			a.start(slices + to);
			b.start(slices + to + T::A);
		}
		close_copies();
		int now = to + SLICE < T::STAGES * SLICE ? to + SLICE : 0;
		if (turn >= 0) m.multiply(now, acc);
		if (more) {
			a.finish(memory + to);
			b.finish(memory + to + T::A);
		}
		to = now;
	}
}
