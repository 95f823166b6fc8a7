// A driver of CUDA that computes on the host: the functions of libcuda that v2v
// asks for, with memory that ends at a guard page and starts as NaN. FAKE_CUDA
// names one fault (see fault); FAKE_CUDA_LOG a file that gets what was left,
// FAKE_CUDA_LAUNCHES one that gets how often each kernel was launched;
// FAKE_CUDA_ORDER, 0 or 1, the order that every grid's threads run in, not each in turn.
#include "run.h"
#include <sys/mman.h>
#include <functional>
#include <map>
#include <string>
#include <vector>

#define API extern "C" __attribute__((visibility("default"))) int

void run_grid(void (*f)(void **), dim grid, dim block, unsigned shared, unsigned multiple, void **p);

// Shared memory of a block: without being asked, on the least of cards, and of
// compute capability 9.0.
static const int USUAL_SHARED = 48 << 10, LEAST_SHARED = 99 << 10, MOST_SHARED = 227 << 10;
enum { OUT_OF_MEMORY = 2, INVALID = 1, NO_DEVICE = 100, NO_IMAGE = 200, NOT_FOUND = 500, LOST = 719 };

// fault is the number after "name=" in FAKE_CUDA, or other.
long fault(const char *name, long other) {
	const char *s = getenv("FAKE_CUDA");
	size_t n = strlen(name);
	return s && !strncmp(s, name, n) && s[n] == '=' ? atol(s + n + 1) : other;
}

static int capability() { return fault("capability", 9); }

// for_hopper says that a kernel is for compute capability 9.0 alone: it takes a
// tensor map. Others must be content with what every card has.
static bool for_hopper(const Entry *e) { return e->alignment >= (int)alignof(TensorMap); }

struct Launch { const Entry *entry; dim grid, block; unsigned shared; std::vector<std::vector<char>> arguments; };
struct Action { int kind; char *dst, *src; size_t n; unsigned value; Launch launch; std::function<void()> work; };

static std::map<char *, size_t> memory, pinned;
static std::map<std::string, int> live;
static std::vector<Action> *capturing;
static long allocations, launches;
static std::map<std::string, int> launched;
static float now; // milliseconds

// cost is how long a launch of a kernel takes: one, of a convolution five, or three
// where FAKE_CUDA_QUICK names a part of its name.
static float cost(const char *kernel) {
	const char *quick = getenv("FAKE_CUDA_QUICK");
	return strncmp(kernel, "conv", 4) ? 1 : quick && *quick && strstr(kernel, quick) ? 3 : 5;
}

static int perform(Action &a) {
	if (launches >= fault("lost", 1L << 60)) return LOST;
	switch (a.kind) {
	case 0: memcpy(a.dst, a.src, a.n); break;
	case 1: memset(a.dst, a.value, a.n); break;
	case 2: {
		launches++;
		launched[a.launch.entry->name]++;
		now += cost(a.launch.entry->name);
		std::vector<void *> p;
		for (auto &x : a.launch.arguments) p.push_back(x.data());
		const char *idle = getenv("FAKE_CUDA_IDLE"); // kernels with this in their name do nothing
		if (!idle || !*idle || !strstr(a.launch.entry->name, idle)) run_grid(a.launch.entry->call, a.launch.grid, a.launch.block, a.launch.shared, for_hopper(a.launch.entry) ? 1024 : 128, p.data());
	}
	}
	if (a.kind == 3) {
		now += a.n / 1000.f;
		a.work();
	}
	return 0;
}

static int act(Action a) {
	if (capturing) {
		capturing->push_back(a);
		return 0;
	}
	return perform(a);
}

// fake_work is how the fake cuDNN gives the card work that takes a time.
extern "C" __attribute__((visibility("default"))) int fake_work(std::function<void()> *f, int microseconds) {
	return act({3, 0, 0, (size_t)microseconds, 0, {}, *f});
}

// fake_count is how the fake libraries say what is made and given back.
extern "C" __attribute__((visibility("default"))) void fake_count(const char *what, int change) { live[what] += change; }

API cuInit(unsigned) { return fault("init", 0); }
API cuDriverGetVersion(int *v) { *v = fault("version", 12080); return 0; }
API cuDeviceGetCount(int *n) { *n = fault("devices", 2); return 0; }
API cuDeviceGet(int *d, int i) { *d = i; return 0; }
API cuDeviceGetName(char *name, int n, int d) { snprintf(name, n, "Fake %d", d); return 0; }
API cuDeviceTotalMem_v2(size_t *n, int) { *n = 1 << 30; return 0; }
API cuDeviceGetAttribute(int *v, int what, int) {
	*v = what == 75 ? capability() : what == 16 ? 4 : what == 97 ? (capability() < 9 ? LEAST_SHARED : MOST_SHARED) : 0;
	return 0;
}
API cuDevicePrimaryCtxRetain(void **c, int) { *c = (void *)1; allocations = launches = 0; launched.clear(); return 0; }
API cuDevicePrimaryCtxRelease_v2(int) {
	if (const char *path = getenv("FAKE_CUDA_LOG")) {
		FILE *f = fopen(path, "w");
		fprintf(f, "memory=%zu pinned=%zu", memory.size(), pinned.size());
		for (auto &l : live) fprintf(f, " %s=%d", l.first.c_str(), l.second);
		fclose(f);
	}
	if (const char *path = getenv("FAKE_CUDA_LAUNCHES")) {
		FILE *f = fopen(path, "w");
		for (auto &l : launched) fprintf(f, "%s %d\n", l.first.c_str(), l.second);
		fclose(f);
	}
	return 0;
}
API cuCtxSetCurrent(void *) { return 0; }
API cuMemGetInfo_v2(size_t *free, size_t *total) {
	*total = *free = fault("memory", 1 << 30);
	for (auto &m : memory) *free -= m.second < *free ? m.second : *free;
	return 0;
}

static size_t whole(size_t n) { return (n + 4095) / 4096 * 4096; }

API cuMemAlloc_v2(u64 *p, size_t n) {
	size_t free, total;
	cuMemGetInfo_v2(&free, &total);
	if (n > free || ++allocations == fault("alloc", -1)) return OUT_OF_MEMORY;
	char *base = (char *)mmap(0, whole(n) + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mprotect(base + whole(n), 4096, PROT_NONE);
	char *at = base + whole(n) - (n + 15) / 16 * 16;
	memset(at, 0xff, n);
	memory[at] = n;
	*p = (u64)at;
	return 0;
}
API cuMemFree_v2(u64 p) {
	auto m = memory.find((char *)p);
	if (m == memory.end()) return INVALID;
	munmap((char *)(p & ~4095ull), whole(m->second) + 4096);
	memory.erase(m);
	return 0;
}
API cuMemHostAlloc(void **p, size_t n, unsigned) { *p = malloc(n); pinned[(char *)*p] = n; return 0; }
API cuMemFreeHost(void *p) {
	if (!pinned.erase((char *)p)) return INVALID;
	free(p);
	return 0;
}
API cuMemcpyHtoDAsync_v2(u64 d, void *s, size_t n, void *) { return act({0, (char *)d, (char *)s, n, 0, {}, {}}); }
API cuMemcpyDtoHAsync_v2(void *d, u64 s, size_t n, void *) { return act({0, (char *)d, (char *)s, n, 0, {}, {}}); }
API cuMemcpyDtoDAsync_v2(u64 d, u64 s, size_t n, void *) { return act({0, (char *)d, (char *)s, n, 0, {}, {}}); }
API cuMemsetD8Async(u64 d, unsigned char v, size_t n, void *) { return act({1, (char *)d, 0, n, v, {}, {}}); }

static int made(void **h, const char *what) { *h = malloc(8); live[what]++; return 0; }
static int gone(void *h, const char *what) { free(h); live[what]--; return 0; }

API cuStreamCreate(void **s, unsigned) { return made(s, "streams"); }
API cuStreamDestroy_v2(void *s) { return gone(s, "streams"); }
API cuStreamSynchronize(void *) { return launches >= fault("lost", 1L << 60) ? LOST : 0; }
API cuStreamWaitEvent(void *, void *, unsigned) { return 0; }
API cuEventCreate(void **e, unsigned) { return made(e, "events"); }
API cuEventDestroy_v2(void *e) { return gone(e, "events"); }
API cuEventRecord(void *e, void *) { *(float *)e = now; return 0; }
API cuEventElapsedTime(float *ms, void *a, void *b) { *ms = *(float *)b - *(float *)a; return 0; }
API cuEventSynchronize(void *) { return 0; }

// A module is the names of its kernels between line feeds.
API cuModuleLoadData(void **m, const void *image) {
	if (strncmp((const char *)image, "fake cubin", 10) || fault("image", 0)) return NO_IMAGE;
	*m = new std::string((const char *)image + 10);
	live["modules"]++;
	return 0;
}
API cuModuleUnload(void *m) { delete (std::string *)m; live["modules"]--; return 0; }
API cuModuleGetFunction(void **f, void *m, const char *name) {
	if (((std::string *)m)->find("\n" + std::string(name) + "\n") == std::string::npos) return NOT_FOUND;
	for (const Entry *e = entries; e->name; e++)
		if (!strcmp(e->name, name)) {
			*f = (void *)e;
			return 0;
		}
	return NOT_FOUND;
}

static std::map<const Entry *, int> allowed; // shared memory, where told
API cuFuncSetAttribute(void *f, int what, int value) {
	const Entry *e = (const Entry *)f;
	if (what != 8 || value < 0 || value > (for_hopper(e) && capability() >= 9 ? MOST_SHARED : LEAST_SHARED)) return INVALID;
	allowed[e] = value;
	return 0;
}

API cuLaunchKernel(void *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, void *, void **params, void **) {
	if (!gx || !gy || !gz || !bx || by * bz != 1 || bx > 1024 || gy > 65535 || gz > 65535) return INVALID;
	const Entry *e = (const Entry *)f;
	auto most = allowed.find(e);
	if ((int)shared > (most == allowed.end() ? USUAL_SHARED : most->second)) return INVALID;
	Launch l = {e, {gx, gy, gz}, {bx, by, bz}, shared, {}};
	for (int i = 0; i < e->count; i++) l.arguments.emplace_back((char *)params[i], (char *)params[i] + e->sizes[i]);
	return act({2, 0, 0, 0, 0, l, {}});
}

API cuTensorMapEncodeTiled(TensorMap *m, int type, unsigned rank, void *address, const u64 *dim, const u64 *stride, const unsigned *box, const unsigned *step, int interleave, int swizzle, int promotion, int fill) {
	if (capability() < 9) return INVALID;
	return encode_map(m, type, rank, address, dim, stride, box, step, interleave, swizzle, promotion, fill);
}

API cuStreamBeginCapture_v2(void *, int) {
	if (capturing) return INVALID;
	capturing = new std::vector<Action>;
	return 0;
}
API cuStreamEndCapture(void *, void **g) {
	*g = capturing;
	capturing = 0;
	live["graphs"]++;
	return 0;
}
API cuGraphInstantiateWithFlags(void **e, void *g, u64) {
	*e = new std::vector<Action>(*(std::vector<Action> *)g);
	live["graph executables"]++;
	return 0;
}
API cuGraphDestroy(void *g) { delete (std::vector<Action> *)g; live["graphs"]--; return 0; }
API cuGraphExecDestroy(void *g) { delete (std::vector<Action> *)g; live["graph executables"]--; return 0; }
API cuGraphLaunch(void *g, void *) {
	for (auto &a : *(std::vector<Action> *)g)
		if (int r = perform(a)) return r;
	return 0;
}
API cuGetErrorName(int r, const char **s) {
	static const std::map<int, const char *> names = {{1, "CUDA_ERROR_INVALID_VALUE"}, {2, "CUDA_ERROR_OUT_OF_MEMORY"}, {100, "CUDA_ERROR_NO_DEVICE"},
		{200, "CUDA_ERROR_INVALID_IMAGE"}, {500, "CUDA_ERROR_NOT_FOUND"}, {719, "CUDA_ERROR_LAUNCH_FAILED"}, {803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"}};
	auto n = names.find(r);
	if (n == names.end()) return INVALID;
	*s = n->second;
	return 0;
}
