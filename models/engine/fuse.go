package engine

import "github.com/v2v/v2v/models/op"

// fuse moves activations and residual additions into the instruction whose
// result they alone consume: convolution + activation, and normalisation +
// activation or + addition. Steps keep their order.
func fuse(p *Program) {
	uses := make([]int, len(p.Values))
	made := make([]int, len(p.Values)) // instruction that makes a value
	for i := range made {
		made[i] = -1
	}
	for i, c := range p.Code {
		made[c.Out] = i
		for _, v := range c.Reads() {
			uses[v]++
		}
	}
	gone := make([]bool, len(p.Code))
	for j, c := range p.Code {
		i, step, ok := fusable(p, c, made, uses)
		if !ok {
			continue
		}
		host := &p.Code[i]
		host.Post = append(host.Post, step)
		host.Out = c.Out
		made[c.Out] = i
		gone[j] = true
	}
	code := p.Code[:0]
	for i, c := range p.Code {
		if !gone[i] {
			code = append(code, c)
		}
	}
	p.Code = code
}

// fusable finds the instruction that c can become a step of.
func fusable(p *Program, c Instr, made, uses []int) (int, Step, bool) {
	alone := func(v int) int {
		val := p.Values[v]
		if uses[v] != 1 || val.Output || val.Alias >= 0 || val.Role != Temporary {
			return -1
		}
		return made[v]
	}
	if len(c.Post) > 0 {
		return 0, Step{}, false
	}
	switch c.Op.(type) {
	case op.Act:
		if i := alone(c.In[0]); i >= 0 && hosts(p.Code[i], false) {
			return i, Step{Op: c.Op}, true
		}
	case op.Add:
		for k, v := range c.In {
			other := c.In[1-k]
			i := alone(v)
			// The other operand must exist before the host runs.
			if i >= 0 && other != v && made[other] < i && hosts(p.Code[i], true) {
				return i, Step{Op: c.Op, In: []int{other}}, true
			}
		}
	}
	return 0, Step{}, false
}

func hosts(c Instr, add bool) bool {
	switch c.Op.(type) {
	case op.Conv, op.ConvT:
		return !add && len(c.Post) == 0
	case op.Normalize:
		for _, s := range c.Post {
			if _, isAdd := s.Op.(op.Add); isAdd {
				return false
			}
		}
		return len(c.Post) < 2
	}
	return false
}
