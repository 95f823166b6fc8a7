//go:build cgo

package cpu

// #include "kernels.h"
import "C"

import (
	"fmt"
	"unsafe"

	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/op"
)

// wide says whether our AVX-512 kernels run on this device for channels in
// whole blocks.
func (d *Device) wide(channels ...int) bool {
	for _, n := range channels {
		if n%16 != 0 {
			return false
		}
	}
	return d.block == 16
}

// winogradFrom is the number of channels from which Winograd's transforms cost
// less than the multiplications they save.
const winogradFrom = 48

// positionsFrom is the number of positions on the smaller side from which that
// holds for strides of two.
const positionsFrom = 100

// rectified is a convolution's fused activation, as far as our kernels know it.
func rectified(post []engine.Step) (act C.int, slope C.float, ok bool) {
	if len(post) == 0 {
		return -1, 0, true
	}
	a, is := post[0].Op.(op.Act)
	ok = is && len(post) == 1 && (a.Kind == op.ReLU || a.Kind == op.LeakyReLU)
	return C.int(a.Kind), C.float(a.Slope), ok
}

// emitWino emits a convolution by Winograd's algorithm where that is right and
// pays; done is false where it is not.
func (c *compiler) emitWino(i engine.Instr) (done bool, err error) {
	o := i.Op.(op.Conv)
	k := C.v2v_wino{kind: C.V2V_WINO_SQUARE, pad: C.int(o.Pad), reflect: cbool(o.Reflect), half: c.half()}
	w := c.shape(i.In[1])
	if o.Stride == 2 && !o.Reflect && k.half == 0 {
		k.kind, k.k4 = C.V2V_WINO_STRIDED, cbool(w[2] == 4)
	} else if o.Stride != 1 {
		return false, nil
	}
	return c.wino(i, k, w[1], w[0], o.Bias)
}

// emitWinoT emits a transposed convolution so.
func (c *compiler) emitWinoT(i engine.Instr) (done bool, err error) {
	o := i.Op.(op.ConvT)
	w := c.shape(i.In[1])
	if o.Stride != 2 || o.Pad != 1 || o.OutPad != 4-w[2] || c.half() != 0 {
		return false, nil
	}
	return c.wino(i, C.v2v_wino{kind: C.V2V_WINO_TRANSPOSED, k4: cbool(w[2] == 4)}, w[0], w[1], o.Bias)
}

func (c *compiler) wino(i engine.Instr, k C.v2v_wino, in, out int, biased bool) (done bool, err error) {
	x, w, y := c.shape(i.In[0]), c.shape(i.In[1]), c.shape(i.Out)
	act, slope, ok := rectified(i.Post)
	if !ok || w[2] != 3+int(k.k4) || w[3] != w[2] || !c.d.wide(in, out) || min(in, out) < winogradFrom {
		return false, nil
	}
	if small := min(x[2], y[2]) * min(x[3], y[3]); small < positionsFrom && k.kind != C.V2V_WINO_SQUARE {
		return false, nil // transforming the weights would take longer than the products
	}
	k.n, k.c, k.h, k.w, k.o, k.oh, k.ow = C.int(x[0]), C.int(in), C.int(x[2]), C.int(x[3]), C.int(out), C.int(y[2]), C.int(y[3])
	k.act, k.slope = act, slope
	xs, err := c.use(i.In[0], blocked)
	if err != nil {
		return false, err
	}
	ws, err := c.filters(i.In[1], k.kind == C.V2V_WINO_TRANSPOSED)
	if err != nil {
		return false, err
	}
	bias := xs // unused without one
	if biased {
		if bias, err = c.use(i.In[2], plain); err != nil {
			return false, err
		}
	}
	ys := c.def(i.Out, blocked)
	mom, gathers := c.gather(i.Out, func(m op.Moments) { k.batch, k.eps = cbool(m.Batch), C.float(m.Eps) })
	scratch := c.temp(int(C.v2v_wino_scratch(&k)))
	c.add(winoName(k, x, w, y), func(p []unsafe.Pointer) error {
		var b, m floats
		if biased {
			b = f32(p[bias])
		}
		if gathers {
			m = f32(p[mom])
		}
		C.v2v_wino_run(&k, f32(p[ys]), f32(p[xs]), f32(p[ws]), b, m, (*C.char)(p[scratch]))
		return nil
	}, xs, ws, bias, ys, mom, scratch)
	return true, nil
}

// emitWinoGradX emits the gradient of a convolution's input: a convolution of
// y's with the weights turned round. Mirrored borders are folded back after.
func (c *compiler) emitWinoGradX(i engine.Instr) (done bool, err error) {
	o := i.Op.(op.ConvGradX)
	w, g, out := c.shape(i.In[0]), c.shape(i.In[1]), c.shape(i.Out)
	mirrored, zeros := border(o.Pad, o.Reflect)
	if o.Stride != 1 || w[2] != 3 || w[3] != 3 || zeros > 2 || !c.d.wide(w[0], w[1]) || min(w[0], w[1]) < winogradFrom {
		return false, nil
	}
	h, wd := out[2]+2*mirrored, out[3]+2*mirrored
	k := C.v2v_wino{kind: C.V2V_WINO_SQUARE, n: C.int(g[0]), c: C.int(w[0]), h: C.int(g[2]), w: C.int(g[3]), o: C.int(w[1]), oh: C.int(h), ow: C.int(wd),
		pad: C.int(2 - zeros), act: -1, half: c.half(), gradient: 1}
	ws, err := c.use(i.In[0], filter)
	if err != nil {
		return false, err
	}
	gy, err := c.use(i.In[1], blocked)
	if err != nil {
		return false, err
	}
	gx := c.def(i.Out, blocked)
	target := gx
	if mirrored > 0 {
		target = c.temp(int(k.n*k.o*k.oh*k.ow) * 4)
	}
	scratch := c.temp(int(C.v2v_wino_scratch(&k)))
	c.add(layerName("winograd grad x", g, w, tensor.Shape{g[0], w[1], h, wd}, 1), func(p []unsafe.Pointer) error {
		C.v2v_wino_run(&k, f32(p[target]), f32(p[gy]), f32(p[ws]), nil, nil, (*C.char)(p[scratch]))
		return nil
	}, target, gy, ws, scratch)
	if mirrored > 0 {
		c.foldBorder(i.Out, blocked, gx, target, mirrored)
	}
	return true, nil
}

func winoName(k C.v2v_wino, x, w, y tensor.Shape) string {
	switch k.kind {
	case C.V2V_WINO_STRIDED:
		return layerName("winograd", x, w, y, 2)
	case C.V2V_WINO_TRANSPOSED:
		return layerName("winograd transposed", x, w, y, 2)
	}
	return layerName("winograd", x, w, y, 1)
}

// half says whether products are to be in bfloat16.
func (c *compiler) half() C.int { return cbool(c.o.Precision == engine.BFloat16) }

// filters returns where weights lie as OIhw16i16o; those of a transposed
// convolution, (I,O,KH,KW), are turned round. A constant is packed now and its
// plain copy dropped, a variable that lies otherwise is packed in every run.
func (c *compiler) filters(w int, transposed bool) (slot, error) {
	shape := c.shape(w)
	o, in := C.int(shape[0]), C.int(shape[1])
	if transposed {
		o, in = in, o
	}
	area := C.int(shape[2] * shape[3])
	if c.p.Values[w].Role == engine.Constant {
		return c.packed(w, fmt.Sprint("filters ", transposed), c.size(w)*4, func(raw, mem unsafe.Pointer) error {
			C.v2v_filters(f32(mem), f32(raw), o, in, area, cbool(transposed), 0)
			return nil
		})
	}
	if !transposed {
		return c.use(w, filter)
	}
	from, err := c.use(w, c.d.variableLayout(shape))
	if err != nil {
		return 0, err
	}
	blocks := cbool(c.d.variableLayout(shape) == filter)
	to := c.temp(c.size(w) * 4)
	c.add("pack weights", func(p []unsafe.Pointer) error {
		C.v2v_filters(f32(p[to]), f32(p[from]), o, in, area, 1, blocks)
		return nil
	}, from, to)
	return to, nil
}

// gather looks for statistics that the program takes of v next. Where there
// are any, the kernel that makes v fills them in, and their own instruction is
// left out; where not, the slot is v's own and means nothing.
func (c *compiler) gather(v int, found func(op.Moments)) (slot, bool) {
	for k, i := range c.p.Code {
		if m, ok := i.Op.(op.Moments); ok && i.In[0] == v && len(i.Post) == 0 {
			found(m)
			c.done[k] = true
			return c.def(i.Out, plain), true
		}
	}
	return c.at[v][c.home[v]], false
}

func layerName(what string, x, w, y tensor.Shape, stride int) string {
	return sprintLayer(what, w[2], w[3], stride, x[1], y[1], y[2], y[3])
}
