//go:build cgo

package cuda

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/v2v/v2v/models/engine"
)

// measuring finds the quickest way so far. It is lasting where no way lost for want
// of memory or by an error, which another run may not meet.
type measuring struct {
	c       *compiler
	own     ownWays
	fit     []tile
	v       convolution
	at      [idOut + 1]slot
	best    choice
	place   int
	least   float32
	lasting bool
	truth   *block // what the first way gave
}

// measure times own kernels, where there is something to compare, and each plan
// that fits an eighth of the card's free memory. A plan that fails is no way.
func (m *measuring) measure(libraries bool) error {
	timed := len(m.fit) > 1
	if timed {
		if err := m.tiles(); err != nil {
			return err
		}
	}
	if !libraries {
		return nil
	}
	c := m.c
	free, _, err := c.d.room()
	if err != nil {
		return err
	}
	whole, err := c.d.ways(m.v, c.o.Precision, func(i int, p *plan) (bool, error) {
		if !timed {
			timed = true
			if err := m.tiles(); err != nil {
				return false, err
			}
		}
		if p.workspace < 0 || uint64(p.workspace) > free/8 {
			m.lasting = false
			return false, nil
		}
		ms, err := m.time("a plan of "+p.way(), func() []step { return c.planned(m.v, p, m.at) })
		if lost := m.lost("a plan of "+p.way(), p.way(), err); lost != nil {
			return false, lost
		}
		if err != nil || ms >= m.least {
			m.lasting = m.lasting && err == nil
			return false, nil
		}
		m.least, m.best, m.place = ms, choice{plan: p}, i
		return true, nil
	})
	m.lasting = whole && m.lasting || m.best.plan != nil
	return err
}

// tiles times own kernels in each tile that fits. One that fails is no way; where
// all do, that is an error.
func (m *measuring) tiles() (failed error) {
	if err := m.ready(); err != nil {
		return err
	}
	for _, t := range m.fit {
		ms, err := m.time(t.String(), func() []step { return m.own.in(m.c, t) })
		if lost := m.lost(t.String(), t.way(), err); lost != nil {
			return lost
		}
		if err != nil {
			m.lasting = false
			failed = cmp.Or(failed, err)
		} else if ms < m.least {
			m.least, m.best, m.place = ms, choice{tile: t}, ownPlace-slices.Index(everyTile, t)
		}
	}
	if m.least < float32(math.Inf(1)) {
		return nil
	}
	return failed
}

func (m *measuring) close() { m.c.d.free(m.truth) }

// lost is the error of a way that failed and took the card with it: a process in which a
// kernel reads what is not there gives a card no work any more, so that other ways
// would only seem to fail. It says what leaves this one out.
func (m *measuring) lost(name, way string, failed error) error {
	if failed == nil {
		return nil
	}
	err := m.c.d.api.call("cuStreamSynchronize", m.c.d.stream)
	if err == nil {
		return nil
	}
	if way != "" {
		return fmt.Errorf("try %s: %w; V2V_CUDA_WITHOUT=%s leaves it out", name, err, way)
	}
	return fmt.Errorf("try %s: %w", name, err)
}

// way is how V2V_CUDA_WITHOUT names a library's plans.
func (p *plan) way() string {
	if p.product != nil {
		return wayCuBLASLt
	}
	return wayCuDNN
}

// ready has the tiles' kernels there. Hopper's are left out where one of them does not
// compile or load, which is said: the others serve.
func (m *measuring) ready() error {
	d := m.c.d
	err := d.ready(m.kernels()...)
	if err == nil || d.without[wayHopper] || !slices.ContainsFunc(m.fit, tile.bulk) {
		return err
	}
	m.fit = slices.DeleteFunc(slices.Clone(m.fit), tile.bulk)
	if d.ready(m.kernels()...) != nil {
		return err
	}
	m.lasting, d.without[wayHopper] = false, true
	d.refused = append(d.refused, err.Error())
	d.tell(fmt.Sprintf("%s: own kernels for Hopper are left out: %v", d.Name(), err))
	return nil
}

// time runs a way on noise as a captured graph in memory of its own and returns
// the milliseconds of one run; the first is not counted. What it makes must be
// what the first way made, or it is none.
func (m *measuring) time(name string, way func() []step) (ms float32, err error) {
	c, slots := m.c, len(m.c.slots)
	defer func() { c.trim(slots) }()
	c.trial = true
	steps := way()
	c.trial = false
	at, mem, err := m.lay(steps, slots)
	if err != nil {
		return 0, err
	}
	defer c.d.free(mem)
	run := func() error {
		for i := range steps {
			if err := c.d.launch(&steps[i], at); err != nil {
				return err
			}
		}
		return nil
	}
	if err := run(); err != nil {
		return 0, err
	}
	if err := m.compare(name, at); err != nil {
		return 0, err
	}
	graph, err := c.d.captured(run)
	if err != nil {
		return 0, err
	}
	defer c.d.api.call("cuGraphExecDestroy", graph)
	const runs = 5
	return c.d.clock(runs, func() error { return c.d.api.call("cuGraphLaunch", graph, c.d.stream) })
}

// trim forgets the slots from n on, and forms that lie there.
func (c *compiler) trim(n int) {
	c.slots = c.slots[:n]
	for s, forms := range c.forms {
		for i, f := range forms {
			if int(f.slot) >= n {
				c.forms[s] = forms[:i:i]
				break
			}
		}
	}
}

// lay gives the slots of steps memory that starts as NaN, and those of before the
// first `own`, but for the result, noise: each the same for every way. Constants'
// forms are made of theirs.
func (m *measuring) lay(steps []step, own int) (at []uint64, mem *block, err error) {
	c, total := m.c, 0
	at = make([]uint64, len(c.slots))
	seen, of := map[slot]bool{}, map[slot]form{}
	see := func(s slot) {
		if !seen[s] {
			seen[s] = true
			at[s] = uint64(total)
			total += ceil(max(c.slots[s].bytes, 16), 256) * 256
		}
	}
	for i := range steps {
		for _, s := range steps[i].uses() {
			see(s)
		}
	}
	for base, forms := range c.forms {
		for _, f := range forms {
			if seen[f.slot] {
				see(base)
				of[f.slot] = f
			}
		}
	}
	if mem, err = c.d.alloc("measuring a convolution", total); err != nil {
		return nil, nil, err
	}
	for s := range seen {
		at[s] += mem.at
	}
	err = c.d.api.call("cuMemsetD8Async", mem.at, 0xff, uint64(total), c.d.stream)
	for s := range seen {
		if _, made := of[s]; made || int(s) >= own || s == m.own.out || err != nil {
			continue
		}
		n := c.slots[s].bytes / 4
		if c.slots[s].half {
			n = c.slots[s].bytes / 2
		}
		fill := flat("noise", n, intArg(n), boolArg(c.slots[s].half), intArg(int(s)), slotArg(s))
		err = c.d.launch(&fill, at)
	}
	for base, forms := range c.forms {
		for _, f := range forms {
			if seen[f.slot] && err == nil {
				fill := f.make(slotArg(base), slotArg(f.slot))
				err = c.d.launch(&fill, at)
			}
		}
	}
	if err != nil {
		c.d.free(mem)
		return nil, nil, err
	}
	return at, mem, nil
}

// farthest is how far two ways may be from each other, by the root of the squares'
// sums, in a precision.
var farthest = map[engine.Precision]float64{engine.Float32: 1e-4, engine.TF32: 5e-3, engine.BFloat16: 2e-2}

// compare says how a way's result differs from the first's, if it does.
func (m *measuring) compare(name string, at []uint64) error {
	c, out := m.c, m.own.out
	bytes := c.slots[out].bytes
	if m.truth == nil {
		truth, err := c.d.alloc("measuring a convolution", bytes)
		if err != nil {
			return err
		}
		m.truth = truth
		return c.d.api.call("cuMemcpyDtoDAsync_v2", truth.at, at[out], uint64(bytes), c.d.stream)
	}
	sums, err := c.d.alloc("measuring a convolution", 16)
	if err != nil {
		return err
	}
	defer c.d.free(sums)
	if err := c.d.api.call("cuMemsetD8Async", sums.at, 0, 16, c.d.stream); err != nil {
		return err
	}
	n, half := m.v.size(), c.slots[out].half // of what may have more bytes
	differ := flat("differ", n, intArg(n), boolArg(half), addressArg(at[out]), addressArg(m.truth.at), addressArg(sums.at))
	differ.shared = 8 * threads
	if err := c.d.launch(&differ, nil); err != nil {
		return err
	}
	var got room
	defer got.free()
	if err := c.d.api.call("cuMemcpyDtoHAsync_v2", got.at(0), sums.at, 16, c.d.stream); err != nil {
		return err
	}
	if err := c.d.api.call("cuStreamSynchronize", c.d.stream); err != nil {
		return err
	}
	far := math.Sqrt(math.Float64frombits(got.get(0)) / math.Float64frombits(got.get(1)))
	if got.get(0) == 0 || far <= farthest[c.o.Precision] {
		return nil
	}
	err = fmt.Errorf("%s by %s is %.2g from own kernels", c.name, name, far)
	c.d.refused = append(c.d.refused, err.Error())
	return err
}
