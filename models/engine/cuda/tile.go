package cuda

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// tile is a shape in which own kernels convolve (kernels/tile.cu): a block of
// down x across warps makes rows x cols sums in slices of depth products, of
// which stages lie in shared memory.
type tile struct {
	kind                 string // of numbers
	rows, cols, depth    int
	down, across, stages int
	form                 string // bulk.go: how the product comes about, where it is no sum over taps
}

// The kinds of numbers that a convolution reads: float32 that is multiplied as
// such or as tf32, numbers that are rounded to bfloat16 on their way, and those
// that lie as bfloat16 in units of 16 bytes.
const (
	kindF32  = "f32"
	kindTF32 = "tf32"
	kindBF16 = "bf16"
	kindHalf = "half"
)

// tiles are those that there are kernels for. Their shapes were chosen, not
// measured. The narrow ones are for the last layers of generators, of 1 to 3
// channels. The larger a warp's part, the fewer instructions stand between those of
// the tensor cores: one of 64x64 reads eight fragments for 32 of them, one of 64x32
// six for 16.
var tiles = []tile{
	{kindF32, 128, 64, 32, 4, 2, 2, ""}, {kindF32, 128, 128, 16, 4, 2, 2, ""}, {kindF32, 64, 64, 32, 4, 2, 2, ""},
	{kindTF32, 128, 64, 32, 4, 2, 3, ""}, {kindTF32, 128, 128, 32, 2, 4, 2, ""}, {kindTF32, 64, 64, 32, 2, 2, 3, ""}, {kindTF32, 256, 16, 32, 8, 1, 2, ""}, {kindTF32, 256, 128, 16, 4, 2, 3, ""},
	{kindBF16, 128, 64, 32, 4, 2, 2, ""}, {kindBF16, 128, 128, 32, 2, 4, 2, ""}, {kindBF16, 64, 64, 32, 2, 2, 2, ""}, {kindBF16, 256, 16, 32, 8, 1, 2, ""},
	{kindHalf, 128, 64, 32, 4, 2, 3, ""}, {kindHalf, 128, 128, 32, 2, 4, 3, ""}, {kindHalf, 64, 64, 32, 2, 2, 3, ""}, {kindHalf, 256, 64, 32, 4, 2, 3, ""},
	{kindHalf, 128, 128, 64, 2, 2, 2, ""}, {kindHalf, 256, 16, 32, 8, 1, 3, ""}, {kindHalf, 256, 128, 32, 4, 2, 3, ""},
}

func (t tile) String() string {
	if t.form != "" {
		return t.shape() + "_" + t.form
	}
	return t.shape()
}

// shape is what kernels of a tile are named by.
func (t tile) shape() string { return fmt.Sprintf("%s_%dx%dx%d", t.kind, t.rows, t.cols, t.depth) }

func (t tile) threads() int {
	if t.bulk() {
		return 32 * (t.down*t.across + 1) // one warp copies
	}
	return 32 * t.down * t.across
}

// shared is the memory of a block: the kernels' struct of that name. Every card from
// capability 8.0 on gives a block 99 KB.
func (t tile) shared() int {
	if t.bulk() {
		return 1024 + t.stages*ceil((t.rows+t.cols)*128, 1024)*1024 + 8*(2*t.stages+1)
	}
	bytes := 4
	if t.kind == kindBF16 || t.kind == kindHalf {
		bytes = 2
	}
	return t.stages*(t.rows+t.cols)*t.depth*bytes + 16*t.rows
}

// blocks is how many of them a unit of the card should have registers for: as many
// as the compiler finds without moving any to memory.
func (t tile) blocks() int {
	sums, threads := t.rows*t.cols/t.threads(), 256
	switch {
	case t.kind == kindHalf && sums < 64:
		threads = 768
	case t.kind == kindHalf && sums == 64, sums < 64:
		threads = 512
	}
	return threads / t.threads()
}

// code is the kernels' type of a tile.
func (t tile) code() string {
	return fmt.Sprintf("Tile<%s, %d, %d, %d, %d, %d, %d>", strings.ToUpper(t.kind), t.rows, t.cols, t.depth, t.down, t.across, t.stages)
}

// What a tile has kernels for: convolutions and their gradients by the picture,
// and gradients of filters.
const (
	forward = iota
	gradient
)

// source is a tile's kernels of one sort. What is learnt lies as float32, so that
// gradients of filters have none for bfloat16.
func (t tile) source(sort int) string {
	if t.bulk() {
		return t.bulkSource(sort)
	}
	bounds, of := fmt.Sprintf("KERNEL __launch_bounds__(%d, %d)", t.threads(), t.blocks()), t.code()
	if sort == forward {
		text := ""
		for _, name := range []string{"conv", "conv_back"} {
			text += fmt.Sprintf("%s %s_%s(Geometry g, Post p, const void *in, const void *w, const float *b, float *out) { %s<%s>(g, p, in, w, b, out); }\n", bounds, name, t, name, of)
		}
		return text
	}
	if t.kind == kindHalf {
		return ""
	}
	return fmt.Sprintf("%s conv_weights_%s(Geometry g, int each, const float *x, const float *gy, float *parts) { conv_weights<%s>(g, each, x, gy, parts); }\n", bounds, t, of)
}

// tileSource is the kernels of one sort of all tiles of a kind.
func tileSource(kind string, sort int) string {
	var b strings.Builder
	for _, t := range everyTile {
		if t.kind == kind {
			b.WriteString(t.source(sort))
		}
	}
	return b.String()
}

// mostTiles bounds how many tiles are tried for a convolution.
const mostTiles = 4

// fitting lists the tiles of a kind that may serve a product of so many rows and
// columns in so many layers on a card with so many units, the likeliest first. A tile costs its products and what it reads
// for them, as often as the units must take turns; that a number read costs as
// much as 32 products is a guess.
func fitting(kind string, rows, cols, layers, units int) []tile {
	fit := fittingOf(tiles, kind, "", rows, cols, layers, units)
	return fit[:min(len(fit), mostTiles)]
}

func fittingOf(all []tile, kind, form string, rows, cols, layers, units int) (fit []tile) {
	for _, t := range all {
		if t.kind == kind && t.form == form {
			fit = append(fit, t)
		}
	}
	cost := func(t tile) int {
		blocks := ceil(rows, t.rows) * ceil(cols, t.cols) * layers
		return ceil(blocks, units) * (t.rows*t.cols + 32*(t.rows+t.cols))
	}
	slices.SortStableFunc(fit, func(a, b tile) int { return cmp.Compare(cost(a), cost(b)) })
	return fit
}

func ceil(a, b int) int { return (a + b - 1) / b }
