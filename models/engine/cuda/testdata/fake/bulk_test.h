// What the tests of the fake's copies and products share: memory, maps and
// launches by the fake driver's functions.
#include "shim.h"
#include <initializer_list>
#include <string>
#include <vector>

extern "C" {
int cuMemAlloc_v2(u64 *p, size_t n);
int cuModuleGetFunction(void **f, void *, const char *name);
int cuModuleLoadData(void **m, const void *image);
int cuFuncSetAttribute(void *f, int what, int value);
int cuLaunchKernel(void *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, void *, void **params, void **);
int cuTensorMapEncodeTiled(TensorMap *m, int type, unsigned rank, void *address, const u64 *dim, const u64 *stride, const unsigned *box, const unsigned *step, int interleave, int swizzle, int promotion, int fill);
}

enum { FLOAT32 = 7, BFLOAT16 = 9 };

inline void must(int status, const char *what) {
	if (!status) return;
	printf("%s says %d\n", what, status);
	exit(4);
}

template <class T> T *device(size_t n) {
	u64 p;
	must(cuMemAlloc_v2(&p, n * sizeof(T)), "cuMemAlloc_v2");
	return (T *)p;
}

inline void launch(const char *name, unsigned blocks, unsigned threads, unsigned shared, std::initializer_list<void *> arguments) {
	void *f, *m;
	must(cuModuleLoadData(&m, (std::string("fake cubin\n") + name + "\n").c_str()), name);
	must(cuModuleGetFunction(&f, m, name), name);
	must(cuFuncSetAttribute(f, 8, shared), "cuFuncSetAttribute");
	must(cuLaunchKernel(f, blocks, 1, 1, threads, 1, 1, shared, 0, (void **)arguments.begin(), 0), name);
}

// Shape is what a map is made of; the first stride is between elements of the
// second dimension.
struct Shape {
	int type;
	unsigned rank;
	u64 dim[5], stride[4];
	unsigned box[5], step[5];
	bool swizzle;
};
inline int encode(TensorMap *m, const Shape &s, const void *address) {
	return cuTensorMapEncodeTiled(m, s.type, s.rank, (void *)address, s.dim, s.stride, s.box, s.step, 0, s.swizzle ? 3 : 0, 2, 0);
}

inline float number() { return (rand() % 2001 - 1000) / 512.f; }
inline unsigned short bf16(float x) { return __float_as_uint(x) >> 16; }
inline float from_bf16(unsigned short x) { return __uint_as_float((unsigned)x << 16); }

void boxes();
void refusals();
void products();
void ring(const char *fault, bool at_once); // the first grid's copies
