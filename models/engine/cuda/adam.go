//go:build cgo

package cuda

import (
	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/op"
)

// adam is one parameter's step, put off to the end of the program, where all
// are done at once. Nothing reads a variable after what writes over it, so
// later is as good.
type adam struct {
	p, m, v, g, h int
	key           adamKey
}

// adamKey is what tensors of one launch have in common.
type adamKey struct {
	beta1, beta2, eps float32
	h                 int
}

// fuseAdam finds the parameters whose AdamM, AdamV and AdamP write over their
// variables and are read by nobody else.
func (c *compiler) fuseAdam() {
	for k, i := range c.p.Code {
		o, ok := i.Op.(op.AdamP)
		if !ok || c.uses[i.Out] != 0 {
			continue
		}
		mk, vk := c.made[i.In[1]], c.made[i.In[2]]
		if mk < 0 || vk < 0 || c.uses[i.In[1]] != 1 || c.uses[i.In[2]] != 1 {
			continue
		}
		m, v := c.p.Code[mk], c.p.Code[vk]
		om, isM := m.Op.(op.AdamM)
		ov, isV := v.Op.(op.AdamV)
		if !isM || !isV || m.In[1] != v.In[1] || !c.over(i.Out, i.In[0]) || !c.over(m.Out, m.In[0]) || !c.over(v.Out, v.In[0]) || !c.lasting(m.In[1]) {
			continue
		}
		c.adams = append(c.adams, adam{p: i.In[0], m: m.In[0], v: v.In[0], g: m.In[1], h: i.In[3], key: adamKey{om.Beta, ov.Beta, o.Eps, i.In[3]}})
		c.done[k], c.done[mk], c.done[vk] = true, true, true
	}
}

// over reports whether value out is written over variable v.
func (c *compiler) over(out, v int) bool { return c.p.Values[out].Alias == v }

// lasting reports whether a gradient is still there at the end of the program:
// not one that another update may have written over.
func (c *compiler) lasting(v int) bool {
	return c.p.Values[v].Role == engine.Temporary && c.p.Values[v].Alias < 0
}

// emitAdam adds a launch for each group of parameters.
func (c *compiler) emitAdam() error {
	const each = 16 * threads // elements of a block
	for len(c.adams) > 0 {
		key := c.adams[0].key
		var rest []adam
		var list, first []arg
		blocks, tensors := 0, 0
		for _, a := range c.adams {
			if a.key != key {
				rest = append(rest, a)
				continue
			}
			var at [4]arg
			for k, v := range []int{a.p, a.m, a.v, a.g} {
				s, err := c.use(v)
				if err != nil {
					return err
				}
				at[k] = slotArg(s)
			}
			list = append(list, structArg(at[0], at[1], at[2], at[3], intArg(c.size(a.p)), intArg(0)))
			first = append(first, intArg(blocks))
			blocks += ceil(c.size(a.p), each)
			tensors++
		}
		h, err := c.use(key.h)
		if err != nil {
			return err
		}
		tensorList, firstList := structArg(list...), structArg(first...)
		c.name = "adam"
		c.add(step{
			kernel: "adam", grid: [3]int{blocks, 1, 1}, block: threads,
			args: []arg{intArg(tensors), intArg(each), floatArg(key.beta1), floatArg(key.beta2), floatArg(key.eps),
				slotArg(c.slot(slotInfo{value: -1, table: &tensorList})), slotArg(c.slot(slotInfo{value: -1, table: &firstList})), slotArg(h)},
		})
		c.adams = rest
	}
	return nil
}
