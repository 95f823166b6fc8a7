// Between wino.c, which shares out the work and multiplies, and the files that
// know one set of transforms each.
#ifndef V2V_WINO_H
#define V2V_WINO_H
#include "kernels.h"
#include "avx512.h"

enum { MAX_POINTS = 100, LIMIT = 32 }; // LIMIT: output channels of a task

// SKEW keeps the streams that are written side by side out of each other's
// cache sets: distances that are powers of two would put them all into one.
enum { SKEW = 16 };

// A scheme is one algorithm of minimal filtering. Pictures are cut into tiles of
// side x side positions; a tile's inputs become `points` vectors for each block
// of channels, its outputs come from as many products. Several points may share
// one matrix of transformed weights.
typedef struct {
	int side, points, matrices;
	// in transforms a tile of one block of channels: `points` vectors at v[at], gap apart.
	void (*in)(float *v, size_t at, size_t gap, const float *x, const v2v_wino *k, int ty, int tx);
	// weights transforms those of `depth` input channels and nv blocks of outputs.
	// g is OIhw16i16o; u is [matrices][depth][16*nv], skewed, or in bfloat16
	// [matrices][depth/2][16*nv][2].
	void (*weights)(float *u, const float *g, const v2v_wino *k, int o, int nv, int c, int depth);
	// out writes the tiles from `from` on of one block of outputs and gathers moments.
	void (*out)(float *y, const float *m, const v2v_wino *k, const float *bias, int nv, int from, int tiles, part *stat);
	unsigned char matrix[MAX_POINTS]; // of each point
} scheme;

extern const scheme v2v_wino_single, v2v_wino_half, v2v_wino_strided, v2v_wino_transposed, v2v_wino_strided4, v2v_wino_transposed4;

// v2v_weights_at is where the weights of a block of outputs and one of inputs
// begin; unless they are a gradient's, those of the next inputs lie behind.
const float *v2v_weights_at(const v2v_wino *k, const float *g, int o, int c);

// outside is where a row beyond the picture is read, or -1 for zeros.
static inline int outside(int i, int n, int reflect) {
	if (i >= 0 && i < n) return i;
	if (!reflect) return -1;
	i = i < 0 ? -i : 2 * (n - 1) - i;
	return i >= 0 && i < n ? i : n - 1; // further than any output sees
}

// row_at is a row of a plane of 16 channels, or NULL for zeros.
static inline const float *row_at(const float *x, int y, int w) { return y < 0 ? NULL : x + (ptrdiff_t)y * w * 16; }

INLINE512 vec pixel(const float *row, int col) { return row && col >= 0 ? vload(row + (ptrdiff_t)col * 16) : _mm512_setzero_ps(); }
#endif
