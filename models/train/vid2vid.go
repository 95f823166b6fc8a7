package train

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/engine"
)

// Vid2Vid trains the composite generator with an image and a temporal
// discriminator (vid2vid, section 3 and algorithm in the published code): a
// clip is generated frame by frame from its own earlier frames; after each
// frame the generator takes a step, then the discriminators. Frames made
// earlier are constants to a step: nothing is propagated through time.
type Vid2Vid struct {
	c      Vid2VidConfig
	dev    engine.Device
	time   []timeScale
	g, d   map[kind]*step // d may hold none
	all    []*step
	render *step
	vars   map[string]engine.Buffer
	state  []State
	in     map[string]engine.Buffer // inputs that are overwritten at every frame
	flows  []flowInput              // those of them that are measured flow
	labels []engine.Buffer          // ring of control pictures
	fake   [][]engine.Buffer        // for each spatial scale, the finest first, a ring of made frames
	real   []engine.Buffer          // ring of real ones
	raw    []engine.Buffer          // of each scale what nobody remembers
	motion bool                     // some program reads the measured flow
}

// NewVid2Vid builds every graph of the training step and compiles it. The
// device stays the caller's.
func NewVid2Vid(dev engine.Device, c Vid2VidConfig) (*Vid2Vid, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	v := &Vid2Vid{c: c, dev: dev, time: c.timeScales(), g: map[kind]*step{}, d: map[kind]*step{},
		vars: map[string]engine.Buffer{}, in: map[string]engine.Buffer{}}
	if err := v.build(); err != nil {
		return nil, errors.Join(fmt.Errorf("build the training step: %w", err), v.Close())
	}
	return v, nil
}

func (v *Vid2Vid) build() error {
	if err := v.allocate(); err != nil {
		return err
	}
	graphs := newGraphs(v.c)
	var err error
	for _, k := range v.c.kinds() {
		if v.g[k], err = graphs.generator(k); err != nil {
			return fmt.Errorf("generator: %w", err)
		}
		if err := v.compile(v.g[k]); err != nil {
			return fmt.Errorf("generator: %w", err)
		}
		judges := k
		judges.fixed = false // is all the same to them
		if _, ok := v.d[judges]; ok {
			continue
		}
		if v.d[judges], err = graphs.judge(judges); err != nil {
			return fmt.Errorf("discriminator: %w", err)
		}
		if err := v.compile(v.d[judges]); err != nil {
			return fmt.Errorf("discriminator: %w", err)
		}
	}
	if v.render, err = graphs.rendering(); err != nil {
		return fmt.Errorf("rendering: %w", err)
	}
	if err := v.compile(v.render); err != nil {
		return fmt.Errorf("rendering: %w", err)
	}
	for _, t := range v.time {
		if t.own {
			if err := v.count(t); err != nil {
				return err
			}
		}
	}
	slices.SortStableFunc(v.state, func(a, b State) int { return order(a.Model) - order(b.Model) })
	return v.initialise()
}

// count makes room for the steps of an optimiser that counts them itself.
func (v *Vid2Vid) count(t timeScale) error {
	b, err := v.dev.Alloc(tensor.Shape{1}, engine.F32)
	if err != nil {
		return err
	}
	name := t.d.prefix + "steps"
	v.vars[name] = b
	v.state = append(v.state, State{Name: name, Buffer: b})
	return b.Write([]float32{0})
}

// order puts the generator's weights first.
func order(model bool) int {
	if model {
		return 0
	}
	return 1
}

// compile makes a step's program executable and binds its variables, sharing
// those that earlier steps have.
func (v *Vid2Vid) compile(s *step) error {
	if s == nil {
		return nil
	}
	v.all = append(v.all, s)
	var err error
	if s.exe, err = v.dev.Compile(s.prog, engine.Options{}); err != nil {
		return err
	}
	for _, name := range s.variables() {
		b, ok := v.vars[name]
		if !ok {
			shape := s.prog.Values[s.prog.Find(name)].Shape
			if b, err = v.dev.Alloc(shape, engine.F32); err != nil {
				return err
			}
			v.vars[name] = b
			v.state = append(v.state, State{Name: name, Model: isModel(name), Buffer: b})
		}
		if err := s.exe.Bind(name, b); err != nil {
			return err
		}
	}
	v.motion = v.motion || s.prog.Find("flow") >= 0
	for name, b := range v.in {
		if err := s.bind(name, b); err != nil {
			return err
		}
	}
	return nil
}

// isModel tells the generator's weights from the discriminators' and from the
// optimisers' moments.
func isModel(name string) bool {
	return !strings.HasPrefix(name, "D.") && !strings.HasPrefix(name, "DT") &&
		!strings.HasSuffix(name, "adam_m") && !strings.HasSuffix(name, "adam_v")
}

// bind attaches a buffer where the program knows the name.
func (s *step) bind(name string, b engine.Buffer) error {
	if s == nil || s.prog.Find(name) < 0 {
		return nil
	}
	return s.exe.Bind(name, b)
}

func (v *Vid2Vid) allocate() error {
	n, h, w := v.c.Batch, v.c.Height, v.c.Width
	needs := v.c.Generator.Needs()
	floats := func(c int) tensor.Shape { return tensor.Shape{n, c, h, w} }
	bytes := tensor.Shape{n, h, w, 3}
	var err error
	get := func(shape tensor.Shape, t engine.Type) engine.Buffer {
		if err != nil {
			return nil
		}
		var b engine.Buffer
		b, err = v.dev.Alloc(shape, t)
		return b
	}
	v.in["real"] = get(bytes, engine.U8)
	v.in["visible"] = get(floats(1), engine.F32)
	v.in["adam.h"], v.in["dadam.h"] = get(tensor.Shape{2}, engine.F32), get(tensor.Shape{2}, engine.F32)
	long := needs.Past
	v.flows = []flowInput{{name: "flow", stride: 1}}
	for _, t := range v.time {
		long = max(long, t.reach())
		if t.adam != "dadam" {
			v.in[t.adam+".h"] = get(tensor.Shape{2}, engine.F32)
		}
		for _, f := range t.flows() {
			if !slices.Contains(v.flows, f) {
				v.flows = append(v.flows, f)
			}
		}
	}
	for _, f := range v.flows {
		v.in[f.name] = get(floats(2), engine.F32)
	}
	for range needs.Window {
		v.labels = append(v.labels, get(bytes, engine.U8))
	}
	v.fake = make([][]engine.Buffer, needs.Scales)
	for l := range v.fake {
		small := tensor.Shape{n, 3, h >> l, w >> l}
		v.raw = append(v.raw, get(small, engine.F32))
		for range long + 1 {
			v.fake[l] = append(v.fake[l], get(small, engine.F32))
		}
	}
	for range long + 1 {
		v.real = append(v.real, get(floats(3), engine.F32))
	}
	return err
}

// initialise draws the weights, each from its own source.
func (v *Vid2Vid) initialise() error {
	done := map[string]bool{}
	for _, s := range v.all {
		for _, p := range s.params {
			if done[p.Name] {
				continue
			}
			done[p.Name] = true
			x := make([]float32, p.Shape.TotalSize())
			p.Fill(x, p.Rand(v.c.Seed))
			if err := v.vars[p.Name].Write(x); err != nil {
				return fmt.Errorf("initialise %s: %w", p.Name, err)
			}
		}
	}
	return nil
}

// Steps implements Trainer: a step a frame.
func (v *Vid2Vid) Steps(t int) int { return t }

// State implements Trainer.
func (v *Vid2Vid) State() []State { return v.state }

// Train implements Trainer.
func (v *Vid2Vid) Train(ctx context.Context, batch []*Sample, r Rates, report func([]Loss) error) error {
	if len(batch) != v.c.Batch {
		return fmt.Errorf("batch of %d samples, compiled for %d", len(batch), v.c.Batch)
	}
	if err := v.forget(); err != nil {
		return err
	}
	for t := range batch[0].A {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if err := errors.Join(v.unfix(r.Step+t), v.rates(r.LR, r.Step+t, t)); err != nil {
			return err
		}
		if err := v.upload(batch, t); err != nil {
			return fmt.Errorf("frame %d: %w", t, err)
		}
		losses, err := v.frame(t, r.Step+t)
		if err != nil {
			return fmt.Errorf("frame %d: %w", t, err)
		}
		if err := report(losses); err != nil {
			return err
		}
	}
	return nil
}

// forget empties the past: the frames before a clip are mid grey.
func (v *Vid2Vid) forget() error {
	for _, ring := range append(slices.Clone(v.fake), v.real) {
		zero := make([]float32, ring[0].Shape().TotalSize())
		for _, b := range ring {
			if err := b.Write(zero); err != nil {
				return err
			}
		}
	}
	return nil
}

// frame takes the steps of one frame: the generator's, then the
// discriminators' on what it made.
func (v *Vid2Vid) frame(t, done int) ([]Loss, error) {
	k := kindAt(v.time, t, done < v.c.FixGlobal)
	g := v.g[k]
	k.fixed = false
	d := v.d[k]
	if err := v.point(g, t); err != nil {
		return nil, err
	}
	n := len(v.real)
	err := errors.Join(g.bind("raw", v.raw[0]), g.bind("real_f", v.real[t%n]))
	for l, ring := range v.fake {
		err = errors.Join(err, g.bind(levelled("final", l), ring[t%n]))
	}
	if err != nil {
		return nil, err
	}
	if err := g.exe.Run(); err != nil {
		return nil, err
	}
	losses, err := g.read(nil)
	if err != nil || d == nil {
		return losses, err
	}
	if err := errors.Join(v.point(d, t), d.bind("fake", v.fake[0][t%n]), d.bind("fakeraw", v.raw[0])); err != nil {
		return nil, err
	}
	if err := d.exe.Run(); err != nil {
		return nil, err
	}
	return d.read(losses)
}

// point turns a program's window and past to frame t.
func (v *Vid2Vid) point(s *step, t int) error {
	w, n, past := len(v.labels), len(v.real), v.c.Generator.Needs().Past
	var errs []error
	for i := range w {
		errs = append(errs, s.bind(fmt.Sprintf("label%d", i), v.labels[max(0, t-w+1+i)%w]))
	}
	for i := range past {
		at := (t - past + i + n) % n
		errs = append(errs, s.bind(fmt.Sprintf("realprev%d", i), v.real[at]))
		for l, ring := range v.fake {
			errs = append(errs, s.bind(levelled(fmt.Sprintf("prev%d", i), l), ring[at]))
		}
	}
	for back := past + 1; back < n && back <= t; back++ {
		at := (t - back) % n
		errs = append(errs, s.bind(fmt.Sprintf("past%d", back), v.fake[0][at]), s.bind(fmt.Sprintf("realpast%d", back), v.real[at]))
	}
	return errors.Join(errs...)
}

// Close implements Trainer.
func (v *Vid2Vid) Close() error {
	var errs []error
	for _, s := range v.all {
		if s.exe != nil {
			errs = append(errs, s.exe.Close())
		}
	}
	var bufs []engine.Buffer
	for _, b := range v.vars {
		bufs = append(bufs, b)
	}
	for _, b := range v.in {
		bufs = append(bufs, b)
	}
	bufs = append(append(append(bufs, v.labels...), v.real...), v.raw...)
	for _, ring := range v.fake {
		bufs = append(bufs, ring...)
	}
	for _, b := range bufs {
		if b != nil {
			errs = append(errs, b.Close())
		}
	}
	return errors.Join(errs...)
}
