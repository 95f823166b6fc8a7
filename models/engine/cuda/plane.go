//go:build cgo

package cuda

import (
	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/op"
)

func init() {
	register(emitWarp, op.Warp{})
	register(emitWarpGradImage, op.WarpGradImage{})
	register(emitWarpGradFlow, op.WarpGradFlow{})
	register(emitPool, op.AvgPool{}, op.AvgPoolGrad{})
	register(emitResize, op.Resize{}, op.ResizeGrad{})
	register(emitBytes, op.FromBytes{}, op.ToBytes{}, op.OneHot{}, op.Edges{})
}

func pixels(s tensor.Shape) int { return s[0] * s[2] * s[3] }

// plane is the arguments that kernels of pictures begin with.
func plane(s tensor.Shape) []arg {
	return []arg{intArg(pixels(s)), intArg(s[2]), intArg(s[3]), intArg(s[1])}
}

func emitWarp(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	s := c.shape(i.Out)
	c.add(flat("warp", pixels(s), append(plane(s), slotArg(in[0]), slotArg(in[1]), slotArg(none), slotArg(none), slotArg(c.def(i.Out)))...))
	return nil
}

// warpBlend is a Warp whose result only a Blend reads, made in one pass.
type warpBlend struct{ op.Spec }

// fuseWarps lets blends do the warping before them.
func (c *compiler) fuseWarps() {
	code := append([]engine.Instr(nil), c.p.Code...)
	for k, b := range code {
		if _, ok := b.Op.(op.Blend); !ok {
			continue
		}
		v := b.In[1]
		from := c.made[v]
		if from < 0 || c.uses[v] != 1 || c.p.Values[v].Role != engine.Temporary || c.p.Values[v].Output || c.p.Values[v].Alias >= 0 {
			continue
		}
		if w := code[from]; w.Op == (op.Warp{}) {
			c.done[from] = true
			code[k] = engine.Instr{Op: warpBlend{b.Op}, In: []int{w.In[0], w.In[1], b.In[0], b.In[2]}, Out: b.Out}
		}
	}
	p := *c.p
	p.Code = code
	c.p = &p
}

func emitWarpBlend(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	s := c.shape(i.Out)
	c.add(flat("warp", pixels(s), append(plane(s), slotArg(in[0]), slotArg(in[1]), slotArg(in[2]), slotArg(in[3]), slotArg(c.def(i.Out)))...))
	return nil
}

func init() { register(emitWarpBlend, warpBlend{}) }

func emitWarpGradImage(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	s, n := c.shape(i.Out), c.size(i.Out)
	sums := c.temp(8 * n)
	c.set(sums, 8*n, 0)
	c.add(flat("warp_grad_image", pixels(s), append(plane(s), slotArg(in[0]), slotArg(in[1]), slotArg(sums))...))
	c.add(flat("to_float", n, intArg(n), slotArg(sums), slotArg(c.def(i.Out))))
	return nil
}

func emitWarpGradFlow(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	s := c.shape(i.In[0])
	c.add(flat("warp_grad_flow", pixels(s), append(plane(s), slotArg(in[0]), slotArg(in[1]), slotArg(in[2]), slotArg(c.def(i.Out)))...))
	return nil
}

func emitPool(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	kernel, large, small := "pool", c.shape(i.In[0]), c.shape(i.Out)
	k, _ := i.Op.(op.AvgPool)
	if g, ok := i.Op.(op.AvgPoolGrad); ok {
		kernel, large, small, k = "pool_grad", small, large, op.AvgPool{K: g.K, Stride: g.Stride, Pad: g.Pad}
	}
	window := structArg(intArg(large[0]), intArg(large[2]), intArg(large[3]), intArg(large[1]), intArg(small[2]), intArg(small[3]),
		intArg(k.K), intArg(k.Stride), intArg(k.Pad))
	c.add(flat(kernel, c.size(i.Out), window, slotArg(in[0]), slotArg(c.def(i.Out))))
	return nil
}

func emitResize(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	kernel, from, to := "resize", c.shape(i.In[0]), c.shape(i.Out)
	r, _ := i.Op.(op.Resize)
	if g, ok := i.Op.(op.ResizeGrad); ok {
		kernel, from, to, r.Bilinear = "resize_grad", to, from, g.Bilinear
	}
	c.add(flat(kernel, c.size(i.Out), intArg(from[0]), intArg(from[2]), intArg(from[3]), intArg(from[1]), intArg(to[2]), intArg(to[3]),
		boolArg(r.Bilinear), slotArg(in[0]), slotArg(c.def(i.Out))))
	return nil
}

// emitBytes makes tensors of bytes and bytes of tensors.
func emitBytes(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	s, out := c.shape(i.In[0]), c.shape(i.Out) // a picture (n,h,w,3) and a tensor
	sizes := func(h, w, oh, ow int) []arg {
		return []arg{intArg(s[0]), intArg(h), intArg(w), intArg(oh), intArg(ow)}
	}
	var kernel string
	var args []arg
	switch o := i.Op.(type) {
	case op.FromBytes:
		kernel, args = "from_bytes", append(sizes(s[1], s[2], o.OutH, o.OutW), boolArg(o.Luma))
	case op.OneHot:
		kernel, args = "one_hot", append(sizes(s[1], s[2], o.OutH, o.OutW), intArg(o.C))
	case op.Edges:
		kernel, args = "edges", sizes(s[1], s[2], o.OutH, o.OutW)
	case op.ToBytes:
		kernel, args = "to_bytes", sizes(s[2], s[3], o.OutH, o.OutW)
	}
	c.add(flat(kernel, out.TotalSize(), append(args, slotArg(in[0]), slotArg(c.def(i.Out)))...))
	return nil
}
