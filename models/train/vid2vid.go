package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/nn"
)

// Vid2Vid trains the composite generator with an image and a temporal
// discriminator (vid2vid, section 3 and algorithm in the published code): a
// clip is generated frame by frame from its own earlier frames; after each
// frame the generator takes a step, then the discriminators. Frames made
// earlier are constants to a step: nothing is propagated through time.
type Vid2Vid struct {
	c      Vid2VidConfig
	dev    engine.Device
	g, d   [2]*step // first frame of a clip, and the others; d may be nil
	render *step
	vars   map[string]engine.Buffer
	state  []State
	in     map[string]engine.Buffer // inputs that are overwritten at every frame
	labels []engine.Buffer          // ring of control pictures
	fake   []engine.Buffer          // ring of made frames, one more than the generator's past
	real   []engine.Buffer          // ring of real ones
	raw    engine.Buffer
	motion bool // some program reads the measured flow
}

// NewVid2Vid builds every graph of the training step and compiles it. The
// device stays the caller's.
func NewVid2Vid(dev engine.Device, c Vid2VidConfig) (*Vid2Vid, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	v := &Vid2Vid{c: c, dev: dev, vars: map[string]engine.Buffer{}, in: map[string]engine.Buffer{}}
	if err := v.build(); err != nil {
		return nil, errors.Join(fmt.Errorf("build the training step: %w", err), v.Close())
	}
	return v, nil
}

func (v *Vid2Vid) build() error {
	graphs := newGraphs(v.c)
	var params []nn.Param
	for i, first := range []bool{true, false} {
		var err error
		if v.g[i], err = graphs.generator(first); err != nil {
			return fmt.Errorf("generator: %w", err)
		}
		params = append(params, v.g[i].params...)
		if graphs.adversarial() || (!first && graphs.temporal()) {
			if v.d[i], err = graphs.judge(first); err != nil {
				return fmt.Errorf("discriminator: %w", err)
			}
		}
	}
	var err error
	if v.render, err = graphs.rendering(); err != nil {
		return fmt.Errorf("rendering: %w", err)
	}
	if err := v.allocate(); err != nil {
		return err
	}
	for _, s := range v.steps() {
		if err := v.compile(s); err != nil {
			return err
		}
	}
	slices.SortStableFunc(v.state, func(a, b State) int { return order(a.Model) - order(b.Model) })
	return v.initialise(params)
}

// order puts the generator's weights first.
func order(model bool) int {
	if model {
		return 0
	}
	return 1
}

// steps lists the programs there are.
func (v *Vid2Vid) steps() []*step {
	var all []*step
	for _, s := range []*step{v.g[0], v.g[1], v.d[0], v.d[1], v.render} {
		if s != nil {
			all = append(all, s)
		}
	}
	return all
}

// compile makes a step's program executable and binds its variables, sharing
// those that earlier steps have.
func (v *Vid2Vid) compile(s *step) error {
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
	return !strings.HasPrefix(name, "D.") && !strings.HasPrefix(name, "DT.") &&
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
	v.in["flow"], v.in["flowprev"], v.in["visible"] = get(floats(2), engine.F32), get(floats(2), engine.F32), get(floats(1), engine.F32)
	v.in["adam.h"], v.in["dadam.h"] = get(tensor.Shape{2}, engine.F32), get(tensor.Shape{2}, engine.F32)
	for range needs.Window {
		v.labels = append(v.labels, get(bytes, engine.U8))
	}
	for range needs.Past + 1 {
		v.fake, v.real = append(v.fake, get(floats(3), engine.F32)), append(v.real, get(floats(3), engine.F32))
	}
	v.raw = get(floats(3), engine.F32)
	return err
}

// initialise draws the weights, each from its own source.
func (v *Vid2Vid) initialise(params []nn.Param) error {
	for _, s := range v.d {
		if s != nil {
			params = append(params, s.params...)
		}
	}
	for _, p := range params {
		x := make([]float32, p.Shape.TotalSize())
		p.Fill(x, p.Rand(v.c.Seed))
		if err := v.vars[p.Name].Write(x); err != nil {
			return fmt.Errorf("initialise %s: %w", p.Name, err)
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
		if err := v.rates(r.LR, r.Step+t); err != nil {
			return err
		}
		if err := v.upload(batch, t); err != nil {
			return fmt.Errorf("frame %d: %w", t, err)
		}
		losses, err := v.frame(t)
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
	zero := make([]float32, v.c.Batch*3*v.c.Height*v.c.Width)
	for _, b := range append(append([]engine.Buffer{}, v.fake...), v.real...) {
		if err := b.Write(zero); err != nil {
			return err
		}
	}
	return nil
}

// rates sets what Adam needs to know of the step, its bias corrections
// included (Kingma and Ba 2015).
func (v *Vid2Vid) rates(lr float64, step int) error {
	t := float64(step + 1)
	first := 1 / (1 - math.Pow(float64(v.c.Beta1), t))
	second := 1 / math.Sqrt(1-math.Pow(float64(v.c.Beta2), t))
	return errors.Join(
		v.in["adam.h"].Write([]float32{float32(lr * first), float32(second)}),
		v.in["dadam.h"].Write([]float32{float32(lr * v.c.D.Rate * first), float32(second)}))
}

// upload brings frame t of every sample to the device.
func (v *Vid2Vid) upload(batch []*Sample, t int) error {
	size := v.c.Height * v.c.Width
	a, b := make([]byte, 0, len(batch)*size*3), make([]byte, 0, len(batch)*size*3)
	for _, s := range batch {
		if s.A[t].W != v.c.Width || s.A[t].H != v.c.Height {
			return fmt.Errorf("frame is %dx%d, training runs at %dx%d", s.A[t].W, s.A[t].H, v.c.Width, v.c.Height)
		}
		a, b = append(a, s.A[t].Pix...), append(b, s.B[t].Pix...)
	}
	err := errors.Join(v.labels[t%len(v.labels)].Write(a), v.in["real"].Write(b))
	if err != nil || t == 0 || !v.motion {
		return err
	}
	return v.uploadFlow(batch, t)
}

func (v *Vid2Vid) uploadFlow(batch []*Sample, t int) error {
	size := v.c.Height * v.c.Width
	uv, before, seen := make([]float32, 0, len(batch)*size*2), make([]float32, len(batch)*size*2), make([]float32, 0, len(batch)*size)
	for i, s := range batch {
		if s.Flow == nil || s.Flow[t] == nil {
			return fmt.Errorf("the sample has no measured flow")
		}
		uv = append(append(uv, s.Flow[t].U...), s.Flow[t].V...)
		seen = append(seen, s.Visible[t]...)
		if t > 1 {
			copy(before[2*i*size:], s.Flow[t-1].U)
			copy(before[(2*i+1)*size:], s.Flow[t-1].V)
		}
	}
	return errors.Join(v.in["flow"].Write(uv), v.in["flowprev"].Write(before), v.in["visible"].Write(seen))
}

// frame takes the steps of one frame: the generator's, then the
// discriminators' on what it made.
func (v *Vid2Vid) frame(t int) ([]Loss, error) {
	kind := min(t, 1)
	g, d := v.g[kind], v.d[kind]
	if err := v.point(g, t); err != nil {
		return nil, err
	}
	n := len(v.fake)
	if err := errors.Join(g.bind("final", v.fake[t%n]), g.bind("raw", v.raw), g.bind("real_f", v.real[t%n])); err != nil {
		return nil, err
	}
	if err := g.exe.Run(); err != nil {
		return nil, err
	}
	losses, err := g.read(nil)
	if err != nil || d == nil {
		return losses, err
	}
	if err := errors.Join(v.point(d, t), d.bind("fake", v.fake[t%n]), d.bind("fakeraw", v.raw)); err != nil {
		return nil, err
	}
	if err := d.exe.Run(); err != nil {
		return nil, err
	}
	return d.read(losses)
}

// point turns a program's window and past to frame t.
func (v *Vid2Vid) point(s *step, t int) error {
	w, n := len(v.labels), len(v.fake)
	for i := range w {
		if err := s.bind(fmt.Sprintf("label%d", i), v.labels[max(0, t-w+1+i)%w]); err != nil {
			return err
		}
	}
	for i := range n - 1 {
		at := (t + 1 + i) % n
		if err := errors.Join(s.bind(fmt.Sprintf("prev%d", i), v.fake[at]), s.bind(fmt.Sprintf("realprev%d", i), v.real[at])); err != nil {
			return err
		}
	}
	return nil
}

// Close implements Trainer.
func (v *Vid2Vid) Close() error {
	var errs []error
	for _, s := range v.steps() {
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
	bufs = append(append(append(append(bufs, v.labels...), v.fake...), v.real...), v.raw)
	for _, b := range bufs {
		if b != nil {
			errs = append(errs, b.Close())
		}
	}
	return errors.Join(errs...)
}
