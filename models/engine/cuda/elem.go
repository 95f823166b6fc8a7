//go:build cgo

package cuda

import (
	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/op"
)

// The kernel map's functions, as in elem.cu.
const (
	mapAdd = iota
	mapSub
	mapMul
	mapScale
	mapAct
	mapActGrad
	mapAdamM
	mapAdamV
	mapL1Grad
	mapMSEGrad
	mapMeanGrad
	mapBCEGrad
)

func init() {
	register(emitMap, op.Add{}, op.Sub{}, op.Scale{}, op.Act{}, op.ActGrad{}, op.AdamM{}, op.AdamV{},
		op.L1Grad{}, op.MSEGrad{}, op.MeanGrad{}, op.BCEGrad{})
	register(emitCopy, op.Detach{})
	register(emitMul, op.Mul{})
	register(emitMulSum, op.MulSum{})
	register(emitBlend, op.Blend{})
	register(emitAdamP, op.AdamP{})
	register(func(c *compiler, i engine.Instr) error {
		n := c.size(i.Out)
		c.add(flat("fill", n, intArg(n), floatArg(i.Op.(engine.Const).Value), slotArg(c.def(i.Out))))
		return nil
	}, engine.Const{})
}

// halving is a launch that rounds n numbers to bfloat16.
func halving(n int, from, to arg) step { return lines("halve", n, intArg(n), from, to) }

// elementwise says that an operator may write over what it reads.
func elementwise(o op.Spec) bool {
	switch o.(type) {
	case op.Add, op.Sub, op.Scale, op.Act, op.ActGrad, op.AdamM, op.AdamV, op.AdamP, op.Mul, op.Detach:
		return true
	}
	return false
}

// mapping is what the kernel map is told of an operator: its function, kind and
// numbers, and whether its last input is a scalar gradient.
type mapping struct {
	f, kind  int
	p, q     float32
	gradient bool
}

func mapOf(o op.Spec) mapping {
	switch o := o.(type) {
	case op.Sub:
		return mapping{f: mapSub}
	case op.Scale:
		return mapping{f: mapScale, p: o.By, q: o.Plus}
	case op.Act:
		return mapping{f: mapAct, kind: int(o.Kind), p: o.Slope}
	case op.ActGrad:
		return mapping{f: mapActGrad, kind: int(o.Kind), p: o.Slope}
	case op.AdamM:
		return mapping{f: mapAdamM, p: o.Beta}
	case op.AdamV:
		return mapping{f: mapAdamV, p: o.Beta}
	case op.L1Grad:
		return mapping{f: mapL1Grad, gradient: true}
	case op.MSEGrad:
		return mapping{f: mapMSEGrad, p: o.Target, gradient: true}
	case op.MeanGrad:
		return mapping{f: mapMeanGrad, gradient: true}
	case op.BCEGrad:
		return mapping{f: mapBCEGrad, p: o.Target, gradient: true}
	}
	return mapping{f: mapAdd}
}

func emitMap(c *compiler, i engine.Instr) error {
	if c.p.Values[i.Out].Type == engine.U8 { // a second output of one picture
		return emitCopy(c, i)
	}
	in, err := c.in(i)
	if err != nil {
		return err
	}
	m, n := mapOf(i.Op), c.size(i.Out)
	a, b, g := in[0], none, none
	if m.gradient {
		in, g = in[:len(in)-1], in[len(in)-1]
	}
	if len(in) > 1 {
		b = in[1]
	}
	c.add(lines("map", n, intArg(m.f), intArg(m.kind), intArg(n), floatArg(m.p), floatArg(m.q), slotArg(a), slotArg(b), slotArg(g), slotArg(c.def(i.Out))))
	return nil
}

func emitCopy(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	v := c.p.Values[i.Out]
	if to := c.def(i.Out); to != in[0] {
		c.copy(in[0], to, v.Size()*v.Type.Bytes())
	}
	return nil
}

func emitMul(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	n := c.size(i.Out)
	if c.size(i.In[0]) == c.size(i.In[1]) {
		c.add(lines("map", n, intArg(mapMul), intArg(0), intArg(n), floatArg(0), floatArg(0), slotArg(in[0]), slotArg(in[1]), slotArg(none), slotArg(c.def(i.Out))))
		return nil
	}
	c.add(elements("mul_one", n, intArg(n), divisor(c.shape(i.Out)[1]), slotArg(in[0]), slotArg(in[1]), slotArg(c.def(i.Out))))
	return nil
}

func emitMulSum(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	n := c.size(i.Out)
	c.add(flat("mul_sum", n, intArg(n), intArg(c.shape(i.In[0])[1]), slotArg(in[0]), slotArg(in[1]), slotArg(c.def(i.Out))))
	return nil
}

func emitBlend(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	n := c.size(i.Out)
	c.add(elements("blend", n, intArg(n), divisor(c.shape(i.Out)[1]), slotArg(in[0]), slotArg(in[1]), slotArg(in[2]), slotArg(c.def(i.Out))))
	return nil
}

func emitAdamP(c *compiler, i engine.Instr) error {
	in, err := c.in(i)
	if err != nil {
		return err
	}
	n := c.size(i.Out)
	c.add(flat("adam_p", ceil(n, 4), intArg(n), floatArg(i.Op.(op.AdamP).Eps), slotArg(in[0]), slotArg(in[1]), slotArg(in[2]), slotArg(in[3]), slotArg(c.def(i.Out))))
	return nil
}
