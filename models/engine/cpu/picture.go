//go:build cgo

package cpu

/*
#include "picture.h"
#include <string.h>
*/
import "C"

import (
	"unsafe"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/op"
)

func init() {
	register(emitPicture, op.Gather{}, op.GatherGrad{}, op.Reshape{}, op.BCE{}, op.BCEGrad{}, op.Jitter{},
		op.Spectral{}, op.SpectralGrad{}, op.SpectralStep{})
}

// emitPicture emits the operators of picture.c, which read and write plain
// values.
func emitPicture(c *compiler, i engine.Instr) error {
	in, err := c.useAll(plain, i.In...)
	if err != nil {
		return err
	}
	run := c.codeKernel(i)
	y := c.def(i.Out, plain)
	c.add(specName(i.Op), func(p []unsafe.Pointer) error {
		var x [3]floats
		for k, s := range in {
			x[k] = f32(p[s])
		}
		run(f32(p[y]), x[:])
		return nil
	}, append(in, y)...)
	return nil
}

// codeKernel is the kernel of an operator at the shapes of an instruction.
func (c *compiler) codeKernel(i engine.Instr) func(y floats, x []floats) {
	a, n := c.shape(i.In[0]), C.size_t(c.size(i.In[0]))
	switch o := i.Op.(type) {
	case op.Gather:
		index := C.size_t(c.size(i.In[1]))
		return func(y floats, x []floats) { C.v2v_gather(y, x[0], x[1], index, C.size_t(a[0]), C.size_t(a[1])) }
	case op.GatherGrad:
		d := C.size_t(c.shape(i.Out)[1])
		return func(y floats, x []floats) { C.v2v_gather_grad(y, x[0], x[1], n, C.size_t(o.Rows), d) }
	case op.Reshape:
		return func(y floats, x []floats) { C.memcpy(unsafe.Pointer(y), unsafe.Pointer(x[0]), 4*n) }
	case op.BCE:
		return func(y floats, x []floats) { C.v2v_bce(y, x[0], n, C.float(o.Target)) }
	case op.BCEGrad:
		return func(y floats, x []floats) { C.v2v_bce_grad(y, x[0], x[1], n, C.float(o.Target)) }
	case op.Jitter:
		return func(y floats, x []floats) {
			C.v2v_jitter(y, x[0], x[1], C.int(a[0]), C.int(a[1]), C.size_t(a[2]*a[3]), cbool(o.Still))
		}
	}
	rows := C.size_t(a[0])
	k := n / rows
	switch i.Op.(type) {
	case op.Spectral:
		return func(y floats, x []floats) { C.v2v_spectral(y, x[0], x[1], rows, k) }
	case op.SpectralGrad:
		return func(y floats, x []floats) { C.v2v_spectral_grad(y, x[0], x[1], x[2], rows, k) }
	}
	return func(y floats, x []floats) { C.v2v_spectral_step(y, x[0], x[1], rows, k) }
}
