package train

import (
	"errors"
	"fmt"
	"slices"

	"github.com/v2v/v2v/models/engine"
)

// ErrMemory is wrapped where nothing fits into the memory there may be.
var ErrMemory = errors.New("does not fit into the memory limit")

// What the process has beside what is planned: itself with its libraries; the
// generator's weights as Winograd's algorithm wants them, four times as large,
// in the arena; and a checkpoint that is read back, as large as the state. Runs
// of 40 steps on cpu, ngf 8 to 32, 64x96 to 192x288, one and two scales, chunks of
// 1 and 4, took 174 to 742 MiB and are planned at 203 to 1065; four that were
// killed and resumed 175 to 746.
const (
	besides  = 144 << 20
	winograd = 5 // times the generator's weights
)

// Memory is about how many bytes training takes on clips of so many frames:
// weights and what optimisers keep of them, pictures, what every program of
// a step makes on its way, planned as the engine places it, and the process. The
// data come on top: see Data.Memory.
func (c Vid2VidConfig) Memory(frames int) (int64, error) {
	if err := c.Validate(); err != nil {
		return 0, err
	}
	g := newGraphs(c)
	var programs []*engine.Program
	add := func(s *step, err error) error {
		if err == nil && s != nil {
			programs = append(programs, s.prog)
		}
		return err
	}
	bound, made := map[string]int{}, map[kind]int{}
	var done []kind
	for t := c.begins(); t < frames; t += c.chunk() {
		k := kindAt(g.time, t, min(c.chunk(), frames-t), false)
		if slices.Contains(done, k) {
			continue
		}
		done = append(done, k)
		plain, steep, slope, err := g.judges(k)
		err = errors.Join(err, add(plain, nil), add(steep, nil), add(slope, nil))
		for _, p := range c.phases() {
			k.fixed = p.fixed
			if k := k.through(p.back); made[k] == 0 && err == nil {
				var s *step
				if s, err = g.generator(k); err == nil {
					made[k] = planned(s.prog, bound)
				}
			}
		}
		if err != nil {
			return 0, fmt.Errorf("plan the training step: %w", err)
		}
	}
	if err := add(g.rendering()); err != nil {
		return 0, fmt.Errorf("plan the training step: %w", err)
	}
	total := c.most(made) // of programs that take turns in one arena
	for _, p := range programs {
		total = max(total, planned(p, bound))
	}
	total += total / 10 // what kernels want to themselves
	for _, n := range bound {
		total += n
	}
	return int64(total+c.beside(bound)) + besides, nil
}

// most is what the generator's programs take, given each alone, where they take
// most: those are outgrown of which gradients went back over fewer frames.
func (c Vid2VidConfig) most(made map[kind]int) (most int) {
	for _, p := range c.phases() {
		sum := 0
		for k, n := range made {
			if k.through(p.back) == k {
				sum += n
			}
		}
		most = max(most, sum)
	}
	return most
}

// beside is what comes with the weights among what is bound.
func (c Vid2VidConfig) beside(bound map[string]int) (total int) {
	for name, n := range bound {
		gathered, own := bound[name+collected] > 0, bound[name+".adam_m"]+bound[name+"."+lateAdam+"_m"] > 0
		if gathered {
			total += 2 * n // Adam's moments
			total += 4 * n // what was measured beside, of the programs that apply gradients
		}
		if gathered || own || bound[name+".dadam_m"] > 0 {
			total += 3 * n // of a checkpoint
		}
		if (gathered || own) && isModel(name) {
			total += winograd * n
			if c.EMA > 0 {
				total += 2 * n
			}
		}
	}
	return total
}

// planned is the memory of a program's own, and notes what is bound to it.
func planned(p *engine.Program, bound map[string]int) int {
	spans := make([]engine.Span, len(p.Values))
	for i, v := range p.Values {
		n := v.Size() * v.Type.Bytes()
		spans[i] = engine.Span{First: -1, Last: -1}
		switch {
		case v.Alias >= 0:
		case v.Role == engine.Temporary && !v.Output:
			spans[i] = engine.Span{First: len(p.Code), Last: -1, Bytes: n}
		case v.Role == engine.Constant: // which is packed for either direction
			bound[v.Name] = 2 * n
		default:
			bound[v.Name] = n
		}
	}
	for k, c := range p.Code {
		for _, v := range append(c.Reads(), c.Out) {
			if s := &spans[v]; s.Bytes > 0 {
				s.First, s.Last = min(s.First, k), max(s.Last, k)
			}
		}
	}
	_, arena := engine.Pack(spans, 64)
	for _, v := range p.Outputs { // which a device has, until others are bound
		arena += p.Values[v].Size() * p.Values[v].Type.Bytes()
	}
	return arena
}

// Fit is the configuration that makes activations again where training on clips of
// so many frames does not fit into limit bytes otherwise, then with a chunk that
// is halved until it does, and then with smaller samples.
func (c Vid2VidConfig) Fit(limit int64, frames int) (Vid2VidConfig, error) {
	stride, h, w := c.Generator.Needs().Stride, c.Height, c.Width
	h, w = max(stride, h/8/stride*stride), max(stride, w/8/stride*stride) // an eighth less at a time
	for fit := c; ; {
		n, err := fit.Memory(frames)
		switch {
		case err != nil:
			return c, err
		case n <= limit:
			return fit, nil
		case !fit.Recompute:
			fit.Recompute = true
			continue
		case fit.chunk() > 1:
			fit.Chunk = fit.chunk() / 2
			fit.Backpropagate = min(fit.Backpropagate, fit.Chunk)
			continue
		}
		small := fit
		small.Height, small.Width = fit.Height-h, fit.Width-w
		if small.Validate() != nil {
			return c, fmt.Errorf("training at %dx%d, a frame a step, takes about %d MiB: %w", fit.Height, fit.Width, n>>20, ErrMemory)
		}
		fit = small
	}
}
