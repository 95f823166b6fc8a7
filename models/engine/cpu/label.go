//go:build cgo

package cpu

// #include "label.h"
import "C"

import (
	"math"
	"unsafe"

	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/op"
)

func init() {
	register(emitLabel, op.OneHot{}, op.Edges{})
	register(emitStoredMoments, op.StoredMoments{})
	register(emitInstanceMean, op.InstanceMean{})
}

func emitLabel(c *compiler, i engine.Instr) error {
	x, err := c.use(i.In[0], plain)
	if err != nil {
		return err
	}
	a, b := c.shape(i.In[0]), c.shape(i.Out)
	n, h, w, oh, ow := C.int(a[0]), C.int(a[1]), C.int(a[2]), C.int(b[2]), C.int(b[3])
	y := c.def(i.Out, plain)
	c.add(specName(i.Op), func(p []unsafe.Pointer) error {
		switch o := i.Op.(type) {
		case op.OneHot:
			C.v2v_one_hot((*C.float)(p[y]), (*C.uint8_t)(p[x]), n, h, w, C.int(o.C), oh, ow)
		case op.Edges:
			C.v2v_edges((*C.float)(p[y]), (*C.uint8_t)(p[x]), n, h, w, oh, ow)
		}
		return nil
	}, x, y)
	return nil
}

// emitStoredMoments emits a loop in Go: it is over channels, not pixels.
func emitStoredMoments(c *compiler, i engine.Instr) error {
	in, err := c.useAll(plain, i.In...)
	if err != nil {
		return err
	}
	eps, n := float64(i.Op.(op.StoredMoments).Eps), c.size(i.In[0])
	y := c.def(i.Out, plain)
	c.add("stored moments", func(p []unsafe.Pointer) error {
		mean, variance := unsafe.Slice((*float32)(p[in[0]]), n), unsafe.Slice((*float32)(p[in[1]]), n)
		out := unsafe.Slice((*float32)(p[y]), 2*n)
		for k := range n {
			out[2*k], out[2*k+1] = mean[k], float32(1/math.Sqrt(float64(variance[k])+eps))
		}
		return nil
	}, in[0], in[1], y)
	return nil
}

// emitInstanceMean runs the reference: it looks ids up, pixel by pixel, in a
// hash table.
func emitInstanceMean(c *compiler, i engine.Instr) error {
	in, err := c.useAll(plain, i.In...)
	if err != nil {
		return err
	}
	shapes := []tensor.Shape{c.shape(i.In[0]), c.shape(i.In[1])}
	y := c.def(i.Out, plain)
	c.add(specName(i.Op), func(p []unsafe.Pointer) error {
		of := func(v slot, shape tensor.Shape) op.Tensor {
			return op.Tensor{Shape: shape, F: unsafe.Slice((*float32)(p[v]), shape.TotalSize())}
		}
		op.InstanceMean{}.Do([]op.Tensor{of(in[0], shapes[0]), of(in[1], shapes[1])}, of(y, shapes[0]))
		return nil
	}, append(in, y)...)
	return nil
}
