// Tests of the fake's tensor maps and copies, and main, which runs a test by name.
#include "bulk_test.h"

extern "C" __global__ void load_box(const __grid_constant__ TensorMap m, char *out, int bytes, int to, int rank, int c0, int c1, int c2, int c3, int c4) {
	SHARED(char, memory);
	u64 *full = (u64 *)memory;
	if (threadIdx.x == 0) {
		barrier_init(full, 1);
		barriers_visible();
	}
	__syncthreads();
	if (threadIdx.x == 0) {
		barrier_expect(full, bytes);
		if (rank == 5) bulk_load(memory + to, &m, full, c0, c1, c2, c3, c4);
		else bulk_load(memory + to, &m, full, c0, c1, c2, c3);
	}
	if (!barrier_wait(full, 0)) return;
	for (int i = threadIdx.x; i < bytes; i += blockDim.x) out[i] = memory[to + i];
}

// at is the place of a row's 16 bytes, as the programming guide says: row y's
// chunk x lies at ((y+offset)%8)^x.
static int at(const Shape &s, int to, int byte) {
	if (!s.swizzle) return byte;
	int y = byte / 128, x = byte % 128 / 16, offset = to / 128 % 8;
	return y * 128 + (((y + offset) % 8) ^ x) * 16 + byte % 16;
}

static void check_box(const Shape &s, const char *data, int to, const int *start) {
	static TensorMap m;
	must(encode(&m, s, data), "cuTensorMapEncodeTiled");
	int size = s.type == FLOAT32 ? 4 : 2, n[5], bytes = size;
	for (unsigned i = 0; i < 5; i++) bytes *= n[i] = i < s.rank ? (s.box[i] + s.step[i] - 1) / s.step[i] : 1;
	char *out = device<char>(bytes);
	int rank = s.rank, c[5] = {start[0], start[1], start[2], start[3], start[4]};
	for (int grid = 0; grid < 2; grid++) {
		memset(out, 0x11, bytes);
		launch("load_box", 1, 64, to + bytes, {&m, &out, &bytes, &to, &rank, c, c + 1, c + 2, c + 3, c + 4});
		for (int e = 0; e < bytes / size; e++) {
			const char *from = data;
			bool inside = true;
			for (int i = 0, rest = e; i < rank; rest /= n[i++]) {
				long x = c[i] + (long)(rest % n[i]) * s.step[i];
				inside &= x >= 0 && x < (long)s.dim[i];
				from += x * (long)(i ? s.stride[i - 1] : size);
			}
			const char zero[4] = {}, *got = out + at(s, to, e * size);
			if (memcmp(got, inside ? from : zero, size)) {
				printf("box at %d %d %d %d %d, element %d in grid %d\n", c[0], c[1], c[2], c[3], c[4], e, grid);
				exit(3);
			}
		}
	}
}

// boxes loads boxes inside and across each border, of both types, with and without
// swizzle, at places where the swizzle does and does not begin, with steps of 2 and
// of windows that overlap.
void boxes() {
	const int W = 7, H = 6, N = 3, C = 64;
	char *half = device<char>(C * W * H * N * 2), *full = device<char>(C * W * H * N * 4);
	for (int i = 0; i < C * W * H * N * 2; i++) half[i] = rand();
	for (int i = 0; i < C * W * H * N * 4; i++) full[i] = rand();
	Shape picture = {BFLOAT16, 4, {C, W, H, N}, {C * 2, C * 2 * W, C * 2 * W * H}, {64, 4, 3, 2}, {1, 1, 1, 1}, true};
	Shape part = {BFLOAT16, 4, {C, W, H, N}, {C * 2, C * 2 * W, C * 2 * W * H}, {24, 4, 3, 2}, {1, 1, 1, 1}, false};
	Shape even = {FLOAT32, 4, {C, W, H, N}, {C * 4, C * 4 * W, C * 4 * W * H}, {32, 7, 4, 1}, {1, 2, 2, 1}, true};
	// Windows of three pixels, which overlap, and rows by phase.
	Shape windows = {BFLOAT16, 4, {3 * C, W - 2, H, N}, {C * 2, C * 2 * W, C * 2 * W * H}, {64, 4, 3, 1}, {1, 1, 2, 1}, true};
	Shape five = {FLOAT32, 5, {C, W, 2, H / 2, N}, {C * 4, C * 4 * W, C * 4 * W * 2, C * 4 * W * H}, {32, 4, 1, 2, 2}, {1, 1, 1, 1, 1}, true};
	Shape *shapes[] = {&picture, &part, &even, &windows, &five};
	for (Shape *s : shapes)
		for (int to : {1024, 1024 + 384})
			for (unsigned side = 0; side <= 2 * s->rank; side++) {
				int c[5] = {0, 1, 1, 0, 0};
				if (side) c[(side - 1) / 2] = side % 2 ? -2 : (int)s->dim[(side - 1) / 2] - 1;
				check_box(*s, s->type == FLOAT32 ? full : half, to, c);
			}
	int far[5] = {-1000000, 1 << 30, 0, 0, 0};
	check_box(picture, half, 1024, far);
}

// refusals breaks each rule of cuTensorMapEncodeTiled.
void refusals() {
	const Shape good = {BFLOAT16, 4, {64, 7, 6, 3}, {128, 896, 5376}, {64, 4, 3, 2}, {1, 1, 2, 1}, true};
	static TensorMap m[2];
	char *data = device<char>(64 * 7 * 6 * 3 * 2);
	must(encode(m, good, data), "a good map");
	int n = 0;
	auto refuse = [&](const char *what, void (*spoil)(Shape &)) {
		Shape s = good;
		spoil(s);
		n++;
		if (encode(m, s, data) != 1) printf("%s is taken\n", what), exit(3);
	};
	refuse("a box too wide", [](Shape &s) { s.box[1] = 257; });
	refuse("a box of nothing", [](Shape &s) { s.box[2] = 0; });
	refuse("a row wider than the swizzle", [](Shape &s) { s.box[0] = 72; });
	refuse("a row that is no multiple of 16 bytes", [](Shape &s) { s.box[0] = 12; s.swizzle = false; });
	refuse("a stride that is no multiple of 16", [](Shape &s) { s.stride[0] = 120; s.stride[1] = 840; s.stride[2] = 5040; });
	refuse("a stride that is no multiple of the one before", [](Shape &s) { s.stride[1] = 912; });
	refuse("a stride of 0", [](Shape &s) { s.stride[0] = 0; });
	refuse("a stride of 2^40", [](Shape &s) { s.stride[2] = 1ull << 40; s.stride[1] = s.stride[0] = 16; s.dim[1] = 16; });
	refuse("a stride less than its dimension", [](Shape &s) { s.dim[2] = 5377; });
	refuse("a step of 9", [](Shape &s) { s.step[1] = 9; });
	refuse("a step of 0", [](Shape &s) { s.step[1] = 0; });
	refuse("a step of the inner dimension", [](Shape &s) { s.step[0] = 2; });
	refuse("a dimension of 0", [](Shape &s) { s.dim[3] = 0; });
	refuse("a dimension above 2^32", [](Shape &s) { s.dim[0] = (1ull << 32) + 1; });
	refuse("rank 0", [](Shape &s) { s.rank = 0; });
	refuse("rank 6", [](Shape &s) { s.rank = 6; });
	refuse("type 13", [](Shape &s) { s.type = 13; });
	if (encode(m, good, data + 8) != 1 || encode(m, good, 0) != 1) printf("an address at a multiple of 8 is taken\n"), exit(3);
	if (encode((TensorMap *)((char *)m + 32), good, data) != 1) printf("a map at a multiple of 32 is taken\n"), exit(3);
	setenv("FAKE_CUDA", "capability=8", 1);
	if (encode(m, good, data) != 1) printf("a map for an older card is made\n"), exit(3);
	printf("%d rules\n", n);
}

int main(int n, char **arguments) {
	const char *name = n > 1 ? arguments[1] : "";
	if (!strcmp(name, "boxes")) boxes();
	else if (!strcmp(name, "refusals")) refusals();
	else if (!strcmp(name, "products")) products();
	else ring(name, n > 2);
}
