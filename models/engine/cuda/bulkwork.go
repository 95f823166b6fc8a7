//go:build cgo

package cuda

import (
	"fmt"
	"slices"

	"github.com/v2v/v2v/models/engine"
)

// tensorMap is how a kernel sees a slot as boxes: sizes and steps of each
// dimension, the innermost first, in numbers; its step is 1. A box takes every
// stride-th of `box` numbers. Numbers outside are 0.
type tensorMap struct {
	slot   slot
	half   bool // bfloat16, else float32
	dims   []int
	steps  []int
	box    []int
	stride []int
}

// encode has the driver write the map for an address to 128 bytes.
func (m *tensorMap) encode(d *Device, address uint64) ([]byte, error) {
	var c heap
	defer c.free()
	at := (uint64(uintptr(c.bytes(192))) + 63) &^ 63 // of 64 bytes' multiple
	typ, bytes := tensorFloat32, 4
	if m.half {
		typ, bytes = tensorBFloat16, 2
	}
	dims, steps, box, stride := make([]uint64, 0, 5), make([]uint64, 0, 5), make([]uint64, 5), make([]uint64, 5)
	for i, n := range m.dims {
		dims = append(dims, uint64(n))
		if i > 0 {
			steps = append(steps, uint64(m.steps[i]*bytes))
		}
		box[i/2] |= uint64(m.box[i]) << (32 * (i % 2))
		stride[i/2] |= uint64(m.stride[i]) << (32 * (i % 2))
	}
	err := d.api.call("cuTensorMapEncodeTiled", at, uint64(typ), uint64(len(dims)), address, c.numbers(dims...), c.numbers(steps...),
		c.numbers(box...), c.numbers(stride...), tensorNoInterleave, tensorSwizzle128, tensorPromote256, tensorFillZeros)
	if err != nil {
		return nil, fmt.Errorf("a tensor of %v in boxes of %v: %w", m.dims, m.box, err)
	}
	return c.read(at, 128), nil
}

// overlaps says whether the driver describes windows, tensors in which columns share
// numbers: its reference neither forbids them nor says that they may be.
func (d *Device) overlaps() bool {
	if d.windows == nil {
		windows := tensorMap{half: true, dims: []int{24, 8, 3, 8, 1}, steps: []int{1, 8, 80, 80, 800}, box: []int{64, 8, 1, 8, 1}, stride: []int{1, 1, 1, 1, 1}}
		_, err := windows.encode(d, 1<<20)
		fine := err == nil
		d.windows = &fine
	}
	return *d.windows
}

// bulk is a convolution by Hopper's kernels: forward, or what it scatters where
// back. It reads in and w and writes out (g.y, or g.x where back).
type bulk struct {
	g                geometry
	back             bool
	post             arg
	in, w, bias, out slot
}

// How a copy rounds: the kernels' AS_...
const asFloat, asBFloat16, asTF32 = 0, 1, 2

// as says how numbers are rounded that a tile reads.
func (t tile) as() int {
	if t.kind == kindBulk32 {
		return asTF32
	}
	return asBFloat16
}

// unit is how many channels 16 bytes of a tile's numbers hold.
func (t tile) unit() int { return t.depth / 8 }

func (t tile) bytes() int { return 128 / t.depth }

// framed is pictures (n,h,w) of channels as a convolution reads them, from a slot
// in which borders of pad pixels are.
type framed struct {
	at         slot
	n, h, w, c int
	pad        int
	steps      []step
}

// frame is the picture that a tile reads: as it lies where it may, else a copy,
// in which there are borders if asked, and for windows whole strides.
func (c *compiler) frame(t tile, g geometry, in slot, x []int, borders, window bool) framed {
	f := framed{at: in, n: x[0], c: ceil(x[1], t.unit()) * t.unit(), h: x[2], w: x[3]}
	if borders {
		f.pad, f.h, f.w = g.pad, x[2]+2*g.pad, x[3]+2*g.pad
	}
	right, down := 0, 0
	if window { // of steps each of which the driver wants to divide the next
		right, down = ceil(f.w, g.stride)*g.stride-f.w, ceil(f.h, g.stride)*g.stride-f.h
		f.w, f.h = f.w+right, f.h+down
	}
	if right+down == 0 && t.as() == asBFloat16 && g.half && f.c == x[1] && f.pad == 0 {
		return f
	}
	n := f.n * f.h * f.w * f.c
	f.at = c.temp(n * t.bytes())
	f.steps = []step{flat("frame", n/t.unit(), intArg(f.n), intArg(x[2]), intArg(x[3]), intArg(x[1]), intArg(f.c), intArg(f.pad), intArg(right), intArg(down), boolArg(g.reflect), boolArg(g.half),
		intArg(t.as()), slotArg(in), slotArg(f.at))}
	return f
}

// arranged is filters in the order that a tile reads: sizes and steps in
// (O,KH,KW,I) of each dimension, the last in whole units. Constants are so once.
func (c *compiler) arranged(t tile, name string, w slot, dims, steps [4]int) (slot, []step) {
	width := ceil(dims[3], t.unit()) * t.unit()
	n := dims[0] * dims[1] * dims[2] * width
	launch := func(from, to arg) step {
		return flat("arrange", n, intArg(dims[0]), intArg(dims[1]), intArg(dims[2]), intArg(dims[3]), intArg(width),
			intArg(steps[0]), intArg(steps[1]), intArg(steps[2]), intArg(steps[3]), intArg(t.as()), from, to)
	}
	if at, constant := c.form(w, fmt.Sprintf("%s %s", t.kind, name), n*t.bytes(), launch); constant {
		return at, nil
	}
	at := c.temp(n * t.bytes())
	return at, []step{launch(slotArg(w), slotArg(at))}
}

// steps is the launches in a tile.
func (b bulk) steps(c *compiler, t tile) []step {
	g := b.g
	if b.back {
		return b.scattering(c, t)
	}
	i, taps := g.x[1], g.kh*g.kw
	switch t.form {
	case byColumns:
		return b.byColumns(c, t)
	case byWinograd:
		return b.byWinograd(c, t)
	}
	// Few channels: the taps of a row lie together in a picture with borders.
	window := i < t.depth && g.kw > 1 && c.d.overlaps()
	f := c.frame(t, g, b.in, g.x, g.pad > 0 && (g.reflect || window), window)
	w, s := c.arranged(t, "forward", b.w, [4]int{g.y[1], g.kh, g.kw, i}, [4]int{taps * i, g.kw * i, i, 1})
	work := bulkWork{t: t, n: g.y[0], h: g.y[2], w: g.y[3], o: g.y[1], kh: g.kh, kw: g.kw, phase: 1, step: g.stride, sign: 1, pad: g.pad - f.pad, trial: c.trial}
	filters := tensorMap{slot: w, dims: []int{f.c, g.kw, g.kh, g.y[1]}, steps: []int{1, f.c, g.kw * f.c, taps * f.c}}
	picture := tensorMap{slot: f.at, dims: []int{f.c, f.w, 1, f.h, f.n}, steps: []int{1, f.c, f.w * f.c, f.w * f.c, f.h * f.w * f.c}}
	if window {
		row := g.kw * f.c
		filters.dims, filters.steps = []int{row, 1, g.kh, g.y[1]}, []int{1, row, row, g.kh * row}
		picture.dims, picture.steps = []int{row, g.y[3], g.kh, g.y[2], f.n}, []int{1, g.stride * f.c, f.w * f.c, g.stride * f.w * f.c, f.h * f.w * f.c}
		work.kw, work.window, work.pad = 1, true, 0
	}
	return append(append(f.steps, s...), work.launch(picture, filters, b.post, b.bias, b.out))
}

// byColumns makes what each tap of a row adds apart, as columns of one product,
// and sums them: results have few channels.
func (b bulk) byColumns(c *compiler, t tile) []step {
	g := b.g
	i, o := g.x[1], g.y[1]
	f := c.frame(t, g, b.in, g.x, g.pad > 0 && g.reflect, false)
	w, s := c.arranged(t, "columns", b.w, [4]int{g.kw, o, g.kh, i}, [4]int{i, g.kh * g.kw * i, g.kw * i, 1})
	wide := g.y[3] + g.kw - 1
	apart := c.temp(4 * g.y[0] * g.y[2] * wide * g.kw * o)
	work := bulkWork{t: t, n: g.y[0], h: g.y[2], w: wide, o: g.kw * o, kh: g.kh, kw: 1, phase: 1, step: 1, sign: 1, pad: g.pad - f.pad, trial: c.trial}
	filters := tensorMap{slot: w, dims: []int{f.c, 1, g.kh, g.kw * o}, steps: []int{1, f.c, f.c, g.kh * f.c}}
	picture := tensorMap{slot: f.at, dims: []int{f.c, f.w, 1, f.h, f.n}, steps: []int{1, f.c, f.w * f.c, f.w * f.c, f.h * f.w * f.c}}
	plain, err := c.postArg(nil, false)
	if err != nil {
		panic(err) // of no steps
	}
	n := g.y[0] * g.y[2] * g.y[3] * o
	return append(append(f.steps, s...), work.launch(picture, filters, plain, none, apart),
		flat("join_columns", n, intArg(g.y[0]), intArg(g.y[2]), intArg(g.y[3]), intArg(o), intArg(g.kw), b.post, slotArg(apart), slotArg(b.bias), slotArg(b.out)))
}

// scattering is a transposed convolution, or the gradient of the picture.
func (b bulk) scattering(c *compiler, t tile) []step {
	g := b.g
	i, o, taps := g.x[1], g.y[1], g.kh*g.kw
	f := c.frame(t, g, b.in, g.y, false, false)
	w, s := c.arranged(t, "turned", b.w, [4]int{i, g.kh, g.kw, o}, [4]int{1, g.kw * i, i, taps * i})
	work := bulkWork{t: t, n: g.x[0], h: g.x[2], w: g.x[3], o: i, kh: g.kh, kw: g.kw, phase: g.stride, step: 1, sign: -1, pad: g.pad, trial: c.trial}
	filters := tensorMap{slot: w, dims: []int{f.c, g.kw, g.kh, i}, steps: []int{1, f.c, g.kw * f.c, taps * f.c}}
	picture := tensorMap{slot: f.at, dims: []int{f.c, f.w, 1, f.h, f.n}, steps: []int{1, f.c, f.w * f.c, f.w * f.c, f.h * f.w * f.c}}
	return append(append(f.steps, s...), work.launch(picture, filters, b.post, b.bias, b.out))
}

// bulkWork is the kernels' struct Bulk but for what launch finds.
type bulkWork struct {
	t                                          tile
	n, h, w, o, kh, kw, phase, step, sign, pad int
	window                                     bool
	trial                                      bool // nobody reads what is made
	apart                                      bool // each item has filters of its own: the taps of others
}

// launch is a step of the kernels.
func (b bulkWork) launch(picture, filters tensorMap, post arg, bias, out slot) step {
	across, high, blocks := shapeBlocks(b.t.rows, b.n, ceil(b.h, b.phase), ceil(b.w, b.phase), b.step)
	if b.apart {
		across, high, blocks = b.t.rows, 1, b.n*ceil(b.w, b.t.rows)
	}
	depth := b.t.depth
	picture.half, filters.half = b.t.as() == asBFloat16, b.t.as() == asBFloat16
	picture.box, picture.stride = []int{depth, across, 1, high, b.t.rows / (across * high)}, []int{1, 1, 1, 1, 1}
	if !b.window && b.step > 1 {
		picture.box[1], picture.box[3] = across*b.step, high*b.step
		picture.stride[1], picture.stride[3] = b.step, b.step
	}
	filters.box, filters.stride = []int{depth, 1, 1, b.t.cols}, []int{1, 1, 1, 1}
	work := structArg(intArg(b.n), intArg(b.h), intArg(b.w), intArg(b.o), intArg(across), intArg(high), intArg(b.kh), intArg(b.kw), intArg(ceil(picture.dims[0], depth)),
		intArg(b.phase), intArg(b.step), intArg(b.sign), intArg(b.pad), boolArg(b.window), boolArg(b.apart), boolArg(b.trial))
	return step{kernel: b.t.kernel("conv"), grid: [3]int{blocks, ceil(b.o, b.t.cols), b.phase * b.phase}, block: b.t.threads(), shared: b.t.shared(),
		args: []arg{work, post, mapArg(picture), mapArg(filters), slotArg(bias), slotArg(out), statsArg(none, 0, false)}}
}

// shapeBlocks shapes blocks of n x tall x wide positions: as many columns of as many
// rows of as many items, powers of 2 with the product size, as make the fewest.
// A box spans step positions of the picture for each and may span 256. Blocks of
// several items sum up no statistics: these must save a fifth.
func shapeBlocks(size, n, tall, wide, step int) (across, high, blocks int) {
	least := 0
	for a := 1; a*step <= 256 && a <= size; a *= 2 {
		for h := 1; h*step <= 256 && a*h <= size; h *= 2 {
			items := size / (a * h)
			k := ceil(wide, a) * ceil(tall, h) * ceil(n, items)
			cost := 4 * k
			if items > 1 {
				cost = 5 * k
			}
			if items <= 256 && (blocks == 0 || cost <= least) {
				across, high, blocks, least = a, h, k, cost
			}
		}
	}
	return across, high, blocks
}

// fitting implements hopperWays.
func (b bulk) fitting(c *compiler) []tile {
	kind := map[engine.Precision]string{engine.BFloat16: kindBulk, engine.TF32: kindBulk32}[c.o.Precision]
	if kind == "" {
		return nil
	}
	g := b.g
	read := g.x
	if b.back {
		read = g.y
	} else if g.stride > mostStride {
		return nil
	}
	if !framable(kind, g, read) {
		return nil
	}
	rows, cols, layers := g.y[0]*g.y[2]*g.y[3], g.y[1], 1
	if b.back {
		rows, cols, layers = g.x[0]*ceil(g.x[2], g.stride)*ceil(g.x[3], g.stride), g.x[1], g.stride*g.stride
	}
	fit := fittingOf(bulkTiles, kind, "", rows, cols, layers, c.d.units)
	fit = fit[:mostTiles]
	if columns := columnsTile(kind); !b.back && g.stride == 1 && manyColumns(columns, g.kw, g.y[1]) && g.y[0]*g.y[2]*(g.y[3]+g.kw-1)*g.kw*g.y[1] <= largest {
		fit = append(fit, columns)
	}
	if _, constant := c.constants[b.w]; constant && kind == kindBulk && !b.back && !c.d.without[wayWinograd] && winograd(g) {
		fit = append(fit, fittingOf(bulkTiles, kind, byWinograd, b.tiles(), cols, winogradPoints, c.d.units)...)
	}
	return fit
}

// mostStride is the most that a tensor map steps over.
const mostStride = 8

// framable says that a copy of pictures, in whole units of channels, with borders and
// whole strides, has no more than largest numbers.
func framable(kind string, g geometry, x []int) bool {
	unit := everyTile[slices.IndexFunc(everyTile, func(t tile) bool { return t.kind == kind })].unit()
	wider := 2*g.pad + g.stride - 1
	return x[0]*(x[2]+wider)*(x[3]+wider)*ceil(x[1], unit)*unit <= largest
}

// manyColumns says that the taps of a row of all filters are columns enough of a tile.
func manyColumns(t tile, taps, filters int) bool { return taps > 2 && taps*filters <= t.cols }
