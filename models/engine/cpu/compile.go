//go:build cgo

package cpu

/*
#include "dnn.h"
#include "kernels.h"
#include <stdlib.h>
#include <string.h>
*/
import "C"

import (
	"errors"
	"fmt"
	"reflect"
	"unsafe"

	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/op"
)

// slot is a piece of memory of an executable; pointers are looked up by it
// when a step runs, so that binding costs nothing.
type slot int

type slotInfo struct {
	bytes int
	mem   unsafe.Pointer // constants and packed weights
	key   string         // of mem among those that executables share; empty: the executable's own
	value int            // the bound value whose buffer this is, or -1
}

// step is one kernel call.
type step struct {
	name  string
	instr int
	uses  []slot
	run   func(p []unsafe.Pointer) error
}

// emitter adds the steps of one instruction.
type emitter func(c *compiler, i engine.Instr) error

// emitters is filled by the init functions of the files of this package, one
// family of operators each.
var emitters = map[reflect.Type]emitter{}

func register(e emitter, specs ...op.Spec) {
	for _, s := range specs {
		emitters[reflect.TypeOf(s)] = e
	}
}

type compiler struct {
	d     *Device
	p     *engine.Program
	o     engine.Options
	slots []slotInfo
	steps []step
	at    []map[layout]slot // where each value lies, in every layout it was wanted in
	home  []layout          // the layout each value was made in
	left  []int             // reads of a value still to come
	done  map[int]bool      // instructions that the step of another does
	instr int
	free  []func()
}

// Compile implements engine.Device.
func (d *Device) Compile(p *engine.Program, o engine.Options) (engine.Executable, error) {
	switch {
	case o.Precision == engine.BFloat16 && !d.half:
		return nil, fmt.Errorf("compile for cpu: bf16 takes a processor with AVX512_BF16: %w", engine.ErrUnsupported)
	case o.Precision != engine.Float32 && o.Precision != engine.BFloat16:
		return nil, fmt.Errorf("compile for cpu: only f32 and bf16: %w", engine.ErrUnsupported)
	}
	if err := supported(p); err != nil {
		return nil, err
	}
	var e *executable
	var err error
	d.thread.do(func() {
		c := &compiler{d: d, p: p, o: o, done: map[int]bool{}}
		if err = c.compile(); err == nil {
			e, err = c.link()
		}
		if err != nil {
			c.release()
		}
	})
	if err != nil {
		return nil, fmt.Errorf("compile for cpu: %w", err)
	}
	return e, nil
}

func supported(p *engine.Program) error {
	var errs []error
	seen := map[reflect.Type]bool{}
	for _, i := range p.Code {
		t := reflect.TypeOf(i.Op)
		if emitters[t] == nil && !seen[t] {
			seen[t] = true
			errs = append(errs, fmt.Errorf("operator %v: %w", t, engine.ErrUnsupported))
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("compile for cpu: %w", errors.Join(errs...))
	}
	return nil
}

func (c *compiler) release() {
	for _, f := range c.free {
		f()
	}
	c.d.drop(c.slots)
}

func (c *compiler) compile() error {
	n := len(c.p.Values)
	c.at, c.home, c.left = make([]map[layout]slot, n), make([]layout, n), make([]int, n)
	for i, v := range c.p.Values {
		c.at[i] = map[layout]slot{}
		switch {
		case v.Role == engine.Variable:
			c.home[i] = c.d.variableLayout(v.Shape)
			c.at[i][c.home[i]] = c.slot(slotInfo{bytes: v.Size() * v.Type.Bytes(), value: i})
		case v.Role == engine.Input || v.Output:
			c.at[i][plain] = c.slot(slotInfo{bytes: v.Size() * v.Type.Bytes(), value: i})
		}
	}
	for _, i := range c.p.Code {
		for _, v := range i.Reads() {
			c.left[v]++
		}
	}
	for k, i := range c.p.Code {
		c.instr = k
		if !c.done[k] {
			if err := emitters[reflect.TypeOf(i.Op)](c, i); err != nil {
				return fmt.Errorf("%T %v: %w", i.Op, c.p.Values[i.Out].Shape, err)
			}
		}
		if err := c.settle(i.Out); err != nil {
			return err
		}
		for _, v := range i.Reads() {
			c.left[v]--
		}
	}
	return nil
}

func (c *compiler) slot(s slotInfo) slot {
	c.slots = append(c.slots, s)
	return slot(len(c.slots) - 1)
}

// temp is memory for the steps of one instruction.
func (c *compiler) temp(bytes int) slot { return c.slot(slotInfo{bytes: max(bytes, 4), value: -1}) }

func (c *compiler) shape(v int) tensor.Shape { return c.p.Values[v].Shape }
func (c *compiler) size(v int) int           { return c.p.Values[v].Size() }

func (c *compiler) add(name string, run func(p []unsafe.Pointer) error, uses ...slot) {
	c.steps = append(c.steps, step{name: name, instr: c.instr, uses: uses, run: run})
}

// use returns where a value lies in a layout, adding a reorder where it was
// not wanted so before.
func (c *compiler) use(v int, l layout) (slot, error) {
	if s, ok := c.at[v][l]; ok {
		return s, nil
	}
	val := c.p.Values[v]
	if val.Alias >= 0 {
		return c.use(val.Alias, l)
	}
	if val.Role == engine.Constant {
		if l == filter {
			return c.arranged(v)
		}
		return c.constant(v)
	}
	s := c.temp(c.size(v) * val.Type.Bytes())
	if err := c.reorder(v, c.home[v], l, c.at[v][c.home[v]], s); err != nil {
		return 0, err
	}
	c.at[v][l] = s
	return s, nil
}

func (c *compiler) reorder(v int, from, to layout, src, dst slot) error {
	var r *C.v2v_reorder
	dims := dims4(c.shape(v))
	if err := check(C.v2v_reorder_new(&r, &dims[0], layoutOf[from], layoutOf[to], C.int(c.d.block)), "reorder"); err != nil {
		return err
	}
	c.free = append(c.free, func() { C.v2v_reorder_free(r) })
	c.add("reorder", func(p []unsafe.Pointer) error {
		return check(C.v2v_reorder_run(r, (*C.float)(p[src]), (*C.float)(p[dst])), "reorder")
	}, src, dst)
	return nil
}

// constant loads a plain constant.
func (c *compiler) constant(v int) (slot, error) {
	s, err := c.packed(v, "plain", c.size(v)*4, func(raw, mem unsafe.Pointer) error {
		C.memcpy(mem, raw, C.size_t(c.size(v)*4))
		return nil
	})
	c.at[v][plain], c.home[v] = s, plain
	return s, err
}

// arranged loads a constant as convolutions keep variable weights.
func (c *compiler) arranged(v int) (slot, error) {
	s, err := c.packed(v, "filter", c.size(v)*4, func(raw, mem unsafe.Pointer) error {
		var r *C.v2v_reorder
		dims := dims4(c.shape(v))
		if err := check(C.v2v_reorder_new(&r, &dims[0], layoutOf[plain], layoutOf[filter], C.int(c.d.block)), "reorder"); err != nil {
			return err
		}
		defer C.v2v_reorder_free(r)
		return check(C.v2v_reorder_run(r, (*C.float)(raw), (*C.float)(mem)), "reorder")
	})
	c.at[v][filter] = s
	return s, err
}

// packed is a constant in a kernel's own form, made by pack of the plain one,
// which is dropped at once. Executables of one device share it where the
// caller has named the weights' source.
func (c *compiler) packed(v int, form string, bytes int, pack func(raw, mem unsafe.Pointer) error) (slot, error) {
	name := c.p.Values[v].Name
	key := ""
	if c.o.Source != "" {
		key = fmt.Sprintf("%s\x00%s\x00%s\x00%d", c.o.Source, name, form, bytes)
		if w := c.d.shared[key]; w != nil {
			w.users++
			return c.slot(slotInfo{bytes: bytes, mem: w.mem, key: key, value: -1}), nil
		}
	}
	raw, err := c.loadConstant(v)
	if err != nil {
		return 0, err
	}
	defer C.free(raw)
	mem, err := alloc(bytes)
	if err != nil {
		return 0, fmt.Errorf("constant %s: %w", name, err)
	}
	C.memset(mem, 0, C.size_t(bytes))
	s := c.slot(slotInfo{bytes: bytes, mem: mem, key: key, value: -1})
	if key != "" {
		c.d.shared[key] = &sharedWeights{mem: mem, users: 1}
	}
	return s, pack(raw, mem)
}

func (c *compiler) loadConstant(v int) (unsafe.Pointer, error) {
	name := c.p.Values[v].Name
	if c.o.Constants == nil {
		return nil, fmt.Errorf("no source for constant %s", name)
	}
	mem, err := alloc(c.size(v) * 4)
	if err != nil {
		return nil, fmt.Errorf("constant %s: %w", name, err)
	}
	C.v2v_keep_denormals(1) // the caller's arithmetic is its own
	err = c.o.Constants(name, unsafe.Slice((*float32)(mem), c.size(v)))
	C.v2v_keep_denormals(0)
	if err != nil {
		C.free(mem)
		return nil, fmt.Errorf("constant %s: %w", name, err)
	}
	return mem, nil
}

// layoutOf is the layout a value is best read in by an operator that does not
// care.
func (c *compiler) layoutOf(v int) layout {
	if a := c.p.Values[v].Alias; a >= 0 {
		return c.layoutOf(a)
	}
	return c.home[v]
}

// activation is the layout convolutions keep a value of this shape in.
func (c *compiler) activation(shape tensor.Shape) layout {
	if len(shape) == 4 && shape[1]%c.d.block == 0 {
		return blocked
	}
	return plain
}

// def returns where an instruction writes its result. Where one of the values
// `over` is read here for the last time and lies in the same layout, its
// memory is taken.
func (c *compiler) def(v int, l layout, over ...int) slot {
	val := c.p.Values[v]
	if val.Alias >= 0 && c.home[val.Alias] == l {
		return c.at[val.Alias][l]
	}
	c.home[v] = l
	if s, ok := c.at[v][l]; ok { // an output wanted plain
		return s
	}
	for _, u := range over {
		from := c.p.Values[u]
		s, ok := c.at[u][l]
		if ok && c.left[u] == 1 && from.Role == engine.Temporary && !from.Output && from.Alias < 0 && c.size(u) == val.Size() {
			c.at[v][l] = s
			return s
		}
	}
	s := c.temp(val.Size() * val.Type.Bytes())
	c.at[v][l] = s
	return s
}

// settle copies a result to where the caller looks for it, if it was made in
// another layout.
func (c *compiler) settle(v int) error {
	val := c.p.Values[v]
	switch {
	case val.Alias >= 0:
		to := c.home[val.Alias]
		if from, ok := c.at[v][c.home[v]]; ok && c.home[v] != to {
			return c.reorder(v, c.home[v], to, from, c.at[val.Alias][to])
		}
	case val.Output && c.home[v] != plain:
		return c.reorder(v, c.home[v], plain, c.at[v][c.home[v]], c.at[v][plain])
	}
	return nil
}
