// Tests of the fake's products, alone and in a ring of stages that a producer
// fills for two consumers, where each fault must show.
#include "bulk_test.h"
#include "run.h"

enum { DEPTH_BYTES = 128, TILE = 64 * DEPTH_BYTES }; // of a slice's rows, and of 64 rows

// put writes a thread's part of a tile, as the PTX manual's figure of the
// accumulator's fragments has it.
template <int N> static void put(float *out, int row, const float *d) {
	int t = threadIdx.x % 128, lane = t % 32;
	for (int j = 0; j < N / 8; j++)
		for (int e = 0; e < 4; e++) out[(row + t / 32 * 16 + lane / 4 + (e > 1 ? 8 : 0)) * N + 8 * j + lane % 4 * 2 + e % 2] = d[4 * j + e];
}

template <bool BF16, int N> static void multiply(const TensorMap &a, const TensorMap &b, float *out) {
	SHARED(char, memory);
	u64 *full = (u64 *)(memory + TILE + N * DEPTH_BYTES);
	if (threadIdx.x == 0) {
		barrier_init(full, 1);
		barriers_visible();
	}
	__syncthreads();
	if (threadIdx.x == 0) {
		barrier_expect(full, TILE + N * DEPTH_BYTES);
		bulk_load(memory, &a, full, 0, 0, 0, 0);
		bulk_load(memory + TILE, &b, full, 0, 0, 0, 0);
	}
	barrier_wait(full, 0);
	float d[N / 2];
	for (int i = 0; i < N / 2; i++) d[i] = 1;
	wgmma_fence();
	for (int k = 0; k < 4; k++) wgmma<BF16, N>(d, wgmma_matrix(memory) + 2 * k, wgmma_matrix(memory + TILE) + 2 * k);
	wgmma_commit();
	wgmma_wait<0>();
	put<N>(out, 0, d);
}
#define PRODUCT(name, bf16, n) extern "C" __global__ void name(const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b, float *out) { multiply<bf16, n>(a, b, out); }
PRODUCT(half8, true, 8)
PRODUCT(half64, true, 64)
PRODUCT(half256, true, 256)
PRODUCT(float8, false, 8)
PRODUCT(float64, false, 64)
PRODUCT(float256, false, 256)

// Matrix is rows of numbers in global memory and as float.
struct Matrix {
	TensorMap map;
	std::vector<float> of;
	int depth;
};
static void make(Matrix &m, bool half, int rows, int slices) {
	int depth = m.depth = slices * DEPTH_BYTES / (half ? 2 : 4);
	unsigned short *h = device<unsigned short>(half ? rows * depth : 1);
	float *f = device<float>(half ? 1 : rows * depth);
	m.of.resize(rows * depth);
	for (int i = 0; i < rows * depth; i++) {
		float x = number() / 3;
		if (half) m.of[i] = from_bf16(h[i] = bf16(x));
		else m.of[i] = __uint_as_float(__float_as_uint(f[i] = x) & 0xffffe000);
	}
	u64 pitch = slices * DEPTH_BYTES;
	Shape s = {half ? BFLOAT16 : FLOAT32, 4, {(u64)depth, (u64)rows, 1, 1}, {pitch, pitch * rows, pitch * rows},
		{(unsigned)(depth / slices), (unsigned)(rows < 64 ? rows : rows % 256 ? 64 : 256), 1, 1}, {1, 1, 1, 1}, true};
	must(encode(&m.map, s, half ? (void *)h : f), "cuTensorMapEncodeTiled");
}

// differ compares a tile with the sum of products, added to what was there.
static bool differ(const float *got, const Matrix &a, const Matrix &b, int rows, int n, double start) {
	for (int r = 0; r < rows; r++)
		for (int c = 0; c < n; c++) {
			double sum = start;
			for (int k = 0; k < a.depth; k++) sum += (double)a.of[r * a.depth + k] * b.of[c * b.depth + k];
			if (!(fabs(got[r * n + c] - sum) < 1e-4)) return true;
		}
	return false;
}

void products() {
	struct { const char *name; bool half; int n; } cases[] = {
		{"half8", true, 8}, {"half64", true, 64}, {"half256", true, 256}, {"float8", false, 8}, {"float64", false, 64}, {"float256", false, 256}};
	for (auto &c : cases) {
		static Matrix a, b;
		make(a, c.half, 64, 1);
		make(b, c.half, c.n, 1);
		float *out = device<float>(64 * c.n);
		for (int grid = 0; grid < 2; grid++) {
			memset(out, 0xff, 64 * c.n * 4);
			launch(c.name, 1, 128, TILE + c.n * DEPTH_BYTES + 8, {&a.map, &b.map, &out});
			if (differ(out, a, b, 64, c.n, 1)) printf("%s in grid %d\n", c.name, grid), exit(3);
		}
	}
}

enum { STAGES = 3, SLICES = 10, STAGE = 3 * TILE, SPARE = STAGES * STAGE, FREE = STAGES };
static const char *const faults[] = {"none", "data", "free", "early", "bytes", "alignment", "fence", "wait", "visible", "sync", "commit", "few", "differ", "place",
	"arrivals", "map", "slice", "parity", "written", "over", "twice", "tail", "unwaited", "deep"};
enum { NONE, DATA, STAGE_FREE, EARLY, BYTES, ALIGNMENT, FENCE, WAIT, VISIBLE, SYNC, COMMIT, FEW, DIFFER, PLACE, ARRIVALS, MAP, SLICE, PARITY, WRITTEN, OVER, TWICE, TAIL, UNWAITED, DEEP };

static void produce(const TensorMap &a, const TensorMap &b, char *memory, u64 *bar, int fault) {
	for (int s = 0; s < SLICES; s++) {
		int stage = s % STAGES, turn = s / STAGES;
		char *to = memory + stage * STAGE;
		u64 *full = bar + stage;
		if (fault != STAGE_FREE || s != 8) barrier_wait(full + FREE, (turn & 1) ^ 1);
		barrier_expect(full, fault == BYTES && s == 4 ? STAGE - 16 : STAGE);
		if (fault == ARRIVALS) barrier_arrive(full);
		for (int m = 0; m < 2; m++) bulk_load(to + m * TILE, &a, full, s * 64, 64 * m, 0, 0);
		bulk_load(to + 2 * TILE + (fault == PLACE ? 64 : 0), &b, full, s * 64, 0, 0, 0);
	}
	if (fault == UNWAITED) bulk_load(memory + SPARE, &a, bar + 2 * FREE, 0, 0, 0, 0);
}

static void consume(float *out, char *memory, u64 *bar, int fault) {
	int group = threadIdx.x / 128, first = threadIdx.x % 128;
	float d[32];
	for (int i = 0; i < 32; i++) d[i] = 0;
	for (int s = 0; s < SLICES; s++) {
		int stage = s % STAGES, turn = s / STAGES;
		char *from = memory + stage * STAGE;
		if (fault != DATA || group || s != 5) barrier_wait(bar + stage, (turn & 1) ^ (fault == PARITY));
		if (fault == FEW && first == 127) return;
		u64 a = wgmma_matrix(from + group * TILE + (fault == ALIGNMENT ? 128 : 0)), b = wgmma_matrix(from + 2 * TILE);
		if (fault == DIFFER && first == 9) b += 64;
		if (fault == SLICE) b += 2;
		if (fault != FENCE || s < 5) wgmma_fence();
		for (int k = 0; k < 4; k++) wgmma<true, 64>(d, a + 2 * k, b + 2 * k);
		if (fault == WRITTEN && s == 3) d[5] = 0;
		if (fault != COMMIT) wgmma_commit();
		if (fault == EARLY && first == 0) barrier_arrive(bar + stage + FREE);
		if (fault == EARLY) wgmma_wait<0>();
		if (fault == EARLY) continue;
		// The products before these are done, and with them the stage before.
		wgmma_wait<1>();
		if (s && first == 0) barrier_arrive(bar + (s - 1) % STAGES + FREE);
		if (fault == TWICE && s == 2 && first == 0) barrier_arrive(bar + (s - 1) % STAGES + FREE), barrier_arrive(bar + (s - 1) % STAGES + FREE);
	}
	if (fault == WAIT) put<64>(out, group * 64, d);
	wgmma_wait<0>();
	if (fault != WAIT) put<64>(out, group * 64, d);
}

extern "C" __global__ void ring_of_stages(const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b, float *out, int fault, int bytes) {
	SHARED(char, memory);
	u64 *bar = (u64 *)(memory + SPARE + TILE);
	if (threadIdx.x == 0) {
		for (int s = 0; s < STAGES; s++) {
			barrier_init(bar + s, 1);
			barrier_init(bar + s + FREE, 2);
		}
		barrier_init(bar + 2 * FREE, 1);
		if (fault != VISIBLE) barriers_visible();
	}
	if (fault != SYNC) __syncthreads();
	if (fault == OVER) *(int *)(memory + SPARE + TILE + 4) = 0;
	if (fault == TAIL && threadIdx.x == 0) memory[bytes] = 0;
	if (threadIdx.x >= 256) {
		if (threadIdx.x == 256) produce(a, b, memory, bar, fault);
		return;
	}
	consume(out, memory, bar, fault);
	if (fault == DEEP) {
		if (threadIdx.x < 128) __syncthreads();
		else __syncthreads();
	}
}

// ring multiplies 128 rows by 64 in ten slices, with a fault by name.
void ring(const char *name, bool at_once) {
	int fault = -1, n = sizeof faults / sizeof *faults;
	for (int i = 0; i < n; i++)
		if (!strcmp(name, faults[i])) fault = i;
	if (fault < 0) printf("no test %s\n", name), exit(4);
	static Matrix a, b;
	make(a, true, 128, SLICES);
	make(b, true, 64, SLICES);
	if (fault == MAP) a.map.of[5] ^= 1;
	float *out = device<float>(128 * 64);
	int bytes = SPARE + TILE + 7 * 8;
	bool wrong = false;
	backwards = at_once;
	for (int grid = 0; grid < 2; grid++) {
		memset(out, 0xff, 128 * 64 * 4);
		launch("ring_of_stages", 1, 288, bytes, {&a.map, &b.map, &out, &fault, &bytes});
		if (differ(out, a, b, 128, 64, 0)) printf("wrong numbers, copies %s\n", backwards ? "late" : "at once"), wrong = true;
	}
	exit(wrong ? 3 : 0);
}

extern "C" __global__ void load_box(const __grid_constant__ TensorMap m, char *out, int bytes, int to, int rank, int c0, int c1, int c2, int c3, int c4);
const Entry entries[] = {ENTRY(load_box), ENTRY(half8), ENTRY(half64), ENTRY(half256), ENTRY(float8), ENTRY(float64), ENTRY(float256), ENTRY(ring_of_stages), {0, 0, 0, 0, 0}};
