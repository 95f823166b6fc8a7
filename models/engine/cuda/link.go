//go:build cgo

package cuda

import (
	"encoding/binary"
	"fmt"
	"time"

	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/engine"
)

// executable is a compiled program: steps over a table of addresses.
type executable struct {
	d      *Device
	p      *engine.Program
	steps  []step
	slots  []slotInfo
	at     []uint64 // by slot
	arena  *block
	tables []*block // by slot, of those that hold addresses
	slot   map[int]slot
	bound  map[int]*buffer   // by value
	own    []*buffer         // outputs nobody has bound
	graphs map[string]uint64 // by the bound addresses; 0 after the first run
	last   string            // what the tables were written for
	spent  []time.Duration   // by step, when profiling
}

// link places every temporary in one arena by lifetime.
func (c *compiler) link() (_ *executable, err error) {
	e := &executable{d: c.d, p: c.p, steps: c.steps, slots: c.slots, at: make([]uint64, len(c.slots)), tables: make([]*block, len(c.slots)),
		slot: map[int]slot{}, bound: map[int]*buffer{}, graphs: map[string]uint64{}}
	defer func() {
		if err != nil {
			e.drop()
		}
	}()
	offsets, total := engine.Pack(c.spans(), 256)
	if e.arena, err = c.d.alloc("the program's memory", total); err != nil {
		return nil, err
	}
	for i, s := range c.slots {
		switch {
		case s.constant != nil:
			e.at[i] = s.constant.mem.at
		case s.value >= 0:
			e.slot[s.value] = slot(i)
		case s.table != nil:
			if e.tables[i], err = c.d.alloc("a table", len(s.table.bytes)); err != nil {
				return nil, err
			}
			e.at[i] = e.tables[i].at
		default:
			e.at[i] = e.arena.at + uint64(offsets[i])
		}
	}
	for _, v := range c.p.Outputs {
		b, err := c.d.newBuffer(c.p.Values[v].Shape, c.p.Values[v].Type)
		if err != nil {
			return nil, err
		}
		e.own = append(e.own, b)
		e.bound[v] = b
	}
	return e, nil
}

// spans says from which step to which each temporary is needed.
func (c *compiler) spans() []engine.Span {
	spans := make([]engine.Span, len(c.slots))
	for i := range spans {
		spans[i] = engine.Span{First: len(c.steps), Last: -1}
	}
	for k, s := range c.steps {
		for _, u := range s.uses() {
			spans[u].First, spans[u].Last = min(spans[u].First, k), max(spans[u].Last, k)
			if t := c.slots[u].table; t != nil {
				for _, p := range t.patches {
					spans[p.slot].First, spans[p.slot].Last = min(spans[p.slot].First, k), max(spans[p.slot].Last, k)
				}
			}
		}
	}
	for i, s := range c.slots {
		if s.value < 0 && s.constant == nil && s.table == nil && spans[i].Last >= 0 {
			spans[i].Bytes = s.bytes
		} else {
			spans[i] = engine.Span{First: -1, Last: -1}
		}
	}
	return spans
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
	return e.d.do(func() error {
		e.bound[i] = buf
		return nil
	})
}

// Run implements engine.Executable. It returns when the card has been given the
// work; reading a buffer waits for it.
func (e *executable) Run() error {
	for i, v := range e.p.Values {
		if (v.Role == engine.Input || v.Role == engine.Variable) && e.bound[i] == nil {
			return fmt.Errorf("run: %s is not bound", v.Name)
		}
	}
	if err := e.d.do(e.run); err != nil {
		return fmt.Errorf("run on %s: %w", e.d.Name(), err)
	}
	return nil
}

func (e *executable) run() error {
	var key []byte
	for v := range e.p.Values {
		if s, ok := e.slot[v]; ok {
			if e.bound[v].mem == nil {
				return fmt.Errorf("the buffer of %s is closed", e.p.Values[v].Name)
			}
			e.at[s] = e.bound[v].mem.at
			key = binary.LittleEndian.AppendUint64(key, e.at[s])
		}
	}
	if err := e.writeTables(string(key)); err != nil {
		return err
	}
	if e.spent != nil {
		return e.profiled()
	}
	graph, known := e.graphs[string(key)]
	switch {
	case !known: // the first run loads the kernels, which capturing must not
		if len(e.graphs) >= mostGraphs {
			e.dropGraphs()
		}
		e.graphs[string(key)] = 0
		return e.each(func(s *step) error { return e.d.launch(s, e.at) })
	case graph == 0:
		var err error
		if graph, err = e.capture(); err != nil {
			return err
		}
		e.graphs[string(key)] = graph
	}
	return e.d.api.call("cuGraphLaunch", graph, e.d.stream)
}

// writeTables brings addresses to the card where they have changed.
func (e *executable) writeTables(key string) error {
	if e.last == key {
		return nil
	}
	for i, s := range e.slots {
		if s.table == nil {
			continue
		}
		raw := append([]byte(nil), s.table.bytes...)
		for _, p := range s.table.patches {
			binary.LittleEndian.PutUint64(raw[p.offset:], e.at[p.slot])
		}
		if err := e.d.staging.upload(e.d, e.tables[i], tensor.Shape{len(raw)}, engine.U8, raw); err != nil {
			return err
		}
	}
	e.last = key
	return nil
}

// mostGraphs bounds the graphs kept for different bindings: previous frames
// take turns, a few suffice.
const mostGraphs = 16

// each calls f with every step, until one fails.
func (e *executable) each(f func(*step) error) error {
	for i := range e.steps {
		if err := f(&e.steps[i]); err != nil {
			return err
		}
	}
	return nil
}

// capture records the steps as one graph.
func (e *executable) capture() (uint64, error) {
	return e.d.captured(func() error {
		return e.each(func(s *step) error { return e.d.launch(s, e.at) })
	})
}

// captured records what f launches as one graph.
func (d *Device) captured(f func() error) (uint64, error) {
	if err := d.api.call("cuStreamBeginCapture_v2", d.stream, threadLocal); err != nil {
		return 0, err
	}
	failed := f()
	var out room
	defer out.free()
	err := d.api.call("cuStreamEndCapture", d.stream, out.at(0))
	if failed != nil {
		err = failed
	}
	graph := out.get(0)
	if graph != 0 {
		defer d.api.call("cuGraphDestroy", graph)
	}
	if err != nil {
		return 0, err
	}
	return d.api.ask("cuGraphInstantiateWithFlags", graph, 0)
}

func (e *executable) profiled() error {
	for i := range e.steps {
		t := time.Now()
		if err := e.d.launch(&e.steps[i], e.at); err != nil {
			return err
		}
		if err := e.d.api.call("cuStreamSynchronize", e.d.stream); err != nil {
			return err
		}
		e.spent[i] += time.Since(t)
	}
	return nil
}

// Profile implements engine.Profiler: each step is then launched by itself and
// waited for.
func (e *executable) Profile(on bool) {
	e.d.mu.Lock()
	defer e.d.mu.Unlock()
	e.spent = nil
	if on {
		e.spent = make([]time.Duration, len(e.steps))
	}
}

// Timings implements engine.Profiler.
func (e *executable) Timings() []engine.Timing {
	e.d.mu.Lock()
	defer e.d.mu.Unlock()
	var ts []engine.Timing
	for i, d := range e.spent {
		ts = append(ts, engine.Timing{Name: e.steps[i].kernel + " " + e.steps[i].name, Total: d})
	}
	return ts
}

// Output implements engine.Executable.
func (e *executable) Output(i int) engine.Buffer { return e.bound[e.p.Outputs[i]] }

// Close implements engine.Executable.
func (e *executable) Close() error {
	return e.d.do(func() error {
		err := e.d.api.call("cuStreamSynchronize", e.d.stream)
		e.d.release(e.slots)
		e.drop()
		return err
	})
}

func (e *executable) dropGraphs() {
	for k, g := range e.graphs {
		if g != 0 {
			e.d.api.call("cuGraphExecDestroy", g)
		}
		delete(e.graphs, k)
	}
}

// drop gives back everything but the constants.
func (e *executable) drop() {
	e.dropGraphs()
	e.d.free(e.arena)
	for _, t := range e.tables {
		e.d.free(t)
	}
	for _, b := range e.own {
		e.d.free(b.mem)
	}
}
