//go:build cgo

package cuda

import (
	"errors"
	"fmt"
	"reflect"

	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/op"
)

// slotInfo says what a slot is.
type slotInfo struct {
	bytes    int
	value    int // the bound value whose buffer this is, or -1
	constant *sharedConstant
	table    *arg // contents that hold addresses of other slots
	half     bool // numbers lie as bfloat16
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
	d      *Device
	p      *engine.Program
	o      engine.Options
	slots  []slotInfo
	steps  []step
	at     []slot // where each value lies, or none
	made   []int  // the instruction that makes each value, or -1
	uses   []int  // how often each is read
	half   []bool // which lie as bfloat16
	done   map[int]bool
	adams  []adam
	own    bool // no plans of libraries, and own kernels without copies
	copies bool // an own kernel reads a rounded copy, or a library's plan serves
	trial  bool // steps are measured, and what they make is looked at
	name   string

	constants map[slot]int // which value each is; loaded when the steps are known
	forms     map[slot][]form
}

// Compile implements engine.Device.
func (d *Device) Compile(p *engine.Program, o engine.Options) (engine.Executable, error) {
	if err := supported(p); err != nil {
		return nil, fmt.Errorf("compile for %s: %w", d.Name(), err)
	}
	var e *executable
	err := d.do(func() (err error) {
		c := d.newCompiler(p, o)
		e, err = c.build()
		if small := (*memoryError)(nil); errors.As(err, &small) && c.copies {
			c = d.newCompiler(p, o)
			c.own = true // without workspaces of cuDNN and rounded copies
			e, err = c.build()
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("compile for %s: %w", d.Name(), err)
	}
	return e, nil
}

func (d *Device) newCompiler(p *engine.Program, o engine.Options) *compiler {
	return &compiler{d: d, p: p, o: o, done: map[int]bool{}, constants: map[slot]int{}, forms: map[slot][]form{}}
}

// build compiles and links.
func (c *compiler) build() (*executable, error) {
	var e *executable
	err := c.compile()
	if err == nil {
		err = c.d.ready(c.kernels()...)
	}
	if err == nil {
		err = c.load()
	}
	if err == nil {
		e, err = c.link()
	}
	if err != nil {
		c.d.release(c.slots)
	}
	return e, err
}

// kernels names what the steps launch.
func (c *compiler) kernels() (names []string) {
	for _, s := range c.steps {
		names = append(names, s.kernel)
	}
	return names
}

// largest is the most elements of a value: kernels count in 32 bits.
const largest = 1 << 30

func supported(p *engine.Program) error {
	var errs []error
	seen := map[reflect.Type]bool{}
	for _, i := range p.Code {
		t := reflect.TypeOf(i.Op)
		if emitters[t] == nil && !seen[t] {
			seen[t] = true
			errs = append(errs, fmt.Errorf("operator %v: %w", t, engine.ErrUnsupported))
		}
		if v := p.Values[i.Out]; v.Size() > largest {
			errs = append(errs, fmt.Errorf("%v %v has more than %d elements: %w", t, v.Shape, largest, engine.ErrUnsupported))
		}
	}
	return errors.Join(errs...)
}

// release gives back the constants of an executable.
func (d *Device) release(slots []slotInfo) {
	for _, s := range slots {
		if w := s.constant; w != nil {
			if w.users--; w.users == 0 {
				delete(d.shared, w.key)
				d.free(w.mem)
			}
		}
	}
}

func (c *compiler) compile() error {
	n := len(c.p.Values)
	c.at, c.made, c.uses = make([]slot, n), make([]int, n), make([]int, n)
	for i, v := range c.p.Values {
		c.at[i], c.made[i] = none, -1
		if v.Role == engine.Variable || v.Role == engine.Input || v.Output {
			c.at[i] = c.slot(slotInfo{bytes: v.Size() * v.Type.Bytes(), value: i})
		}
	}
	for k, i := range c.p.Code {
		c.made[i.Out] = k
		for _, v := range i.Reads() {
			c.uses[v]++
		}
	}
	c.store()
	c.fuseWarps()
	c.fuseAdam()
	c.fuseGates()
	for k, i := range c.p.Code {
		if c.done[k] {
			continue
		}
		c.name = label(c.p, i)
		if err := c.emit(i); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	if err := c.emitAdam(); err != nil {
		return err
	}
	c.fuseStats()
	c.fuseFrames()
	return nil
}

// label is what errors and profiles call an instruction.
func label(p *engine.Program, i engine.Instr) string {
	name := fmt.Sprintf("%T %v", i.Op, p.Values[i.Out].Shape)
	for k, v := range i.In {
		name += []string{" of ", ", "}[min(k, 1)] + fmt.Sprint(p.Values[v].Shape)
	}
	return name
}

// emit adds an instruction's steps. One that writes over a variable that it
// reads, other than element by element, writes beside it first.
func (c *compiler) emit(i engine.Instr) error {
	alias := c.p.Values[i.Out].Alias
	if alias >= 0 && !elementwise(i.Op) {
		for _, v := range i.Reads() {
			if v != alias {
				continue
			}
			home := c.at[alias]
			beside := c.temp(c.size(i.Out) * 4)
			c.at[i.Out] = beside
			if err := emitters[reflect.TypeOf(i.Op)](c, i); err != nil {
				return err
			}
			c.copy(beside, home, c.size(i.Out)*4)
			c.at[i.Out] = home
			return nil
		}
	}
	return emitters[reflect.TypeOf(i.Op)](c, i)
}

func (c *compiler) slot(s slotInfo) slot {
	c.slots = append(c.slots, s)
	return slot(len(c.slots) - 1)
}

// temp is memory of the program's own.
func (c *compiler) temp(bytes int) slot { return c.slot(slotInfo{bytes: max(bytes, 16), value: -1}) }

func (c *compiler) shape(v int) tensor.Shape { return c.p.Values[v].Shape }
func (c *compiler) size(v int) int           { return c.p.Values[v].Size() }

func (c *compiler) add(s step) {
	s.name = c.name
	c.steps = append(c.steps, s)
}

func (c *compiler) copy(from, to slot, bytes int) {
	c.add(step{kernel: "memcpy", args: []arg{addressArg(uint64(bytes)), slotArg(from), slotArg(to)}})
}

func (c *compiler) set(to slot, bytes int, value byte) {
	c.add(step{kernel: "memset", args: []arg{addressArg(uint64(bytes)), addressArg(uint64(value)), slotArg(to)}})
}

// use is where a value lies.
func (c *compiler) use(v int) (slot, error) {
	if c.at[v] != none {
		return c.at[v], nil
	}
	val := c.p.Values[v]
	if val.Alias >= 0 {
		return c.use(val.Alias)
	}
	if val.Role != engine.Constant {
		return none, fmt.Errorf("value %d is read before it is made", v)
	}
	s := c.temp(val.Size() * val.Type.Bytes())
	c.constants[s] = v
	c.at[v] = s
	return s, nil
}

// in is where the inputs of an instruction lie.
func (c *compiler) in(i engine.Instr) ([]slot, error) {
	s := make([]slot, len(i.In))
	for k, v := range i.In {
		var err error
		if s[k], err = c.use(v); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// def is where an instruction writes its result.
func (c *compiler) def(v int) slot {
	val := c.p.Values[v]
	switch {
	case c.at[v] != none:
	case val.Alias >= 0:
		c.at[v] = c.at[val.Alias]
	case c.half[v]:
		c.at[v] = c.slot(slotInfo{bytes: max(2*val.Size(), 16), value: -1, half: true})
	default:
		c.at[v] = c.temp(val.Size() * val.Type.Bytes())
	}
	return c.at[v]
}

// postArg is the kernels' struct Post: what is fused behind a result, and
// whether that lies as bfloat16.
func (c *compiler) postArg(steps []engine.Step, half bool) (arg, error) {
	if len(steps) > 2 {
		return arg{}, fmt.Errorf("%d steps behind one result", len(steps))
	}
	const added, nothing = 4, 5
	kind, slope, add := [2]arg{intArg(nothing), intArg(nothing)}, [2]arg{floatArg(0), floatArg(0)}, none
	for k, s := range steps {
		switch o := s.Op.(type) {
		case op.Act:
			kind[k], slope[k] = intArg(int(o.Kind)), floatArg(o.Slope)
		case op.Add:
			kind[k] = intArg(added)
			var err error
			if add, err = c.use(s.In[0]); err != nil {
				return arg{}, err
			}
		default:
			return arg{}, fmt.Errorf("step %T: %w", s.Op, engine.ErrUnsupported)
		}
	}
	return structArg(kind[0], kind[1], slope[0], slope[1], slotArg(add), boolArg(half), intArg(0)), nil
}
