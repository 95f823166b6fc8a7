//go:build cgo

package cpu

// #include "kernels.h"
import "C"

import (
	"unsafe"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/op"
)

func init() {
	register(emitFlat, op.Act{}, op.ActGrad{}, op.Add{}, op.Sub{}, op.Scale{}, op.L1Grad{}, op.MSEGrad{}, op.MeanGrad{},
		op.AdamM{}, op.AdamV{}, op.AdamP{})
	register(emitMul, op.Mul{})
	register(emitPlanar, op.MulSum{}, op.Blend{})
	register(emitLoss, op.L1{}, op.MSE{}, op.Mean{}, op.Combine{}, engine.Const{})
}

// flat lists the elementwise operators: each is a function of pointers to its
// inputs in one common layout. Inputs of another size than the output (the
// gradient of a scalar, Adam's rates) are passed as they are.
func flat(spec op.Spec, n C.size_t) func(y floats, x []floats) {
	switch o := spec.(type) {
	case op.Act:
		return func(y floats, x []floats) { C.v2v_act(y, x[0], n, C.int(o.Kind), C.float(o.Slope)) }
	case op.ActGrad:
		return func(y floats, x []floats) { C.v2v_act_grad(y, x[0], x[1], n, C.int(o.Kind), C.float(o.Slope)) }
	case op.Add:
		return func(y floats, x []floats) { C.v2v_add(y, x[0], x[1], n) }
	case op.Sub:
		return func(y floats, x []floats) { C.v2v_sub(y, x[0], x[1], n) }
	case op.Mul:
		return func(y floats, x []floats) { C.v2v_mul(y, x[0], x[1], n) }
	case op.Scale:
		return func(y floats, x []floats) { C.v2v_scale(y, x[0], n, C.float(o.By), C.float(o.Plus)) }
	case op.L1Grad:
		return func(y floats, x []floats) { C.v2v_l1_grad(y, x[0], x[1], x[2], n) }
	case op.MSEGrad:
		return func(y floats, x []floats) { C.v2v_mse_grad(y, x[0], x[1], n, C.float(o.Target)) }
	case op.MeanGrad:
		return func(y floats, x []floats) { C.v2v_mean_grad(y, x[1], n) }
	case op.AdamM:
		return func(y floats, x []floats) { C.v2v_adam_m(y, x[0], x[1], n, C.float(o.Beta)) }
	case op.AdamV:
		return func(y floats, x []floats) { C.v2v_adam_v(y, x[0], x[1], n, C.float(o.Beta)) }
	case op.AdamP:
		return func(y floats, x []floats) { C.v2v_adam_p(y, x[0], x[1], x[2], x[3], n, C.float(o.Eps)) }
	}
	return nil
}

// emitFlat emits an elementwise operator in the layout its first input lies
// in, or in that of the variable it updates.
func emitFlat(c *compiler, i engine.Instr) error {
	l := c.layoutOf(i.In[0])
	if a := c.p.Values[i.Out].Alias; a >= 0 {
		l = c.home[a]
	}
	n := c.size(i.Out)
	in := make([]slot, len(i.In))
	for k, v := range i.In {
		want := l
		if c.size(v) != n || len(c.shape(v)) != len(c.shape(i.Out)) {
			want = plain
		}
		var err error
		if in[k], err = c.use(v, want); err != nil {
			return err
		}
	}
	run := flat(i.Op, C.size_t(n))
	y := c.def(i.Out, l, i.In...)
	c.add(specName(i.Op), func(p []unsafe.Pointer) error {
		var x [4]floats
		for k, s := range in {
			x[k] = f32(p[s])
		}
		run(f32(p[y]), x[:])
		return nil
	}, append(in, y)...)
	return nil
}

func emitMul(c *compiler, i engine.Instr) error {
	if c.size(i.In[0]) == c.size(i.In[1]) {
		return emitFlat(c, i)
	}
	return emitPlanar(c, i)
}

// emitPlanar emits operators in which one plane serves all channels of a
// picture; they work on images and flows, which lie plain.
func emitPlanar(c *compiler, i engine.Instr) error {
	in, err := c.useAll(plain, i.In...)
	if err != nil {
		return err
	}
	s := c.shape(i.In[0])
	n, ch, hw := C.int(s[0]), C.int(s[1]), C.int(s[2]*s[3])
	y := c.def(i.Out, plain)
	c.add(specName(i.Op), func(p []unsafe.Pointer) error {
		switch i.Op.(type) {
		case op.Mul:
			C.v2v_mul_channels(f32(p[y]), f32(p[in[0]]), f32(p[in[1]]), n, ch, hw)
		case op.MulSum:
			C.v2v_mul_sum(f32(p[y]), f32(p[in[0]]), f32(p[in[1]]), n, ch, hw)
		case op.Blend:
			C.v2v_blend(f32(p[y]), f32(p[in[0]]), f32(p[in[1]]), f32(p[in[2]]), n, ch, hw)
		}
		return nil
	}, append(in, y)...)
	return nil
}

// emitLoss emits what ends in a scalar.
func emitLoss(c *compiler, i engine.Instr) error {
	l := plain
	n := C.size_t(1)
	if len(i.In) > 0 {
		l, n = c.layoutOf(i.In[0]), C.size_t(c.size(i.In[0]))
	}
	in, err := c.useAll(l, i.In...)
	if err != nil {
		return err
	}
	y := c.def(i.Out, plain)
	c.add(specName(i.Op), func(p []unsafe.Pointer) error {
		out := f32(p[y])
		switch o := i.Op.(type) {
		case op.L1:
			C.v2v_l1(out, f32(p[in[0]]), f32(p[in[1]]), n)
		case op.MSE:
			C.v2v_mse(out, f32(p[in[0]]), n, C.float(o.Target))
		case op.Mean:
			C.v2v_mean(out, f32(p[in[0]]), n)
		case op.Combine:
			var s float32
			for k, x := range in {
				s += o.Weights[k] * float32(*f32(p[x]))
			}
			*out = C.float(s)
		case engine.Const:
			*out = C.float(o.Value)
		}
		return nil
	}, append(in, y)...)
	return nil
}
