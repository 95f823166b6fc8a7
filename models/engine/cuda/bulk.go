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

// bulkTiles are the shapes of the Hopper kernels.
var bulkTiles = []tile{
	{kindBulk, 128, 256, 64, 8, 1, 4, false}, {kindBulk, 256, 128, 64, 8, 1, 4, false}, {kindBulk, 128, 128, 64, 8, 1, 3, false}, {kindBulk, 128, 64, 64, 8, 1, 4, false}, {kindBulk, 256, 32, 64, 8, 1, 4, false},
	{kind: kindBulk, rows: 256, cols: 32, depth: 64, down: 8, across: 1, stages: 4, columns: true},
	{kindBulk32, 128, 256, 32, 8, 1, 4, false}, {kindBulk32, 256, 128, 32, 8, 1, 4, false}, {kindBulk32, 128, 128, 32, 8, 1, 3, false}, {kindBulk32, 128, 64, 32, 8, 1, 4, false}, {kindBulk32, 256, 32, 32, 8, 1, 4, false},
	{kind: kindBulk32, rows: 256, cols: 32, depth: 32, down: 8, across: 1, stages: 4, columns: true},
}

// everyTile lists all tiles, those of the cache by place.
var everyTile = slices.Concat(tiles, bulkTiles, filterTiles)

// bulk says that a tile is one of Hopper's.
func (t tile) bulk() bool { return strings.HasPrefix(t.kind, kindBulk) }

// columnsTile is the one of a kind whose columns are taps along a row, too.
func columnsTile(kind string) tile {
	for _, t := range bulkTiles {
		if t.kind == kind && t.columns {
			return t
		}
	}
	panic("no tile of " + kind + " by columns")
}

// filterTiles are the shapes in which gradients of filters are summed.
var filterTiles = []tile{
	{kindBulkFilters, 128, 256, 64, 8, 1, 4, false}, {kindBulkFilters, 128, 128, 64, 8, 1, 4, false}, {kindBulkFilters, 128, 64, 64, 8, 1, 4, false},
}

// wgmmaSource is the card's products for every width and kind that tiles need.
func wgmmaSource() string {
	var b strings.Builder
	seen := map[string]bool{}
	for _, t := range slices.Concat(bulkTiles, filterTiles) {
		name, shape, types, turned := fmt.Sprintf("wgmma<true, %d>", t.cols), fmt.Sprintf("m64n%dk16", t.cols), "bf16.bf16", ", 0, 0"
		switch t.kind {
		case kindBulk32:
			name, shape, types, turned = fmt.Sprintf("wgmma<false, %d>", t.cols), fmt.Sprintf("m64n%dk8", t.cols), "tf32.tf32", ""
		case kindBulkFilters:
			name, turned = fmt.Sprintf("wgmma_across<%d>", t.cols), ", 1, 1"
		}
		if seen[name] {
			continue
		}
		seen[name] = true
		var regs, outs []string
		for i := range t.cols / 2 {
			regs = append(regs, fmt.Sprintf("%%%d", i))
			outs = append(outs, fmt.Sprintf("\"+f\"(d[%d])", i))
		}
		fmt.Fprintf(&b, "template <> __device__ __forceinline__ void %s(float *d, u64 a, u64 b) {\n"+
			"\tasm volatile(\"wgmma.mma_async.sync.aligned.%s.f32.%s {%s}, %%%d, %%%d, 1, 1, 1%s;\"\n\t\t: %s : \"l\"(a), \"l\"(b));\n}\n",
			name, shape, types, strings.Join(regs, ","), t.cols/2, t.cols/2+1, turned, strings.Join(outs, ","))
	}
	return b.String()
}

// bulkSource is the kernels for every tile.
func bulkSource() string {
	var b strings.Builder
	for _, t := range bulkTiles {
		if t.columns {
			continue // the kernel is the one without
		}
		fmt.Fprintf(&b, "KERNEL __launch_bounds__(%d) conv_%s(Bulk g, Post p, const __grid_constant__ TensorMap x, const __grid_constant__ TensorMap w, const float *b, float *out) { bulk<BulkTile<%v, %d, %d, %d>>(g, p, &x, &w, b, out); }\n",
			t.threads(), t, t.kind == kindBulk, t.rows, t.cols, t.stages)
	}
	for _, t := range filterTiles {
		fmt.Fprintf(&b, "KERNEL __launch_bounds__(%d) conv_weights_%s(Spread g, const __grid_constant__ TensorMap gy, const __grid_constant__ TensorMap x, float *parts) { bulk_filters<BulkTile<true, %d, %d, %d>>(g, &gy, &x, parts); }\n",
			t.threads(), t, t.rows, t.cols, t.stages)
	}
	return b.String()
}
