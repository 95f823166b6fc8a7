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

// The tiles of conv.cu, and the shared memory of a block.
const (
	tileRows, tileCols, tileDepth = 128, 64, 32
	convShared                    = (tileRows+tileCols)*(tileDepth+4)*4 + 3*4*tileRows
)

// geometry is the kernels' struct of that name: x (n,h,w,c), y (n,oh,ow,o).
type geometry struct {
	x, y        tensor.Shape
	kh, kw      int
	stride, pad int
	reflect     bool
	half        bool // what is read lies as bfloat16
}

func (g geometry) arg() arg {
	return structArg(intArg(g.x[0]), intArg(g.x[2]), intArg(g.x[3]), intArg(g.x[1]), intArg(g.y[2]), intArg(g.y[3]), intArg(g.y[1]),
		intArg(g.kh), intArg(g.kw), intArg(g.stride), intArg(g.pad), boolArg(g.reflect), boolArg(g.half))
}

func (c *compiler) convGeometry(i engine.Instr, o op.Conv) geometry {
	w := c.shape(i.In[1])
	return geometry{x: c.shape(i.In[0]), y: c.shape(i.Out), kh: w[2], kw: w[3], stride: o.Stride, pad: o.Pad, reflect: o.Reflect}
}

func (c *compiler) convTGeometry(i engine.Instr, o op.ConvT) geometry {
	w := c.shape(i.In[1])
	return geometry{x: c.shape(i.Out), y: c.shape(i.In[0]), kh: w[2], kw: w[3], stride: o.Stride, pad: o.Pad}
}

func ceil(a, b int) int { return (a + b - 1) / b }

// convKernel is the name of a kernel in the precision of the program.
func (c *compiler) convKernel(name string) string {
	return name + map[engine.Precision]string{engine.Float32: "_f32", engine.BFloat16: "_bf16", engine.TF32: "_tf32"}[c.o.Precision]
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
	y, first, out := g.y, len(c.steps), c.def(i.Out)
	c.add(step{
		kernel: c.convKernel("conv"), grid: [3]int{ceil(y[0]*y[2]*y[3], tileRows), ceil(y[1], tileCols), 1}, block: threads, shared: convShared,
		args: []arg{g.arg(), post, slotArg(in[0]), slotArg(in[1]), slotArg(bias(in)), slotArg(out)},
	})
	return c.faster(first, g, ofForward, bias(in), i.Post, identities(in[0], in[1], none, out))
}

// back adds the kernel that scatters: g.x is its output.
func (c *compiler) back(g geometry, post arg, small, w, b, out slot) {
	phase := ceil(g.x[2], g.stride) * ceil(g.x[3], g.stride) * g.x[0]
	c.add(step{
		kernel: c.convKernel("conv_back"), grid: [3]int{ceil(phase, tileRows), ceil(g.x[1], tileCols), g.stride * g.stride}, block: threads, shared: convShared,
		args: []arg{g.arg(), post, slotArg(small), slotArg(w), slotArg(b), slotArg(out)},
	})
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
	first, out := len(c.steps), c.def(i.Out)
	c.back(g, post, in[0], in[1], bias(in), out)
	return c.faster(first, g, ofBackData, bias(in), i.Post, identities(none, in[1], in[0], out))
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
		first, out := len(c.steps), c.def(i.Out)
		c.back(g, post, in[1], in[0], none, out)
		return c.faster(first, g, ofBackData, none, nil, identities(none, in[0], in[1], out))
	}
	// The gradient of the mirrored picture, whose borders are then added to
	// what they show.
	g.x, g.pad = tensor.Shape{x[0], x[1], x[2] + 2*o.Pad, x[3] + 2*o.Pad}, 0
	wide := c.temp(4 * g.x.TotalSize())
	c.back(g, post, in[1], in[0], none, wide)
	c.add(flat("fold", x.TotalSize(), intArg(x[0]), intArg(x[2]), intArg(x[3]), intArg(x[1]), intArg(o.Pad), slotArg(wide), slotArg(c.def(i.Out))))
	return nil
}

// emitConvGradW spreads the positions over as many layers of blocks as fill the
// card, each with a sum of its own; they are joined in a fixed order.
func emitConvGradW(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	o, x, y := i.Op.(op.ConvGradW), c.shape(i.In[0]), c.shape(i.In[1])
	g := geometry{x: x, y: y, kh: o.KH, kw: o.KW, stride: o.Stride, pad: o.Pad, reflect: o.Reflect}
	n, positions := c.size(i.Out), y[0]*y[2]*y[3]
	tiles := ceil(y[1], tileRows) * ceil(o.KH*o.KW*x[1], tileCols)
	layers := max(1, min(ceil(2*c.d.units, tiles), ceil(positions, 8*tileDepth), 64))
	each := ceil(ceil(positions, layers), tileDepth) * tileDepth
	layers = ceil(positions, each)
	first, out := len(c.steps), c.def(i.Out)
	parts := out
	if layers > 1 {
		parts = c.temp(4 * n * layers)
	}
	c.add(step{
		kernel: c.convKernel("conv_weights"), grid: [3]int{ceil(y[1], tileRows), ceil(o.KH*o.KW*x[1], tileCols), layers}, block: threads, shared: convShared,
		args: []arg{g.arg(), intArg(each), slotArg(in[0]), slotArg(in[1]), slotArg(parts)},
	})
	if layers > 1 {
		c.add(flat("add_parts", n, intArg(n), intArg(layers), slotArg(parts), slotArg(out)))
	}
	return c.faster(first, g, ofBackFilter, none, nil, identities(in[0], none, in[1], out))
}
