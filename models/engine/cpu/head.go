//go:build cgo

package cpu

// #include "kernels.h"
// #include <stdlib.h>
import "C"

import (
	"unsafe"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/op"
)

// mostHeads is the number of outputs that the head kernel makes at once.
const mostHeads = 4

// head is one of the convolutions that a step makes together.
type head struct {
	i       engine.Instr
	w, bias slot
	first   int // output in the kernel
	outputs int
	y       slot
}

// emitHead emits a convolution to a few channels, and with it those that read
// the same features in the same way; done is false where it is none.
func (c *compiler) emitHead(i engine.Instr) (done bool, err error) {
	o := i.Op.(op.Conv)
	w := c.shape(i.In[1])
	if o.Stride != 1 || w[0] > mostHeads || w[2] != w[3] || w[2] < 3 || !c.d.wide(w[1]) {
		return false, nil
	}
	return true, c.emitHeads(c.heads(i), C.v2v_head{}, o.Pad, o.Reflect, o.Bias)
}

// emitHeadT emits a transposed convolution to a few channels so.
func (c *compiler) emitHeadT(i engine.Instr) (done bool, err error) {
	o := i.Op.(op.ConvT)
	w := c.shape(i.In[1])
	if o.Stride != 2 || o.Pad != 1 || o.OutPad != 0 || w[1] > mostHeads || w[2] != 4 || w[3] != 4 || !c.d.wide(w[0]) || len(i.Post) > 1 {
		return false, nil
	}
	return true, c.emitHeads([]head{{i: i, outputs: w[1]}}, C.v2v_head{transposed: 1}, 1, false, o.Bias)
}

// emitHeads emits heads that read the same features.
func (c *compiler) emitHeads(heads []head, k C.v2v_head, pad int, reflect, biased bool) error {
	i := heads[0].i
	x, w := c.shape(i.In[0]), c.shape(i.In[1])
	xs, big, err := c.edge(i.In[0], blocked, pad, reflect)
	if err != nil {
		return err
	}
	last := heads[len(heads)-1]
	k.n, k.c, k.h, k.w, k.o, k.k = C.int(x[0]), C.int(x[1]), C.int(big[2]), C.int(big[3]), C.int(last.first+last.outputs), C.int(w[2])
	packed := c.temp(int(k.o) * x[1] * w[2] * w[3] * 4)
	bias := c.temp(int(k.o) * 4)
	all := c.temp(x[0] * int(k.o) * c.shape(i.Out)[2] * c.shape(i.Out)[3] * 4)
	for n := range heads {
		if err := c.packHead(&heads[n], k, packed, bias, biased); err != nil {
			return err
		}
	}
	c.add(layerName("head", x, w, c.shape(i.Out), 1+int(k.transposed)), func(p []unsafe.Pointer) error {
		C.v2v_head_run(&k, f32(p[all]), f32(p[xs]), f32(p[packed]), f32(p[bias]))
		return nil
	}, xs, packed, bias, all)
	for _, h := range heads {
		c.finishHead(h, int(k.o), all)
	}
	return nil
}

// heads lists a head and its companions.
func (c *compiler) heads(i engine.Instr) []head {
	hs := []head{{i: i, outputs: c.shape(i.In[1])[0]}}
	all := hs[0].outputs
	for k := c.instr + 1; k < len(c.p.Code); k++ {
		j := c.p.Code[k]
		if j.Op != i.Op || j.In[0] != i.In[0] || c.shape(j.In[1])[2] != c.shape(i.In[1])[2] || all+c.shape(j.In[1])[0] > mostHeads || !c.leaves(j) {
			continue
		}
		hs = append(hs, head{i: j, first: all, outputs: c.shape(j.In[1])[0]})
		all += c.shape(j.In[1])[0]
		c.done[k] = true
	}
	return hs
}

// leaves says whether weights and bias are there from the start.
func (c *compiler) leaves(i engine.Instr) bool {
	for _, v := range i.In[1:] {
		if val := c.p.Values[v]; val.Role == engine.Temporary || val.Alias >= 0 {
			return false
		}
	}
	return len(i.Post) == 0 || len(i.Post) == 1 && len(i.Post[0].In) == 0
}

// packHead gathers the weights and biases of all heads; it is cheap enough to
// be done in every run.
func (c *compiler) packHead(h *head, k C.v2v_head, packed, bias slot, biased bool) (err error) {
	if h.w, err = c.use(h.i.In[1], plain); err != nil {
		return err
	}
	h.bias = h.w
	if biased {
		if h.bias, err = c.use(h.i.In[2], plain); err != nil {
			return err
		}
	}
	first, outputs, own, w := h.first, h.outputs, h.bias, h.w
	c.add("pack head", func(p []unsafe.Pointer) error {
		C.v2v_head_pack(&k, f32(p[packed]), f32(p[w]), C.int(first), C.int(outputs))
		to := unsafe.Slice((*float32)(p[bias]), int(k.o))[first : first+outputs]
		clear(to)
		if biased {
			copy(to, unsafe.Slice((*float32)(p[own]), outputs))
		}
		return nil
	}, packed, w, own, bias)
	return nil
}

// finishHead takes one head's outputs out of all, through its activation.
func (c *compiler) finishHead(h head, outputs int, all slot) {
	y := c.def(h.i.Out, plain)
	s := c.shape(h.i.Out)
	n, plane := s[0], s[2]*s[3]
	kind, slope := C.int(-1), C.float(0)
	if len(h.i.Post) > 0 {
		a := h.i.Post[0].Op.(op.Act)
		kind, slope = C.int(a.Kind), C.float(a.Slope)
	}
	c.add("head activation", func(p []unsafe.Pointer) error {
		for b := range n {
			from := unsafe.Add(p[all], (b*outputs+h.first)*plane*4)
			to := unsafe.Add(p[y], b*h.outputs*plane*4)
			if kind < 0 {
				C.v2v_copy_rows(f32(to), f32(from), 1, C.size_t(h.outputs*plane), 0, 0)
			} else {
				C.v2v_act(f32(to), f32(from), C.size_t(h.outputs*plane), kind, slope)
			}
		}
		return nil
	}, all, y)
}
