//go:build cgo

package cuda

import (
	"slices"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/op"
)

// gatedSums and gatedGrad are a normalisation's NormSums and NormGradX that take
// the gradient of the ReLU behind it from before that: the gradient of what is
// below 0 is multiplied by low. They read x, moments and gy, then gamma and beta;
// gatedGrad has sums before these.
type (
	gatedSums struct {
		op.NormSums
		low float32
	}
	gatedGrad struct {
		op.NormGradX
		low float32
	}
)

func init() {
	register(emitGatedSums, gatedSums{})
	register(emitGatedGrad, gatedGrad{})
}

// fuseGates does away with gradients of ReLUs that the two kernels of a
// normalisation's gradient alone read. These make what the ReLU was given again,
// from the x that they read anyway: 20 bytes a number pass instead of 32.
func (c *compiler) fuseGates() {
	code := slices.Clone(c.p.Code)
	readers := make([][]int, len(c.p.Values))
	for k, i := range code {
		for _, v := range i.Reads() {
			readers[v] = append(readers[v], k)
		}
	}
	for k, i := range code {
		n, low, ok := c.gate(i)
		if !ok || len(readers[i.Out]) != 2 {
			continue
		}
		at, to := readers[i.Out][0], readers[i.Out][1]
		sums, isSums := code[at].Op.(op.NormSums)
		grad, isGrad := code[to].Op.(op.NormGradX)
		affine := n.Op.(op.Normalize).Affine
		if !isSums || !isGrad || grad.Affine != affine || !slices.Equal(code[at].In, []int{n.In[0], n.In[1], i.Out}) ||
			!slices.Equal(code[to].In[:4], []int{n.In[0], n.In[1], i.Out, code[at].Out}) || affine && code[to].In[4] != n.In[2] {
			continue
		}
		gy, scales := i.In[1], n.In[2:]
		code[at] = engine.Instr{Op: gatedSums{sums, low}, In: append([]int{n.In[0], n.In[1], gy}, scales...), Out: code[at].Out}
		code[to] = engine.Instr{Op: gatedGrad{grad, low}, In: append([]int{n.In[0], n.In[1], gy, code[at].Out}, scales...), Out: code[to].Out}
		c.done[k] = true
	}
	p := *c.p
	p.Code = code
	c.p = &p
}

// gate says whether an instruction is the gradient of a ReLU that is a
// normalisation's only step, and of what kind, and whether all that is read for
// it is still there when the normalisation's gradient is made.
func (c *compiler) gate(i engine.Instr) (n engine.Instr, low float32, ok bool) {
	g, is := i.Op.(op.ActGrad)
	if !is || c.made[i.In[0]] < 0 || !c.lasting(i.Out) || c.p.Values[i.Out].Output || !c.lasting(i.In[1]) {
		return n, 0, false
	}
	n = c.p.Code[c.made[i.In[0]]]
	if _, is := n.Op.(op.Normalize); !is || c.shape(n.Out)[1]%4 != 0 || len(n.Post) != 1 || n.Post[0].Op != (op.Act{Kind: g.Kind, Slope: g.Slope}) {
		return n, 0, false
	}
	for _, v := range n.In {
		if c.overwritten(v) {
			return n, 0, false
		}
	}
	switch g.Kind {
	case op.ReLU:
		return n, 0, true
	case op.LeakyReLU: // its slope is never below 0: what is below 0 stays so
		return n, g.Slope, true
	}
	return n, 0, false
}

// overwritten says whether a program writes over a value before its end.
func (c *compiler) overwritten(v int) bool {
	for k, i := range c.p.Code {
		if !c.done[k] && c.p.Values[i.Out].Alias == v {
			return true
		}
	}
	return false
}

// gateArg is the kernels' struct Gate, with gamma and beta or nothing.
func gateArg(low float32, scales []slot) arg {
	gamma, beta := none, none
	if len(scales) == 2 {
		gamma, beta = scales[0], scales[1]
	}
	return structArg(boolArg(gamma != none), floatArg(low), slotArg(gamma), slotArg(beta))
}

func emitGatedSums(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	x, groups := c.shape(i.In[0]), c.shape(i.Out)[0]
	gate := gateArg(i.Op.(gatedSums).low, in[3:])
	pixels, rows := pixels(x)/groups, groups*x[1]
	s := summed(pixels, x[1], groups, c.d.units)
	room := c.temp(16 * rows * s.parts)
	c.add(step{
		kernel: "gather_gated", grid: s.grid(), block: threads, shared: gatherShared,
		args: []arg{s.arg(), gate, slotArg(in[0]), slotArg(in[1]), slotArg(in[2]), slotArg(room)},
	})
	c.finish(rows, s.parts, statSums, pixels, 0, room, c.def(i.Out))
	return nil
}

func emitGatedGrad(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	x, m := c.shape(i.Out), c.shape(i.In[1])
	gate := gateArg(i.Op.(gatedGrad).low, in[4:])
	s := c.walks(x, m)
	c.add(step{kernel: "norm_grad_gated", grid: s.grid(), block: threads, args: []arg{s.arg(), gate, intArg(s.pixels),
		slotArg(in[0]), slotArg(in[1]), slotArg(in[2]), slotArg(in[3]), slotArg(c.def(i.Out))}})
	return nil
}
