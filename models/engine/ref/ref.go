// Package ref is the reference device: it runs each operator's plain-Go Do,
// one after the other. It is slow, and the definition of right. Programs come
// in, host tensors go out; buffers are Go memory and need no closing.
package ref

import (
	"fmt"

	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/op"
)

// Device runs programs in plain Go.
type Device struct{}

// Open returns the reference device.
func Open() *Device { return &Device{} }

// Name implements engine.Device.
func (*Device) Name() string { return "ref" }

// Close implements engine.Device.
func (*Device) Close() error { return nil }

type buffer struct {
	shape tensor.Shape
	typ   engine.Type
	f     []float32
	b     []byte
}

func newBuffer(shape tensor.Shape, t engine.Type) *buffer {
	n := engine.Value{Shape: shape}.Size()
	if t == engine.U8 {
		return &buffer{shape: shape, typ: t, b: make([]byte, n)}
	}
	return &buffer{shape: shape, typ: t, f: make([]float32, n)}
}

// Alloc implements engine.Device.
func (*Device) Alloc(shape tensor.Shape, t engine.Type) (engine.Buffer, error) {
	return newBuffer(shape, t), nil
}

func (b *buffer) Shape() tensor.Shape { return b.shape }
func (b *buffer) Type() engine.Type   { return b.typ }
func (b *buffer) Close() error        { return nil }
func (b *buffer) size() int           { return len(b.f) + len(b.b) }

func (b *buffer) Read(dst any) error {
	if err := engine.CheckIO(dst, b.size(), b.typ); err != nil {
		return fmt.Errorf("read buffer %v: %w", b.shape, err)
	}
	switch d := dst.(type) {
	case []float32:
		copy(d, b.f)
	case []byte:
		copy(d, b.b)
	}
	return nil
}

func (b *buffer) Write(src any) error {
	if err := engine.CheckIO(src, b.size(), b.typ); err != nil {
		return fmt.Errorf("write buffer %v: %w", b.shape, err)
	}
	switch s := src.(type) {
	case []float32:
		copy(b.f, s)
	case []byte:
		copy(b.b, s)
	}
	return nil
}

func (b *buffer) tensor() op.Tensor { return op.Tensor{Shape: b.shape, F: b.f, B: b.b} }

type executable struct {
	p     *engine.Program
	bufs  []*buffer // by value
	bound []bool
	last  []int // instruction that reads a value last
}

// Compile implements engine.Device. Every operator is supported, in float32.
func (d *Device) Compile(p *engine.Program, o engine.Options) (engine.Executable, error) {
	if o.Precision != engine.Float32 {
		return nil, fmt.Errorf("compile for ref: only f32: %w", engine.ErrUnsupported)
	}
	e := &executable{p: p, bufs: make([]*buffer, len(p.Values)), bound: make([]bool, len(p.Values)), last: make([]int, len(p.Values))}
	for i, c := range p.Code {
		for _, v := range c.Reads() {
			e.last[v] = i
		}
	}
	for i, v := range p.Values {
		if v.Role != engine.Constant {
			continue
		}
		e.bufs[i] = newBuffer(v.Shape, v.Type)
		if o.Constants == nil {
			return nil, fmt.Errorf("compile for ref: no source for constant %s", v.Name)
		}
		if err := o.Constants(v.Name, e.bufs[i].f); err != nil {
			return nil, fmt.Errorf("compile for ref: constant %s: %w", v.Name, err)
		}
	}
	for _, v := range p.Outputs {
		e.bufs[v] = newBuffer(p.Values[v].Shape, p.Values[v].Type)
	}
	return e, nil
}

// Bind implements engine.Executable.
func (e *executable) Bind(name string, b engine.Buffer) error {
	i := e.p.Find(name)
	if i < 0 {
		return fmt.Errorf("bind %s: the program has no such input or output", name)
	}
	buf, ok := b.(*buffer)
	if !ok {
		return fmt.Errorf("bind %s: the buffer belongs to another device", name)
	}
	v := e.p.Values[i]
	if !v.Shape.Eq(buf.shape) || v.Type != buf.typ {
		return fmt.Errorf("bind %s: buffer is %v, the program wants %v", name, buf.shape, v.Shape)
	}
	e.bufs[i], e.bound[i] = buf, true
	return nil
}

// Run implements engine.Executable.
func (e *executable) Run() error {
	for i, v := range e.p.Values {
		if (v.Role == engine.Input || v.Role == engine.Variable) && !e.bound[i] {
			return fmt.Errorf("run: %s is not bound", v.Name)
		}
	}
	vals := make([]op.Tensor, len(e.p.Values))
	for i, b := range e.bufs {
		if b != nil {
			vals[i] = b.tensor()
		}
	}
	for i, c := range e.p.Code {
		e.step(c, vals)
		for _, v := range c.Reads() {
			if e.last[v] == i && e.bufs[v] == nil {
				vals[v] = op.Tensor{} // the garbage collector may have it
			}
		}
	}
	return nil
}

func (e *executable) step(c engine.Instr, vals []op.Tensor) {
	out := e.p.Values[c.Out]
	result := newBuffer(out.Shape, out.Type).tensor()
	c.Op.Do(gather(vals, c.In), result)
	for _, s := range c.Post {
		next := newBuffer(out.Shape, out.Type).tensor()
		s.Op.Do(append([]op.Tensor{result}, gather(vals, s.In)...), next)
		result = next
	}
	switch {
	case out.Alias >= 0:
		copy(vals[out.Alias].F, result.F)
		vals[c.Out] = vals[out.Alias]
	case out.Output:
		copy(vals[c.Out].F, result.F)
		copy(vals[c.Out].B, result.B)
	default:
		vals[c.Out] = result
	}
}

func gather(vals []op.Tensor, in []int) []op.Tensor {
	ts := make([]op.Tensor, len(in))
	for i, v := range in {
		ts[i] = vals[v]
	}
	return ts
}

// Output implements engine.Executable.
func (e *executable) Output(i int) engine.Buffer { return e.bufs[e.p.Outputs[i]] }

// Close implements engine.Executable.
func (e *executable) Close() error { return nil }
