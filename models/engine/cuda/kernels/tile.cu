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
	static constexpr int BYTES = LINE * T::BYTES; // of a line
	// Short lines lie PACK in 128 bytes. After TURNS lines they are turned alike.
	static constexpr int PACK = UNITS < 8 ? 8 / UNITS : 1, SPAN = UNITS < 8 ? UNITS : 8;
	// Numbers of 4 bytes that do not run along the depth are read one by one: two
	// units of each of four lines.
	static constexpr bool SINGLY = !DEEP && T::BYTES == 4;
	static constexpr int TURNS = PACK * (SINGLY ? SPAN / 2 : SPAN);

	// of is the byte of a row or column at a depth.
	static __device__ __forceinline__ int of(int r, int k) {
		int line = DEEP ? r : k, e = DEEP ? k : r;
		int turn = SINGLY ? line / PACK % (SPAN / 2) * 2 : line / PACK % SPAN;
		return (line * UNITS + (e / T::UNIT ^ turn)) * 16 + e % T::UNIT * T::BYTES;
	}
};

// NONE is the place of a number that is 0. It is a multiple of every size.
static constexpr int NONE = -2147483647 - 1;

// Row is where a row of a block lies: its picture's first pixel, a place in it, and
// the element there, or NONE where not all that the row reads lies inside.
struct alignas(16) Row {
	int picture, y, x, inside;
};

// A block's memory: slices of both matrices, and its rows.
template <class T> struct Shared {
	char slices[T::STAGES][T::A + T::B];
	Row rows[T::ROWS];
};

// Kind chooses among functions when the kernels are compiled.
template <bool B> struct Kind {};

// Digits is a place along the depth, as a number of the digits low, mid and high:
// a channel of a tap of a row of taps, say. Radix says how many there are of the
// lower ones; where FLAT, the depth has one digit. To add to a place takes no
// division: what is added is less than 256, and packed so that it takes one register.
struct Digits {
	int low, mid, high;
};
template <bool FLAT> struct Radix {
	int lows, mids;
	__device__ __forceinline__ Digits of(int k) const {
		if (FLAT || k < lows) return {k, 0, 0};
		return {k % lows, k / lows % mids, k / lows / mids};
	}
	__device__ __forceinline__ int packed(int k) const {
		Digits d = of(k);
		return d.low | d.mid << 8 | d.high << 16;
	}
	__device__ __forceinline__ Digits add(const Digits &a, int packed) const {
		if (FLAT) return {a.low + packed, 0, 0};
		keep(packed); // or it is unpacked before the loop
		Digits sum = {a.low + (packed & 0xff), a.mid + (packed >> 8 & 0xff), a.high + (packed >> 16)};
		if (sum.low >= lows) sum.low -= lows, sum.mid++;
		if (sum.mid >= mids) sum.mid -= mids, sum.high++;
		return sum;
	}
};

// Slices are met one after the other along a depth. left is what a slice's run of the
// lowest digit, a tap, has left, and moved how far it is from the slice in which
// numbers were found: while it and the one before are of one run, all lie as much
// further on.
template <class T, bool FLAT> struct Slices {
	Radix<FLAT> radix;
	Digits at;
	int deep, left, moved; // deep: a slice's depth, packed
	__device__ __forceinline__ Slices(const Radix<FLAT> &r, int k) : radix(r), at(r.of(k)), deep(r.packed(T::DEPTH)), left(0), moved(0) {}

	// next goes to the next slice, at first to the first, and says whether numbers must
	// be found.
	__device__ __forceinline__ bool next(bool steady) {
		if (steady && left >= 2 * T::DEPTH) {
			left -= T::DEPTH;
			moved += T::DEPTH;
			return false;
		}
		if (left > 0) at = radix.add(place(), deep);
		left = radix.lows - at.low;
		moved = 0;
		return true;
	}
	__device__ __forceinline__ Digits place() const { return {radix.lows - left, at.mid, at.high}; }
	__device__ __forceinline__ bool whole() const { return left >= T::DEPTH; }
};

// Share is how the threads of a block bring a slice W numbers at a time: each has a
// place in a line and every STEPth line. PART: some threads bring nothing.
template <class T, class S, int W> struct Share {
	static constexpr int WIDTH = W, PER = S::LINE / W, STEP = T::THREADS / PER, COUNT = (S::LINES + STEP - 1) / STEP;
	static constexpr bool PART = STEP > S::LINES;
	static_assert(T::THREADS % PER == 0, "a thread keeps its place in a line");
	static __device__ __forceinline__ int line() { return threadIdx.x / PER; }
	static __device__ __forceinline__ int e() { return threadIdx.x % PER * W; }
	static __device__ __forceinline__ bool idle() { return PART && line() >= S::LINES; }
	// to is the byte of the i-th of what this thread brings; first is that of the 0th.
	static __device__ __forceinline__ int to(int first, int i) {
		if (STEP % S::TURNS == 0) return first + i * STEP * S::BYTES;
		return S::DEEP ? S::of(line() + i * STEP, e()) : S::of(e(), line() + i * STEP);
	}
	static __device__ __forceinline__ int first() { return S::DEEP ? S::of(line(), e()) : S::of(e(), line()); }
};

// Matrix is where the numbers of a side come from: L says at which element the one
// of a row and a place along the depth lies. Where units is true, those of 16
// bytes in shared memory lie together here, too, at a multiple of their size. Then
// a thread keeps where its lines lie.
template <class T, class S, class L> struct Matrix {
	typedef Share<T, S, T::UNIT> Units;
	typedef Share<T, S, 1> Singles;
	static constexpr int HELD = T::PREC != BF16 ? 1 : Units::COUNT * T::UNIT > Singles::COUNT ? Units::COUNT * T::UNIT : Singles::COUNT;
	L l;
	const char *data;
	bool units, half; // half: it lies as bfloat16
	const Slices<T, L::FLAT> &slices;
	int own, step; // packed: this thread's first number in a slice, how far its next line is
	int first, line[Units::COUNT];
	float held[HELD];

	__device__ __forceinline__ Matrix(const L &of, const void *from, bool lies, const Slices<T, L::FLAT> &slices) : l(of), data((const char *)from), half(lies), slices(slices) {
		units = T::PREC == HALF || l.units(T::UNIT);
		int line = units ? Units::line() : Singles::line(), e = units ? Units::e() : Singles::e();
		own = slices.radix.packed(S::DEEP ? e : line);
		step = slices.radix.packed(units ? Units::STEP : Singles::STEP);
		l.place(e, units ? T::UNIT : 1);
		first = Units::first();
		keep(first);
#pragma unroll
		for (int i = 0; i < Units::COUNT; i++) this->line[i] = 0;
#pragma unroll
		for (int i = 0; i < HELD; i++) held[i] = 0;
	}

	// find finds where this thread's lines of the slice lie.
	__device__ __forceinline__ void find() {
		if (units) walk<Units, Units::COUNT>([&](int i, int at) { line[i] = at; });
	}

	// walk calls f with the element of each of what this thread brings.
	template <class W, int UNROLL, class F> __device__ __forceinline__ void walk(const F &f) const {
		const Radix<L::FLAT> &radix = slices.radix;
		Digits slice = slices.place();
		if (!S::DEEP && !L::FLAT && (!L::STEADY || W::WIDTH == 1) && slices.whole()) {
#pragma unroll UNROLL
			for (int i = 0; i < W::COUNT; i++) f(i, l.at({slice.low + W::line() + i * W::STEP, slice.mid, slice.high}, 0));
			return;
		}
		Digits at = radix.add(slice, own);
#pragma unroll UNROLL
		for (int i = 0; i < W::COUNT; i++) {
			f(i, l.at(at, W::line() + i * W::STEP));
			if (!S::DEEP) at = radix.add(at, step);
		}
	}

	// copied says that units are copied as they lie.
	__device__ __forceinline__ bool copied() const { return units && (T::PREC != BF16 || half); }

	// start begins to bring the slice; what passes registers is there once finish has
	// been called, too.
	__device__ __forceinline__ void start(Address slice) {
		if (copied()) {
			if (Units::idle()) return;
			const char *from = data + (long long)(slices.moved * l.along()) * T::BYTES;
			keep(from);
#pragma unroll
			for (int i = 0; i < Units::COUNT; i++) copy_async<16>(slice + Units::to(first, i), from + (long long)line[i] * T::BYTES, line[L::BORDERS ? i : 0]);
		} else if (T::PREC != HALF) other(slice, Kind<T::PREC == BF16>());
	}
	__device__ __forceinline__ void other(Address slice, Kind<false>) const {
		if (Singles::idle()) return;
		int first = Singles::first(); // not kept
		walk<Singles, 4>([&](int i, int at) { copy_async<4>(slice + Singles::to(first, i), data + (long long)at * 4, at); });
	}
	__device__ __forceinline__ void other(Address, Kind<true>) {
		if (units ? Units::idle() : Singles::idle()) return;
		if (units) {
			const char *from = data + (long long)(slices.moved * l.along()) * 4;
			keep(from);
#pragma unroll
			for (int i = 0; i < Units::COUNT; i++) {
				Line<float, T::UNIT> x = {};
				if (line[i] >= 0) x = *(const Line<float, T::UNIT> *)(from + (long long)line[i] * 4);
#pragma unroll
				for (int j = 0; j < T::UNIT; j++) held[i * T::UNIT + j] = x.of[j];
			}
		} else if (half) {
			walk<Singles, Singles::COUNT>([&](int i, int at) { held[i] = at < 0 ? 0 : __uint_as_float(((const unsigned short *)data)[at]); });
		} else {
			walk<Singles, Singles::COUNT>([&](int i, int at) { held[i] = at < 0 ? 0 : ((const float *)data)[at]; });
		}
	}

	__device__ __forceinline__ void finish(char *slice) const {
		if (T::PREC != BF16 || copied() || (units ? Units::idle() : Singles::idle())) return;
		if (units) {
#pragma unroll
			for (int i = 0; i < Units::COUNT; i++) {
				Line<unsigned, 4> x;
#pragma unroll
				for (int j = 0; j < 4; j++) x.of[j] = two_bf16(held[i * T::UNIT + 2 * j], held[i * T::UNIT + 2 * j + 1]);
				*(Line<unsigned, 4> *)(slice + Units::to(first, i)) = x;
			}
			return;
		}
		int first = Singles::first(); // not kept
#pragma unroll
		for (int i = 0; i < Singles::COUNT; i++) {
			*(unsigned short *)(slice + Singles::to(first, i)) = half ? __float_as_uint(held[i]) : two_bf16(held[i], 0);
		}
	}
};
