//go:build cgo

package cuda

import (
	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/op"
)

func init() {
	register(emitMoments, op.Moments{})
	register(emitNormSums, op.NormSums{})
	register(emitNormalize, op.Normalize{})
	register(emitNormGradX, op.NormGradX{})
	register(emitStoredMoments, op.StoredMoments{})
	register(emitSumsPick, op.SumsPick{})
	register(emitChannelSum, op.ChannelSum{})
}

// stats adds the two launches that make `groups` rows of statistics for each
// channel of x: sums of x, or with gy those of NormSums; and as eps says, sums
// or moments. It returns the pairs' place.
func (c *compiler) stats(x tensor.Shape, groups int, eps float32, sums bool, in, moments, gy, out slot) {
	pixels, channels := x[0]*x[2]*x[3]/groups, x[1]
	across := ceil(channels, 32)
	parts := max(1, min(ceil(8*c.d.units, across*groups), ceil(pixels, 64), 1<<15))
	each := ceil(pixels, parts)
	parts = ceil(pixels, each)
	rows := groups * channels
	room := c.temp(16 * rows * parts)
	c.add(step{
		kernel: "gather_stats", grid: [3]int{across, groups, parts}, block: threads, shared: 2 * 8 * threads,
		args: []arg{intArg(pixels), intArg(channels), intArg(each), slotArg(in), slotArg(moments), slotArg(gy), slotArg(room)},
	})
	c.add(flat("finish_stats", rows, intArg(rows), intArg(parts), boolArg(sums), intArg(pixels), floatArg(eps), slotArg(room), slotArg(out)))
}

func emitMoments(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	o := i.Op.(op.Moments)
	c.stats(c.shape(i.In[0]), c.shape(i.Out)[0], o.Eps, false, in[0], none, none, c.def(i.Out))
	return nil
}

func emitNormSums(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	c.stats(c.shape(i.In[0]), c.shape(i.Out)[0], 0, true, in[0], in[1], in[2], c.def(i.Out))
	return nil
}

// item is the size of what one row of statistics serves, 0 where it serves all.
func item(x, moments tensor.Shape) int {
	if moments[0] == 1 {
		return 0
	}
	return x[1] * x[2] * x[3]
}

func emitNormalize(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	post, err := c.postArg(i.Post, c.half[i.Out])
	if err != nil {
		return err
	}
	gamma, beta := none, none
	if i.Op.(op.Normalize).Affine {
		gamma, beta = in[2], in[3]
	}
	x, n := c.shape(i.Out), c.size(i.Out)
	c.add(flat("normalize", n, intArg(n), intArg(x[1]), intArg(item(x, c.shape(i.In[1]))), post,
		slotArg(in[0]), slotArg(in[1]), slotArg(gamma), slotArg(beta), slotArg(c.def(i.Out))))
	return nil
}

func emitNormGradX(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	gamma := none
	if i.Op.(op.NormGradX).Affine {
		gamma = in[4]
	}
	x, m, n := c.shape(i.Out), c.shape(i.In[1]), c.size(i.Out)
	c.add(flat("norm_grad", n, intArg(n), intArg(x[1]), intArg(item(x, m)), intArg(n/(m[0]*m[1])),
		slotArg(in[0]), slotArg(in[1]), slotArg(in[2]), slotArg(in[3]), slotArg(gamma), slotArg(c.def(i.Out))))
	return nil
}

func emitStoredMoments(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	n := c.size(i.In[0])
	c.add(flat("stored_moments", n, intArg(n), floatArg(i.Op.(op.StoredMoments).Eps), slotArg(in[0]), slotArg(in[1]), slotArg(c.def(i.Out))))
	return nil
}

func (c *compiler) pick(channels, items, index int, in, out slot) {
	c.add(flat("sums_pick", channels, intArg(channels), intArg(items), intArg(index), slotArg(in), slotArg(out)))
}

func emitSumsPick(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	s := c.shape(i.In[0])
	c.pick(s[1], s[0], i.Op.(op.SumsPick).Index, in[0], c.def(i.Out))
	return nil
}

func emitChannelSum(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	x := c.shape(i.In[0])
	pairs := c.temp(8 * x[1])
	c.stats(x, 1, 0, true, in[0], none, none, pairs)
	c.pick(x[1], 1, 0, pairs, c.def(i.Out))
	return nil
}
