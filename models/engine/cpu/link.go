//go:build cgo

package cpu

/*
#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>
static void v2v_trim(void) { malloc_trim(0); }
#else
static void v2v_trim(void) {}
#endif
*/
import "C"

import (
	"fmt"
	"time"
	"unsafe"

	"github.com/v2v/v2v/models/engine"
)

// executable is a compiled program: steps over a table of pointers.
type executable struct {
	d     *Device
	p     *engine.Program
	steps []step
	slots []slotInfo
	ptr   []unsafe.Pointer
	temps []placed        // in the device's arena
	base  unsafe.Pointer  // of it, when ptr was filled
	slot  map[int]slot    // bound values
	bound map[int]*buffer // by value
	own   []*buffer       // outputs nobody has bound
	free  []func()
	spent []time.Duration // by step, when profiling
}

// placed is where a temporary lies in an arena.
type placed struct {
	slot   slot
	offset int
}

// link places every temporary by lifetime in the arena that all executables of
// the device share, for one runs at a time.
func (c *compiler) link() (*executable, error) {
	e := &executable{d: c.d, p: c.p, steps: c.steps, slots: c.slots, free: c.free,
		ptr: make([]unsafe.Pointer, len(c.slots)), slot: map[int]slot{}, bound: map[int]*buffer{}}
	spans := make([]engine.Span, len(c.slots))
	for i := range spans {
		spans[i] = engine.Span{First: len(c.steps), Last: -1}
	}
	for k, s := range c.steps {
		for _, u := range s.uses {
			spans[u].First, spans[u].Last = min(spans[u].First, k), max(spans[u].Last, k)
		}
	}
	for i, s := range c.slots {
		if s.value < 0 && s.mem == nil && spans[i].Last >= 0 {
			spans[i].Bytes = s.bytes
		} else {
			spans[i] = engine.Span{First: -1, Last: -1}
		}
	}
	offsets, total := engine.Pack(spans, pageAlign)
	if err := c.d.reserve(total); err != nil {
		return nil, fmt.Errorf("arena: %w", err)
	}
	for i, s := range c.slots {
		switch {
		case s.mem != nil:
			e.ptr[i] = s.mem
		case s.value >= 0:
			e.slot[s.value] = slot(i)
		default:
			e.temps = append(e.temps, placed{slot(i), offsets[i]})
		}
	}
	for _, v := range c.p.Outputs {
		b, err := c.d.newBuffer(c.p.Values[v].Shape, c.p.Values[v].Type)
		if err != nil {
			c.d.release()
			return nil, err
		}
		e.own = append(e.own, b)
		e.point(v, b)
	}
	return e, nil
}

func (e *executable) point(v int, b *buffer) {
	e.bound[v] = b
	if s, ok := e.slot[v]; ok {
		e.ptr[s] = b.mem
	}
}

// Bind implements engine.Executable.
func (e *executable) Bind(name string, b engine.Buffer) error {
	i := e.p.Find(name)
	if i < 0 {
		return fmt.Errorf("bind %s: the program has no such input or output", name)
	}
	buf, ok := b.(*buffer)
	if !ok || buf.d != e.d {
		return fmt.Errorf("bind %s: the buffer belongs to another device", name)
	}
	v := e.p.Values[i]
	if !v.Shape.Eq(buf.shape) || v.Type != buf.typ {
		return fmt.Errorf("bind %s: buffer is %v, the program wants %v", name, buf.shape, v.Shape)
	}
	var err error
	e.d.thread.do(func() {
		want := plain
		if v.Role == engine.Variable {
			want = e.d.variableLayout(v.Shape)
		} else if v.Role == engine.Input && buf.layout != plain {
			err = fmt.Errorf("the buffer is a variable of another program")
		}
		if err == nil {
			err = buf.setLayout(want)
		}
		e.point(i, buf)
	})
	if err != nil {
		return fmt.Errorf("bind %s: %w", name, err)
	}
	return nil
}

// Run implements engine.Executable.
func (e *executable) Run() error {
	for i, v := range e.p.Values {
		if (v.Role == engine.Input || v.Role == engine.Variable) && e.bound[i] == nil {
			return fmt.Errorf("run: %s is not bound", v.Name)
		}
	}
	var err error
	e.d.thread.do(func() { err = e.run() })
	return err
}

func (e *executable) run() error {
	// A buffer that another program turned to another layout has moved.
	for v, b := range e.bound {
		if s, ok := e.slot[v]; ok {
			e.ptr[s] = b.mem
		}
	}
	if e.base == nil { // what compiling and binding have freed goes back to the system
		C.v2v_trim()
	}
	if e.base != e.d.arena { // it has become larger, elsewhere
		e.base = e.d.arena
		for _, t := range e.temps {
			e.ptr[t.slot] = unsafe.Add(e.base, t.offset)
		}
	}
	if e.spent != nil {
		return e.profiled()
	}
	for _, s := range e.steps {
		if err := s.run(e.ptr); err != nil {
			return fmt.Errorf("run %s: %w", s.name, err)
		}
	}
	return nil
}

func (e *executable) profiled() error {
	for i, s := range e.steps {
		t := time.Now()
		if err := s.run(e.ptr); err != nil {
			return fmt.Errorf("run %s: %w", s.name, err)
		}
		e.spent[i] += time.Since(t)
	}
	return nil
}

// Profile implements engine.Profiler.
func (e *executable) Profile(on bool) {
	e.d.thread.do(func() {
		e.spent = nil
		if on {
			e.spent = make([]time.Duration, len(e.steps))
		}
	})
}

// Timings implements engine.Profiler.
func (e *executable) Timings() []engine.Timing {
	var ts []engine.Timing
	e.d.thread.do(func() {
		for i, d := range e.spent {
			ts = append(ts, engine.Timing{Name: e.steps[i].name, Total: d})
		}
	})
	return ts
}

// Output implements engine.Executable.
func (e *executable) Output(i int) engine.Buffer { return e.bound[e.p.Outputs[i]] }

// Close implements engine.Executable.
func (e *executable) Close() error {
	e.d.thread.do(func() {
		for _, f := range e.free {
			f()
		}
		e.d.drop(e.slots)
		e.d.release()
		for _, b := range e.own {
			C.free(b.mem)
		}
	})
	return nil
}
