//go:build cgo

package cuda

import (
	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/op"
)

func init() {
	register(emitConv, op.Conv{})
	register(emitConvT, op.ConvT{})
	register(emitConvGradX, op.ConvGradX{})
	register(emitConvGradW, op.ConvGradW{})
}

// geometry is the kernels' struct of that name: x (n,h,w,c), y (n,oh,ow,o).
type geometry struct {
	x, y        tensor.Shape
	kh, kw      int
	stride, pad int
	reflect     bool
	half        bool // the picture that is read lies as bfloat16
	halfFilters bool // and so do the filters
}

func (g geometry) arg() arg {
	return structArg(intArg(g.x[0]), intArg(g.x[2]), intArg(g.x[3]), intArg(g.x[1]), intArg(g.y[2]), intArg(g.y[3]), intArg(g.y[1]),
		intArg(g.kh), intArg(g.kw), intArg(g.stride), intArg(g.pad), boolArg(g.reflect), boolArg(g.half), boolArg(g.halfFilters))
}

func (c *compiler) convGeometry(i engine.Instr, o op.Conv) geometry {
	w := c.shape(i.In[1])
	return geometry{x: c.shape(i.In[0]), y: c.shape(i.Out), kh: w[2], kw: w[3], stride: o.Stride, pad: o.Pad, reflect: o.Reflect}
}

func (c *compiler) convTGeometry(i engine.Instr, o op.ConvT) geometry {
	w := c.shape(i.In[1])
	return geometry{x: c.shape(i.Out), y: c.shape(i.In[0]), kh: w[2], kw: w[3], stride: o.Stride, pad: o.Pad}
}

// step is a launch of a kernel that makes rows x cols results in layers.
func (t tile) step(kernel string, rows, cols, layers int, args ...arg) step {
	return step{kernel: kernel + "_" + t.String(), grid: [3]int{ceil(rows, t.rows), ceil(cols, t.cols), layers}, block: t.threads(), shared: t.shared(), args: args}
}

// numbers is the kind of those that own kernels read as they lie. unit says that
// every 16 bytes of bfloat16 that are read together lie together.
func (c *compiler) numbers(g geometry, unit bool) string {
	switch {
	case c.o.Precision == engine.Float32:
		return kindF32
	case c.o.Precision == engine.TF32:
		return kindTF32
	case g.half && g.halfFilters && unit:
		return kindHalf
	}
	return kindBF16
}

// filters is where own kernels read filters from: in bf16 constants are rounded
// when the program is compiled.
func (c *compiler) filters(g *geometry, w slot) slot {
	if c.o.Precision != engine.BFloat16 {
		return w
	}
	if half, constant := c.halved(w); constant {
		g.halfFilters = true
		return half
	}
	return w
}

// bias is the third input, or none.
func bias(in []slot) slot {
	if len(in) > 2 {
		return in[2]
	}
	return none
}

// identities is the slots by identity.
func identities(x, w, y, out slot) [idOut + 1]slot {
	return [idOut + 1]slot{0: none, idX: x, idW: w, idY: y, idBias: none, idAdd: none, idOut: out}
}

// rounding is what a tile that reads numbers that lie as bfloat16 needs before:
// those that do not are rounded to a copy.
func (c *compiler) rounding(t tile, g geometry, picture, w slot) (geometry, slot, slot, []step) {
	if t.kind != kindHalf {
		return g, picture, w, nil
	}
	var s []step
	round := func(at *slot, half *bool) {
		if *half {
			return
		}
		n, from := c.slots[*at].bytes/4, *at
		*at, *half = c.temp(2*n), true
		s = append(s, halving(n, slotArg(from), slotArg(*at)))
	}
	round(&picture, &g.half)
	round(&w, &g.halfFilters)
	return g, picture, w, s
}

func emitConv(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	post, err := c.postArg(i.Post, c.half[i.Out])
	if err != nil {
		return err
	}
	g := c.convGeometry(i, i.Op.(op.Conv))
	g.half = c.slots[in[0]].half
	w, y, out := c.filters(&g, in[1]), g.y, c.def(i.Out)
	unit := g.x[1]%8 == 0
	own := ownWays{kernel: "conv", kind: c.numbers(g, unit), unit: unit, rows: y[0] * y[2] * y[3], cols: y[1], layers: 1, out: out}
	own.hopper = bulk{g: g, post: post, in: in[0], w: in[1], bias: bias(in), out: out}
	own.steps = func(t tile) []step {
		g, x, w, s := c.rounding(t, g, in[0], w)
		return append(s, t.step(own.kernel, own.rows, own.cols, own.layers, g.arg(), post, slotArg(x), slotArg(w), slotArg(bias(in)), slotArg(out)))
	}
	return c.convolve(own, g, ofForward, bias(in), i.Post, identities(in[0], in[1], none, out))
}

// back is the kernel that scatters: g.x is its output.
func (c *compiler) back(g geometry, post arg, small, w, b, out slot) ownWays {
	ways := bulk{g: g, back: true, post: post, in: small, w: w, bias: b, out: out}
	w = c.filters(&g, w)
	phase := ceil(g.x[2], g.stride) * ceil(g.x[3], g.stride) * g.x[0]
	unit := g.x[1]%8 == 0 && g.y[1]%8 == 0
	own := ownWays{kernel: "conv_back", kind: c.numbers(g, unit), unit: unit, rows: phase, cols: g.x[1], layers: g.stride * g.stride, out: out, hopper: ways}
	own.steps = func(t tile) []step {
		g, small, w, s := c.rounding(t, g, small, w)
		return append(s, t.step(own.kernel, own.rows, own.cols, own.layers, g.arg(), post, slotArg(small), slotArg(w), slotArg(b), slotArg(out)))
	}
	return own
}

func emitConvT(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	post, err := c.postArg(i.Post, c.half[i.Out])
	if err != nil {
		return err
	}
	g := c.convTGeometry(i, i.Op.(op.ConvT))
	g.half = c.slots[in[0]].half
	out := c.def(i.Out)
	return c.convolve(c.back(g, post, in[0], in[1], bias(in), out), g, ofBackData, bias(in), i.Post, identities(none, in[1], in[0], out))
}

func emitConvGradX(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	post, err := c.postArg(nil, false)
	if err != nil {
		return err
	}
	o, w, x := i.Op.(op.ConvGradX), c.shape(i.In[0]), c.shape(i.Out)
	g := geometry{x: x, y: c.shape(i.In[1]), kh: w[2], kw: w[3], stride: o.Stride, pad: o.Pad}
	if !o.Reflect || o.Pad == 0 {
		out := c.def(i.Out)
		return c.convolve(c.back(g, post, in[1], in[0], none, out), g, ofBackData, none, nil, identities(none, in[0], in[1], out))
	}
	// The gradient of the mirrored picture, whose borders are then added to
	// what they show.
	g.x, g.pad = tensor.Shape{x[0], x[1], x[2] + 2*o.Pad, x[3] + 2*o.Pad}, 0
	wide := c.temp(4 * g.x.TotalSize())
	if err := c.convolve(c.back(g, post, in[1], in[0], none, wide), g, ofBackData, none, nil, identities(none, in[0], in[1], wide)); err != nil {
		return err
	}
	c.add(flat("fold", x.TotalSize(), intArg(x[0]), intArg(x[2]), intArg(x[3]), intArg(x[1]), intArg(o.Pad), slotArg(wide), slotArg(c.def(i.Out))))
	return nil
}

// Positions are spread for gradients of filters as if these were made in tiles of
// this shape, whichever tile then serves: all give the same sums.
const spreadRows, spreadCols, spreadDepth = 128, 64, 32

// emitConvGradW spreads the positions over as many layers of blocks as fill the
// card, each with a sum of its own; they are joined in a fixed order.
func emitConvGradW(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	o, x, y := i.Op.(op.ConvGradW), c.shape(i.In[0]), c.shape(i.In[1])
	g := geometry{x: x, y: y, kh: o.KH, kw: o.KW, stride: o.Stride, pad: o.Pad, reflect: o.Reflect}
	n, positions, width := c.size(i.Out), y[0]*y[2]*y[3], o.KH*o.KW*x[1]
	tiles := ceil(y[1], spreadRows) * ceil(width, spreadCols)
	layers := max(1, min(ceil(2*c.d.units, tiles), ceil(positions, 8*spreadDepth), 64))
	each := ceil(ceil(positions, layers), spreadDepth) * spreadDepth
	layers = ceil(positions, each)
	out := c.def(i.Out)
	parts := out
	if layers > 1 {
		parts = c.temp(4 * n * layers)
	}
	own := ownWays{kernel: "conv_weights", kind: c.numbers(g, false), rows: y[1], cols: width, layers: layers, out: out, hopper: bulkFilters{g: g, x: in[0], y: in[1], out: out}}
	own.steps = func(t tile) []step {
		s := []step{t.step(own.kernel, own.rows, own.cols, own.layers, g.arg(), intArg(each), slotArg(in[0]), slotArg(in[1]), slotArg(parts))}
		if layers > 1 {
			s = append(s, flat("add_parts", n, intArg(n), intArg(layers), slotArg(parts), slotArg(out)))
		}
		return s
	}
	return c.convolve(own, g, ofBackFilter, none, nil, identities(in[0], none, in[1], out))
}
