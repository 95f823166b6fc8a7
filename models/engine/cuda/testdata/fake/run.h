// What the parts that run a block know of each other.
#pragma once
#include "shim.h"

enum { THREADS = 1024 };

extern unsigned current;      // the thread that has the turn
extern unsigned shared_bytes; // of the block
extern bool backwards;        // the order of the turns, which every grid changes

// fail ends the program: a card would do something else than was meant.
__attribute__((noreturn, format(printf, 1, 2))) void fail(const char *format, ...);

// A thread goes to sleep until an mbarrier's phase is over, or until the others of
// its warpgroup have woken it.
void sleep_at(u64 *barrier, int parity);
void sleep_in_group();
void wake(unsigned thread);
bool awaited(const u64 *barrier); // by a thread that sleeps
unsigned passed(unsigned thread); // how many __syncthreads are behind a thread

// Shared addresses as a card has them: behind what it keeps for itself, less than
// 2^18.
enum { SHARED_BASE = 1 << 10 };
unsigned shared_address(const void *p, unsigned bytes, unsigned multiple, const char *what);
inline char *shared_at(unsigned address) { return shared_memory + (address - SHARED_BASE); }

// The swizzle of 128 bytes: bits 4-6 of an address with bits 7-9 added to them.
inline unsigned swizzled(unsigned address) { return address ^ (address >> 7 & 7) << 4; }

// mbarriers and what they wait for.
void barriers_begin(); // a block
void barriers_end();
bool phase_over(const u64 *barrier, int parity);
bool load_late(); // does one copy that a thread waits for, or finds none
const char *barrier_state(const u64 *barrier);
bool coming(unsigned from, unsigned to); // a copy that is not done writes there

// Box is a tensor map's contents.
struct Box {
	u64 address, stride[4]; // bytes
	unsigned last[5];       // coordinate of each dimension
	unsigned char box[5], step[5], rank, size, swizzle, none[3]; // box: less 1; size: bytes of an element
};
Box map_box(const TensorMap *m);
unsigned box_bytes(const Box &b);
void copy_box(unsigned to, const Box &b, const int *at);
int encode_map(TensorMap *m, int type, unsigned rank, void *address, const u64 *dim, const u64 *stride, const unsigned *box, const unsigned *step, int interleave, int swizzle, int promotion, int fill);

// Products of warpgroups.
void products_begin();
void products_end(); // of the current thread
bool land_late();    // ends one wait that a whole warpgroup is at, or finds none
bool in_use(unsigned from, unsigned to); // a product that was not waited for reads there
