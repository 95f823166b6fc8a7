//go:build cgo

package cpu

// #include "kernels.h"
import "C"

import (
	"fmt"
	"strings"
	"unsafe"

	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/op"
)

func init() {
	register(emitConcat, op.Concat{})
	register(emitSlice, op.Slice{}, op.Embed{})
	register(emitPool, op.AvgPool{}, op.AvgPoolGrad{}, op.Resize{}, op.ResizeGrad{})
	register(emitWarp, op.Warp{}, op.WarpGradImage{}, op.WarpGradFlow{}, op.FromBytes{}, op.ToBytes{})
}

func specName(s op.Spec) string {
	return strings.ToLower(strings.TrimPrefix(strings.TrimPrefix(fmt.Sprintf("%T", s), "op."), "engine."))
}

// rows cuts a shape at an axis: so many rows, and so many elements in a row
// for each step along the axis.
func rows(s tensor.Shape, axis int) (n, each int) {
	n, each = 1, 1
	for _, d := range s[:axis] {
		n *= d
	}
	for _, d := range s[axis+1:] {
		each *= d
	}
	return n, each
}

// along is the layout in which pieces of these channel counts can be cut from
// a value along an axis: blocked where all are whole blocks.
func (c *compiler) along(axis int, whole int, at ...int) layout {
	l := c.activation(c.shape(whole))
	if axis > 1 {
		return plain
	}
	for _, n := range at {
		if axis == 1 && n%c.d.block != 0 {
			return plain
		}
	}
	return l
}

func emitConcat(c *compiler, i engine.Instr) error {
	o := i.Op.(op.Concat)
	var sizes []int
	for _, v := range i.In {
		sizes = append(sizes, c.shape(v)[o.Axis])
	}
	l := c.along(o.Axis, i.Out, sizes...)
	in, err := c.useAll(l, i.In...)
	if err != nil {
		return err
	}
	n, each := rows(c.shape(i.Out), o.Axis)
	total := c.shape(i.Out)[o.Axis] * each
	y := c.def(i.Out, l)
	c.add("concat", func(p []unsafe.Pointer) error {
		at := 0
		for k, s := range in {
			len := sizes[k] * each
			C.v2v_copy_rows((floats)(unsafe.Add(p[y], at*4)), f32(p[s]), C.size_t(n), C.size_t(len), C.size_t(total), C.size_t(len))
			at += len
		}
		return nil
	}, append(in, y)...)
	return nil
}

// emitSlice emits Slice, and its gradient Embed.
func emitSlice(c *compiler, i engine.Instr) error {
	axis, from, whole := 0, 0, i.In[0]
	embed := false
	switch o := i.Op.(type) {
	case op.Slice:
		axis, from = o.Axis, o.From
	case op.Embed:
		axis, from, whole, embed = o.Axis, o.From, i.Out, true
	}
	part := i.Out
	if embed {
		part = i.In[0]
	}
	l := c.along(axis, whole, from, c.shape(part)[axis])
	x, err := c.use(i.In[0], l)
	if err != nil {
		return err
	}
	n, each := rows(c.shape(whole), axis)
	stride, length := c.shape(whole)[axis]*each, c.shape(part)[axis]*each
	y := c.def(i.Out, l)
	size := c.size(i.Out)
	c.add(specName(i.Op), func(p []unsafe.Pointer) error {
		if embed {
			C.v2v_zero(f32(p[y]), C.size_t(size))
			C.v2v_copy_rows(f32(unsafe.Add(p[y], from*each*4)), f32(p[x]), C.size_t(n), C.size_t(length), C.size_t(stride), C.size_t(length))
		} else {
			C.v2v_copy_rows(f32(p[y]), f32(unsafe.Add(p[x], from*each*4)), C.size_t(n), C.size_t(length), C.size_t(length), C.size_t(stride))
		}
		return nil
	}, x, y)
	return nil
}

func emitPool(c *compiler, i engine.Instr) error {
	l := c.activations(i.In[0])
	x, err := c.use(i.In[0], l)
	if err != nil {
		return err
	}
	a, b := c.shape(i.In[0]), c.shape(i.Out)
	n, width := c.planes(a, l)
	planes, v := C.int(n), C.int(width)
	ah, aw, bh, bw := C.int(a[2]), C.int(a[3]), C.int(b[2]), C.int(b[3])
	y := c.def(i.Out, l)
	c.add(specName(i.Op), func(p []unsafe.Pointer) error {
		out, in := f32(p[y]), f32(p[x])
		switch o := i.Op.(type) {
		case op.AvgPool:
			C.v2v_avgpool(out, in, planes, ah, aw, v, bh, bw, C.int(o.K), C.int(o.Stride), C.int(o.Pad))
		case op.AvgPoolGrad:
			C.v2v_avgpool_grad(out, in, planes, bh, bw, v, ah, aw, C.int(o.K), C.int(o.Stride), C.int(o.Pad))
		case op.Resize:
			C.v2v_resize(out, in, planes, ah, aw, v, bh, bw, cbool(o.Bilinear))
		case op.ResizeGrad:
			C.v2v_resize_grad(out, in, planes, bh, bw, v, ah, aw, cbool(o.Bilinear))
		}
		return nil
	}, x, y)
	return nil
}

func emitWarp(c *compiler, i engine.Instr) error {
	in, err := c.useAll(plain, i.In...)
	if err != nil {
		return err
	}
	a, b := c.shape(i.In[len(i.In)-1]), c.shape(i.Out)
	y := c.def(i.Out, plain)
	n := C.int(b[0])
	c.add(specName(i.Op), func(p []unsafe.Pointer) error {
		switch o := i.Op.(type) {
		case op.Warp:
			C.v2v_warp(f32(p[y]), f32(p[in[0]]), f32(p[in[1]]), n, C.int(b[1]), C.int(b[2]), C.int(b[3]))
		case op.WarpGradImage:
			C.v2v_warp_grad_image(f32(p[y]), f32(p[in[0]]), f32(p[in[1]]), n, C.int(b[1]), C.int(b[2]), C.int(b[3]))
		case op.WarpGradFlow:
			C.v2v_warp_grad_flow(f32(p[y]), f32(p[in[0]]), f32(p[in[1]]), f32(p[in[2]]), n, C.int(a[1]), C.int(a[2]), C.int(a[3]))
		case op.FromBytes:
			C.v2v_from_bytes(f32(p[y]), (*C.uint8_t)(p[in[0]]), n, C.int(a[1]), C.int(a[2]), C.int(b[2]), C.int(b[3]), cbool(o.Luma))
		case op.ToBytes:
			C.v2v_to_bytes((*C.uint8_t)(p[y]), f32(p[in[0]]), n, C.int(a[2]), C.int(a[3]), C.int(b[1]), C.int(b[2]))
		}
		return nil
	}, append(in, y)...)
	return nil
}
