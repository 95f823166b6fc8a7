// mbarriers and the copies that complete them, after the PTX manual's "mbarrier"
// and "cp.async.bulk.tensor".
#include "run.h"
#include <vector>

enum { MOST = (1 << 20) - 1 }; // arrivals, and bytes that a phase has to come

// A barrier's word in memory says only which of these it is and its phase, so that
// whatever writes over it is seen.
struct Barrier { u64 *at; int expected, pending; long bytes; unsigned phase, by, passed; bool visible, seen; };
static std::vector<Barrier> barriers;

struct Load { unsigned to; Box box; int at[5]; u64 *barrier; };
static std::vector<Load> loads; // that are not done

static u64 word(const Barrier &x) { return 0x6d62617272000000ull | (u64)(&x - barriers.data()) << 8 | (x.phase & 255); }

static Barrier *known(const u64 *b) {
	size_t i = *b >> 8 & 0xffff;
	return i < barriers.size() && barriers[i].at == b && *b == word(barriers[i]) ? &barriers[i] : 0;
}

// find is the barrier that a thread uses.
static Barrier &find(u64 *b, const char *use) {
	unsigned at = shared_address(b, 8, 8, use);
	Barrier *x = known(b);
	if (!x) fail("%s: the mbarrier at %u is not initialised, or was written over", use, at);
	if (x->by != current && passed(current) <= x->passed) fail("%s: no __syncthreads is behind the initialisation of the mbarrier at %u", use, at);
	return *x;
}

void barrier_init(u64 *b, int arrivals) {
	unsigned at = shared_address(b, 8, 8, "barrier_init");
	if (arrivals < 1 || arrivals > MOST) fail("an mbarrier of %d arrivals", arrivals);
	for (auto &x : barriers)
		if (x.at == b) fail("the mbarrier at %u is initialised twice", at);
	barriers.push_back({b, arrivals, arrivals, 0, 0, current, passed(current), false, true});
	*b = word(barriers.back());
}

void barriers_visible() {
	for (auto &x : barriers)
		if (x.by == current) x.visible = true;
}

// step ends a phase that nothing more is to come for.
static void step(Barrier &x) {
	if (x.bytes < -MOST || x.bytes > MOST) fail("an mbarrier with %ld bytes to come", x.bytes);
	if (x.pending || x.bytes) return;
	x.seen = false;
	x.phase++;
	x.pending = x.expected;
	*x.at = word(x);
}

// The manual wants a wait that saw the end of a phase before an arrival in the next.
static void arrive(Barrier &x, int bytes) {
	if (!x.seen) fail("an arrival in phase %u of the mbarrier at %u, and no thread has waited for the one before", x.phase, shared_address(x.at, 8, 8, "barrier"));
	x.bytes += bytes;
	if (!x.pending) fail("more arrivals than the %d of the mbarrier at %u", x.expected, shared_address(x.at, 8, 8, "barrier"));
	x.pending--;
	step(x);
}
void barrier_arrive(u64 *b) { arrive(find(b, "barrier_arrive"), 0); }
void barrier_expect(u64 *b, int bytes) {
	if (bytes < 0 || bytes > MOST) fail("an mbarrier told of %d bytes", bytes);
	arrive(find(b, "barrier_expect"), bytes);
}

// A phase is over when the barrier is in one of the other parity.
bool phase_over(const u64 *b, int parity) {
	Barrier *x = known(b);
	if (!x) fail("an mbarrier was written over while a thread waited for it");
	return (int)(x->phase & 1) != parity;
}

bool barrier_wait(u64 *b, int parity) {
	find(b, "barrier_wait");
	if (parity != 0 && parity != 1) fail("an mbarrier's parity of %d", parity);
	while (!phase_over(b, parity)) sleep_at(b, parity);
	known(b)->seen = true;
	return true;
}

const char *barrier_state(const u64 *b) {
	static char text[160];
	Barrier *x = known(b);
	if (!x) return "an mbarrier that was written over";
	snprintf(text, sizeof text, "the mbarrier at %u in phase %u, which %d arrivals and %ld bytes are to come for",
		shared_address(b, 8, 8, "barrier"), x->phase, x->pending, x->bytes);
	return text;
}

static void perform(const Load &l) {
	copy_box(l.to, l.box, l.at);
	Barrier *x = known(l.barrier);
	if (!x) fail("an mbarrier was written over before what it waits for came");
	x->bytes -= box_bytes(l.box);
	step(*x);
}

bool load_late() {
	for (size_t i = 0; i < loads.size(); i++)
		if (awaited(loads[i].barrier)) {
			Load l = loads[i];
			loads.erase(loads.begin() + i);
			perform(l);
			return true;
		}
	return false;
}

bool coming(unsigned from, unsigned to) {
	for (auto &l : loads)
		if (l.to < to && from < l.to + box_bytes(l.box)) return true;
	return false;
}

void bulk_load(void *to, const TensorMap *m, u64 *b, const int *at, int rank) {
	Load l = {0, map_box(m), {}, b};
	if (l.box.rank != rank) fail("a bulk load of %d coordinates of a tensor of %d", rank, l.box.rank);
	l.to = shared_address(to, box_bytes(l.box), 128, "bulk_load");
	// The manual does not say how rows lie that are less than the swizzle's width.
	if (l.box.swizzle && (l.box.box[0] + 1) * l.box.size != 128) fail("a swizzled bulk load of rows that are not 128 bytes");
	if (!find(b, "bulk_load").visible) fail("a bulk load for an mbarrier that barriers_visible was not called behind");
	if (in_use(l.to, l.to + box_bytes(l.box))) fail("a bulk load to %u, where a product reads that was not waited for", l.to);
	memcpy(l.at, at, rank * sizeof *at);
	if (backwards) loads.push_back(l);
	else perform(l);
}

void barriers_begin() {
	barriers.clear();
	loads.clear();
}
void barriers_end() {
	if (!loads.empty()) fail("the block ends before a bulk load that nobody waited for");
}
