// Calls of functions that are known by address alone.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// Every function that is called takes integers and pointers and returns an int.
// Arguments of 64 bits fill the registers and stack slots that narrower ones
// would take, and a callee does not look at those it has not declared; so it is
// on the processors that CUDA runs on (System V x86-64, AAPCS64 of Linux).
typedef int (*v2v_any)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
	uint64_t, uint64_t);

static inline int v2v_call(void *f, const uint64_t *a) {
	return ((v2v_any)f)(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11], a[12], a[13], a[14], a[15]);
}

// v2v_at is memory of C's that is known by its address.
static inline void *v2v_at(uint64_t address) { return (void *)(uintptr_t)address; }
