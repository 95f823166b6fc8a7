//go:build cgo

package cuda

import "github.com/v2v/v2v/models/engine"

// bulkFilters is the gradient of a convolution's filters by Hopper's kernels: of the
// picture x and the gradient y of the results.
type bulkFilters struct {
	g         geometry
	x, y, out slot
}

// fitting implements hopperWays. Matrices that lie across the depth are products of
// bfloat16 alone.
func (b bulkFilters) fitting(c *compiler) []tile {
	if c.o.Precision != engine.BFloat16 {
		return nil
	}
	g := b.g
	if g.stride > mostStride || !framable(kindBulkFilters, g, g.x) || !framable(kindBulkFilters, g, g.y) {
		return nil
	}
	return fittingOf(filterTiles, kindBulkFilters, "", g.y[1], g.x[1], g.kh*g.kw, c.d.units)[:mostTiles/2]
}

// positions is how many are summed in a slice.
const positions = 64

// steps implements hopperWays. Positions are spread over layers of blocks as for other
// kernels, each with a sum of its own.
func (b bulkFilters) steps(c *compiler, t tile) []step {
	g := b.g
	o, i := g.y[1], g.x[1]
	window := i < t.depth && g.kw > 1 && c.d.overlaps()
	x := c.frame(t, g, b.x, g.x, g.pad > 0 && (g.reflect || window), window)
	plain := g
	plain.half, plain.reflect, plain.pad = false, false, 0
	y := c.frame(t, plain, b.y, g.y, false, false)
	across, high, slices := shapeBlocks(positions, g.y[0], g.y[2], g.y[3], g.stride)
	items := positions / (across * high)
	columns, taps := x.c, g.kh*g.kw
	if window {
		columns, taps = g.kw*x.c, g.kh
	}
	blocks := ceil(o, t.rows) * ceil(columns, t.cols) * taps
	layers := max(1, min(ceil(2*c.d.units, blocks), ceil(slices, 8), 64))
	each := ceil(slices, layers)
	layers = ceil(slices, each)
	n, parts := o*g.kh*g.kw*i, b.out
	if layers > 1 {
		parts = c.temp(4 * n * layers)
	}
	gradient := tensorMap{slot: y.at, half: true, dims: []int{y.c, y.w, 1, y.h, y.n}, steps: []int{1, y.c, y.w * y.c, y.w * y.c, y.h * y.w * y.c},
		box: []int{64, across, 1, high, items}, stride: []int{1, 1, 1, 1, 1}}
	picture := tensorMap{slot: x.at, half: true, dims: []int{x.c, x.w, 1, x.h, x.n}, steps: []int{1, x.c, x.w * x.c, x.w * x.c, x.h * x.w * x.c},
		box: []int{64, across * g.stride, 1, high * g.stride, items}, stride: []int{1, g.stride, 1, g.stride, 1}}
	if window {
		picture.dims, picture.steps = []int{columns, g.y[3], g.kh, g.y[2], x.n}, []int{1, g.stride * x.c, x.w * x.c, g.stride * x.w * x.c, x.h * x.w * x.c}
		picture.box, picture.stride = gradient.box, gradient.stride
	}
	spread := structArg(intArg(g.y[0]), intArg(g.y[2]), intArg(g.y[3]), intArg(o), intArg(i), intArg(x.c), intArg(across), intArg(high), intArg(g.kh), intArg(g.kw),
		intArg(g.stride), intArg(g.pad-x.pad), boolArg(window), intArg(each), boolArg(c.trial))
	s := append(append(x.steps, y.steps...), step{kernel: t.kernel("conv_weights"), grid: [3]int{ceil(o, t.rows), ceil(columns, t.cols) * taps, layers},
		block: t.threads(), shared: t.shared(), args: []arg{spread, mapArg(gradient), mapArg(picture), slotArg(parts)}})
	if layers > 1 {
		s = append(s, flat("add_parts", n, intArg(n), intArg(layers), slotArg(parts), slotArg(b.out)))
	}
	return s
}
