//go:build cgo

package cpu

// #include "kernels.h"
// #include <stdlib.h>
import "C"

import (
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
	x, w, y := c.shape(i.In[0]), c.shape(i.In[1]), c.shape(i.Out)
	act, slope, ok := rectified(i.Post)
	if !ok || o.Stride != 1 || w[2] != 3 || w[3] != 3 || !c.d.wide(w[0], w[1]) || min(w[0], w[1]) < winogradFrom {
		return false, nil
	}
	k := C.v2v_wino{n: C.int(x[0]), c: C.int(x[1]), h: C.int(x[2]), w: C.int(x[3]), o: C.int(y[1]), oh: C.int(y[2]), ow: C.int(y[3]),
		pad: C.int(o.Pad), reflect: cbool(o.Reflect), act: act, slope: slope, half: c.half()}
	xs, err := c.use(i.In[0], blocked)
	if err != nil {
		return false, err
	}
	ws, err := c.filters(i.In[1])
	if err != nil {
		return false, err
	}
	bias := xs // unused without one
	if o.Bias {
		if bias, err = c.use(i.In[2], plain); err != nil {
			return false, err
		}
	}
	ys := c.def(i.Out, blocked)
	mom, gathers := c.gather(i.Out, func(m op.Moments) { k.batch, k.eps = cbool(m.Batch), C.float(m.Eps) })
	scratch := c.temp(int(C.v2v_wino_scratch(&k)))
	c.add(layerName("winograd", x, w, y, 1), func(p []unsafe.Pointer) error {
		var b, m floats
		if o.Bias {
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

// half says whether products are to be in bfloat16.
func (c *compiler) half() C.int { return cbool(c.o.Precision == engine.BFloat16) }

// filters returns where weights lie in the layout of our kernels. A constant's
// plain copy is dropped at once.
func (c *compiler) filters(w int) (slot, error) {
	if c.p.Values[w].Role != engine.Constant {
		return c.use(w, filter)
	}
	if s, ok := c.at[w][filter]; ok {
		return s, nil
	}
	raw, err := c.loadConstant(w)
	if err != nil {
		return 0, err
	}
	defer C.free(raw)
	mem, err := alloc(c.size(w) * 4)
	if err != nil {
		return 0, err
	}
	s := c.slot(slotInfo{bytes: c.size(w) * 4, mem: mem, value: -1})
	c.at[w][filter] = s
	return s, c.d.reorder(c.shape(w), plain, filter, raw, mem)
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
