//go:build cgo

package cuda

import "strings"

// statsArg is the kernels' struct Stats.
func statsArg(parts slot, rows int, items bool) arg {
	return structArg(slotArg(parts), intArg(rows), boolArg(items))
}

// fewParts is how many parts of a row's statistics its threads join at once.
const fewParts = 512

// fuseStats has Hopper's convolutions sum up their results for the normalisation behind
// them while they have them, in the place of a kernel that would read them again.
func (c *compiler) fuseStats() {
	made := map[slot]int{} // which step writes a slot, where one does
	for k := range c.steps {
		s := &c.steps[k]
		if out := s.summable(); out != none {
			made[out] = k
		}
	}
	var steps []step
	gone, before := map[int]bool{}, map[int]step{}
	for k := range c.steps {
		s := &c.steps[k]
		if s.kernel != "gather_lines" || s.args[2].patches[0].slot != none || s.args[3].patches[0].slot != none {
			continue
		}
		in, room := s.args[1].patches[0].slot, s.args[4].patches[0].slot
		from, known := made[in]
		if !known || from > k || k+1 == len(c.steps) || c.steps[k+1].kernel != "finish_stats" || c.steps[k+1].args[5].patches[0].slot != room {
			continue
		}
		conv, finish, groups := &c.steps[from], &c.steps[k+1], s.grid[1]
		parts, items, channels := conv.parts(groups)
		if parts == 0 || channels != s.channels() {
			continue
		}
		rows := groups * channels
		all := c.temp(16 * rows * parts)
		conv.args[len(conv.args)-1] = statsArg(all, rows, items)
		delete(made, in) // it leaves one kind of statistics
		if parts > fewParts {
			each := ceil(parts, fewParts/8)
			some := ceil(parts, each)
			joined := c.temp(16 * rows * some)
			join := flat("join_parts", rows*some, intArg(rows), intArg(parts), intArg(each), slotArg(all), slotArg(joined))
			join.name = finish.name
			before[k] = join
			parts, all = some, joined
		}
		finish.args[1], finish.args[5] = intArg(parts), slotArg(all)
		gone[k] = true
	}
	for k, s := range c.steps {
		if join, there := before[k]; there {
			steps = append(steps, join)
		}
		if !gone[k] {
			steps = append(steps, s)
		}
	}
	c.steps = steps
}

// summable is the slot of the results whose statistics a step can leave, or none: it is
// one of Hopper's convolutions with nothing behind the results.
func (s *step) summable() slot {
	if !strings.HasPrefix(s.kernel, "conv_bulk") && s.kernel != "wino_out" {
		return none
	}
	const nothing = 5
	if s.number(1, 0) != nothing || s.number(1, 1) != nothing || s.number(1, 6) != 0 {
		return none
	}
	return s.args[len(s.args)-2].patches[0].slot
}

// parts is into how many parts a step sums results of groups of statistics, whether
// these are its items, and its channels; no parts where blocks share items.
func (s *step) parts(groups int) (parts int, items bool, channels int) {
	if s.kernel == "wino_out" {
		all, each := s.number(0, 10), s.number(0, 8)*s.number(0, 9)
		if groups == all/each {
			return each, true, s.number(0, 2)
		}
		if groups == 1 {
			return all, false, s.number(0, 2)
		}
		return 0, false, 0
	}
	n, channels := s.number(0, 0), s.number(0, 3)
	box := s.args[2].tensor.box
	if box[len(box)-1] != 1 || groups != 1 && groups != n {
		return 0, false, channels
	}
	return s.grid[0] / groups * s.grid[2], groups == n, channels
}
