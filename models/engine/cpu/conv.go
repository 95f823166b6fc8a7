//go:build cgo

package cpu

/*
#include "dnn.h"
#include "kernels.h"
#include <stdlib.h>
#include <string.h>
*/
import "C"

import (
	"fmt"
	"unsafe"

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

type floats = *C.float

func f32(p unsafe.Pointer) floats { return (*C.float)(p) }

// geometry fills the part of a specification that all directions share: the
// picture x is (N,C,H,W), w (O,C,KH,KW), the result y (N,O,OH,OW).
func (c *compiler) geometry(x, w, y tensor.Shape, stride, pad int) C.v2v_conv_spec {
	return C.v2v_conv_spec{
		n: C.int(x[0]), c: C.int(x[1]), h: C.int(x[2]), w: C.int(x[3]),
		o: C.int(y[1]), oh: C.int(y[2]), ow: C.int(y[3]), kh: C.int(w[2]), kw: C.int(w[3]),
		stride: C.int(stride), pad: C.int(pad), pad_end: C.int(pad), act: C.V2V_ACT_NONE,
		src: layoutOf[c.activation(x)], dst: layoutOf[c.activation(y)], wei: layoutOf[c.d.variableLayout(w)],
		block: C.int(c.d.block),
	}
}

// fuseAct takes an activation that follows as the primitive's own.
func fuseAct(s *C.v2v_conv_spec, post []engine.Step) bool {
	if len(post) != 1 {
		return false
	}
	a, ok := post[0].Op.(op.Act)
	if ok {
		s.act, s.slope = C.int(a.Kind), C.float(a.Slope)
	}
	return ok
}

// planes says how a rank-4 shape in a layout looks to the kernels.
func (c *compiler) planes(shape tensor.Shape, l layout) (planes, v int) {
	v = 1
	if l == blocked {
		v = c.d.block
	}
	return shape[0] * shape[1] / v, v
}

// border splits a convolution's padding into what is mirrored beforehand and
// what the primitive pads with zeros.
func border(pad int, reflect bool) (mirrored, zeros int) {
	if reflect {
		return pad, 0
	}
	return 0, pad
}

func emitConv(c *compiler, i engine.Instr) error {
	for _, emit := range []func(engine.Instr) (bool, error){c.emitWino, c.emitTaps, c.emitHead} {
		if done, err := emit(i); done || err != nil {
			return err
		}
	}
	o := i.Op.(op.Conv)
	mirrored, zeros := border(o.Pad, o.Reflect)
	x, shape, err := c.edge(i.In[0], c.activation(c.shape(i.In[0])), mirrored, true)
	if err != nil {
		return err
	}
	s := c.geometry(shape, c.shape(i.In[1]), c.shape(i.Out), o.Stride, zeros)
	s.kind = C.V2V_FWD
	return c.forward(i, s, x, o.Bias)
}

func emitConvT(c *compiler, i engine.Instr) error {
	for _, emit := range []func(engine.Instr) (bool, error){c.emitWinoT, c.emitTapsT, c.emitHeadT} {
		if done, err := emit(i); done || err != nil {
			return err
		}
	}
	o := i.Op.(op.ConvT)
	shape := c.shape(i.In[0])
	x, err := c.use(i.In[0], c.activation(shape))
	if err != nil {
		return err
	}
	s := c.geometry(shape, c.shape(i.In[1]), c.shape(i.Out), o.Stride, o.Pad)
	s.kind, s.pad_end = C.V2V_DECONV, C.int(o.Pad-o.OutPad)
	return c.forward(i, s, x, o.Bias)
}

// forward emits a convolution or transposed convolution with bias and
// activation in its epilogue.
func (c *compiler) forward(i engine.Instr, s C.v2v_conv_spec, x slot, bias bool) error {
	fused := fuseAct(&s, i.Post)
	if len(i.Post) > 0 && !fused {
		return fmt.Errorf("step %T after a convolution: %w", i.Post[0].Op, engine.ErrUnsupported)
	}
	b := x // unused without a bias
	var err error
	if bias {
		s.bias = 1
		if b, err = c.use(i.In[2], plain); err != nil {
			return err
		}
	}
	w := i.In[1]
	constant := c.p.Values[w].Role == engine.Constant
	if constant {
		s.prepacked = 1
	}
	conv, err := c.newConv(s)
	if err != nil {
		return err
	}
	var ws slot
	if constant {
		ws, err = c.pack(conv, s, w)
	} else {
		ws, err = c.use(w, c.d.variableLayout(c.shape(w)))
	}
	if err != nil {
		return err
	}
	y := c.def(i.Out, c.activation(c.shape(i.Out)))
	scratch := c.temp(int(C.v2v_conv_scratch(conv)))
	c.add(c.convName("conv", conv, s), func(p []unsafe.Pointer) error {
		return check(C.v2v_conv_run(conv, p[x], p[ws], f32(p[b]), p[y], (*C.char)(p[scratch])), "convolution")
	}, x, ws, b, y, scratch)
	return nil
}

func (c *compiler) convName(what string, conv *C.v2v_conv, s C.v2v_conv_spec) string {
	return sprintLayer(what, int(s.kh), int(s.kw), int(s.stride), int(s.c), int(s.o), int(s.oh), int(s.ow)) + " " + C.GoString(C.v2v_conv_impl(conv))
}

func sprintLayer(what string, kh, kw, stride, in, out, oh, ow int) string {
	return fmt.Sprintf("%s %dx%d/%d %d->%d @%dx%d", what, kh, kw, stride, in, out, oh, ow)
}

func (c *compiler) newConv(s C.v2v_conv_spec) (*C.v2v_conv, error) {
	var conv *C.v2v_conv
	s.winograd = winograd(s)
	status := C.v2v_conv_new(&conv, &s)
	if status != 0 && s.winograd == 1 { // not on this processor, or not with this activation
		s.winograd = 0
		status = C.v2v_conv_new(&conv, &s)
	}
	if err := check(status, "create convolution"); err != nil {
		return nil, err
	}
	c.free = append(c.free, func() { C.v2v_conv_free(conv) })
	return conv, nil
}

// pack turns a constant weight into the primitive's own format; the plain copy
// is dropped at once.
func (c *compiler) pack(conv *C.v2v_conv, s C.v2v_conv_spec, w int) (slot, error) {
	return c.packed(w, fmt.Sprint("onednn ", s), int(C.v2v_conv_packed(conv)), func(raw, mem unsafe.Pointer) error {
		return check(C.v2v_conv_pack(conv, f32(raw), mem), "pack weights")
	})
}

func emitConvGradX(c *compiler, i engine.Instr) error {
	if done, err := c.emitWinoGradX(i); done || err != nil {
		return err
	}
	o := i.Op.(op.ConvGradX)
	mirrored, zeros := border(o.Pad, o.Reflect)
	out, wshape, gshape := c.shape(i.Out), c.shape(i.In[0]), c.shape(i.In[1])
	l := c.activation(out)
	w, err := c.use(i.In[0], c.d.variableLayout(wshape))
	if err != nil {
		return err
	}
	gy, err := c.use(i.In[1], c.activation(gshape))
	if err != nil {
		return err
	}
	big := tensor.Shape{out[0], out[1], out[2] + 2*mirrored, out[3] + 2*mirrored}
	s := c.geometry(big, wshape, gshape, o.Stride, zeros)
	s.kind = C.V2V_BWD_DATA
	conv, err := c.newConv(s)
	if err != nil {
		return err
	}
	gx := c.def(i.Out, l)
	target := gx
	if mirrored > 0 {
		target = c.temp(engine.Value{Shape: big}.Size() * 4)
	}
	scratch := c.temp(int(C.v2v_conv_scratch(conv)))
	c.add(c.convName("conv grad x", conv, s), func(p []unsafe.Pointer) error {
		return check(C.v2v_conv_run(conv, p[target], p[w], nil, p[gy], (*C.char)(p[scratch])), "convolution gradient")
	}, target, w, gy, scratch)
	if mirrored > 0 {
		c.foldBorder(i.Out, l, gx, target, mirrored)
	}
	return nil
}

// foldBorder adds what fell on mirrored pixels to the pixels themselves.
func (c *compiler) foldBorder(v int, l layout, to, from slot, pad int) {
	out := c.shape(v)
	planes, width := c.planes(out, l)
	c.add("reflect grad", func(p []unsafe.Pointer) error {
		C.v2v_reflect_grad(f32(p[to]), f32(p[from]), C.int(planes), C.int(out[2]), C.int(out[3]), C.int(width), C.int(pad))
		return nil
	}, to, from)
}

func emitConvGradW(c *compiler, i engine.Instr) error {
	o := i.Op.(op.ConvGradW)
	mirrored, zeros := border(o.Pad, o.Reflect)
	x, shape, err := c.edge(i.In[0], c.activation(c.shape(i.In[0])), mirrored, true)
	if err != nil {
		return err
	}
	gshape, wshape := c.shape(i.In[1]), c.shape(i.Out)
	gy, err := c.use(i.In[1], c.activation(gshape))
	if err != nil {
		return err
	}
	s := c.geometry(shape, wshape, gshape, o.Stride, zeros)
	s.kind = C.V2V_BWD_WEIGHTS
	conv, err := c.newConv(s)
	if err != nil {
		return err
	}
	gw := c.def(i.Out, c.d.variableLayout(wshape))
	scratch := c.temp(int(C.v2v_conv_scratch(conv)))
	c.add(c.convName("conv grad w", conv, s), func(p []unsafe.Pointer) error {
		return check(C.v2v_conv_run(conv, p[x], p[gw], nil, p[gy], (*C.char)(p[scratch])), "convolution gradient")
	}, x, gw, gy, scratch)
	return nil
}

// winogradChannels is from where on Winograd's transforms cost less than the
// multiplications they save.
const winogradChannels = 64

// winograd says whether a convolution is tried by Winograd's algorithm: 3x3
// kernels at stride one over many channels, unless the weights change with
// every run and would have to be transformed each time. It is a rule and not a
// measurement so that the same program gives the same numbers in every
// process: a training run that was killed must continue its curve.
func winograd(s C.v2v_conv_spec) C.int {
	if s.kh == 3 && s.kw == 3 && s.stride == 1 && s.c >= winogradChannels && s.o >= winogradChannels &&
		s.c%s.block == 0 && s.o%s.block == 0 && (s.kind != C.V2V_FWD || s.prepacked == 1) {
		return 1
	}
	return 0
}
