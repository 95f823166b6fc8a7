//go:build cgo

package cuda

import (
	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/op"
)

func init() {
	register(emitInstanceMean, op.InstanceMean{})
	register(emitSpectral, op.Spectral{}, op.SpectralGrad{}, op.SpectralStep{})
}

func emitInstanceMean(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	x, n := c.shape(i.Out), c.size(i.Out)
	points, places := pixels(x), 2*pixels(x)
	keys, of, sums := c.temp(4*places), c.temp(4*points), c.temp(8*places*(x[1]+1))
	c.set(keys, 4*places, 255)
	c.set(sums, 8*places*(x[1]+1), 0)
	c.add(flat("find_instances", points, intArg(points), intArg(x[2]*x[3]), slotArg(in[1]), slotArg(keys), slotArg(of)))
	c.add(flat("sum_instances", points*(x[1]+1), intArg(points), intArg(x[1]), slotArg(in[0]), slotArg(of), slotArg(sums)))
	c.add(flat("spread_instances", n, intArg(n), intArg(x[1]), slotArg(of), slotArg(sums), slotArg(c.def(i.Out))))
	return nil
}

// inner is how the kernels find element k of a filter's row: the channels of
// one that lies as NHWC, or 0, and its positions.
func inner(w tensor.Shape) (channels, size arg) {
	if len(w) == 4 {
		return intArg(w[1]), intArg(w[2] * w[3])
	}
	return intArg(0), intArg(1)
}

// length adds the kernel of that name and returns where it leaves its two
// numbers.
func (c *compiler) length(n int, u slot, m int, w, g slot) slot {
	out := c.temp(16)
	c.add(step{
		kernel: "length", grid: [3]int{1, 1, 1}, block: threads, shared: 8 * threads,
		args: []arg{intArg(n), slotArg(u), intArg(m), slotArg(w), slotArg(g), slotArg(out)},
	})
	return out
}

func emitSpectral(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	w, n, width := c.shape(i.In[0]), c.size(i.In[0]), c.size(i.In[1])
	channels, size := inner(w)
	u := c.temp(8 * w[0])
	c.add(step{
		kernel: "row_products", grid: [3]int{w[0], 1, 1}, block: threads, shared: 8 * threads,
		args: []arg{intArg(width), channels, size, slotArg(in[0]), slotArg(in[1]), slotArg(u)},
	})
	switch i.Op.(type) {
	case op.Spectral:
		s := c.length(w[0], u, 0, none, none)
		c.add(flat("spectral", n, intArg(n), slotArg(in[0]), slotArg(s), slotArg(c.def(i.Out))))
	case op.SpectralGrad:
		s := c.length(w[0], u, n, in[0], in[2])
		c.add(flat("spectral_grad", n, intArg(n), intArg(width), channels, size, slotArg(in[2]), slotArg(in[1]), slotArg(u), slotArg(s), slotArg(c.def(i.Out))))
	case op.SpectralStep:
		s := c.length(w[0], u, 0, none, none)
		next := c.temp(8 * width)
		c.add(flat("column_products", width, intArg(w[0]), intArg(width), channels, size, slotArg(in[0]), slotArg(u), slotArg(s), slotArg(next)))
		t := c.length(width, next, 0, none, none)
		c.add(flat("unit", width, intArg(width), slotArg(next), slotArg(t), slotArg(c.def(i.Out))))
	}
	return nil
}
