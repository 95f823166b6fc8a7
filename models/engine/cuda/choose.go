//go:build cgo

package cuda

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/op"
)

// choice is how a convolution is computed: by own kernels in a tile, or by a
// library's plan.
type choice struct {
	plan *plan
	tile tile
}

// ownPlace is what the cache says of own kernels in the first of tiles, one less
// of the second.
const ownPlace = -1

// posts is what is fused behind a convolution, and where the added picture
// lies; steps that cuDNN does not know make ok false.
func (c *compiler) posts(steps []engine.Step) (post []pointwise, add slot, ok bool) {
	add = none
	for _, s := range steps {
		switch o := s.Op.(type) {
		case op.Act:
			mode := map[op.ActKind]int{op.ReLU: pwRelu, op.LeakyReLU: pwRelu, op.Tanh: pwTanh, op.Sigmoid: pwSigmoid}[o.Kind]
			p := pointwise{mode: mode}
			if o.Kind == op.LeakyReLU {
				p.slope = float64(o.Slope)
			}
			post = append(post, p)
		case op.Add:
			var err error
			if add, err = c.use(s.In[0]); err != nil {
				return nil, none, false
			}
			post = append(post, pointwise{mode: pwAdd})
		default:
			return nil, none, false
		}
	}
	return post, add, true
}

// ownWays is a convolution by own kernels: a product of rows and columns in
// layers of numbers of a kind, and its steps in a tile.
type ownWays struct {
	kernel, kind       string
	unit               bool // rounded first, its numbers could be copied by 16 bytes
	rows, cols, layers int
	steps              func(tile) []step
	hopper             hopperWays
	out                slot
}

// hopperWays is a convolution by kernels for Hopper: the tiles that are worth trying, and
// its steps in one.
type hopperWays interface {
	fitting(c *compiler) []tile
	steps(c *compiler, t tile) []step
}

// tiling takes the place of the clock by which a tile is chosen where it is set,
// as tests do: a fake's clock says nothing of tiles.
var tiling func(fitting []tile) tile

// fitting lists the tiles that are worth trying. Numbers that are rounded on their
// way for every tap may be so once before, which is tried where the clock decides.
func (o ownWays) fitting(c *compiler) []tile {
	units := c.d.units
	fit := fitting(o.kind, o.rows, o.cols, o.layers, units)
	if o.kind == kindBF16 && o.unit && !c.own {
		copied := fitting(kindHalf, o.rows, o.cols, o.layers, units)
		fit = append(fit[:mostTiles/2:mostTiles/2], copied[:mostTiles/2]...)
	}
	if c.own || c.d.capability != hopper || c.d.without[wayHopper] {
		return fit
	}
	return append(fit, o.hopper.fitting(c)...)
}

// in is the steps in a tile.
func (o ownWays) in(c *compiler, t tile) []step {
	if t.bulk() {
		return o.hopper.steps(c, t)
	}
	return o.steps(t)
}

// convolve adds the steps of a convolution: own kernels in the tile, or a plan of
// cuDNN's or cuBLASLt's, that is the quickest on this card. at holds the slots by
// identity.
func (c *compiler) convolve(own ownWays, g geometry, kind int, b slot, steps []engine.Step, at [idOut + 1]slot) error {
	fit := own.fitting(c)
	if tiling != nil {
		fit = []tile{tiling(fit)}
	}
	v := convolutionOf(kind, g, nil)
	v.bias = b != none
	if g.reflect && g.pad > 0 {
		v.frame, v.pad, v.x = g.pad, 0, []int{g.x[0], g.x[1], g.x[2] + 2*g.pad, g.x[3] + 2*g.pad}
	}
	libraries := false
	if (c.d.dnn != 0 || c.d.lt != 0) && !c.own && at[idOut] != none {
		v.post, at[idAdd], libraries = c.posts(steps)
		at[idBias], v.half = b, c.slots[at[idOut]].half
		if c.o.Precision == engine.BFloat16 {
			v.typ = dnnBFloat16
		}
	}
	chosen := choice{tile: fit[0]}
	if libraries || len(fit) > 1 {
		api, known := c.d.api, false
		dnn, lt := libraries && c.d.dnn != 0, libraries && c.d.lt != 0
		_, once := c.constants[at[idW]] // filters, which are arranged before
		key := fmt.Sprintf("%s|%s|%d|%d|%d|%d|%v|%s|%v|%v|%v|%v|%v|%+v", c.d.model, sourceHash(), api.driver, api.nvrtc, api.cudnn, api.lt, c.o.Precision, own.kind, once, c.own, dnn, lt, fit, v)
		if chosen, known = c.d.choices[key]; !known {
			var err error
			if chosen, err = c.choose(key, own, fit, v, libraries, at); err != nil {
				return err
			}
			c.d.choices[key] = chosen
		}
	}
	if chosen.plan != nil {
		c.copies = true
		c.steps = append(c.steps, c.planned(v, chosen.plan, at)...)
		return nil
	}
	c.copies = c.copies || chosen.tile.kind != own.kind
	for _, s := range own.in(c, chosen.tile) {
		c.add(s)
	}
	return nil
}

func convolutionOf(kind int, g geometry, post []pointwise) convolution {
	return convolution{kind: kind, x: g.x, w: []int{g.y[1], g.x[1], g.kh, g.kw}, y: g.y, stride: g.stride, pad: g.pad, halfIn: g.half, post: post}
}

// planned is the steps of a plan: what is read is rounded to bfloat16 first,
// where the plan reads that; constants have been when the program runs.
func (c *compiler) planned(v convolution, p *plan, at [idOut + 1]slot) []step {
	var steps []step
	if v.frame > 0 {
		x, half := v.x, v.typ == dnnBFloat16
		n, as, from := x[0]*x[1]*x[2]*x[3], asFloat, at[idX]
		at[idX] = c.slot(slotInfo{bytes: 4 * n, value: -1})
		if half {
			as, c.slots[at[idX]] = asBFloat16, slotInfo{bytes: 2 * n, value: -1, half: true}
		}
		steps = append(steps, flat("frame", n, intArg(x[0]), intArg(x[2]-2*v.frame), intArg(x[3]-2*v.frame), intArg(x[1]), intArg(x[1]), intArg(v.frame), intArg(0), intArg(0), intArg(1),
			boolArg(c.slots[from].half), intArg(as), slotArg(from), slotArg(at[idX])))
	}
	if v.typ == dnnBFloat16 {
		for i, shape := range [][]int{v.x, v.w, v.y} {
			id := idX + i
			if at[id] == none || c.slots[at[id]].half {
				continue
			}
			if half, constant := c.halved(at[id]); constant {
				at[id] = half
				continue
			}
			n := shape[0] * shape[1] * shape[2] * shape[3]
			half := c.temp(2 * n)
			steps = append(steps, halving(n, slotArg(at[id]), slotArg(half)))
			at[id] = half
		}
	}
	s, post := step{kernel: "cudnn", plan: p}, []pointwise(nil) // cuDNN has them in the plan
	if p.product != nil {
		s.kernel, post = "cublaslt", v.behind()
	}
	for _, a := range at {
		s.args = append(s.args, slotArg(a))
	}
	workspace := none
	if p.workspace > 0 {
		workspace = c.temp(p.workspace)
	}
	s.args = append(s.args, slotArg(workspace))
	steps = append(steps, s)
	for _, p := range post {
		steps = append(steps, p.step(v.size(), at))
	}
	for i := range steps {
		steps[i].name = c.name
	}
	return steps
}

// choose takes the quickest way, from the cache of earlier runs or by measuring.
func (c *compiler) choose(key string, own ownWays, fit []tile, v convolution, libraries bool, at [idOut + 1]slot) (choice, error) {
	folder := c.d.cache
	path := filepath.Join(folder, fmt.Sprintf("%x.choice", sha256.Sum256([]byte(key))))
	if raw, err := os.ReadFile(path); err == nil {
		place := 0
		if n, err := fmt.Sscanf(string(raw), "v2v %d\n", &place); n == 1 && err == nil {
			if known, ok := c.recall(place, fit, v, libraries); ok {
				return known, nil
			}
		}
	}
	c.d.notice()
	m := measuring{c: c, own: own, fit: fit, v: v, at: at, best: choice{tile: fit[0]}, place: ownPlace - slices.Index(everyTile, fit[0]), least: float32(math.Inf(1)), lasting: true}
	defer m.close()
	err := m.measure(libraries)
	if small := (*memoryError)(nil); errors.As(err, &small) {
		return choice{tile: fit[0]}, nil // the rule decides where there is no room to measure
	}
	if err == nil && m.lasting {
		keepFile(folder, path, []byte(fmt.Sprintf("v2v %d\n", m.place)))
	}
	return m.best, err
}

// recall is the way at a place of the cache, if there still is one.
func (c *compiler) recall(place int, fit []tile, v convolution, libraries bool) (choice, bool) {
	if place <= ownPlace {
		for _, t := range fit {
			if slices.Index(everyTile, t) == ownPlace-place {
				return choice{tile: t}, true
			}
		}
		return choice{}, false
	}
	if !libraries || place >= ltPlace+mostConfigs {
		return choice{}, false
	}
	ask := c.d.plans
	if place >= ltPlace {
		ask = c.d.products
	}
	var found *plan
	err := ask(v, c.o.Precision, func(at int, p *plan) (bool, error) {
		if at == place {
			found = p
		}
		return at == place, nil
	})
	return choice{plan: found}, err == nil && found != nil
}

// ways asks one library after the other, and says whether each took the
// convolution; another run may find that one does.
func (d *Device) ways(v convolution, precision engine.Precision, each func(place int, p *plan) (keep bool, err error)) (whole bool, err error) {
	whole = true
	for _, ask := range []func(convolution, engine.Precision, func(int, *plan) (bool, error)) error{d.plans, d.products} {
		err := ask(v, precision, each)
		if err != nil && !optional(err) {
			return false, err
		}
		whole = whole && err == nil
	}
	return whole, nil
}

// clock is the milliseconds that f's work takes on the card.
func (d *Device) clock(runs int, f func() error) (ms float32, err error) {
	var events [2]uint64
	for i := range events {
		if events[i], err = d.api.ask("cuEventCreate", 0); err != nil {
			return 0, err
		}
		defer d.api.call("cuEventDestroy_v2", events[i])
	}
	if err := d.api.call("cuEventRecord", events[0], d.stream); err != nil {
		return 0, err
	}
	for range runs {
		if err := f(); err != nil {
			return 0, err
		}
	}
	if err := d.api.call("cuEventRecord", events[1], d.stream); err != nil {
		return 0, err
	}
	if err := d.api.call("cuEventSynchronize", events[1]); err != nil {
		return 0, err
	}
	raw, err := d.api.ask("cuEventElapsedTime", events[0], events[1])
	return math.Float32frombits(uint32(raw)) / float32(runs), err
}
