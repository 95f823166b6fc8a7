package cuda

import (
	"fmt"
	"slices"
	"strings"
)

// Numbers that lie as wgmma reads them, channels in units of 16 bytes.
const (
	kindBulk   = "bulk"   // bfloat16
	kindBulk32 = "bulk32" // float32 rounded to tf32
	// kindBulkFilters is bfloat16 of which gradients of filters are summed.
	kindBulkFilters = "bulkw"
)

// Forms of a product that are no sums over taps: the taps of a row as columns, and
// Winograd's, a product for each of 36 points.
const (
	byColumns  = "columns"
	byWinograd = "winograd"
)

// bulkTiles are the shapes of the Hopper kernels: those of up to 96 KB a block leave
// room for another beside it. Their shapes were chosen, not measured.
var bulkTiles = slices.Concat(bulkTilesOf(kindBulk, 64), bulkTilesOf(kindBulk32, 32), []tile{
	{kindBulk, 128, 256, 64, 8, 1, 4, byWinograd}, {kindBulk, 128, 128, 64, 8, 1, 3, byWinograd}, {kindBulk, 64, 128, 64, 4, 1, 4, byWinograd},
})

func bulkTilesOf(kind string, depth int) []tile {
	return []tile{
		{kind, 128, 256, depth, 8, 1, 4, ""}, {kind, 256, 128, depth, 8, 1, 4, ""}, {kind, 128, 128, depth, 8, 1, 3, ""}, {kind, 128, 64, depth, 8, 1, 4, ""},
		{kind, 64, 128, depth, 4, 1, 4, ""}, {kind, 64, 64, depth, 4, 1, 5, ""}, {kind, 256, 32, depth, 8, 1, 4, ""}, {kind, 256, 32, depth, 8, 1, 4, byColumns},
	}
}

// everyTile lists all tiles, those of the cache by place.
var everyTile = slices.Concat(tiles, bulkTiles, filterTiles)

// bulk says that a tile is one of Hopper's.
func (t tile) bulk() bool { return strings.HasPrefix(t.kind, kindBulk) }

// way is how V2V_CUDA_WITHOUT names a tile's kernels, where it does.
func (t tile) way() string {
	if t.bulk() {
		return wayHopper
	}
	return ""
}

// columnsTile is the one of a kind whose columns are taps along a row, too.
func columnsTile(kind string) tile {
	for _, t := range bulkTiles {
		if t.kind == kind && t.form == byColumns {
			return t
		}
	}
	panic("no tile of " + kind + " by columns")
}

// filterTiles are the shapes in which gradients of filters are summed.
var filterTiles = []tile{
	{kindBulkFilters, 128, 256, 64, 8, 1, 4, ""}, {kindBulkFilters, 128, 128, 64, 8, 1, 4, ""}, {kindBulkFilters, 128, 64, 64, 8, 1, 4, ""},
}

// wgmma is the card's product that a tile needs.
func (t tile) wgmma() string {
	name, shape, types, turned := fmt.Sprintf("wgmma<true, %d>", t.cols), fmt.Sprintf("m64n%dk16", t.cols), "bf16.bf16", ", 0, 0"
	switch t.kind {
	case kindBulk32:
		name, shape, types, turned = fmt.Sprintf("wgmma<false, %d>", t.cols), fmt.Sprintf("m64n%dk8", t.cols), "tf32.tf32", ""
	case kindBulkFilters:
		name, turned = fmt.Sprintf("wgmma_across<%d>", t.cols), ", 1, 1"
	}
	var regs, outs []string
	for i := range t.cols / 2 {
		regs = append(regs, fmt.Sprintf("%%%d", i))
		outs = append(outs, fmt.Sprintf("\"+f\"(d[%d])", i))
	}
	return fmt.Sprintf("template <> __device__ __forceinline__ void %s(float *d, u64 a, u64 b) {\n"+
		"\tasm volatile(\"wgmma.mma_async.sync.aligned.%s.f32.%s {%s}, %%%d, %%%d, 1, 1, 1%s;\"\n\t\t: %s : \"l\"(a), \"l\"(b));\n}\n",
		name, shape, types, strings.Join(regs, ","), t.cols/2, t.cols/2+1, turned, strings.Join(outs, ","))
}

// bulkSource is the kernel of one of Hopper's tiles.
func (t tile) bulkSource(sort int) string {
	blocks := "" // beside each other
	if t.shared() > 110<<10 {
		blocks = ", 1"
	}
	bounds, of := fmt.Sprintf("KERNEL __launch_bounds__(%d%s)", t.threads(), blocks), fmt.Sprintf("BulkTile<%v, %d, %d, %d, %d>", t.kind != kindBulk32, t.rows, t.cols, t.down*t.across/4, t.stages)
	switch {
	case t.kind == kindBulkFilters && sort == gradient:
		return fmt.Sprintf("%s conv_weights_%s(Spread g, const __grid_constant__ TensorMap gy, const __grid_constant__ TensorMap x, float *parts) { bulk_filters<%s>(g, &gy, &x, parts); }\n", bounds, t, of)
	case t.kind != kindBulkFilters && sort == forward && t.form == "": // others take the kernels of these
		return fmt.Sprintf("%s conv_%s(Bulk g, Post p, const __grid_constant__ TensorMap x, const __grid_constant__ TensorMap w, const float *b, float *out, Stats s) { bulk<%s>(g, p, s, &x, &w, b, out); }\n", bounds, t, of)
	}
	return ""
}

// kernel is the name of the one that a tile has in the place of another.
func (t tile) kernel(of string) string {
	if t.bulk() && t.kind != kindBulkFilters {
		of = "conv"
	}
	return of + "_" + t.shape()
}
