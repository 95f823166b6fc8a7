// A cuDNN 9 that keeps descriptors and convolves on the host, plainly. FAKE_CUDNN
// names a fault: create, attribute, graph, plans, execute, workspace, slow, wrong (one
// result in a hundred is no number).
#include <dlfcn.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#define API extern "C" __attribute__((visibility("default"))) int

// give is work for the fake driver, which is open already.
static int give(std::function<void()> f, int microseconds) {
	void *driver = dlopen(DRIVER, RTLD_NOW | RTLD_NOLOAD);
	if (!driver) return 5001;
	auto work = (int (*)(std::function<void()> *, int))dlsym(driver, "fake_work");
	int r = work(&f, microseconds);
	dlclose(driver);
	return r ? 5001 : 0;
}

enum { BAD_PARAM = 2000, UNSUPPORTED = 3000, PATTERN = 3001, FAILED = 5000 };

struct Attribute { int type; int64_t count; std::vector<char> raw; };
struct Desc {
	int type;
	bool done;
	std::map<int, Attribute> a;
	int engine; // of a config or an engine
	const char *raw(int name) { return a.at(name).raw.data(); }
	int64_t i(int name, int k = 0) { return ((int64_t *)raw(name))[k]; }
	int e(int name) { return *(int *)raw(name); }
	Desc *d(int name, int k = 0) { return ((Desc **)raw(name))[k]; }
};

static bool told(const char *s) { const char *f = getenv("FAKE_CUDNN"); return f && !strcmp(f, s); }
static const int sizes[] = {8, 4, 1, 8, 4, 8, 8, 4, 4, 4, 4, 4, 4, 4, 4, 8};

// The attributes that each kind must have before it is finalised, with types.
static const std::map<int, std::map<int, int>> needed = {
	{0, {{0, 14}, {1, 1}}}, {1, {{100, 1}, {101, 7}, {102, 3}, {103, 3}, {104, 3}, {105, 3}, {106, 3}}},
	{4, {{201, 15}, {200, 8}}}, {5, {{400, 0}, {401, 15}}},
	{10, {{700, 4}, {701, 4}, {702, 15}, {703, 15}, {704, 15}, {705, 15}}}, {12, {{706, 4}, {707, 4}, {708, 15}, {709, 15}, {710, 15}, {711, 15}}},
	{11, {{712, 4}, {713, 4}, {714, 15}, {715, 15}, {716, 15}, {717, 15}}}, {13, {{750, 15}, {751, 15}, {753, 15}}},
	{15, {{800, 0}, {801, 15}}}, {16, {{1000, 3}, {1001, 6}, {1003, 6}}}, {17, {{900, 3}, {901, 1}, {902, 3}, {903, 3}, {906, 3}, {907, 2}}},
};

// Engines: notes, whether plans can be made, microseconds.
static const struct { std::vector<int> notes; bool works; int cost; } engines[] = {
	{{0, 1}, true, 100}, {{4}, true, 10}, {{}, false, 10}, {{}, true, 300}, {{}, true, 500}, {{}, true, 200}};

// The plan remembers its graph beyond the graph's life.
struct Tensor { int id, type; bool hidden; int64_t n[4], s[4]; int64_t count() const { return n[0] * n[1] * n[2] * n[3]; } };
struct Point { int mode; float slope; Tensor x, b, y; };
struct Graph { int kind; int64_t stride[2], pad[2]; Tensor x, w, y; std::vector<Point> post; };
static std::map<Desc *, std::shared_ptr<Graph>> graphs; // by config and plan

API cudnnGetVersion() { return 90100; }
API cudnnCreate(void **h) { if (told("create")) return 1001; *h = malloc(1); return 0; }
API cudnnDestroy(void *h) { free(h); return 0; }
API cudnnSetStream(void *, void *) { return 0; }
static void count(int change) {
	void *driver = dlopen(DRIVER, RTLD_NOW | RTLD_NOLOAD);
	((void (*)(const char *, int))dlsym(driver, "fake_count"))("descriptors", change);
	dlclose(driver);
}
API cudnnBackendCreateDescriptor(int type, void **d) { *d = new Desc{type, false, {}, -1}; count(1); return 0; }
API cudnnBackendDestroyDescriptor(void *d) { graphs.erase((Desc *)d); delete (Desc *)d; count(-1); return 0; }
API cudnnBackendSetAttribute(void *p, int name, int type, int64_t n, const void *x) {
	Desc *d = (Desc *)p;
	if (told("attribute")) return BAD_PARAM;
	auto k = needed.find(d->type);
	if (d->done || type < 0 || type > 15 || n < 1) return BAD_PARAM;
	if (k != needed.end() && k->second.count(name) && k->second.at(name) != type) return 2010;
	d->a[name] = {type, n, std::vector<char>((const char *)x, (const char *)x + n * sizes[type])};
	return 0;
}
API cudnnBackendFinalize(void *p) {
	Desc *d = (Desc *)p;
	auto k = needed.find(d->type);
	if (d->done || k == needed.end()) return BAD_PARAM;
	for (auto &n : k->second)
		if (!d->a.count(n.first)) return BAD_PARAM;
	for (auto &a : d->a) // what is named must be finalised
		for (int i = 0; a.second.type == 15 && i < a.second.count; i++)
			if (!d->d(a.first, i)->done) return 2004;
	if (d->type == 15 && told("graph")) return PATTERN;
	if (d->type == 5 && (told("plans") || !engines[d->d(401)->engine].works)) return UNSUPPORTED;
	if (d->type == 5) d->engine = d->d(401)->engine, graphs[d] = graphs.at(d->d(401));
	d->done = true;
	return 0;
}

static Tensor tensor(Desc *d) {
	Tensor t = {(int)d->i(906), d->e(901), *d->raw(907) != 0, {}, {}};
	for (int k = 0; k < 4; k++) t.n[k] = d->i(902, k), t.s[k] = d->i(903, k);
	return t;
}

static std::shared_ptr<Graph> read(Desc *g) {
	auto r = std::make_shared<Graph>();
	for (int k = 0; k < g->a.at(801).count; k++) {
		Desc *o = g->d(801, k);
		if (o->type == 13) {
			Desc *w = o->d(750);
			Point p = {w->e(0), w->a.count(5) ? (float)*(double *)w->raw(5) : 0, tensor(o->d(751)), {}, tensor(o->d(753))};
			if (o->a.count(752)) p.b = tensor(o->d(752));
			r->post.push_back(p);
			continue;
		}
		r->kind = o->type;
		int base = o->type == 10 ? 702 : o->type == 12 ? 708 : 714;
		Desc *c = o->d(base);
		for (int i = 0; i < 2; i++) r->stride[i] = c->i(103, i), r->pad[i] = c->i(105, i);
		r->x = tensor(o->d(o->type == 10 ? 704 : o->type == 12 ? 710 : 716));
		r->w = tensor(o->d(o->type == 10 ? 703 : o->type == 12 ? 709 : 715));
		r->y = tensor(o->d(o->type == 10 ? 705 : o->type == 12 ? 711 : 717));
	}
	return r;
}

API cudnnBackendGetAttribute(void *p, int name, int, int64_t most, int64_t *n, void *out) {
	Desc *d = (Desc *)p;
	*n = 0;
	if (d->type == 4 && name == 202) {
		auto g = read(d->d(201));
		int first = d->e(200) == 3 ? 0 : 5, last = d->e(200) == 3 ? 4 : 5;
		for (int e = first; e <= last && *n < most; e++, ++*n) {
			Desc *c = ((Desc **)out)[*n];
			c->engine = e, c->done = true, graphs[c] = g;
		}
		return 0;
	}
	if (d->type == 3 && name == 300) { *n = 1; (*(Desc **)out)->engine = d->engine; return 0; }
	if (d->type == 2 && name == 1303) {
		for (int x : engines[d->engine].notes) ((int *)out)[(*n)++] = x;
		return 0;
	}
	if (d->type == 5 && name == 402) { *n = 1; *(int64_t *)out = told("workspace") ? 1ll << 40 : 1024; return 0; }
	return BAD_PARAM;
}

typedef std::vector<float> Values;
static float rounded(float f, int bits) {
	unsigned u;
	memcpy(&u, &f, 4);
	u = (u + (1u << (bits - 1))) & ~((1u << bits) - 1);
	memcpy(&f, &u, 4);
	return f;
}
static int64_t at(const Tensor &t, int64_t a, int64_t b, int64_t c, int64_t d) { return a * t.s[0] + b * t.s[1] + c * t.s[2] + d * t.s[3]; }
static float get(const Tensor &t, const char *p, int64_t i, bool tf32) {
	if (t.type == 9) {
		unsigned u = ((const unsigned short *)p)[i] << 16;
		float f;
		memcpy(&f, &u, 4);
		return f;
	}
	return tf32 ? rounded(((const float *)p)[i], 13) : ((const float *)p)[i];
}

static void convolve(const Graph &g, std::map<int, char *> where, bool tf32, char *workspace) {
	memset(workspace, 0xee, 1024);
	const Tensor &out = g.kind == 10 ? g.y : g.kind == 12 ? g.x : g.w;
	std::vector<double> sum(out.count());
	const char *x = where[g.x.id], *w = where[g.w.id], *y = where[g.y.id];
	for (int64_t n = 0; n < g.y.n[0]; n++) for (int64_t o = 0; o < g.y.n[1]; o++)
	for (int64_t oy = 0; oy < g.y.n[2]; oy++) for (int64_t ox = 0; ox < g.y.n[3]; ox++)
	for (int64_t ky = 0; ky < g.w.n[2]; ky++) for (int64_t kx = 0; kx < g.w.n[3]; kx++) {
		int64_t iy = oy * g.stride[0] - g.pad[0] + ky, ix = ox * g.stride[1] - g.pad[1] + kx;
		if (iy < 0 || ix < 0 || iy >= g.x.n[2] || ix >= g.x.n[3]) continue;
		for (int64_t c = 0; c < g.x.n[1]; c++) {
			int64_t ax = at(g.x, n, c, iy, ix), aw = at(g.w, o, c, ky, kx), ay = at(g.y, n, o, oy, ox);
			if (g.kind == 10) sum[ay] += (double)get(g.x, x, ax, tf32) * get(g.w, w, aw, tf32);
			if (g.kind == 12) sum[ax] += (double)get(g.y, y, ay, tf32) * get(g.w, w, aw, tf32);
			if (g.kind == 11) sum[aw] += (double)get(g.y, y, ay, tf32) * get(g.x, x, ax, tf32);
		}
	}
	Values v(sum.begin(), sum.end());
	for (size_t i = 7; told("wrong") && i < v.size(); i += 100) v[i] = NAN;
	for (const Point &p : g.post)
		for (int64_t n = 0; n < out.n[0]; n++) for (int64_t c = 0; c < out.n[1]; c++)
		for (int64_t h = 0; h < out.n[2]; h++) for (int64_t i = 0; i < out.n[3]; i++) {
			float &f = v[at(out, n, c, h, i)];
			switch (p.mode) {
			case 0: f += get(p.b, where[p.b.id], at(p.b, p.b.n[0] > 1 ? n : 0, c, p.b.n[2] > 1 ? h : 0, p.b.n[3] > 1 ? i : 0), false); break;
			case 100: f = f > 0 ? f : p.slope * f; break;
			case 101: f = tanhf(f); break;
			case 102: f = 1 / (1 + expf(-f)); break;
			}
		}
	const Tensor &last = g.post.empty() ? out : g.post.back().y;
	if (last.type == 9)
		for (size_t i = 0; i < v.size(); i++) {
			float f = rounded(v[i], 16);
			memcpy(where[last.id] + 2 * i, (char *)&f + 2, 2);
		}
	else memcpy(where[last.id], v.data(), 4 * v.size());
}

API cudnnBackendExecute(void *, void *plan, void *pack) {
	Desc *p = (Desc *)plan, *v = (Desc *)pack;
	if (!p->done || !v->done) return 2004;
	if (told("execute")) return FAILED;
	std::map<int, char *> where;
	for (int k = 0; k < v->a.at(1000).count; k++) where[v->i(1000, k)] = (char *)v->i(1001, k);
	auto g = graphs.at(p);
	char *workspace = (char *)v->i(1003);
	bool tf32 = p->engine == 0;
	return give([g, where, tf32, workspace] { convolve(*g, where, tf32, workspace); }, told("slow") ? 9000 : engines[p->engine].cost);
}
