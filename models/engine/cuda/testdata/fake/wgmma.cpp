// Products of a warpgroup, after the PTX manual's "wgmma.mma_async", "matrix
// descriptor" and "strides": both operands in shared memory, swizzled by 128 bytes,
// both K-major or, of bfloat16, both MN-major.
#include "run.h"
#include <deque>
#include <map>

enum { GROUP = 128, GROUPS = THREADS / GROUP, ROWS = 64, MOST_COLUMNS = 256, ROW = 128, SLICE = 32 }; // bytes of a row, and of what a product takes of it

// In flight, a thread's registers hold this.
static const unsigned IN_FLIGHT = 0x7fc0dead;

// Sum is what products in flight add to: a tile of 64 rows in the registers of 128
// threads.
struct Sum {
	bool bf16;
	int n, products;
	float *d[GROUP];
	float v[ROWS * MOST_COLUMNS];
};
struct Product { u64 a, b; int n; bool bf16, across, done; int joined; long group, sum; };

static struct Warpgroup {
	std::deque<Product> products; // that no wait has covered
	std::map<long, Sum> sums;
	long first, next[GROUP], committed[GROUP], sum; // numbers: of the first product, of each thread's next and its groups, of the next sum
	bool fenced[GROUP];
	int waiting, keep;
} groups[GROUPS];

static Warpgroup &mine() {
	if (current / GROUP * GROUP + GROUP > blockDim.x) fail("wgmma in a warpgroup of less than 128 threads");
	return groups[current / GROUP];
}

u64 wgmma_matrix(const void *at) {
	return (shared_address(at, 16, 16, "wgmma_matrix") & 0x3ffff) >> 4 | 1ull << 16 | (u64)(1024 >> 4) << 32 | 1ull << 62;
}

u64 wgmma_turned(const void *at, int chunk) {
	return (shared_address(at, 1024, 16, "wgmma_turned") & 0x3ffff) >> 4 | (u64)(chunk >> 4) << 16 | (u64)(1024 >> 4) << 32 | 1ull << 62;
}

// unpack_across reads 16 of the depth of rows that lie across it: a number's 64
// neighbours along the rows in 128 bytes, eight of the depth in a pattern, the
// leading offset from 64 rows to the next, the stride from eight of the depth to
// the next.
static void unpack_across(float (*m)[16], u64 x, int rows) {
	unsigned start = (x & 0x3fff) << 4, leading = (x >> 16 & 0x3fff) << 4, stride = (x >> 32 & 0x3fff) << 4;
	if (x >> 62 != 1 || x >> 49 & 7) fail("wgmma: descriptor %llx is not of 128-byte swizzle at a pattern's start", x);
	if (start % 1024) fail("wgmma: a matrix across the depth at %u, not at the start of a pattern", start);
	if (stride < 1024 || stride % 1024) fail("wgmma: a stride of %u", stride);
	if (rows > 64 && (leading < 1024 || leading % 1024)) fail("wgmma: a leading offset of %u", leading);
	for (int r = 0; r < rows; r++)
		for (int k = 0; k < 16; k++) {
			unsigned short half;
			memcpy(&half, shared_at(swizzled(start + r / 64 * leading + k / 8 * stride + k % 8 * ROW + r % 64 * 2)), 2);
			m[r][k] = __uint_as_float((unsigned)half << 16);
		}
}

// check takes a descriptor apart.
static unsigned check(u64 x, int rows, unsigned *stride) {
	unsigned start = (x & 0x3fff) << 4;
	*stride = (x >> 32 & 0x3fff) << 4;
	if (x >> 62 != 1) fail("wgmma: layout %d, only 128-byte swizzle is known here", (int)(x >> 62));
	if ((x >> 16 & 0x3fff) != 1) fail("wgmma: a leading offset of %d, which the manual says is assumed to be 1", (int)(x >> 16 & 0x3fff));
	if (x >> 49 & 7) fail("wgmma: a base offset, which is for patterns that do not start at a multiple of 1024");
	if (x & ~(0x3fffull | 0x3fffull << 16 | 0x3fffull << 32 | 7ull << 49 | 3ull << 62)) fail("wgmma: descriptor %llx has bits that mean nothing", x);
	if (start & 0x380) fail("wgmma: a matrix at %u, not in the first row of a swizzle's 1024 bytes", start);
	if (start % ROW + SLICE > ROW) fail("wgmma: a slice at %u that runs out of its row of 128 bytes", start);
	if (rows > 8 && (*stride < 1024 || *stride % 1024)) fail("wgmma: a stride of %u", *stride);
	shared_address(shared_at(start / ROW * ROW), (rows / 8 - 1) * *stride + 8 * ROW, 16, "wgmma's matrix");
	return start;
}

// each calls f with the bytes of eight rows, until it says true.
template <class F> static bool each(u64 x, int rows, bool across, F f) {
	unsigned start = (x & 0x3fff) << 4, leading = (x >> 16 & 0x3fff) << 4, stride = (x >> 32 & 0x3fff) << 4, first = start / ROW * ROW;
	for (int r = 0; r < rows; r += across ? 64 : 8)
		for (int k = 0; k < (across ? 2 : 1); k++) {
			unsigned at = across ? start + r / 64 * leading + k * stride : first + r / 8 * stride;
			if (f(at, at + 8 * ROW)) return true;
		}
	return false;
}

bool in_use(unsigned from, unsigned to) {
	auto meets = [=](unsigned a, unsigned b) { return a < to && from < b; };
	for (auto &g : groups)
		for (auto &p : g.products)
			if (each(p.a, ROWS, p.across, meets) || each(p.b, p.n, p.across, meets)) return true;
	return false;
}

// unpack reads rows of 16 bfloat16 or 8 float, of which tensor cores take 19 bits.
static void unpack(float (*m)[16], u64 x, int rows, bool bf16) {
	unsigned stride, start = check(x, rows, &stride), word[SLICE / 4];
	for (int r = 0; r < rows; r++) {
		for (int half = 0; half < SLICE; half += 16)
			memcpy((char *)word + half, shared_at(swizzled(start + r / 8 * stride + r % 8 * ROW + half)), 16);
		for (int i = 0; i < SLICE / 4; i++) {
			if (bf16) {
				m[r][2 * i] = __uint_as_float(word[i] << 16);
				m[r][2 * i + 1] = __uint_as_float(word[i] & 0xffff0000);
			} else
				m[r][i] = __uint_as_float(word[i] & 0xffffe000);
		}
	}
}

__attribute__((optimize("O3"))) static void multiply(float *__restrict__ d, const float (*a)[16], const float *__restrict__ b, int n, int depth) {
	for (int r = 0; r < ROWS; r++)
		for (int k = 0; k < depth; k++) {
			float x = a[r][k], *row = d + r * n;
			const float *y = b + k * n;
			for (int c = 0; c < n; c++) row[c] += x * y[c];
		}
}

static void compute(Warpgroup &g, Product &p) {
	static float a[ROWS][16], b[MOST_COLUMNS][16], turned[16 * MOST_COLUMNS];
	int depth = p.bf16 ? 16 : 8;
	if (p.across) {
		unpack_across(a, p.a, ROWS);
		unpack_across(b, p.b, p.n);
	} else {
		unpack(a, p.a, ROWS, p.bf16);
		unpack(b, p.b, p.n, p.bf16);
	}
	for (int k = 0; k < depth; k++)
		for (int c = 0; c < p.n; c++) turned[k * p.n + c] = b[c][k];
	multiply(g.sums[p.sum].v, a, turned, p.n, depth);
	p.done = true;
}

// place is where the tile has a thread's register i.
static int place(int t, int i, int n) {
	int row = t / 32 * 16 + t % 32 / 4 + 8 * (i % 4 / 2), column = i / 4 * 8 + t % 4 * 2 + i % 2;
	return row * n + column;
}

// join has a thread's registers take part in a sum.
static void join(Warpgroup &g, Sum &s, int t, float *d) {
	for (auto &other : g.sums) {
		float *o = other.second.d[t];
		if (o && o < d + s.n / 2 && d < o + other.second.n / 2) fail("wgmma: registers that a product of another shape has in flight");
	}
	s.d[t] = d;
	for (int i = 0; i < s.n / 2; i++) {
		s.v[place(t, i, s.n)] = d[i];
		memcpy(d + i, &IN_FLIGHT, 4);
	}
}

// begin adds a product that a thread is the first to ask for.
static void begin(Warpgroup &g, Product p, int t, float *d) {
	unsigned stride;
	if (!p.across) {
		check(p.a, ROWS, &stride);
		check(p.b, p.n, &stride);
	}
	if (each(p.a, ROWS, p.across, coming) || each(p.b, p.n, p.across, coming)) fail("wgmma: a matrix that a bulk load still has to bring");
	p.sum = -1;
	for (auto &s : g.sums)
		if (s.second.d[t] == d && s.second.n == p.n && s.second.bf16 == p.bf16) p.sum = s.first;
	if (p.sum < 0) {
		p.sum = g.sum++;
		Sum &s = g.sums[p.sum];
		s.bf16 = p.bf16;
		s.n = p.n;
		s.products = 0;
		memset(s.d, 0, sizeof s.d);
	}
	g.sums[p.sum].products++;
	g.products.push_back(p);
}

static void product(float *d, u64 a, u64 b, int n, bool bf16, bool across) {
	Warpgroup &g = mine();
	int t = current % GROUP;
	if (!g.fenced[t]) fail("wgmma: no wgmma_fence before the first of a group, or behind a wait");
	if (g.next[t] == g.first + (long)g.products.size()) begin(g, {a, b, n, bf16, across, false, 0, g.committed[t], 0}, t, d);
	Product &p = g.products[g.next[t]++ - g.first];
	if (p.a != a || p.b != b) fail("wgmma: descriptors %llx and %llx, where another thread of the warpgroup has %llx and %llx", a, b, p.a, p.b);
	if (p.n != n || p.bf16 != bf16 || p.across != across || p.group != g.committed[t]) fail("wgmma: not what another thread of the warpgroup asked for");
	Sum &s = g.sums[p.sum];
	if (!s.d[t]) join(g, s, t, d);
	if (s.d[t] != d) fail("wgmma: other registers than the rest of the warpgroup");
	if (++p.joined == GROUP && backwards) compute(g, p);
}

void wgmma(float *d, u64 a, u64 b, int n, bool bf16) { product(d, a, b, n, bf16, false); }
void wgmma_across(float *d, u64 a, u64 b, int n) { product(d, a, b, n, true, true); }

void wgmma_fence() { mine().fenced[current % GROUP] = true; }
void wgmma_commit() {
	Warpgroup &g = mine();
	g.committed[current % GROUP]++;
	g.fenced[current % GROUP] = false;
}

// land gives threads their results.
static void land(Sum &s) {
	for (int t = 0; t < GROUP; t++)
		for (int i = 0; i < s.n / 2; i++) {
			if (memcmp(s.d[t] + i, &IN_FLIGHT, 4)) fail("wgmma: registers of a product in flight were written");
			s.d[t][i] = s.v[place(t, i, s.n)];
		}
}

// wait_all is a wait that all threads have come to.
static void wait_all(Warpgroup &g) {
	for (int t = 1; t < GROUP; t++)
		if (g.next[t] != g.next[0] || g.committed[t] != g.committed[0]) fail("wgmma_wait: the threads of a warpgroup asked for different products");
	while (!g.products.empty() && g.products.front().group < g.committed[0] - g.keep) {
		Product &p = g.products.front();
		if (!p.done) compute(g, p);
		auto s = g.sums.find(p.sum);
		if (!--s->second.products) {
			land(s->second);
			g.sums.erase(s);
		}
		g.products.pop_front();
		g.first++;
	}
}

static void wait_over(Warpgroup &g) {
	wait_all(g);
	g.waiting = 0;
	unsigned first = (&g - groups) * GROUP;
	for (unsigned t = first; t < first + GROUP; t++) wake(t);
}

void wgmma_wait(int keep) {
	Warpgroup &g = mine();
	if (g.waiting && g.keep != keep) fail("wgmma_wait: the threads of a warpgroup leave %d and %d groups", g.keep, keep);
	g.keep = keep;
	g.fenced[current % GROUP] = false;
	if (++g.waiting == GROUP && backwards) wait_over(g);
	else sleep_in_group();
}

bool land_late() {
	for (auto &g : groups)
		if (g.waiting == GROUP) {
			wait_over(g);
			return true;
		}
	return false;
}

void products_begin() {
	for (auto &g : groups) {
		g.products.clear();
		g.sums.clear();
		g.first = g.sum = g.waiting = 0;
		memset(g.next, 0, sizeof g.next);
		memset(g.committed, 0, sizeof g.committed);
		memset(g.fenced, 0, sizeof g.fenced);
	}
}
void products_end() {
	if (current / GROUP < GROUPS && !groups[current / GROUP].products.empty()) fail("wgmma: a thread ends with products that nobody waited for");
}
