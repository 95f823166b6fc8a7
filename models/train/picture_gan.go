package train

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/engine"
)

// GAN trains a generator of pictures from noise against a discriminator
// (Goodfellow et al. 2014; Radford et al. 2016 for the networks and the
// constants). A step is one update of the generator and then one of the
// discriminator, on the pictures that the generator made for its own.
type GAN struct {
	*atelier
	c                   GANConfig
	p                   Pictures
	g, d, dr, sl, shown *step // dr is d with the R1 penalty, sl what it is made of
	graphs              ganGraphs
	watch               *watch
	warn                func(Warning)
}

// NewGAN builds the training step and compiles it. Warn, where set, is told when
// training goes wrong. The device stays the caller's.
func NewGAN(dev engine.Device, p Pictures, c GANConfig, warn func(Warning)) (*GAN, error) {
	if err := errors.Join(c.Validate(), p.check()); err != nil {
		return nil, err
	}
	if p.Net.Learned() {
		return nil, errors.New("the network learns its codes: train it by regression")
	}
	if warn == nil {
		warn = func(Warning) {}
	}
	t := &GAN{c: c, p: p, warn: warn, graphs: newGANGraphs(c, p), watch: newWatch(ganRemedies)}
	t.atelier = newAtelier(dev, t.isModel)
	if err := t.build(); err != nil {
		return nil, errors.Join(fmt.Errorf("build the training step: %w", err), t.Close())
	}
	return t, nil
}

// isModel picks the generator's weights, or their means where there are some.
func (t *GAN) isModel(name string) bool {
	mean := len(name) > len(emaPrefix) && name[:len(emaPrefix)] == emaPrefix
	return isPictureModel(name) && mean == (t.c.EMA > 0)
}

// Weight is the name of the state that holds a weight of the model.
func (t *GAN) Weight(name string) string {
	if t.c.EMA > 0 {
		return emaPrefix + name
	}
	return name
}

func (t *GAN) build() error {
	var err error
	if t.g, err = t.add(t.graphs.generator(), nil); err != nil {
		return fmt.Errorf("generator: %w", err)
	}
	if t.d, err = t.add(t.graphs.discriminator(false), nil); err != nil {
		return fmt.Errorf("discriminator: %w", err)
	}
	if t.shown, err = t.add(t.graphs.rendering(), t.Weight); err != nil {
		return fmt.Errorf("rendering: %w", err)
	}
	if t.c.R1 > 0 {
		if t.dr, err = t.add(t.graphs.discriminator(true), nil); err != nil {
			return fmt.Errorf("penalty: %w", err)
		}
		if t.sl, err = t.add(t.graphs.slope(), nil); err != nil {
			return fmt.Errorf("penalty: %w", err)
		}
		if err := t.hand(t.sl, "slope"); err != nil {
			return err
		}
	}
	if err := t.hand(t.g, "fake"); err != nil {
		return err
	}
	return t.initialise(t.p.Seed)
}

// Steps implements Trainer.
func (*GAN) Steps(int) int { return 1 }

// Warn adds one who is told when training goes wrong.
func (t *GAN) Warn(tell func(Warning)) { t.warn = alsoTo(t.warn, tell) }

// State implements Trainer.
func (t *GAN) State() []State { return t.state }

// Close implements Trainer.
func (t *GAN) Close() error { return t.close() }

// Train implements Trainer.
func (t *GAN) Train(ctx context.Context, batch []*Sample, r Rates, report func([]Loss) error) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if err := errors.Join(t.upload(batch, r), t.average(r.Step)); err != nil {
		return err
	}
	losses, d, err := t.take(batch, r.Step)
	if err != nil {
		return err
	}
	m, err := t.measure(d, batch, losses)
	if err != nil {
		return err
	}
	for _, w := range t.watch.add(r.Step+1, m) {
		t.warn(w)
	}
	return report(append(losses, Loss{"D_acc", m.accuracy}, Loss{"diversity", m.diversity()}))
}

// take runs the programs of a step on what was uploaded, and says which was the
// discriminator's.
func (t *GAN) take(batch []*Sample, done int) ([]Loss, *step, error) {
	if err := t.g.exe.Run(); err != nil {
		return nil, nil, err
	}
	losses, err := t.g.read(nil)
	if err != nil {
		return nil, nil, err
	}
	d := t.d
	if t.c.R1 > 0 && done%t.c.R1Every == 0 {
		d = t.dr
		if err := t.slope(batch); err != nil {
			return nil, nil, fmt.Errorf("r1 penalty: %w", err)
		}
	}
	if err := d.exe.Run(); err != nil {
		return nil, nil, err
	}
	if losses, err = d.read(losses); err != nil {
		return nil, nil, err
	}
	lengths(losses)
	for i := range losses {
		if losses[i].Name == "R1" { // the mean squared slope says more than the penalty
			losses[i].Value /= float64(t.graphs.penaltyWeight())
		}
	}
	// Who wins is seen first, how hard they pull after.
	slices.SortStableFunc(losses, func(a, b Loss) int { return order(!isLength(a.Name)) - order(!isLength(b.Name)) })
	return losses, d, nil
}

// upload brings everything that a step draws or is given to the device.
func (t *GAN) upload(batch []*Sample, r Rates) error {
	o := t.p.Net.Options()
	rng := source(t.p.Seed, r.Step, "noise")
	classes, real := make([]int, len(batch)), make([]int, len(batch))
	for i, s := range batch {
		_, real[i] = t.p.Index(s)
		if n := len(o.Classes); n > 0 {
			classes[i] = rng.IntN(n)
		}
	}
	err := errors.Join(
		t.uploadReal(batch, o.Size, t.p.Batch),
		t.write("code", noise(rng, t.p.Batch*o.Code)),
		t.write("class", oneHot(classes, len(o.Classes))),
		t.write("real_class", oneHot(real, len(o.Classes))),
		t.rates("adam", r.LR, t.c.Beta1, t.c.Beta2, r.Step),
		t.rates("dadam", r.LR*t.c.D.Rate, t.c.Beta1, t.c.Beta2, r.Step))
	for _, name := range []string{"made", "fake", "real"} {
		err = errors.Join(err, t.graphs.a.upload(t.atelier, name, source(t.p.Seed, r.Step, name)))
	}
	return err
}

func noise(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

func oneHot(classes []int, n int) []float32 {
	x := make([]float32, len(classes)*n)
	for i, c := range classes {
		if n > 0 {
			x[i*n+c] = 1
		}
	}
	return x
}

// average starts the means of the weights anew, from the weights, at every
// power of two until they reach back as far as they will: the first weights of
// all are not worth remembering.
func (t *GAN) average(step int) error {
	if t.c.EMA == 0 || step&(step-1) != 0 || float64(step) > 1/(1-float64(t.c.EMA)) {
		return nil
	}
	for _, p := range t.shown.params {
		if err := t.copy(emaPrefix+p.Name, p.Name); err != nil {
			return fmt.Errorf("mean of %s: %w", p.Name, err)
		}
	}
	return nil
}

// slope finds how D changes at the real pictures.
func (t *GAN) slope(batch []*Sample) error {
	var x []float32
	for _, s := range batch {
		x = append(x, floatsOf(s.B[0].Pix, t.p.Net.Options().Channels)...)
	}
	if err := t.write("flat", x); err != nil {
		return err
	}
	return t.sl.exe.Run()
}

// floatsOf is a picture as the network sees it: three planes in [-1,1], or one
// of luminance.
func floatsOf(pix []byte, channels int) []float32 {
	n := len(pix) / 3
	x := make([]float32, channels*n)
	for p := range n {
		r, g, b := float32(pix[3*p]), float32(pix[3*p+1]), float32(pix[3*p+2])
		if channels == 1 {
			x[p] = (0.299*r+0.587*g+0.114*b)/127.5 - 1
			continue
		}
		x[p], x[n+p], x[2*n+p] = r/127.5-1, g/127.5-1, b/127.5-1
	}
	return x
}

// Render implements Trainer: the real picture, and pictures of noise that stays
// the same from sheet to sheet, of the real picture's class.
func (t *GAN) Render(ctx context.Context, s *Sample) ([]Picture, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	o := t.p.Net.Options()
	own, class := t.p.Index(s)
	classes := make([]int, t.p.Batch)
	for i := range classes {
		classes[i] = class
	}
	var codes []float32
	for _, c := range models.DrawCodes(nil, o.Code, t.p.Batch, t.p.Seed+uint64(own)) {
		codes = append(codes, c...)
	}
	if err := errors.Join(t.write("code", codes), t.write("class", oneHot(classes, len(o.Classes)))); err != nil {
		return nil, err
	}
	frames, err := made(t.shown, o, t.p.Batch)
	if err != nil {
		return nil, err
	}
	pictures := []Picture{{"real", s.B[0]}}
	for _, f := range frames {
		pictures = append(pictures, Picture{"made", f})
	}
	return pictures, nil
}
