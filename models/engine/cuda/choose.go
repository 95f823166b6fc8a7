//go:build cgo

package cuda

import (
	"crypto/sha256"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/op"
)

// choice is how a convolution is computed: by own kernels, or by a library's plan.
type choice struct{ plan *plan }

// ownPlace is what the cache says of own kernels.
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
	kind               string
	rows, cols, layers int
	steps              func(tile) []step
}

// tiling takes the place of the rule by which a tile is chosen where it is set,
// as tests do.
var tiling func(fitting []tile) tile

// convolve adds the steps of a convolution: own kernels, or a plan of cuDNN's or
// cuBLASLt's where that is quicker on this card. at holds the slots by identity.
func (c *compiler) convolve(own ownWays, g geometry, kind int, b slot, steps []engine.Step, at [idOut + 1]slot) error {
	fit := fitting(own.kind, own.rows, own.cols, own.layers, c.d.units, c.d.sharedMost)
	ruled := fit[0]
	if tiling != nil {
		ruled = tiling(fit)
	}
	mine := own.steps(ruled)
	for i := range mine {
		mine[i].name = c.name
	}
	found, err := c.faster(mine, g, kind, b, steps, at)
	c.steps = append(c.steps, found...)
	return err
}

// faster is own steps, or those of a library's plan that are quicker.
func (c *compiler) faster(own []step, g geometry, kind int, b slot, steps []engine.Step, at [idOut + 1]slot) ([]step, error) {
	if c.d.dnn == 0 && c.d.lt == 0 || c.own || g.reflect && g.pad > 0 || at[idOut] == none {
		return own, nil
	}
	post, add, ok := c.posts(steps)
	if !ok {
		return own, nil
	}
	at[idBias], at[idAdd] = b, add
	v := convolutionOf(kind, g, post)
	v.bias, v.half = b != none, c.slots[at[idOut]].half
	if c.o.Precision == engine.BFloat16 {
		v.typ = dnnBFloat16
		c.halve(at[idX], at[idW], at[idY])
	}
	api := c.d.api
	key := fmt.Sprintf("%s|%d|%d|%d|%d|%v|%+v", c.d.model, api.driver, api.nvrtc, api.cudnn, api.lt, c.o.Precision, v)
	chosen, known := c.d.choices[key]
	if !known {
		var err error
		if chosen, err = c.choose(key, v, own, at); err != nil {
			return nil, err
		}
		c.d.choices[key] = chosen
	}
	if chosen.plan != nil {
		return c.planned(v, chosen.plan, at), nil
	}
	return own, nil
}

func convolutionOf(kind int, g geometry, post []pointwise) convolution {
	return convolution{kind: kind, x: g.x, w: []int{g.y[1], g.x[1], g.kh, g.kw}, y: g.y, stride: g.stride, pad: g.pad, halfIn: g.half, post: post}
}

// planned is the steps of a plan: what is read is rounded to bfloat16 first,
// where the plan reads that; constants have been when the program runs.
func (c *compiler) planned(v convolution, p *plan, at [idOut + 1]slot) []step {
	var steps []step
	if v.typ == dnnBFloat16 {
		for i, shape := range [][]int{v.x, v.w, v.y} {
			id := idX + i
			if at[id] == none || c.slots[at[id]].half {
				continue
			}
			if half, constant := c.halves[at[id]]; constant {
				at[id] = half
				continue
			}
			n := shape[0] * shape[1] * shape[2] * shape[3]
			half := c.temp(2 * n)
			steps = append(steps, flat("halve", n, intArg(n), slotArg(at[id]), slotArg(half)))
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
func (c *compiler) choose(key string, v convolution, own []step, at [idOut + 1]slot) (choice, error) {
	folder := c.d.cache
	path := filepath.Join(folder, fmt.Sprintf("%x.choice", sha256.Sum256([]byte(key))))
	place, cached := ownPlace, false
	if raw, err := os.ReadFile(path); err == nil {
		n, err := fmt.Sscanf(string(raw), "v2v %d\n", &place)
		cached = n == 1 && err == nil && place >= ownPlace && place < ltPlace+mostConfigs
	}
	if cached && place == ownPlace {
		return choice{}, nil
	}
	if cached {
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
		if err == nil && found != nil {
			return choice{found}, nil
		}
	}
	best, place, lasting, err := c.measure(v, own, at)
	if err == nil && lasting {
		keepFile(folder, path, []byte(fmt.Sprintf("v2v %d\n", place)))
	}
	return choice{best}, err
}

// measure times own kernels and each plan that fits an eighth of the card's
// free memory. A plan that fails is no way; own kernels that fail are an error.
// What was found is lasting where no plan lost for want of memory or by an error,
// which another run may not meet.
func (c *compiler) measure(v convolution, own []step, at [idOut + 1]slot) (best *plan, place int, lasting bool, err error) {
	free, _, err := c.d.room()
	if err != nil {
		return nil, ownPlace, false, err
	}
	least, place, lasting := float32(math.Inf(1)), ownPlace, true
	timed := false
	whole, err := c.d.ways(v, c.o.Precision, func(i int, p *plan) (bool, error) {
		if !timed { // only once there is something to compare with
			timed = true
			var err error
			if least, err = c.time(own); err != nil {
				return false, err
			}
		}
		if p.workspace < 0 || uint64(p.workspace) > free/8 {
			lasting = false
			return false, nil
		}
		slots := len(c.slots)
		ms, err := c.time(c.planned(v, p, at))
		c.slots = c.slots[:slots]
		if err != nil || ms >= least {
			lasting = lasting && err == nil
			return false, nil
		}
		least, best, place = ms, p, i
		return true, nil
	})
	return best, place, whole && lasting || best != nil, err
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

// time runs steps as a captured graph in memory of their own and returns the
// milliseconds of one run; the first is not counted.
func (c *compiler) time(steps []step) (ms float32, err error) {
	const runs = 5
	at, total := make([]uint64, len(c.slots)), 0
	seen := map[slot]bool{}
	for i := range steps {
		for _, s := range steps[i].uses() {
			if !seen[s] {
				seen[s] = true
				at[s] = uint64(total)
				total += ceil(max(c.slots[s].bytes, 16), 256) * 256
			}
		}
	}
	mem, err := c.d.alloc("measuring a convolution", total)
	if err != nil {
		return 0, err
	}
	defer c.d.free(mem)
	for s := range seen {
		at[s] += mem.at
	}
	run := func() error {
		for i := range steps {
			if err := c.d.launch(&steps[i], at); err != nil {
				return err
			}
		}
		return nil
	}
	call := c.d.api.call
	if err := call("cuMemsetD8Async", mem.at, 0, uint64(total), c.d.stream); err != nil {
		return 0, err
	}
	if err := run(); err != nil {
		return 0, err
	}
	graph, err := c.d.captured(run)
	if err != nil {
		return 0, err
	}
	defer call("cuGraphExecDestroy", graph)
	return c.d.clock(runs, func() error { return call("cuGraphLaunch", graph, c.d.stream) })
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
