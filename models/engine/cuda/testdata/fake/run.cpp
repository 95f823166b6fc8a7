// Runs a grid: block after block, each thread of a block as a fibre.
#include "run.h"
#include <stdarg.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <string>
#include <vector>

dim blockIdx, blockDim, gridDim, threadIdx;
char *shared_memory;

enum { STACK = 32 << 10 };
enum State { RUNS, SYNCS, SLEEPS, GROUPED, ENDED }; // SLEEPS until an mbarrier's phase is over

static struct Fibre {
	void *sp;
	ucontext_t context;
	char *stack;
	State state;
	int site; // where it syncs
	unsigned passed;
	u64 *barrier;
	int parity;
} fibre[THREADS];
static struct { void *sp; ucontext_t context; } home;
static void (*body)(void **);
static void **arguments;
unsigned current, shared_bytes;
bool backwards;

#if defined(__x86_64__)
// turn saves what a call must preserve and goes on with another stack.
extern "C" void fake_turn(void **save, void *to);
asm(".text\n.globl fake_turn\n.hidden fake_turn\nfake_turn:\n"
	"push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
	"mov %rsp,(%rdi)\nmov %rsi,%rsp\n"
	"pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n");
static void leave(Fibre &f) { fake_turn(&f.sp, home.sp); }
static void enter(Fibre &f) { fake_turn(&home.sp, f.sp); }
static void prepare(Fibre &f, void (*start)()) {
	void **sp = (void **)(f.stack + STACK) - 1;
	*--sp = (void *)start;
	sp -= 6;
	memset(sp, 0, 6 * sizeof *sp);
	f.sp = sp;
}
#else
static void leave(Fibre &f) { swapcontext(&f.context, &home.context); }
static void enter(Fibre &f) { swapcontext(&home.context, &f.context); }
static void prepare(Fibre &f, void (*start)()) {
	getcontext(&f.context);
	f.context.uc_stack.ss_sp = f.stack;
	f.context.uc_stack.ss_size = STACK;
	makecontext(&f.context, start, 0);
}
#endif

void give_up(int site) {
	Fibre &f = fibre[current];
	f.state = SYNCS;
	f.site = site;
	leave(f);
	f.passed += site >= 0;
}
unsigned passed(unsigned thread) { return fibre[thread].passed; }

void sleep_at(u64 *barrier, int parity) {
	Fibre &f = fibre[current];
	f.state = SLEEPS;
	f.barrier = barrier;
	f.parity = parity;
	leave(f);
}
void sleep_in_group() {
	fibre[current].state = GROUPED;
	leave(fibre[current]);
}
void wake(unsigned thread) {
	if (fibre[thread].state == GROUPED) fibre[thread].state = RUNS;
}
bool awaited(const u64 *barrier) {
	for (unsigned t = 0; t < blockDim.x; t++)
		if (fibre[t].state == SLEEPS && fibre[t].barrier == barrier) return true;
	return false;
}

void fail(const char *format, ...) {
	va_list list;
	va_start(list, format);
	fprintf(stderr, "fake: block %u,%u,%u, thread %u: ", blockIdx.x, blockIdx.y, blockIdx.z, current);
	vfprintf(stderr, format, list);
	fprintf(stderr, "\n");
	abort();
}

unsigned shared_address(const void *p, unsigned bytes, unsigned multiple, const char *what) {
	long at = (const char *)p - shared_memory;
	if (at < 0 || at + (long)bytes > (long)shared_bytes) fail("%s: bytes %ld to %ld of shared memory, of which there are %u", what, at, at + bytes, shared_bytes);
	if (at % multiple) fail("%s: byte %ld of shared memory, which is no multiple of %u", what, at, multiple);
	return at + SHARED_BASE;
}

// A thread's copies that are not done, and its closed groups so far.
struct Copy { char *to; const char *from; int bytes, n, group; };
static std::vector<Copy> copies[THREADS];
static int closed[THREADS];
static int late; // groups that a wait leaves out, as told

void copy_later(char *to, const char *from, int bytes, int n) {
	if ((uintptr_t)to % bytes || (uintptr_t)from % bytes) fail("a copy that is not at a multiple of its size");
	copies[current].push_back({to, from, bytes, n, closed[current]});
}
void close_copies() { closed[current]++; }
void wait_copies(int keep) {
	std::vector<Copy> &c = copies[current];
	size_t done = 0;
	for (; done < c.size() && c[done].group < closed[current] - keep - late; done++) {
		memcpy(c[done].to, c[done].from, c[done].n);
		memset(c[done].to + c[done].n, 0, c[done].bytes - c[done].n);
	}
	c.erase(c.begin(), c.begin() + done);
}

static struct { unsigned a[4], b[2]; const char *row; } fragment[2][THREADS];
static unsigned char parity[THREADS];

static float half(unsigned word, int high) { return __uint_as_float(high ? word & 0xffff0000 : word << 16); }

void multiply_fragments(float *d, const unsigned *a, const unsigned *b, bool bf16) {
	int t = current, warp = t / 32 * 32, lane = t % 32, now = parity[t] ^= 1;
	memcpy(fragment[now][t].a, a, 16);
	memcpy(fragment[now][t].b, b, 8);
	give_up(-2);
	for (int e = 0; e < 4; e++) {
		int row = lane / 4 + 8 * (e / 2), col = lane % 4 * 2 + e % 2;
		for (int k = 0; k < 8; k++) { // words of the depth
			unsigned x = fragment[now][warp + row % 8 * 4 + k % 4].a[row / 8 + 2 * (k / 4)];
			unsigned y = fragment[now][warp + col * 4 + k % 4].b[k / 4];
			if (bf16) d[e] += half(x, 0) * half(y, 0) + half(x, 1) * half(y, 1);
			else d[e] += __uint_as_float(x) * __uint_as_float(y);
		}
	}
}

// load gives thread l of a warp, of each of four matrices, the numbers 2(l%4) and
// the next of row l/4, or of column l/4 where turned. A matrix is read at once,
// so that its rows should lie in different banks.
static void load(unsigned *x, const char *row, bool turned) {
	int t = current, warp = t / 32 * 32, lane = t % 32, now = parity[t] ^= 1;
	if ((uintptr_t)row % 16) fail("ldmatrix of a row that is not at a multiple of 16");
	fragment[now][t].row = row;
	give_up(-3);
	for (int i = 0; i < 4; i++) {
		unsigned short two[2];
		for (int j = 0; j < 2; j++) {
			int r = turned ? lane % 4 * 2 + j : lane / 4, e = turned ? lane / 4 : lane % 4 * 2 + j;
			memcpy(&two[j], fragment[now][warp + 8 * i + r].row + 2 * e, 2);
		}
		x[i] = two[0] | (unsigned)two[1] << 16;
	}
	if (lane) return;
	for (int i = 0; i < 4; i++) {
		unsigned met = 0;
		for (int r = 0; r < 8; r++) met |= 1u << (fragment[now][warp + 8 * i + r].row - shared_memory) / 16 % 8;
		if (met != 255) fail("ldmatrix of rows that share banks");
	}
}
void ldmatrix(unsigned *x, const char *row) { load(x, row, false); }
void ldmatrix_trans(unsigned *x, const char *row) { load(x, row, true); }

static void fibre_main() {
	body(arguments);
	if (!late && !copies[current].empty()) fail("copies that nobody waited for");
	products_end();
	fibre[current].state = ENDED;
	leave(fibre[current]);
}

// turn_round gives each thread that can go on its turn; every other grid in the
// opposite order, which shows a barrier that is missing.
static bool turn_round(unsigned n) {
	bool moved = false;
	for (unsigned i = 0; i < n; i++) {
		current = backwards ? n - 1 - i : i;
		Fibre &f = fibre[current];
		if (f.state == SLEEPS && phase_over(f.barrier, f.parity)) f.state = RUNS;
		if (f.state != RUNS) continue;
		threadIdx.x = current;
		enter(f);
		moved = true;
	}
	return moved;
}

// together lets those threads on that all wait at one __syncthreads.
static bool together(unsigned n) {
	const Fibre *first = 0;
	for (unsigned i = 0; i < n; i++) {
		Fibre &f = fibre[i];
		if (f.state == ENDED) continue;
		if (f.state != SYNCS) return false;
		if (first && first->site != f.site) {
			fprintf(stderr, "fake: threads of a block wait at lines %d and %d\n", first->site, f.site);
			abort();
		}
		first = &f;
	}
	for (unsigned i = 0; i < n; i++)
		if (fibre[i].state == SYNCS) fibre[i].state = RUNS;
	return true;
}

static std::string reason(const Fibre &f) {
	char text[240];
	if (f.state == SYNCS && f.site < 0) return "the rest of the block, at a matrix instruction";
	if (f.state == SYNCS) snprintf(text, sizeof text, "__syncthreads at line %d", f.site);
	if (f.state == SLEEPS) snprintf(text, sizeof text, "parity %d of %s", f.parity, barrier_state(f.barrier));
	return f.state == GROUPED ? "the rest of its warpgroup, at wgmma_wait" : text;
}

static void deadlock(unsigned n) {
	fprintf(stderr, "fake: block %u,%u,%u: no thread can go on\n", blockIdx.x, blockIdx.y, blockIdx.z);
	for (unsigned i = 0, last; i < n; i = last + 1) {
		last = i;
		if (fibre[i].state == ENDED) continue;
		std::string why = reason(fibre[i]);
		while (last + 1 < n && fibre[last + 1].state != ENDED && reason(fibre[last + 1]) == why) last++;
		fprintf(stderr, "fake: threads %u to %u wait for %s\n", i, last, why.c_str());
	}
	abort();
}

// turns lets the block's threads run from barrier to barrier. Copies and products
// that were put off are done when no thread can go on without.
static void turns(unsigned n) {
	for (;;) {
		bool moved = turn_round(n), live = false;
		for (unsigned i = 0; i < n && !live; i++) live = fibre[i].state != ENDED;
		if (!live) return;
		if (!together(n) && !moved && !load_late() && !land_late()) deadlock(n);
	}
}

// guarded is the most shared memory that a launch has, which ends at a guard page.
enum { MOST = 228 << 10 };
static char *guarded() {
	char *base = (char *)mmap(0, MOST + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mprotect(base + MOST, 4096, PROT_NONE);
	return base;
}

void run_grid(void (*f)(void **), dim grid, dim block, unsigned shared, unsigned multiple, void **p) {
	unsigned n = block.x;
	static char *memory = guarded();
	shared_memory = memory + MOST - (shared + multiple - 1) / multiple * multiple;
	shared_bytes = shared;
	late = fault("late", 0);
	body = f, arguments = p, gridDim = grid, blockDim = block;
	const char *order = getenv("FAKE_CUDA_ORDER");
	backwards = order && *order ? *order == '1' : !backwards;
	for (unsigned t = 0; t < n; t++)
		if (!fibre[t].stack) fibre[t].stack = (char *)malloc(STACK);
	for (unsigned b = 0; b < grid.x * grid.y * grid.z; b++) {
		blockIdx = {b % grid.x, b / grid.x % grid.y, b / grid.x / grid.y};
		if (!shared) { // no barriers without shared memory
			for (unsigned t = 0; t < n; t++) {
				threadIdx.x = current = t;
				f(p);
			}
			continue;
		}
		memset(shared_memory, 0xff, memory + MOST - shared_memory);
		barriers_begin();
		products_begin();
		for (unsigned t = 0; t < n; t++) {
			fibre[t].state = RUNS;
			fibre[t].passed = 0;
			copies[t].clear();
			prepare(fibre[t], fibre_main);
		}
		turns(n);
		barriers_end();
		for (char *c = shared_memory + shared; c < memory + MOST; c++)
			if (*c != (char)0xff) fail("byte %ld of shared memory was written, of which there are %u", (long)(c - shared_memory), shared);
	}
}
