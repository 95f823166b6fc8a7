//go:build cgo

package cpu

// #include "kernels.h"
import "C"

import (
	"fmt"
	"unsafe"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/op"
)

func init() {
	register(emitMoments, op.Moments{})
	register(emitNormalize, op.Normalize{})
	register(emitNormSums, op.NormSums{})
	register(emitNormGradX, op.NormGradX{})
	register(emitSumsPick, op.SumsPick{})
	register(emitChannelSum, op.ChannelSum{})
}

// picture is the shape of a rank-4 value as the normalisation kernels take it.
type picture struct{ n, c, hw, v C.int }

func (c *compiler) picture(value int, l layout) picture {
	s := c.shape(value)
	_, v := c.planes(s, l)
	return picture{C.int(s[0]), C.int(s[1]), C.int(s[2] * s[3]), C.int(v)}
}

// activations is the layout in which a value is read by kernels that know the
// plain and the blocked one.
func (c *compiler) activations(v int) layout {
	if l := c.layoutOf(v); l != filter {
		return l
	}
	return c.activation(c.shape(v))
}

// useAll finds several values, all in one layout.
func (c *compiler) useAll(l layout, vs ...int) ([]slot, error) {
	out := make([]slot, len(vs))
	for i, v := range vs {
		s, err := c.use(v, l)
		if err != nil {
			return nil, err
		}
		out[i] = s
	}
	return out, nil
}

func cbool(b bool) C.int {
	if b {
		return 1
	}
	return 0
}

func emitMoments(c *compiler, i engine.Instr) error {
	o := i.Op.(op.Moments)
	l := c.activations(i.In[0])
	x, err := c.use(i.In[0], l)
	if err != nil {
		return err
	}
	k := c.picture(i.In[0], l)
	y := c.def(i.Out, plain)
	c.add("moments", func(p []unsafe.Pointer) error {
		C.v2v_moments(f32(p[y]), f32(p[x]), k.n, k.c, k.hw, k.v, cbool(o.Batch), C.float(o.Eps))
		return nil
	}, x, y)
	return nil
}

// epilogue is what is fused after a normalisation: act1, an addition, act2.
type epilogue struct {
	act1, act2     C.int
	slope1, slope2 C.float
	add            int
}

func normEpilogue(post []engine.Step) (epilogue, error) {
	e := epilogue{act1: -1, act2: -1, add: -1}
	for _, s := range post {
		switch o := s.Op.(type) {
		case op.Act:
			if e.add < 0 {
				e.act1, e.slope1 = C.int(o.Kind), C.float(o.Slope)
			} else {
				e.act2, e.slope2 = C.int(o.Kind), C.float(o.Slope)
			}
		case op.Add:
			e.add = s.In[0]
		default:
			return e, fmt.Errorf("step %T after a normalisation: %w", s.Op, engine.ErrUnsupported)
		}
	}
	return e, nil
}

func emitNormalize(c *compiler, i engine.Instr) error {
	o := i.Op.(op.Normalize)
	e, err := normEpilogue(i.Post)
	if err != nil {
		return err
	}
	l := c.activations(i.In[0])
	x, err := c.use(i.In[0], l)
	if err != nil {
		return err
	}
	small, err := c.useAll(plain, i.In[1:]...)
	if err != nil {
		return err
	}
	uses := append([]slot{x}, small...)
	over := []int{i.In[0]}
	var res slot
	if e.add >= 0 {
		if res, err = c.use(e.add, l); err != nil {
			return err
		}
		uses, over = append(uses, res), append(over, e.add)
	}
	k := c.picture(i.In[0], l)
	y := c.def(i.Out, l, over...)
	c.add("normalize", func(p []unsafe.Pointer) error {
		var gamma, beta, add floats
		if o.Affine {
			gamma, beta = f32(p[small[1]]), f32(p[small[2]])
		}
		if e.add >= 0 {
			add = f32(p[res])
		}
		C.v2v_normalize(f32(p[y]), f32(p[x]), f32(p[small[0]]), gamma, beta, add,
			k.n, k.c, k.hw, k.v, cbool(o.Batch), e.act1, e.act2, e.slope1, e.slope2)
		return nil
	}, append(uses, y)...)
	return nil
}

func emitNormSums(c *compiler, i engine.Instr) error {
	o := i.Op.(op.NormSums)
	l := c.activations(i.In[0])
	x, err := c.useAll(l, i.In[0], i.In[2])
	if err != nil {
		return err
	}
	mom, err := c.use(i.In[1], plain)
	if err != nil {
		return err
	}
	k := c.picture(i.In[0], l)
	y := c.def(i.Out, plain)
	c.add("norm sums", func(p []unsafe.Pointer) error {
		C.v2v_norm_sums(f32(p[y]), f32(p[x[0]]), f32(p[mom]), f32(p[x[1]]), k.n, k.c, k.hw, k.v, cbool(o.Batch))
		return nil
	}, x[0], x[1], mom, y)
	return nil
}

func emitNormGradX(c *compiler, i engine.Instr) error {
	o := i.Op.(op.NormGradX)
	l := c.activations(i.In[0])
	x, err := c.useAll(l, i.In[0], i.In[2])
	if err != nil {
		return err
	}
	small, err := c.useAll(plain, append([]int{i.In[1], i.In[3]}, i.In[4:]...)...)
	if err != nil {
		return err
	}
	k := c.picture(i.In[0], l)
	y := c.def(i.Out, l, i.In[2], i.In[0])
	c.add("norm grad", func(p []unsafe.Pointer) error {
		var gamma floats
		if o.Affine {
			gamma = f32(p[small[2]])
		}
		C.v2v_norm_grad(f32(p[y]), f32(p[x[0]]), f32(p[small[0]]), f32(p[x[1]]), f32(p[small[1]]), gamma,
			k.n, k.c, k.hw, k.v, cbool(o.Batch))
		return nil
	}, append(append([]slot{y}, x...), small...)...)
	return nil
}

func emitSumsPick(c *compiler, i engine.Instr) error {
	o := i.Op.(op.SumsPick)
	x, err := c.use(i.In[0], plain)
	if err != nil {
		return err
	}
	s := c.shape(i.In[0])
	y := c.def(i.Out, plain)
	c.add("sums pick", func(p []unsafe.Pointer) error {
		C.v2v_sums_pick(f32(p[y]), f32(p[x]), C.int(s[0]), C.int(s[1]), C.int(o.Index))
		return nil
	}, x, y)
	return nil
}

func emitChannelSum(c *compiler, i engine.Instr) error {
	l := c.activations(i.In[0])
	x, err := c.use(i.In[0], l)
	if err != nil {
		return err
	}
	k := c.picture(i.In[0], l)
	y := c.def(i.Out, plain)
	c.add("channel sum", func(p []unsafe.Pointer) error {
		C.v2v_channel_sum(f32(p[y]), f32(p[x]), k.n, k.c, k.hw, k.v)
		return nil
	}, x, y)
	return nil
}
