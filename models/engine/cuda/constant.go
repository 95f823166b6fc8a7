//go:build cgo

package cuda

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/v2v/v2v/models/engine"
)

// sharedConstant is a constant that the executables of one source read.
type sharedConstant struct {
	key   string // empty: one executable's own
	mem   *block
	users int
}

// form is how a constant lies on the card beside float32: by a launch that is made
// of addresses when they are known.
type form struct {
	name  string
	bytes int
	slot  slot
	make  func(from, to arg) step
}

// form gives a slot that is a constant a place for a form of it, made once when the
// program is compiled; other slots have none.
func (c *compiler) form(s slot, name string, bytes int, launch func(from, to arg) step) (at slot, constant bool) {
	if _, constant = c.constants[s]; !constant {
		return none, false
	}
	for _, f := range c.forms[s] {
		if f.name == name {
			return f.slot, true
		}
	}
	at = c.temp(bytes)
	c.forms[s] = append(c.forms[s], form{name, bytes, at, launch})
	return at, true
}

// halved is where a constant lies rounded to bfloat16.
func (c *compiler) halved(s slot) (at slot, constant bool) {
	if s == none {
		return none, false
	}
	n := c.slots[s].bytes / 4
	return c.form(s, "bf16", 2*n, func(from, to arg) step { return halving(n, from, to) })
}

// load brings the constants that steps read to the card: as they are, and in the
// forms that are read, once. What is read in such alone is not kept in float32.
func (c *compiler) load() error {
	used := c.used()
	for i := range c.slots {
		v, is := c.constants[slot(i)]
		if !is {
			continue
		}
		var missing []form
		for _, f := range c.forms[slot(i)] {
			if !used[f.slot] {
				continue
			}
			if c.slots[f.slot].constant = c.shared(v, f.name, f.bytes); c.slots[f.slot].constant == nil {
				missing = append(missing, f)
			}
		}
		if !used[i] && len(missing) == 0 {
			continue
		}
		w, err := c.whole(v)
		c.slots[i].constant = w
		for _, f := range missing {
			if err == nil {
				c.slots[f.slot].constant, err = c.formed(v, f, w)
			}
		}
		if !used[i] {
			c.d.release(c.slots[i : i+1])
			c.slots[i].constant = nil
		}
		if err != nil {
			return fmt.Errorf("constant %s: %w", c.p.Values[v].Name, err)
		}
	}
	return nil
}

// used says which slots steps read or write.
func (c *compiler) used() []bool {
	used := make([]bool, len(c.slots))
	for _, s := range c.steps {
		for _, u := range s.uses() {
			used[u] = true
			if t := c.slots[u].table; t != nil {
				for _, p := range t.patches {
					used[p.slot] = true
				}
			}
		}
	}
	return used
}

// key is what a constant is shared by, in a form; empty where it is not.
func (c *compiler) key(v int, form string) string {
	if c.o.Source == "" {
		return ""
	}
	return c.o.Source + "\x00" + form + "\x00" + c.p.Values[v].Name
}

// shared finds a constant that another executable of the source has loaded, or nil.
func (c *compiler) shared(v int, form string, bytes int) *sharedConstant {
	w := c.d.shared[c.key(v, form)]
	if w == nil || w.mem.bytes != bytes {
		return nil
	}
	w.users++
	return w
}

// keep makes room for a constant that one executable reads so far.
func (c *compiler) keep(v int, form string, bytes int) (*sharedConstant, error) {
	mem, err := c.d.alloc("a copy in "+form, bytes)
	if err != nil {
		return nil, err
	}
	w := &sharedConstant{key: c.key(v, form), mem: mem, users: 1}
	if w.key != "" {
		c.d.shared[w.key] = w
	}
	return w, nil
}

// whole is a constant in float32.
func (c *compiler) whole(v int) (*sharedConstant, error) {
	if w := c.shared(v, "f32", 4*c.size(v)); w != nil {
		return w, nil
	}
	val := c.p.Values[v]
	if c.o.Constants == nil {
		return nil, errors.New("the options have no source of constants")
	}
	raw := make([]float32, val.Size())
	if err := c.o.Constants(val.Name, raw); err != nil {
		return nil, err
	}
	w, err := c.keep(v, "f32", 4*c.size(v))
	if err != nil {
		return nil, err
	}
	return w, c.d.staging.upload(c.d, w.mem, val.Shape, engine.F32, unsafe.Slice((*byte)(unsafe.Pointer(&raw[0])), 4*len(raw)))
}

// formed is a constant in a form.
func (c *compiler) formed(v int, f form, from *sharedConstant) (*sharedConstant, error) {
	w, err := c.keep(v, f.name, f.bytes)
	if err != nil {
		return nil, err
	}
	s := f.make(addressArg(from.mem.at), addressArg(w.mem.at))
	return w, c.d.launch(&s, nil)
}
