package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/v2v/v2v/jobs"
	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/train"
	"github.com/v2v/v2v/video"
)

// vid2vid is the network that train takes by default.
const vid2vid = "vid2vid"

// trainable lists the networks that train knows.
func trainable() []string {
	return slices.Concat([]string{vid2vid}, pairNetworks, models.PictureNames())
}

// trainee settles which network is trained and its configuration.
func (o *trainOptions) trainee(base session, changed func(string) bool) (trainee, error) {
	name, err := o.which()
	if err != nil {
		return nil, err
	}
	if o.memory > 0 && name != vid2vid {
		return nil, usage("--memory-limit is for vid2vid, and this is %s: give a smaller --size or --set batch=1", name)
	}
	if o.palette != "" && name != vid2vid {
		return nil, usage("--palette is for vid2vid, and this is %s: make label ids with v2v prepare labels --palette", name)
	}
	if o.vgg != "" && name != vid2vid && !slices.Contains(pairNetworks, name) {
		return nil, usage("--vgg is for vid2vid and networks of single frames, and this is %s: leave it out", name)
	}
	if slices.Contains(pairNetworks, name) {
		return newPairSession(base, name, changed)
	}
	if name != vid2vid {
		return newPictureSession(base, name, changed)
	}
	if len(o.data) > 1 {
		return nil, usage("--data is given %d times: vid2vid takes one folder of paired clips", len(o.data))
	}
	base.c, err = o.configure(changed)
	return &base, err
}

// which is the network's name: by flag, by configuration, or vid2vid. V2V_MODEL
// names a model file for other commands; here it counts as a network's name or
// not at all.
func (o *trainOptions) which() (string, error) {
	name := o.network
	if !slices.Contains(trainable(), name) && name == os.Getenv("V2V_MODEL") {
		name = ""
	}
	said := ""
	if path := o.file(); path != "" {
		var c struct{ Model string }
		if text, err := os.ReadFile(path); err == nil && toml.Unmarshal(text, &c) == nil {
			said = c.Model // what else may be wrong with the file is said when it is read
		}
		if name != "" && said != "" && name != said {
			return "", usage("--model %s, but %s is of %s", name, path, said)
		}
	}
	switch {
	case name == "" && said == "":
		return vid2vid, nil
	case name == "":
		name = said
	}
	if !slices.Contains(trainable(), name) {
		return "", usage("--model %q is none of %s", name, strings.Join(trainable(), ", "))
	}
	return name, nil
}

// PictureTOML is the part of the TOML that all picture networks share. Its name
// is exported because TOML is written of exported embedded structs alone.
type PictureTOML struct {
	Model    string  `toml:"model"`
	Steps    int     `toml:"steps"`
	Batch    int     `toml:"batch"`    // pictures a step
	Seed     uint64  `toml:"seed"`     // of everything random
	LR       float64 `toml:"lr"`       // learning rate
	Constant int     `toml:"constant"` // steps before it begins to fall; 0 is half of them
	Half     bool    `toml:"half"`     // store the model's weights in 16 bits
	Every    int     `toml:"every"`    // of the frames of a video every so manieth is taken
	Classes  bool    `toml:"classes"`  // each folder is a class; gan
	Flip     bool    `toml:"flip"`     // mirror every other picture; gan

	CheckpointSteps int `toml:"checkpoint_steps"`
	SheetSteps      int `toml:"sheet_steps"` // -1 for no sample sheets

	Generator models.PictureOptions `toml:"generator"`
}

// The whole TOML of a network with learned codes, and of a GAN.
type (
	regressionConfig struct {
		PictureTOML
		train.RegressionConfig
	}
	ganConfig struct {
		PictureTOML
		train.GANConfig
	}
)

// pictureSession is a run of training a picture network.
type pictureSession struct {
	session
	net        models.Picture
	c          *PictureTOML
	regression *regressionConfig // one of the two
	gan        *ganConfig

	pictures *train.PictureData
	weight   func(name string) string // where the trainer keeps a weight of the model
}

func newPictureSession(base session, name string, changed func(string) bool) (*pictureSession, error) {
	net, err := models.BlankPicture(name)
	if err != nil {
		return nil, err
	}
	s := &pictureSession{session: base, net: net, weight: func(name string) string { return name }}
	shared := PictureTOML{Model: name, Steps: 5000, Batch: 16, Seed: 1, Every: 1, Half: true, CheckpointSteps: 1000, SheetSteps: 500,
		Generator: *net.Options()}
	var whole any
	if net.Learned() {
		shared.LR = 1e-3 // Adam's own; there is nobody to be in step with
		s.regression = &regressionConfig{shared, train.DefaultRegression()}
		s.c, whole = &s.regression.PictureTOML, s.regression
	} else {
		shared.LR = 2e-4 // DCGAN's
		s.gan = &ganConfig{shared, train.DefaultGAN()}
		s.c, whole = &s.gan.PictureTOML, s.gan
	}
	if err := s.o.read(whole); err != nil {
		return nil, err
	}
	if changed("steps") {
		s.c.Steps = s.o.steps
	}
	if changed("seed") {
		s.c.Seed = s.o.seed
	}
	if changed("size") {
		if s.o.size.H != s.o.size.W {
			return nil, usage("--size %s: pictures of codes are squares, like 64x64", s.o.size.String())
		}
		s.c.Generator.Size = s.o.size.H
	}
	*net.Options() = s.c.Generator
	return s, s.check()
}

func (s *pictureSession) check() error {
	c := s.c
	switch {
	case c.Steps < 1 || c.Batch < 1 || c.Every < 1:
		return usage("configuration: steps is %d, batch %d and every %d; give at least 1", c.Steps, c.Batch, c.Every)
	case !(c.LR > 0):
		return usage("configuration: lr is %g; give a positive learning rate", c.LR)
	case c.Constant < 0 || c.CheckpointSteps < 1:
		return usage("configuration: constant is %d and checkpoint_steps %d; give at least 0 and 1", c.Constant, c.CheckpointSteps)
	case s.net.Learned() && (c.Flip || c.Classes):
		return usage("configuration: flip and classes are for gan: each code is learned for one picture as it is")
	}
	err := s.net.Validate()
	if err == nil && s.gan != nil {
		err = s.gan.GANConfig.Validate()
	} else if err == nil {
		err = s.regression.RegressionConfig.Validate()
	}
	if err != nil {
		return usage("configuration: %w", err)
	}
	return nil
}

func (s *pictureSession) run(ctx context.Context) (train.Summary, error) {
	if err := s.open(ctx); err != nil {
		return train.Summary{}, err
	}
	return train.Run(ctx, s.options())
}

func (s *pictureSession) open(ctx context.Context) error {
	var err error
	s.pictures, err = train.OpenPictures(ctx, s.o.data, train.PictureDataOptions{
		Size: s.c.Generator.Size, Every: s.c.Every, Classes: s.c.Classes, Flip: s.c.Flip,
		Open:     func(ctx context.Context, path string) (video.Reader, error) { return s.o.clip.plain(ctx, path) },
		Progress: func(done int) { s.bar.set(done, 0, "reading pictures") },
	})
	s.bar.done()
	if err != nil {
		return withCode(jobs.ExitUnreadable, err)
	}
	s.closers = append(s.closers, s.pictures.Close)
	for _, n := range s.pictures.Notes {
		s.a.say("%s", n)
	}
	if n := s.pictures.Frames(); n < s.c.Batch {
		s.a.say("%d pictures for batches of %d: some are in a batch more than once", n, s.c.Batch)
	}
	dev, err := s.o.device.precise()
	if err != nil {
		return err
	}
	s.closers, s.device = append(s.closers, dev.Close), dev.Name()
	p := train.Pictures{Net: s.net, Index: s.pictures.Index, Batch: s.c.Batch, Seed: s.c.Seed}
	if s.gan != nil {
		s.net.Options().Classes = s.pictures.Classes
		t, err := train.NewGAN(dev, p, s.gan.GANConfig, s.warn)
		if err != nil {
			return err
		}
		s.trainer, s.weight = t, t.Weight
	} else {
		s.net.Options().Images = s.pictures.Frames()
		if s.trainer, err = train.NewRegression(dev, p, s.regression.RegressionConfig); err != nil {
			return err
		}
	}
	s.closers = append(s.closers, s.trainer.Close)
	return nil
}

// warn tells what goes wrong.
func (s *session) warn(w train.Warning) {
	if s.a.json {
		s.a.trainEvent(w)
	}
	s.bar.say("step %d: warning: %s", w.Step, w.Text)
}

// dataKey is where a run's env.json names the data, a path a line.
const dataKey = "data"

func (s *pictureSession) options() train.Options {
	c := s.c
	o := train.Options{
		Dir: s.o.out, Trainer: s.trainer, Data: s.pictures.Data, Config: s.regression,
		Steps: c.Steps, Schedule: train.Schedule{LR: c.LR, Constant: c.Constant}, Frames: 1, Batch: c.Batch, Seed: c.Seed,
		CheckpointSteps: c.CheckpointSteps, SheetSteps: c.SheetSteps,
		Resume: s.o.resume, SaveModel: s.save, Events: s.event, Logger: s.a.log,
		Env: s.o.device.env(s.device),
	}
	if s.gan != nil {
		o.Config = s.gan
	}
	var paths []string
	for _, p := range s.o.data {
		if whole, err := filepath.Abs(p); err == nil {
			p = whole
		}
		paths = append(paths, p)
	}
	o.Env[dataKey] = strings.Join(paths, "\n")
	return o
}

// save writes the model file of a state of training.
func (s *pictureSession) save(path string, state []train.State) error {
	side := s.c.Generator.Size
	about := models.About{Size: (&size{side, side}).String(), Steps: s.c.Steps, Seed: s.c.Seed}
	return models.SavePicture(path, s.c.Model, s.net, about, s.c.Half, func(name string, dst []float32) error {
		i := slices.IndexFunc(state, func(st train.State) bool { return st.Name == s.weight(name) })
		if i < 0 {
			return errors.New("the trainer has no weight " + name)
		}
		return state[i].Buffer.Read(dst)
	})
}
