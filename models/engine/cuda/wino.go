//go:build cgo

package cuda

// winogradPoints is how many products F(4x4,3x3) makes for 4x4 results.
const winogradPoints = 36

// winograd says that a convolution may be made so: of 3x3 taps at stride one, with
// whole units of channels, and no more than largest products.
func winograd(g geometry) bool {
	return g.kh == 3 && g.kw == 3 && g.stride == 1 && g.x[1]%8 == 0 && g.y[1]%8 == 0 && winogradPoints*winogradTiles(g)*max(g.x[1], g.y[1]) <= largest
}

// winogradTiles counts the tiles of 4x4 results.
func winogradTiles(g geometry) int { return g.y[0] * ceil(g.y[2], 4) * ceil(g.y[3], 4) }

func (b bulk) tiles() int { return winogradTiles(b.g) }

// byWinograd makes pictures and filters matrices, one for each point, multiplies
// these, and makes results of the products.
func (b bulk) byWinograd(c *compiler, t tile) []step {
	g := b.g
	i, o, n := g.x[1], g.y[1], b.tiles()
	launch := func(from, to arg) step { return flat("wino_filters", o*i, intArg(o), intArg(i), from, to) }
	bytes := 2 * winogradPoints * o * i
	var s []step
	w, constant := c.form(b.w, "winograd", bytes, launch)
	if !constant {
		w = c.temp(bytes)
		s = append(s, launch(slotArg(b.w), slotArg(w)))
	}
	shape := func(channels int, half bool) arg {
		return structArg(intArg(g.x[2]), intArg(g.x[3]), intArg(channels), intArg(g.y[2]), intArg(g.y[3]), intArg(g.pad), boolArg(g.reflect), boolArg(half),
			intArg(ceil(g.y[2], 4)), intArg(ceil(g.y[3], 4)), intArg(n))
	}
	pixels, products := c.temp(2*winogradPoints*n*i), c.temp(4*winogradPoints*n*o)
	work := bulkWork{t: t, n: winogradPoints, h: 1, w: n, o: o, kh: 1, kw: 1, phase: 1, step: 1, sign: 1, apart: true, trial: c.trial}
	plain, err := c.postArg(nil, false)
	if err != nil {
		panic(err) // of no steps
	}
	return append(s,
		small("wino_in", n*i/2, shape(i, g.half), slotArg(b.in), slotArg(pixels)),
		work.launch(
			tensorMap{slot: pixels, dims: []int{i, n, 1, 1, winogradPoints}, steps: []int{1, i, n * i, n * i, n * i}},
			tensorMap{slot: w, dims: []int{i, winogradPoints, 1, o}, steps: []int{1, i, winogradPoints * i, winogradPoints * i}}, plain, none, products),
		small("wino_out", n*o/2, shape(o, false), b.post, slotArg(products), slotArg(b.bias), slotArg(b.out), statsArg(none, 0, false)))
}

// small is a launch over n threads' work in small blocks: each holds 36 pairs.
func small(kernel string, n int, args ...arg) step {
	return step{kernel: kernel, grid: [3]int{min(ceil(n, 128), 1<<16), 1, 1}, block: 128, args: args}
}
