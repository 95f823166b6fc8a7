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
	return []arg{intArg(pixels(s)), divisor(s[2]), divisor(s[3]), intArg(s[1])}
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
	window := structArg(intArg(k.K), intArg(k.Stride), intArg(k.Pad),
		divisor(large[2]), divisor(large[3]), divisor(large[1]), divisor(small[2]), divisor(small[3]), divisor(k.Stride))
	n := c.size(i.Out)
	c.add(flat(kernel, n, intArg(n), window, slotArg(in[0]), slotArg(c.def(i.Out))))
	return nil
}

func emitResize(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	from, to, n := c.shape(i.In[0]), c.shape(i.Out), c.size(i.Out)
	scale := func(in, out int) arg { return floatArg(float32(in) / float32(out)) }
	if g, ok := i.Op.(op.ResizeGrad); ok {
		c.add(flat("resize_grad", n, intArg(n), divisor(to[2]), divisor(to[3]), divisor(to[1]), intArg(from[2]), intArg(from[3]),
			scale(to[2], from[2]), scale(to[3], from[3]), boolArg(g.Bilinear), slotArg(in[0]), slotArg(c.def(i.Out))))
		return nil
	}
	c.add(flat("resize", n, intArg(n), intArg(from[2]), intArg(from[3]), divisor(from[1]), divisor(to[2]), divisor(to[3]),
		scale(from[2], to[2]), scale(from[3], to[3]), boolArg(i.Op.(op.Resize).Bilinear), slotArg(in[0]), slotArg(c.def(i.Out))))
	return nil
}

// emitBytes makes tensors of bytes and bytes of tensors.
func emitBytes(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	s, out := c.shape(i.In[0]), c.shape(i.Out) // a picture (n,h,w,3) and a tensor
	n := out.TotalSize()
	frame := func(h, w, oh, ow int) []arg {
		return []arg{intArg(n), structArg(intArg(h), intArg(w), divisor(oh), divisor(ow))}
	}
	kernel, threads := "", ceil(n, 4)
	var args []arg
	switch o := i.Op.(type) {
	case op.FromBytes:
		kernel, args = "from_bytes", append(frame(s[1], s[2], o.OutH, o.OutW), boolArg(o.Luma))
		if o.Luma {
			threads = n
		}
	case op.OneHot:
		kernel, args = "one_hot", append(frame(s[1], s[2], o.OutH, o.OutW), divisor(o.C))
	case op.Edges:
		kernel, args, threads = "edges", frame(s[1], s[2], o.OutH, o.OutW), n
	case op.ToBytes:
		kernel, args = "to_bytes", frame(s[2], s[3], o.OutH, o.OutW)
	}
	c.add(flat(kernel, threads, append(args, slotArg(in[0]), slotArg(c.def(i.Out)))...))
	return nil
}
