//go:build cgo

package cuda

import (
	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/op"
)

func init() {
	register(emitConcat, op.Concat{})
	register(emitSlice, op.Slice{})
	register(emitEmbed, op.Embed{})
	register(emitReshape, op.Reshape{})
	register(emitGather, op.Gather{})
	register(emitGatherGrad, op.GatherGrad{})
}

// along is a shape seen along one axis in the card's order: how many rows there
// are, how many elements a row has, and how many one step of the axis.
func along(s tensor.Shape, axis int) (rows, row, step int) {
	order := s
	if len(s) == 4 {
		order, axis = tensor.Shape{s[0], s[2], s[3], s[1]}, []int{0, 3, 1, 2}[axis]
	}
	rows, step = 1, 1
	for k, d := range order {
		if k < axis {
			rows *= d
		} else if k > axis {
			step *= d
		}
	}
	return rows, step * order[axis], step
}

// copyAxis copies n steps along an axis.
func (c *compiler) copyAxis(src slot, from tensor.Shape, at int, dst slot, to tensor.Shape, dstAt, axis, n int) {
	rows, srcRow, step := along(from, axis)
	_, dstRow, _ := along(to, axis)
	kernel, unit := "copy_axis", 1
	if n*step%4 == 0 && srcRow%4 == 0 && at*step%4 == 0 && dstRow%4 == 0 && dstAt*step%4 == 0 {
		kernel, unit = "copy_lines", 4
	}
	all := rows * n * step / unit
	c.add(elements(kernel, all, intArg(all), divisor(n*step/unit), intArg(srcRow/unit), intArg(at*step/unit), intArg(dstRow/unit), intArg(dstAt*step/unit),
		slotArg(src), slotArg(dst)))
}

func emitConcat(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	axis, at, out := i.Op.(op.Concat).Axis, 0, c.def(i.Out)
	for k, v := range i.In {
		s := c.shape(v)
		c.copyAxis(in[k], s, 0, out, c.shape(i.Out), at, axis, s[axis])
		at += s[axis]
	}
	return nil
}

func emitSlice(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	o := i.Op.(op.Slice)
	c.copyAxis(in[0], c.shape(i.In[0]), o.From, c.def(i.Out), c.shape(i.Out), 0, o.Axis, o.To-o.From)
	return nil
}

func emitEmbed(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	o, s, out := i.Op.(op.Embed), c.shape(i.In[0]), c.def(i.Out)
	c.set(out, 4*c.size(i.Out), 0)
	c.copyAxis(in[0], s, 0, out, c.shape(i.Out), o.From, o.Axis, s[o.Axis])
	return nil
}

// turned adds a change of order, where the shape has two.
func (c *compiler) turned(kernel string, s tensor.Shape, in slot) slot {
	if len(s) != 4 || s[1] == 1 || s[2]*s[3] == 1 {
		return in
	}
	n := s.TotalSize()
	out := c.temp(4 * n)
	c.add(flat(kernel, n, intArg(n), divisor(s[1]), divisor(s[2]*s[3]), slotArg(in), slotArg(out)))
	return out
}

func emitReshape(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	plainly := c.turned("to_plain", c.shape(i.In[0]), in[0])
	c.copy(c.turned("to_inner", c.shape(i.Out), plainly), c.def(i.Out), 4*c.size(i.Out))
	return nil
}

func emitGather(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	t := c.shape(i.In[0])
	c.add(flat("gather", c.size(i.Out), intArg(c.size(i.In[1])), intArg(t[0]), intArg(t[1]), slotArg(in[0]), slotArg(in[1]), slotArg(c.def(i.Out))))
	return nil
}

func emitGatherGrad(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	t := c.shape(i.Out)
	c.add(flat("gather_grad", c.size(i.Out), intArg(c.size(i.In[0])), intArg(t[0]), intArg(t[1]), slotArg(in[0]), slotArg(in[1]), slotArg(c.def(i.Out))))
	return nil
}
