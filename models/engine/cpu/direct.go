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

// edge returns x in a layout with a border of pad pixels around it, mirrored
// or zero, and its new shape.
func (c *compiler) edge(x int, l layout, pad int, reflect bool) (slot, tensor.Shape, error) {
	return c.edgeFor(x, l, pad, reflect, false)
}

// edgeFor is edge, in bfloat16 where half is set and x is blocked.
func (c *compiler) edgeFor(x int, l layout, pad int, reflect, half bool) (slot, tensor.Shape, error) {
	shape := c.shape(x)
	in, err := c.use(x, l)
	if err != nil || pad == 0 && !half {
		return in, shape, err
	}
	big := tensor.Shape{shape[0], shape[1], shape[2] + 2*pad, shape[3] + 2*pad}
	out := c.temp(engine.Value{Shape: big}.Size() * 4)
	planes, v := c.planes(shape, l)
	h, w := shape[2], shape[3]
	c.add("border", func(p []unsafe.Pointer) error {
		switch {
		case half:
			C.v2v_border_half((*C.uint16_t)(p[out]), f32(p[in]), C.int(planes), C.int(h), C.int(w), C.int(pad), cbool(reflect))
		case reflect:
			C.v2v_reflect(f32(p[out]), f32(p[in]), C.int(planes), C.int(h), C.int(w), C.int(v), C.int(pad))
		default:
			C.v2v_zero_border(f32(p[out]), f32(p[in]), C.int(planes), C.int(h), C.int(w), C.int(v), C.int(pad))
		}
		return nil
	}, in, out)
	return out, big, nil
}

const (
	plainChannels = 15 // most channels that are read unblocked
	plainKernel   = 16 // and the widest kernel there
	tapsAtOnce    = 64 // most weights of a kernel's plane
)

// emitTaps emits a convolution by the direct kernel where that is faster than
// oneDNN's: stride two, and the first layers with their few channels.
func (c *compiler) emitTaps(i engine.Instr) (done bool, err error) {
	o := i.Op.(op.Conv)
	x, w, y := c.shape(i.In[0]), c.shape(i.In[1]), c.shape(i.Out)
	few := w[1] <= plainChannels && o.Stride == 1 && w[3] > 3 && w[3] <= plainKernel
	if !c.d.wide(w[0]) || w[2] != w[3] || w[2]*w[3] > tapsAtOnce || !few && (o.Stride != 2 || !c.d.wide(w[1])) || few && w[1] > tapsAtOnce {
		return false, nil
	}
	l := blocked
	if few {
		l = plain
	}
	k := C.v2v_taps{n: C.int(x[0]), c: C.int(x[1]), o: C.int(y[1]), oh: C.int(y[2]), ow: C.int(y[3]), k: C.int(w[2]), stride: C.int(o.Stride), plain: cbool(few)}
	k.stem = cbool(few && w[3] == 7 && w[0]%32 == 0)
	return c.direct(i, k, l, o.Pad, o.Reflect, o.Bias)
}

// emitTapsT emits a transposed convolution at stride two by the direct kernel.
func (c *compiler) emitTapsT(i engine.Instr) (done bool, err error) {
	o := i.Op.(op.ConvT)
	x, w, y := c.shape(i.In[0]), c.shape(i.In[1]), c.shape(i.Out)
	exact := w[2] == w[3] && (w[2] == 3 && o.OutPad == 1 || w[2] == 4 && o.OutPad == 0)
	if o.Stride != 2 || o.Pad != 1 || !exact || !c.d.wide(w[0], w[1]) {
		return false, nil
	}
	k := C.v2v_taps{n: C.int(x[0]), c: C.int(x[1]), o: C.int(y[1]), oh: C.int(y[2]), ow: C.int(y[3]), k: C.int(w[2]), stride: 2, transposed: 1, pad: 1}
	return c.direct(i, k, blocked, 1, false, o.Bias)
}

// direct emits the steps of a direct convolution.
func (c *compiler) direct(i engine.Instr, k C.v2v_taps, l layout, pad int, reflect, biased bool) (done bool, err error) {
	var ok bool
	if k.act, k.slope, ok = rectified(i.Post); !ok {
		return false, nil
	}
	if l == blocked {
		k.half = c.half()
	}
	xs, big, err := c.edgeFor(i.In[0], l, pad, reflect, k.half != 0)
	if err != nil {
		return false, err
	}
	k.h, k.w = C.int(big[2]), C.int(big[3])
	bias := xs // unused without one
	if biased {
		if bias, err = c.use(i.In[2], plain); err != nil {
			return false, err
		}
	}
	ws, err := c.tapWeights(i.In[1], &k)
	if err != nil {
		return false, err
	}
	ys := c.def(i.Out, blocked)
	mom, gathers := c.gather(i.Out, func(m op.Moments) { k.batch, k.eps = cbool(m.Batch), C.float(m.Eps) })
	scratch := c.temp(int(C.v2v_taps_scratch(&k)))
	name := "direct"
	switch {
	case k.transposed != 0:
		name = "transposed"
	case k.stem != 0:
		name = "winograd rows"
	}
	c.add(layerName(name, c.shape(i.In[0]), c.shape(i.In[1]), c.shape(i.Out), int(k.stride)), func(p []unsafe.Pointer) error {
		var b, m floats
		if biased {
			b = f32(p[bias])
		}
		if gathers {
			m = f32(p[mom])
		}
		C.v2v_taps_run(&k, f32(p[ys]), f32(p[xs]), f32(p[ws]), b, m, (*C.char)(p[scratch]))
		return nil
	}, xs, ws, bias, ys, mom, scratch)
	return true, nil
}

// tapWeights returns weights in the kernel's order: packed now where they are
// constant, in every run where they change.
func (c *compiler) tapWeights(w int, k *C.v2v_taps) (slot, error) {
	bytes := int(C.v2v_taps_packed(k))
	if c.p.Values[w].Role == engine.Constant {
		return c.packed(w, fmt.Sprint("taps ", k.transposed, k.plain, k.half, k.stem), bytes, func(raw, mem unsafe.Pointer) error {
			C.v2v_taps_pack(k, f32(mem), f32(raw))
			return nil
		})
	}
	l := c.layoutOf(w)
	if l == filter {
		k.filter = 1
	} else {
		l = plain
	}
	from, err := c.use(w, l)
	if err != nil {
		return 0, err
	}
	packed := c.temp(bytes)
	pack := *k
	c.add("pack weights", func(p []unsafe.Pointer) error {
		C.v2v_taps_pack(&pack, f32(p[packed]), f32(p[from]))
		return nil
	}, from, packed)
	return packed, nil
}
