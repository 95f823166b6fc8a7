package train

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/v2v/v2v/models/engine"
)

// Vid2Vid trains the composite generator with an image and a temporal
// discriminator (vid2vid, section 3 and algorithm in the published code): a
// clip is generated frame by frame from its own earlier frames; after each
// chunk of frames the generator takes a step, then the discriminators. What was
// made before the chunk is constant to a step.
type Vid2Vid struct {
	c       Vid2VidConfig
	graphs  vid2vidGraphs
	dev     engine.Device
	time    []timeScale
	g, d    map[kind]*step  // d may hold none
	steep   map[kind]*step  // d with the R1 penalty
	slopes  map[*step]*step // of each of those what finds the slopes
	all     []*step
	render  *step
	vars    map[string]engine.Buffer
	state   []State
	in      map[string]engine.Buffer // inputs that are overwritten at every frame
	flows   []flowInput              // those of them that are measured flow
	labels  []engine.Buffer          // ring of control pictures, the tiles of each one after another
	fake    [][]engine.Buffer        // for each spatial scale, the finest first, a ring of made frames
	real    []engine.Buffer          // ring of real ones
	raw     [][]engine.Buffer        // of each frame of a chunk and scale what nobody remembers
	motion  bool                     // some program reads the measured flow
	apply   map[string]*step         // of each optimiser the step on what was collected
	mean    *step                    // that of the means of the weights
	tell    []func(Warning)
	watches map[string]*watch // by discriminator

	present  [][]bool // of each frame of a chunk which samples show a face
	faceless int      // frames without one since the beginning; -1 once there was one
}

// NewVid2Vid builds every graph of the training step and compiles it. The
// device stays the caller's.
func NewVid2Vid(dev engine.Device, c Vid2VidConfig) (*Vid2Vid, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	n := c.accumulate()
	c.FixGlobal = (c.FixGlobal + n - 1) / n * n // gradients that are averaged are of the same weights
	v := &Vid2Vid{c: c, dev: dev, time: c.timeScales(), g: map[kind]*step{}, d: map[kind]*step{}, steep: map[kind]*step{}, slopes: map[*step]*step{},
		vars: map[string]engine.Buffer{}, in: map[string]engine.Buffer{}}
	if err := v.build(); err != nil {
		return nil, errors.Join(fmt.Errorf("build the training step: %w", err), v.Close())
	}
	return v, nil
}

// bind attaches a buffer where the program knows the name.
func (s *step) bind(name string, b engine.Buffer) error {
	if s == nil || s.prog.Find(name) < 0 {
		return nil
	}
	return s.exe.Bind(name, b)
}

// Steps implements Trainer.
func (v *Vid2Vid) Steps(t int) int { return v.c.Steps(t) }

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
	if err := v.begin(batch); err != nil {
		return fmt.Errorf("first frames: %w", err)
	}
	frames := len(batch[0].A)
	for i := range v.Steps(frames) {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		t := v.c.begins() + i*v.c.chunk()
		n := min(v.c.chunk(), frames-t)
		if err := errors.Join(v.unfix(r.Step+i), v.rates(r.LR, r.Step+i, t, n)); err != nil {
			return err
		}
		for j := range n {
			if err := v.upload(batch, t+j, j); err != nil {
				return fmt.Errorf("frame %d: %w", t+j, err)
			}
		}
		losses, err := v.chunk(t, n, r.Step+i)
		if err != nil {
			return fmt.Errorf("frame %d: %w", t, err)
		}
		_, d, err := v.programs(v.kind(t, n, r.Step+i), r.Step+i)
		if err != nil {
			return err
		}
		if losses, err = v.observe(r.Step+i+1, d, losses); err != nil {
			return fmt.Errorf("frame %d: %w", t, err)
		}
		v.missFaces(r.Step+i+1, n)
		if err := report(losses); err != nil {
			return err
		}
	}
	return nil
}

// forget empties the past: the frames before a clip are mid grey.
func (v *Vid2Vid) forget() error {
	for _, ring := range append(slices.Clone(v.fake), v.real) {
		for _, b := range ring {
			if err := zero(b); err != nil {
				return err
			}
		}
	}
	return nil
}

// chunk takes the steps on the n frames from t on: the generator's, then the
// discriminators' on what it made.
func (v *Vid2Vid) chunk(t, n, done int) ([]Loss, error) {
	g, d, err := v.programs(v.kind(t, n, done), done)
	if err != nil {
		return nil, err
	}
	err = v.point(g, t, n)
	for j := range n {
		at := (t + j) % len(v.real)
		err = errors.Join(err, g.bind(nth("raw", j), v.raw[j][0]), g.bind(nth("real_f", j), v.real[at]))
		for l, ring := range v.fake {
			err = errors.Join(err, g.bind(nth(levelled("final", l), j), ring[at]))
		}
	}
	if err != nil {
		return nil, err
	}
	if err := g.exe.Run(); err != nil {
		return nil, err
	}
	losses, err := g.read(nil)
	if err != nil || d == nil {
		return losses, errors.Join(err, v.move(done))
	}
	err = errors.Join(v.findSlopes(d, t, n), v.point(d, t, n))
	for j := range n {
		err = errors.Join(err, d.bind(nth("fake", j), v.fake[0][(t+j)%len(v.real)]), d.bind(nth("fakeraw", j), v.raw[j][0]))
	}
	if err != nil {
		return nil, err
	}
	if err := d.exe.Run(); err != nil {
		return nil, err
	}
	if losses, err = d.read(losses); err != nil {
		return nil, err
	}
	asSlopes(losses, v.c.penaltyWeight())
	return losses, v.move(done)
}

// point turns a program's window and past to the n frames from t on.
func (v *Vid2Vid) point(s *step, t, n int) error {
	needs, long := v.c.Generator.Needs(), len(v.real)
	var errs []error
	for i := range needs.Window + n - 1 {
		for tile, b := range v.control(max(0, t-needs.Window+1+i)) {
			errs = append(errs, s.bind(levelled(fmt.Sprintf("label%d", i), tile), b))
		}
	}
	for i := range needs.Past {
		at := (t - needs.Past + i + long) % long
		errs = append(errs, s.bind(fmt.Sprintf("realprev%d", i), v.real[at]))
		for l, ring := range v.fake {
			errs = append(errs, s.bind(levelled(fmt.Sprintf("prev%d", i), l), ring[at]))
		}
	}
	for back := needs.Past + 1; back < long; back++ {
		at := (t - back + long) % long // which is nothing yet, where the clip began later
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
	bufs = append(append(bufs, v.labels...), v.real...)
	for _, ring := range append(v.fake, v.raw...) {
		bufs = append(bufs, ring...)
	}
	for _, b := range bufs {
		if b != nil {
			errs = append(errs, b.Close())
		}
	}
	return errors.Join(errs...)
}
