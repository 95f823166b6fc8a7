//go:build cgo

package cuda

import (
	"slices"

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

// The kernel finish_stats' kinds of results, as in norm.cu.
const (
	statMoments = iota
	statSums
	statFirst
)

// stats adds the two launches that make `groups` rows of statistics for each
// channel of x: sums of x, or with gy those of NormSums; and of them what kind
// says. The order in which a group is added up does not depend on how many there
// are.
func (c *compiler) stats(x tensor.Shape, groups, kind int, eps float32, in, moments, gy, out slot) {
	pixels, channels := x[0]*x[2]*x[3]/groups, x[1]
	rows := groups * channels
	var parts int
	var room slot
	if channels%4 == 0 {
		s := summed(pixels, channels, groups, c.d.units)
		parts = s.parts
		room = c.temp(16 * rows * parts)
		c.add(step{
			kernel: "gather_lines", grid: s.grid(), block: threads, shared: gatherShared,
			args: []arg{s.arg(), slotArg(in), slotArg(moments), slotArg(gy), slotArg(room)},
		})
	} else {
		across := ceil(channels, 32)
		parts = max(1, min(ceil(8*c.d.units, across), ceil(pixels, 64), 1<<15))
		each := ceil(pixels, parts)
		parts = ceil(pixels, each)
		room = c.temp(16 * rows * parts)
		c.add(step{
			kernel: "gather_stats", grid: [3]int{across, groups, parts}, block: threads, shared: 2 * 8 * threads,
			args: []arg{intArg(pixels), intArg(channels), intArg(each), slotArg(in), slotArg(moments), slotArg(gy), slotArg(room)},
		})
	}
	c.finish(rows, parts, kind, pixels, eps, room, out)
}

// gatherShared is what a thread's sums of four channels take, for a block.
const gatherShared = 4 * 2 * 8 * threads

// finish adds the launch that joins the parts of rows of statistics.
func (c *compiler) finish(rows, parts, kind, pixels int, eps float32, room, out slot) {
	c.add(step{
		kernel: "finish_stats", grid: [3]int{ceil(rows, 8), 1, 1}, block: threads, shared: 16 * threads,
		args: []arg{intArg(rows), intArg(parts), intArg(kind), intArg(pixels), floatArg(eps), slotArg(room), slotArg(out)},
	})
}

func emitMoments(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	o := i.Op.(op.Moments)
	c.stats(c.shape(i.In[0]), c.shape(i.Out)[0], statMoments, o.Eps, in[0], none, none, c.def(i.Out))
	return nil
}

func emitNormSums(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	c.stats(c.shape(i.In[0]), c.shape(i.Out)[0], statSums, 0, in[0], in[1], in[2], c.def(i.Out))
	return nil
}

// item divides a place in x by the size of what one row of statistics serves.
func item(x, moments tensor.Shape) arg {
	if moments[0] == 1 {
		return all()
	}
	return divisor(x[1] * x[2] * x[3])
}

// walks is how a kernel goes through x, whose statistics are moments.
func (c *compiler) walks(x, moments tensor.Shape) span {
	return walked(x[0]*x[2]*x[3]/moments[0], x[1], moments[0], c.d.units)
}

// curved says whether a step behind a result takes a curve.
func curved(steps []engine.Step) bool {
	return slices.ContainsFunc(steps, func(s engine.Step) bool {
		a, ok := s.Op.(op.Act)
		return ok && (a.Kind == op.Tanh || a.Kind == op.Sigmoid)
	})
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
	x, m, n := c.shape(i.Out), c.shape(i.In[1]), c.size(i.Out)
	if x[1]%4 == 0 && !curved(i.Post) {
		s := c.walks(x, m)
		c.add(step{kernel: "normalize_lines", grid: s.grid(), block: threads, args: []arg{s.arg(), post,
			slotArg(in[0]), slotArg(in[1]), slotArg(gamma), slotArg(beta), slotArg(c.def(i.Out))}})
		return nil
	}
	c.add(flat("normalize", n, intArg(n), divisor(x[1]), item(x, m), post,
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
	pixels := intArg(n / (m[0] * m[1]))
	if x[1]%4 == 0 {
		s := c.walks(x, m)
		c.add(step{kernel: "norm_grad_lines", grid: s.grid(), block: threads, args: []arg{s.arg(), pixels,
			slotArg(in[0]), slotArg(in[1]), slotArg(in[2]), slotArg(in[3]), slotArg(gamma), slotArg(c.def(i.Out))}})
		return nil
	}
	c.add(flat("norm_grad", n, intArg(n), divisor(x[1]), item(x, m), pixels,
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

func emitSumsPick(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	s := c.shape(i.In[0])
	c.add(flat("sums_pick", s[1], intArg(s[1]), intArg(s[0]), intArg(i.Op.(op.SumsPick).Index), slotArg(in[0]), slotArg(c.def(i.Out))))
	return nil
}

func emitChannelSum(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	c.stats(c.shape(i.In[0]), 1, statFirst, 0, in[0], none, none, c.def(i.Out))
	return nil
}
