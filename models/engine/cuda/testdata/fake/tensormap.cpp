// Tensor maps: what cuTensorMapEncodeTiled takes, by CUDA's driver interface, and
// the copy of a box, by the PTX manual's "tiled mode".
#include "run.h"

static const u64 MAGIC = 0x70616d726f736e74;

static u64 checksum(const TensorMap &m) {
	u64 sum = 14695981039346656037ull;
	for (int i = 0; i < 15; i++) sum = (sum ^ m.of[i]) * 1099511628211ull;
	return sum;
}

// wrong says that the strides are none of dimensions that hold each other: each a
// multiple of 16 and of the one before, and as large in bytes as its dimension has
// elements. A first stride that is less than the first dimension makes windows
// that overlap, which nothing forbids.
static bool wrong(unsigned rank, const u64 *dim, const u64 *stride) {
	for (unsigned i = 0; i + 1 < rank; i++) {
		if (!stride[i] || stride[i] % 16 || stride[i] >> 40) return true;
		if (!i && fault("overlap", 0) && stride[0] < 2 * dim[0]) return true; // as nobody says it does
		if (i && (stride[i] % stride[i - 1] || stride[i] < dim[i])) return true;
	}
	return false;
}

int encode_map(TensorMap *m, int type, unsigned rank, void *address, const u64 *dim, const u64 *stride, const unsigned *box, const unsigned *step, int interleave, int swizzle, int promotion, int fill) {
	enum { INVALID = 1, FLOAT32 = 7, BFLOAT16 = 9, LAST_TYPE = 12, SWIZZLE_128B = 3 };
	if ((uintptr_t)m % 64 || type < 0 || type > LAST_TYPE || !rank || rank > 5 || !address || (uintptr_t)address % 16) return INVALID;
	if (interleave < 0 || interleave > 2 || swizzle < 0 || swizzle > 3 || promotion < 0 || promotion > 3 || fill < 0 || fill > 1) return INVALID;
	if ((type != FLOAT32 && type != BFLOAT16) || interleave || (swizzle && swizzle != SWIZZLE_128B) || fill) {
		fprintf(stderr, "fake: no tensor map of type %d, interleave %d, swizzle %d and fill %d is known here\n", type, interleave, swizzle, fill);
		abort();
	}
	Box b = {};
	b.size = type == FLOAT32 ? 4 : 2;
	for (unsigned i = 0; i < rank; i++) {
		if (!dim[i] || dim[i] > 1ull << 32 || !box[i] || box[i] > 256 || !step[i] || step[i] > 8) return INVALID;
		b.last[i] = dim[i] - 1;
		b.box[i] = box[i] - 1;
		b.step[i] = step[i];
	}
	// The driver's reference passes over the first step, PTX wants it to be 1.
	unsigned inner = box[0] * b.size;
	if (step[0] != 1 || inner % 16 || (swizzle && inner > 128) || wrong(rank, dim, stride)) return INVALID;
	for (unsigned i = 0; i + 1 < rank; i++) b.stride[i] = stride[i];
	b.address = (u64)address;
	b.rank = rank;
	b.swizzle = swizzle != 0;
	static_assert(sizeof b <= sizeof m->of - 16, "a map's contents with magic and checksum");
	memset(m, 0x5a, sizeof *m);
	m->of[0] = MAGIC;
	memcpy(m->of + 1, &b, sizeof b);
	m->of[15] = checksum(*m);
	return 0;
}

Box map_box(const TensorMap *m) {
	if ((uintptr_t)m % 64) fail("a tensor map that is not at a multiple of 64");
	if (m->of[0] != MAGIC || m->of[15] != checksum(*m)) fail("a tensor map that cuTensorMapEncodeTiled did not make, or that was changed");
	Box b;
	memcpy(&b, m->of + 1, sizeof b);
	return b;
}

// taken is how many elements a copy brings of a dimension.
static int taken(const Box &b, int i) { return b.box[i] / b.step[i] + 1; }

unsigned box_bytes(const Box &b) {
	unsigned n = b.size;
	for (int i = 0; i < b.rank; i++) n *= taken(b, i);
	return n;
}

// copy_row fills a row of the inner dimension: what is no part of the tensor is 0.
static void copy_row(char *row, const char *from, const Box &b, int first, bool outside) {
	long n = taken(b, 0), low = first < 0 ? -(long)first : 0, high = (long)b.last[0] + 1 - first;
	if (high > n) high = n;
	if (outside || low >= high) {
		memset(row, 0, n * b.size);
		return;
	}
	memset(row, 0, low * b.size);
	memcpy(row + low * b.size, from + (first + low) * b.size, (high - low) * b.size);
	memset(row + high * b.size, 0, (n - high) * b.size);
}

void copy_box(unsigned to, const Box &b, const int *at) {
	char row[256 * 4];
	unsigned inner = taken(b, 0) * b.size, rows = box_bytes(b) / inner;
	int i[5] = {};
	for (unsigned r = 0; r < rows; r++) {
		const char *from = (const char *)b.address;
		bool outside = false;
		for (int k = 1; k < b.rank; k++) {
			long c = (long)at[k] + i[k] * b.step[k];
			outside |= c < 0 || c > (long)b.last[k];
			from += c * (long)b.stride[k - 1];
		}
		copy_row(row, from, b, at[0], outside);
		for (unsigned n = 0; n < inner; n += 16) {
			unsigned a = to + r * inner + n;
			memcpy(shared_at(b.swizzle ? swizzled(a) : a), row + n, 16);
		}
		for (int k = 1; k < b.rank && ++i[k] == taken(b, k); k++) i[k] = 0;
	}
}
