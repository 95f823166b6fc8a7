// A cuBLASLt 12 that checks what it is told and multiplies on the host, plainly.
// FAKE_CUBLASLT names a fault: create, describe, none, heuristic, execute,
// workspace, slow.
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <functional>
#include <map>
#include <vector>

#define API extern "C" __attribute__((visibility("default"))) int

enum { INVALID = 7, EXECUTION = 13, UNSUPPORTED = 15 };

template <class F> static F driver(const char *name) {
	void *d = dlopen(DRIVER, RTLD_NOW | RTLD_NOLOAD);
	F f = (F)dlsym(d, name);
	dlclose(d);
	return f;
}
static void count(const char *what, int change) { driver<void (*)(const char *, int)>("fake_count")(what, change); }
static bool told(const char *s) { const char *f = getenv("FAKE_CUBLASLT"); return f && !strcmp(f, s); }

struct Desc { int compute; std::map<int, uint64_t> a; };
struct Layout { int type; uint64_t rows, cols; int64_t ld; };
struct Preference { uint64_t workspace; };
struct Algorithm { uint64_t number, rest[7]; };
struct Result { Algorithm algorithm; uint64_t workspace; int state; float waves; int reserved[4]; };
static_assert(sizeof(Result) == 96, "a result's size");

template <class T> static int made(void **h, T *t, const char *what) { *h = t; count(what, 1); return 0; }
template <class T> static int gone(void *h, const char *what) { delete (T *)h; count(what, -1); return 0; }

API cublasLtGetVersion() { return 120803; }
API cublasLtCreate(void **h) { return told("create") ? 1 : made(h, new int, "handles"); }
API cublasLtDestroy(void *h) { return gone<int>(h, "handles"); }
API cublasLtMatmulDescCreate(void **d, int compute, int scale) {
	if ((compute != 68 && compute != 77) || scale != 0) return INVALID;
	return made(d, new Desc{compute, {}}, "descriptions");
}
API cublasLtMatmulDescDestroy(void *d) { return gone<Desc>(d, "descriptions"); }
API cublasLtMatmulDescSetAttribute(void *d, int name, const void *x, size_t n) {
	static const std::map<int, size_t> sizes = {{3, 4}, {4, 4}, {7, 4}, {8, 8}};
	if (told("describe") || !sizes.count(name) || sizes.at(name) != n) return INVALID;
	uint64_t v = 0;
	memcpy(&v, x, n);
	((Desc *)d)->a[name] = v;
	return 0;
}
API cublasLtMatrixLayoutCreate(void **l, int type, uint64_t rows, uint64_t cols, int64_t ld) {
	if ((type != 0 && type != 14) || !rows || !cols || ld < (int64_t)rows) return INVALID;
	return made(l, new Layout{type, rows, cols, ld}, "layouts");
}
API cublasLtMatrixLayoutDestroy(void *l) { return gone<Layout>(l, "layouts"); }
API cublasLtMatmulPreferenceCreate(void **p) { return made(p, new Preference{0}, "preferences"); }
API cublasLtMatmulPreferenceDestroy(void *p) { return gone<Preference>(p, "preferences"); }
API cublasLtMatmulPreferenceSetAttribute(void *p, int name, const void *x, size_t n) {
	if (name != 1 || n != 8) return INVALID;
	memcpy(&((Preference *)p)->workspace, x, 8);
	return 0;
}

// fits checks that shapes, types and the epilogue go together.
static bool fits(const Desc &d, const Layout &a, const Layout &b, const Layout &c) {
	auto get = [&](int name, uint64_t other) { auto i = d.a.find(name); return i == d.a.end() ? other : i->second; };
	bool ta = get(3, 0), tb = get(4, 0);
	uint64_t epilogue = get(7, 1);
	if (epilogue != 1 && epilogue != 2 && epilogue != 4 && epilogue != 6) return false;
	if ((epilogue & 4) && (get(8, 0) == 0 || get(8, 0) % 16)) return false;
	if (a.type != b.type || c.type != 0 || (d.compute == 77 && a.type != 0)) return false;
	return (ta ? a.cols : a.rows) == c.rows && (tb ? b.rows : b.cols) == c.cols && (ta ? a.rows : a.cols) == (tb ? b.cols : b.rows);
}

// The ways: whether they work, microseconds and workspace.
static const struct { int state, cost; uint64_t workspace; } ways[] = {{UNSUPPORTED, 1, 0}, {0, 300, 0}, {0, 50, 4096}, {0, 90, 0}};

API cublasLtMatmulAlgoGetHeuristic(void *, void *d, void *a, void *b, void *c, void *, void *p, int most, Result *r, int *n) {
	*n = 0;
	if (!fits(*(Desc *)d, *(Layout *)a, *(Layout *)b, *(Layout *)c)) return INVALID;
	if (told("heuristic")) return UNSUPPORTED;
	if (told("none")) return 0;
	for (int i = 0; i < 4 && *n < most; i++, ++*n) {
		uint64_t workspace = told("workspace") ? 1ull << 40 : ways[i].workspace;
		if (!told("workspace") && workspace > ((Preference *)p)->workspace) workspace = 0;
		r[*n] = {{(uint64_t)i, {}}, workspace, ways[i].state, 1, {}};
	}
	return 0;
}

static float rounded(float f, int bits) {
	unsigned u;
	memcpy(&u, &f, 4);
	u = (u + (1u << (bits - 1))) & ~((1u << bits) - 1);
	memcpy(&f, &u, 4);
	return f;
}
static float get(const Layout &l, const char *p, bool turned, uint64_t i, uint64_t j, bool tf32) {
	uint64_t at = turned ? j + i * l.ld : i + j * l.ld;
	if (l.type == 14) {
		unsigned u = (unsigned)((const unsigned short *)p)[at] << 16;
		float f;
		memcpy(&f, &u, 4);
		return f;
	}
	return tf32 ? rounded(((const float *)p)[at], 13) : ((const float *)p)[at];
}

API cublasLtMatmul(void *, void *desc, const float *alpha, const char *a, void *al, const char *b, void *bl, const float *beta, const float *c, void *,
	float *out, void *ol, const Algorithm *how, char *workspace, size_t bytes, void *) {
	Desc d = *(Desc *)desc; // a captured launch keeps what it was given
	Layout la = *(Layout *)al, lb = *(Layout *)bl, lo = *(Layout *)ol;
	if (!fits(d, la, lb, lo) || *alpha != 1 || *beta != 0 || c != out || how->number > 3) return INVALID;
	if (bytes < ways[how->number].workspace || (bytes && !workspace)) return INVALID;
	if (told("execute")) return EXECUTION;
	std::function<void()> work = [=] {
		memset(workspace, 0xee, bytes);
		auto turned = [&](int name) { return d.a.count(name) && d.a.at(name); };
		uint64_t epilogue = d.a.count(7) ? d.a.at(7) : 1, k = turned(3) ? la.rows : la.cols;
		bool ta = turned(3), tb = turned(4), tf32 = d.compute == 77;
		for (uint64_t i = 0; i < lo.rows; i++)
			for (uint64_t j = 0; j < lo.cols; j++) {
				double sum = 0;
				for (uint64_t l = 0; l < k; l++) sum += (double)get(la, a, ta, i, l, tf32) * get(lb, b, tb, l, j, tf32);
				float f = sum;
				if (epilogue & 4) f += ((const float *)d.a.at(8))[i];
				if (epilogue & 2) f = f > 0 ? f : 0;
				out[i + j * lo.ld] = f;
			}
	};
	auto give = driver<int (*)(std::function<void()> *, int)>("fake_work");
	return give(&work, told("slow") ? 9000 : ways[how->number].cost) ? EXECUTION : 0;
}
