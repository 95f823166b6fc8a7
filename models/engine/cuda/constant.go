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

// load brings the constants that steps read to the card: as they are, and
// rounded to bfloat16, once, where a library reads them so. What is read rounded
// alone is not kept in float32.
func (c *compiler) load() error {
	used := c.used()
	for i := range c.slots {
		v, is := c.constants[slot(i)]
		if !is {
			continue
		}
		half, rounded := c.halves[slot(i)]
		if rounded = rounded && used[half]; rounded {
			if c.slots[half].constant = c.shared(v, "bf16", 2); c.slots[half].constant != nil {
				rounded = false
			}
		}
		if !used[i] && !rounded {
			continue
		}
		w, err := c.whole(v)
		c.slots[i].constant = w
		if err == nil && rounded {
			c.slots[half].constant, err = c.rounded(v, w)
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

// halve gives those slots that are constants a place for their rounded copy.
func (c *compiler) halve(slots ...slot) {
	for _, s := range slots {
		_, constant := c.constants[s]
		if _, known := c.halves[s]; constant && !known {
			c.halves[s] = c.temp(c.slots[s].bytes / 2)
		}
	}
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

// shared finds a constant that another executable of the source has loaded, of
// so many bytes a number, or nil.
func (c *compiler) shared(v int, form string, bytes int) *sharedConstant {
	w := c.d.shared[c.key(v, form)]
	if w == nil || w.mem.bytes != bytes*c.size(v) {
		return nil
	}
	w.users++
	return w
}

// keep makes room for a constant that one executable reads so far.
func (c *compiler) keep(v int, form string, bytes int) (*sharedConstant, error) {
	mem, err := c.d.alloc("a copy in "+form, bytes*c.size(v))
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
	if w := c.shared(v, "f32", 4); w != nil {
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
	w, err := c.keep(v, "f32", 4)
	if err != nil {
		return nil, err
	}
	return w, c.d.staging.upload(c.d, w.mem, val.Shape, engine.F32, unsafe.Slice((*byte)(unsafe.Pointer(&raw[0])), 4*len(raw)))
}

// rounded is a constant in bfloat16.
func (c *compiler) rounded(v int, from *sharedConstant) (*sharedConstant, error) {
	w, err := c.keep(v, "bf16", 2)
	if err != nil {
		return nil, err
	}
	n := c.size(v)
	s := halving(n, addressArg(from.mem.at), addressArg(w.mem.at))
	return w, c.d.launch(&s, nil)
}
