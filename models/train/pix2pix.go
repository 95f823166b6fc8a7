package train

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/nn"
	"github.com/v2v/v2v/video"
)

// Pix2Pix trains a generator that makes a frame of its control picture alone
// (Isola et al. 2017; Wang et al. 2018 for pix2pixHD) against a discriminator
// that sees both. A step is one update of each, in the order of the published
// code. Samples have one frame.
type Pix2Pix struct {
	*atelier
	c      Pix2PixConfig
	p      Pairs
	stages []*pairStage
	now    *pairStage // the last step's
	d      *step      // and its discriminator's
	encode *step      // nil without an encoder
	watch  *watch
	warn   func(Warning)
}

// NewPix2Pix builds the training step and compiles it. Warn, where set, is told
// when training goes wrong. The device stays the caller's.
func NewPix2Pix(dev engine.Device, p Pairs, c Pix2PixConfig, warn func(Warning)) (*Pix2Pix, error) {
	if err := errors.Join(c.Validate(), p.Validate(), c.validateStages(p.Net)); err != nil {
		return nil, err
	}
	if warn == nil {
		warn = func(Warning) {}
	}
	orElse(&c.Beta1, 0.5)
	orElse(&c.Beta2, 0.999)
	lost := lostHead(p.Net)
	kept := func(name string) bool { return isModel(name) && !lost(name) }
	t := &Pix2Pix{atelier: newAtelier(dev, kept), c: c, p: p, stages: c.stages(p.Net), warn: warn, watch: newWatch(pairRemedies)}
	if err := t.build(); err != nil {
		return nil, errors.Join(fmt.Errorf("build the training step: %w", err), t.Close())
	}
	return t, nil
}

func (t *Pix2Pix) build() error {
	t.now = t.stages[0]
	var before *pairStage
	for _, s := range t.stages {
		if err := t.buildStage(s, before); err != nil {
			return err
		}
		before = s
	}
	if err := t.buildEncoder(); err != nil {
		return err
	}
	return t.initialise(t.p.Seed)
}

// buildStage compiles the programs of a stage; what is not the generator's step
// is that of the stage before where it sees the same pictures.
func (t *Pix2Pix) buildStage(s, before *pairStage) error {
	graphs := pix2pixGraphs{t.c, t.p, s}
	var err error
	if s.g, err = t.add(graphs.generator(), nil); err != nil {
		return fmt.Errorf("generator: %w", err)
	}
	if before != nil && before.halved == s.halved {
		s.d, s.shown, s.dr, s.sl = before.d, before.shown, before.dr, before.sl
	} else {
		if t.c.GAN > 0 {
			if s.d, err = t.add(graphs.discriminator(false), nil); err != nil {
				return fmt.Errorf("discriminator: %w", err)
			}
			if err := t.buildPenalty(graphs); err != nil {
				return fmt.Errorf("penalty: %w", err)
			}
		}
		if s.shown, err = t.add(graphs.rendering(), nil); err != nil {
			return fmt.Errorf("rendering: %w", err)
		}
	}
	switch {
	case s.d == nil:
		return nil
	case t.c.D.First:
		return t.hand(s.shown, s.fake())
	}
	return t.hand(s.g, s.fake())
}

// Steps implements Trainer: a step a frame.
func (*Pix2Pix) Steps(frames int) int { return frames }

// Warn adds one who is told when training goes wrong.
func (t *Pix2Pix) Warn(tell func(Warning)) { t.warn = alsoTo(t.warn, tell) }

// State implements Trainer.
func (t *Pix2Pix) State() []State { return t.state }

// Close implements Trainer.
func (t *Pix2Pix) Close() error { return t.close() }

// Train implements Trainer.
func (t *Pix2Pix) Train(ctx context.Context, batch []*Sample, r Rates, report func([]Loss) error) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if len(batch) != t.p.Batch || len(batch[0].A) != 1 {
		return fmt.Errorf("batch of %d samples of %d frames, compiled for %d of 1", len(batch), len(batch[0].A), t.p.Batch)
	}
	if err := t.prepare(batch, r); err != nil {
		return err
	}
	losses, err := t.take()
	if err != nil {
		return err
	}
	if t.d != nil {
		m, err := t.measure(batch, losses)
		if err != nil {
			return err
		}
		for _, w := range t.watch.add(r.Step+1, m) {
			t.warn(w)
		}
		losses = append(losses, Loss{"D_acc", m.accuracy})
	}
	return report(losses)
}

// prepare brings all that a step needs to the device.
func (t *Pix2Pix) prepare(batch []*Sample, r Rates) (err error) {
	if t.now, err = t.enter(r.Step); err != nil {
		return err
	}
	t.d = t.now.d
	if t.now.dr != nil && r.Step%r1Every(t.c.R1Every) == 0 {
		t.d = t.now.dr
	}
	return errors.Join(t.upload(batch),
		t.rates("adam", r.LR, t.c.Beta1, t.c.Beta2, r.Step-t.now.from),
		t.rates("dadam", r.LR*t.c.D.Rate, t.c.Beta1, t.c.Beta2, r.Step-t.now.fromD),
		t.drop(func(name string, x []float32) { nn.Drop(x, source(t.p.Seed, r.Step, name)) }))
}

// drop fills the inputs that say what the generator's dropout drops.
func (t *Pix2Pix) drop(fill func(name string, x []float32)) error {
	for name, b := range t.in {
		if !nn.IsDropout(name) {
			continue
		}
		x := make([]float32, b.Shape().TotalSize())
		fill(name, x)
		if err := b.Write(x); err != nil {
			return fmt.Errorf("upload %s: %w", name, err)
		}
	}
	return nil
}

// dropNothing is for pictures that are looked at.
func dropNothing(_ string, x []float32) {
	for i := range x {
		x[i] = 1
	}
}

// upload brings control pictures and frames to the device.
func (t *Pix2Pix) upload(batch []*Sample) error {
	size := 3 * t.p.Height * t.p.Width
	a, b := make([]byte, 0, len(batch)*size), make([]byte, 0, len(batch)*size)
	for _, s := range batch {
		for _, f := range []*video.Frame{s.A[0], s.B[0]} {
			if f.W != t.p.Width || f.H != t.p.Height {
				return fmt.Errorf("frame is %dx%d, training runs at %dx%d", f.W, f.H, t.p.Width, t.p.Height)
			}
		}
		a, b = append(a, s.A[0].Pix...), append(b, s.B[0].Pix...)
	}
	return errors.Join(t.write("control", a), t.write("real", b))
}

// take runs the programs of a step on what was uploaded. Where the
// discriminator goes first, the frame that it judges is made by itself: the
// generator's program makes the same once more, and learns.
func (t *Pix2Pix) take() ([]Loss, error) {
	now := t.now
	judges := []*step{t.d}
	if t.d == now.dr {
		judges = []*step{now.sl, t.d}
	}
	steps := append([]*step{now.g}, judges...)
	if t.c.D.First {
		steps = append(append([]*step{now.shown}, judges...), now.g)
	}
	if t.d == nil {
		steps = []*step{now.g}
	}
	for _, s := range steps {
		if err := s.exe.Run(); err != nil {
			return nil, err
		}
	}
	losses, err := now.g.read(nil)
	if err == nil && t.d != nil {
		losses, err = t.d.read(losses)
	}
	lengths(losses)
	asSlopes(losses, t.c.penaltyWeight())
	// Who wins is seen first, how hard they pull after.
	slices.SortStableFunc(losses, func(a, b Loss) int {
		return order(!isLength(a.Name)) - order(!isLength(b.Name))
	})
	return losses, err
}

// measure reads what is watched off the programs.
func (t *Pix2Pix) measure(batch []*Sample, losses []Loss) (m measures, err error) {
	threshold := float32(0)
	if t.c.Loss == "lsgan" {
		threshold = 0.5
	}
	scales := max(1, t.c.D.NumD)
	for k := range 2 * scales {
		verdicts, err := readAll(t.d.exe.Output(k))
		if err != nil {
			return m, err
		}
		right := 0
		for _, v := range verdicts {
			if (v > threshold) == (k%2 == 0) { // real ones are first
				right++
			}
		}
		m.accuracy += float64(right) / float64(len(verdicts)) / float64(2*scales)
	}
	for _, l := range losses {
		if l.Name == "G_norm" {
			m.norm = l.Value
		}
	}
	fake, err := readAll(t.in[t.now.fake()])
	if err != nil {
		return m, err
	}
	var real []float32
	for _, s := range batch {
		real = append(real, floatsOf(s.B[0].Pix, 3)...)
	}
	m.made, m.real = spread(fake, t.p.Batch), spread(real, t.p.Batch)
	return m, nil
}

// Render implements Trainer. It takes the place of every sample of a batch, so
// that the program compiled for training's batch serves.
func (t *Pix2Pix) Render(ctx context.Context, s *Sample) ([]Picture, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	last := len(s.A) - 1
	one := &Sample{A: s.A[last:], B: s.B[last:]}
	batch := slices.Repeat([]*Sample{one}, t.p.Batch)
	shown := t.now.shown
	if err := errors.Join(t.upload(batch), t.drop(dropNothing), shown.exe.Run()); err != nil {
		return nil, err
	}
	x, err := readAll(shown.exe.Output(shown.extra - 1))
	if err != nil {
		return nil, err
	}
	return []Picture{{"input", s.A[last]}, {"fake", frameOf(x, 0, 3, t.p.Height, t.p.Width)}, {"real", s.B[last]}}, nil
}
