//go:build cgo

package cuda

import (
	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/op"
)

func init() {
	register(emitLoss, op.L1{}, op.MSE{}, op.Mean{}, op.BCE{})
	register(emitCombine, op.Combine{})
	register(emitJitter, op.Jitter{})
}

// The kernel reduce's functions, as in loss.cu.
const (
	sumPlain = iota
	sumL1
	sumMSE
	sumBCE
)

// means adds the two launches that make the mean of f over each of so many
// items of n elements.
func (c *compiler) means(f, items, n int, p float32, a, b, out slot) {
	parts := min(ceil(n, 4*few*threads), 512)
	room := c.temp(8 * parts * items)
	c.add(step{
		kernel: "reduce", grid: [3]int{parts, items, 1}, block: threads, shared: 8 * threads,
		args: []arg{intArg(f), intArg(n), floatArg(p), slotArg(a), slotArg(b), slotArg(room)},
	})
	c.add(step{
		kernel: "mean", grid: [3]int{items, 1, 1}, block: threads, shared: 8 * threads,
		args: []arg{intArg(parts), intArg(n), slotArg(room), slotArg(out)},
	})
}

func emitLoss(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	f, p, b := sumPlain, float32(0), none
	switch o := i.Op.(type) {
	case op.L1:
		f, b = sumL1, in[1]
	case op.MSE:
		f, p = sumMSE, o.Target
	case op.BCE:
		f, p = sumBCE, o.Target
	}
	c.means(f, 1, c.size(i.In[0]), p, in[0], b, c.def(i.Out))
	return nil
}

func emitCombine(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	o := i.Op.(op.Combine)
	var fields []arg
	for k := range op.MaxTerms {
		s := none
		if k < o.N {
			s = in[k]
		}
		fields = append(fields, slotArg(s))
	}
	for _, w := range o.Weights {
		fields = append(fields, floatArg(w))
	}
	c.add(step{kernel: "combine", grid: [3]int{1, 1, 1}, block: 32, args: []arg{intArg(o.N), structArg(fields...), slotArg(c.def(i.Out))}})
	return nil
}

func emitJitter(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	x := c.shape(i.Out)
	mean := c.temp(4 * x[0])
	c.means(sumPlain, x[0], x[1]*x[2]*x[3], 0, in[0], none, mean)
	c.add(flat("jitter", pixels(x), intArg(pixels(x)), divisor(x[2]*x[3]), intArg(x[1]), boolArg(i.Op.(op.Jitter).Still),
		slotArg(in[0]), slotArg(in[1]), slotArg(mean), slotArg(c.def(i.Out))))
	return nil
}
