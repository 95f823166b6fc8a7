package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/v2v/v2v/jobs"
	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/train"
	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/cvimg"
	"github.com/v2v/v2v/video/labelmap"
)

// pairNetworks are the networks of single frames that train knows.
var pairNetworks = []string{"unet", "resnet", "pix2pixHD_global", "pix2pixHD_local"}

// PairTOML is the part of the TOML that networks of single frames share. Its
// name is exported because TOML is written of exported embedded structs alone.
type PairTOML struct {
	Model    string  `toml:"model"`
	Steps    int     `toml:"steps"`
	Size     string  `toml:"size"`     // HxW cut out of larger pictures; "" takes them whole
	Batch    int     `toml:"batch"`    // pairs a step
	Seed     uint64  `toml:"seed"`     // of everything random
	LR       float64 `toml:"lr"`       // learning rate
	Constant int     `toml:"constant"` // steps before it begins to fall; 0 is half of them
	Flip     bool    `toml:"flip"`     // mirror every other sample
	Half     bool    `toml:"half"`     // store the model's weights in 16 bits

	CheckpointSteps int `toml:"checkpoint_steps"`
	SheetSteps      int `toml:"sheet_steps"` // -1 for no sample sheets

	Data PairData `toml:"data"`
}

// PairData says how pairs are made of what the data folder holds.
type PairData struct {
	Load       string  `toml:"load"`         // HxW that everything is resized to; "" for no change
	SideBySide bool    `toml:"side_by_side"` // a picture is a pair
	Reverse    bool    `toml:"reverse"`      // the frame lies left
	Extract    string  `toml:"extract"`      // gray or edges: the control picture is made of the frame
	Holdout    float64 `toml:"holdout"`      // share kept from training where there is no test part
}

// pairConfig is the whole TOML of a network N.
type pairConfig[N any] struct {
	PairTOML
	train.Pix2PixConfig
	Generator N `toml:"generator"`
}

// pairSession is a run of training a network of single frames.
type pairSession struct {
	session
	net    models.Network
	p      *PairTOML
	recipe *train.Pix2PixConfig
	whole  any // the configuration that both are part of

	cluster func() error // nil without an encoder
}

func newPairSession(base session, name string, changed func(string) bool) (*pairSession, error) {
	s := &pairSession{session: base}
	shared := PairTOML{Model: name, Steps: 10000, Batch: 1, Seed: 1, LR: 2e-4, Flip: true, Half: true,
		CheckpointSteps: 1000, SheetSteps: 500, Data: PairData{Holdout: 0.1}}
	recipe := train.DefaultPix2Pix(name)
	usual := recipe.L1
	recipe.L1 = unsaidL1
	switch name {
	case "unet":
		c := &pairConfig[models.UNet]{shared, recipe, *models.DefaultUNet()}
		s.net, s.p, s.recipe, s.whole = &c.Generator, &c.PairTOML, &c.Pix2PixConfig, c
	case "resnet":
		c := &pairConfig[models.ResNet]{shared, recipe, *models.DefaultResNet()}
		s.net, s.p, s.recipe, s.whole = &c.Generator, &c.PairTOML, &c.Pix2PixConfig, c
	case "pix2pixHD_local":
		recipe.GlobalSteps, recipe.FixGlobal = -1, -1
		c := &pairConfig[models.Local]{shared, recipe, *models.DefaultLocal()}
		s.net, s.p, s.recipe, s.whole = &c.Generator, &c.PairTOML, &c.Pix2PixConfig, c
	default:
		c := &pairConfig[models.Global]{shared, recipe, *models.DefaultGlobal()}
		s.net, s.p, s.recipe, s.whole = &c.Generator, &c.PairTOML, &c.Pix2PixConfig, c
	}
	if err := s.o.read(s.whole); err != nil {
		return nil, err
	}
	if changed("steps") {
		s.p.Steps = s.o.steps
	}
	if changed("size") {
		s.p.Size = s.o.size.String()
	}
	if changed("seed") {
		s.p.Seed = s.o.seed
	}
	if s.o.vgg != "" && s.recipe.Sum == "" {
		s.recipe.VGG = s.o.vgg
	}
	hd := recipe.Features > 0 // whose L1 stands in for the perceptual loss
	settleL1(&s.recipe.L1, usual, s.recipe.Perceptual, hd)
	s.share()
	s.completeEncoder()
	if err := s.perceive(&s.recipe.Perceptual, hd); err != nil {
		return nil, err
	}
	if err := s.check(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// share settles what of a local enhancer's training is whose where nobody says:
// about as published, 200 epochs of the global generator, 10 of what is around
// it and 90 of both.
func (s *pairSession) share() {
	if s.recipe.GlobalSteps < 0 {
		s.recipe.GlobalSteps = s.p.Steps * 3 / 5
	}
	if s.recipe.FixGlobal < 0 {
		s.recipe.FixGlobal = s.p.Steps / 25
	}
}

// completeEncoder gives a generator that wants features the published encoder.
func (s *pairSession) completeEncoder() {
	var g *models.Global
	switch net := s.net.(type) {
	case *models.Global:
		g = net
	case *models.Local:
		g = &net.Global
	}
	if g == nil || g.FeatNC == 0 {
		return
	}
	e := models.DefaultEncoder()
	if g.NEF == 0 {
		g.NEF = e.NEF
	}
	if g.DownsE == 0 {
		g.DownsE = min(e.Downs, g.Downs)
	}
}

func (s *pairSession) check() error {
	p := s.p
	s.c = trainConfig{Steps: p.Steps, Size: p.Size, Frames: 2, Batch: p.Batch, Seed: p.Seed, LR: p.LR, Constant: p.Constant,
		CheckpointSteps: p.CheckpointSteps, SheetSteps: p.SheetSteps}
	err := s.c.check()
	s.c.Frames = 1 // which clips of vid2vid may not be
	d := p.Data
	switch {
	case err != nil:
		return err
	case len(s.o.data) > 1:
		return usage("--data is given %d times: %s takes one", len(s.o.data), p.Model)
	case d.Extract != "" && !slices.Contains([]string{"gray", "edges"}, d.Extract):
		return usage("configuration: data.extract is %q; give gray or edges", d.Extract)
	case d.Extract != "" && d.SideBySide:
		return usage("configuration: data.extract and data.side_by_side exclude one another")
	case d.Extract != "" && s.net.Needs().Labels > 0:
		return usage("configuration: data.extract makes no labels, which generator.label_nc asks for")
	case d.Reverse && !d.SideBySide:
		return usage("configuration: data.reverse is for data.side_by_side")
	case !(d.Holdout >= 0 && d.Holdout < 1):
		return usage("configuration: data.holdout is %g; give 0 to below 1", d.Holdout)
	case d.Load != "":
		if err := new(size).Set(d.Load); err != nil {
			return usage("configuration: data.load: %w", err)
		}
	}
	if alone := s.recipe.GlobalSteps + s.recipe.FixGlobal; alone > 0 && alone >= p.Steps {
		return usage("configuration: global_steps %d and fix_global %d leave none of %d steps to the whole network; give less, or more steps",
			s.recipe.GlobalSteps, s.recipe.FixGlobal, p.Steps)
	}
	if err := errors.Join(s.net.Validate(), s.recipe.Validate()); err != nil {
		return usage("configuration: %w", err)
	}
	return nil
}

func (s *pairSession) run(ctx context.Context) (train.Summary, error) {
	if err := s.open(ctx); err != nil {
		return train.Summary{}, err
	}
	return train.Run(ctx, s.options())
}

func (s *pairSession) open(ctx context.Context) error {
	if err := s.pairs(ctx); err != nil {
		return err
	}
	s.bar.done()
	w, h := s.data.Size()
	p := train.Pairs{Net: s.net, Height: h, Width: w, Batch: s.c.Batch, Seed: s.c.Seed}
	if err := p.Validate(); err != nil {
		return usage("configuration: %w", err)
	}
	dev, err := s.o.device.precise()
	if err != nil {
		return err
	}
	s.closers, s.device = append(s.closers, dev.Close), dev.Name()
	trainer, err := train.NewPix2Pix(dev, p, *s.recipe, s.warn)
	if err != nil {
		return err
	}
	s.trainer, s.closers = trainer, append(s.closers, trainer.Close)
	if trainer.Encodes() {
		s.cluster = func() error {
			samples, err := s.data.Spread(ctx, clustered, 1)
			if err != nil {
				return err
			}
			return trainer.Cluster(ctx, samples)
		}
	}
	return nil
}

// clustered bounds the frames whose instances are put into clusters.
const clustered = 200

// pairs reads the data, what is held out included.
func (s *pairSession) pairs(ctx context.Context) error {
	o := s.c.data()
	o.Flip, o.Loose, o.Frames = s.p.Flip, true, 1
	o.Alone = s.p.Data.SideBySide || s.p.Data.Extract != ""
	o.Open = func(ctx context.Context, path string) (video.Reader, error) { return s.o.clip.plain(ctx, path) }
	o.Progress = func(done, total int) { s.bar.set(done, total, "reading pairs") }
	if s.p.Data.Extract != "" {
		e, err := cvimg.NewExtractor(s.p.Data.Extract, cvimg.Options{})
		if err != nil {
			return err
		}
		defer e.Close()
		o.A = s.changed(fitted, func(f *video.Frame) (*video.Frame, error) {
			own := video.NewFrame(f.W, f.H)
			return own, e.Apply(own, f)
		})
		o.B = s.changed(fitted, nil)
	} else {
		fit := fitted
		if needs := s.net.Needs(); needs.Labels > 0 {
			fit, o.Labels, o.Instances = fittedLabels, true, needs.Edges
		}
		o.A, o.B = s.changed(fit, s.half(s.p.Data.Reverse)), s.changed(fitted, s.half(!s.p.Data.Reverse))
	}
	var err error
	if s.data, err = s.openData(ctx, o); err != nil {
		if errors.Is(err, train.ErrNoSplit) {
			err = withCode(jobs.ExitUnreadable, fmt.Errorf("%w; for pictures that are pairs set data.side_by_side=true, for colour pictures alone data.extract=gray", err))
		}
		return err
	}
	if n := s.net.Needs().Labels; n > 0 {
		if err := s.data.CheckLabels(n); err != nil {
			return withCode(jobs.ExitUnreadable, err)
		}
	}
	o.Split, o.Flip = train.TestSplit, false
	s.held, err = s.openData(ctx, o)
	if errors.Is(err, train.ErrNoSplit) {
		s.held, err = s.data.HoldOut(s.p.Data.Holdout), nil
	}
	return err
}

// half takes one half of pictures that are pairs; nil where they are not.
func (s *pairSession) half(right bool) func(*video.Frame) (*video.Frame, error) {
	if !s.p.Data.SideBySide {
		return nil
	}
	return func(f *video.Frame) (*video.Frame, error) {
		l, r, err := train.Halves(f)
		if right {
			return r, err
		}
		return l, err
	}
}

// fittedLabels is fitted for index pictures, of which no mean can be taken.
func fittedLabels(f *video.Frame, to size) (*video.Frame, error) {
	out := video.NewFrame(to.W, to.H)
	labelmap.ResizeFrame(out, f)
	return out, nil
}

// changed is what becomes of a frame: first, where set, and then resizing.
func (s *pairSession) changed(fit func(*video.Frame, size) (*video.Frame, error), first func(*video.Frame) (*video.Frame, error)) func(*video.Frame) (*video.Frame, error) {
	if s.p.Data.Load == "" {
		return first
	}
	var to size
	to.Set(s.p.Data.Load) // check has read it already
	return func(f *video.Frame) (*video.Frame, error) {
		if first != nil {
			var err error
			if f, err = first(f); err != nil {
				return nil, err
			}
		}
		return fit(f, to)
	}
}

func (s *pairSession) options() train.Options {
	o := s.session.options()
	o.Config, o.SaveModel = s.whole, s.save
	return o
}

// save writes the model file of a state of training.
func (s *pairSession) save(path string, state []train.State) error {
	if s.cluster != nil {
		if err := s.cluster(); err != nil {
			return err
		}
	}
	w, h := s.data.Size()
	about := models.About{Size: (&size{h, w}).String(), Steps: s.c.Steps, Seed: s.c.Seed, Extract: s.p.Data.Extract}
	if about.Extract == "" {
		about.Extract = extractOf(s.o.data[0])
	}
	return saveModel(path, s.p.Model, s.net, about, s.p.Half, state)
}
