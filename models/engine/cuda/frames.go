//go:build cgo

package cuda

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// near is how many steps before it is read a copy may be made: it takes memory
// meanwhile, which in training is dear.
const near = 16

// fuseFrames has normalisations write themselves what convolutions read of them:
// copies in bfloat16, with mirrored borders where they have some. A step that made
// what another has made already is left out.
func (c *compiler) fuseFrames() {
	gone := c.mergeCopies()
	readers := map[slot][]int{}
	for k, s := range c.steps {
		for _, u := range s.uses() {
			if !gone[k] {
				readers[u] = append(readers[u], k)
			}
		}
	}
	for k := range c.steps {
		s := &c.steps[k]
		if s.kernel != "normalize_lines" {
			continue
		}
		out := s.args[6].patches[0].slot
		rest := slices.DeleteFunc(slices.Clone(readers[out]), func(r int) bool { return r == k })
		at := slices.IndexFunc(rest, func(r int) bool { return r > k && r-k <= near && c.steps[r].copyOf(out, s.channels()) })
		if at < 0 {
			continue
		}
		n, h, w, pad, to := c.steps[rest[at]].frame(s.channels())
		if n*h*w != s.pixels() {
			continue
		}
		if len(rest) == 1 && c.slots[out].value < 0 {
			out = none
		}
		s.kernel = "normalize_framed"
		s.args = append(append(slices.Clone(s.args[:2]), structArg(divisor(h), divisor(w), intArg(pad))), s.args[2:6]...)
		s.args = append(s.args, slotArg(out), slotArg(to))
		gone[rest[at]] = true
	}
	var steps []step
	for k, s := range c.steps {
		if !gone[k] {
			steps = append(steps, s)
		}
	}
	c.steps = steps
}

// copied is the step that made a copy, and where that is.
type copied struct {
	step int
	to   slot
}

// mergeCopies finds the copies that were made before, of memory of the program's
// own, which is written once, and has what reads them read those.
func (c *compiler) mergeCopies() map[int]bool {
	gone, made := map[int]bool{}, map[string]copied{}
	for k, s := range c.steps {
		if s.kernel != "frame" && s.kernel != "halve" {
			continue
		}
		last := len(s.args) - 1
		from, to := s.args[last-1].patches[0].slot, s.args[last].patches[0].slot
		if c.slots[from].value >= 0 {
			continue
		}
		key := fmt.Sprint(s.kernel, from)
		for _, a := range s.args[:last-1] {
			key += fmt.Sprint(" ", a.bytes)
		}
		if first, known := made[key]; known && k-first.step <= near {
			gone[k] = true
			c.replace(to, first.to)
			continue
		}
		made[key] = copied{k, to}
	}
	return gone
}

// replace has steps use a slot in the place of another.
func (c *compiler) replace(old, by slot) {
	for _, s := range c.steps {
		for i, a := range s.args {
			if a.tensor != nil && a.tensor.slot == old {
				a.tensor.slot = by
			}
			for j, p := range a.patches {
				if p.slot == old {
					s.args[i].patches[j].slot = by
				}
			}
		}
	}
}

// number is an argument of four bytes, or the i-th four of a struct.
func (s *step) number(arg, i int) int {
	return int(int32(binary.LittleEndian.Uint32(s.args[arg].bytes[4*i:])))
}

// pixels and channels are what a kernel that walks goes through: its grid's groups
// of the pixels in its span.
func (s *step) pixels() int   { return s.number(0, 0) * s.grid[1] }
func (s *step) channels() int { return s.number(0, 1) }

// copyOf says that a step copies a slot of so many channels to bfloat16 with
// nothing about it but mirrored borders.
func (s *step) copyOf(from slot, channels int) bool {
	switch s.kernel {
	case "halve":
		return s.args[1].patches[0].slot == from
	case "frame":
		c, cp, pad, right, down, reflect, as := s.number(3, 0), s.number(4, 0), s.number(5, 0), s.number(6, 0), s.number(7, 0), s.number(8, 0), s.number(10, 0)
		return s.args[11].patches[0].slot == from && c == channels && cp == c && right+down == 0 && (pad == 0 || reflect == 1) && as == asBFloat16
	}
	return false
}

// frame is the pictures that a copy makes, without their borders, which are pad
// wide, and where it makes them.
func (s *step) frame(channels int) (n, h, w, pad int, to slot) {
	last := len(s.args) - 1
	to = s.args[last].patches[0].slot
	if s.kernel == "halve" {
		return 1, 1, s.number(0, 0) / channels, 0, to
	}
	return s.number(0, 0), s.number(1, 0), s.number(2, 0), s.number(5, 0), to
}
