package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/v2v/v2v/flow/cvflow"
	"github.com/v2v/v2v/jobs"
	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/train"
	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/ffio"
	"github.com/v2v/v2v/video/metric"
)

type trainOptions struct {
	data        []string
	out, config string
	network     string   // "" for what the configuration says
	set         []string // keys over the configuration's
	steps       int
	size        size
	seed        uint64
	resume      bool
	palette     string
	vgg         string // weights of the perceptual loss
	memory      memory // that a step may take; 0 for no limit
	device      deviceOptions
	clip        clipOptions
}

func newTrain(a *app) *cobra.Command {
	var o trainOptions
	c := &cobra.Command{
		Use:   "train --data DIR --out RUN",
		Short: "Train a network on paired clips, or on pictures alone",
		Long: `Trains a network on a folder that v2v prepare has made, or one with train_A and
train_B, or A and B, that hold a folder of pictures or a video for each clip.
RUN gets the configuration, checkpoints, metrics, samples and model.safetensors.
Ctrl-C saves a checkpoint; --resume goes on where a run was stopped or killed.

` + strings.Join([]string{scheduleHelp, datasetHelp, vggHelp, pairHelp, pictureHelp}, "\n\n"),
		Example: `  v2v train --data data --out run --steps 2000
  v2v train --data data --out run --resume
  v2v train --data data --out run --config recipe.toml --size 128x128
  v2v train --model unet --data photos --out run --set data.extract=gray
  v2v train --model gan --data walk.mp4 --out run --set every=4 --set ema=0.999`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return runTrain(c.Context(), a, o, c.Flags().Changed)
		},
	}
	f := c.Flags()
	f.StringVar(&o.network, "model", "", "network to train: "+strings.Join(trainable(), ", ")+" (default vid2vid)")
	f.StringArrayVar(&o.data, "data", nil, "folder of paired clips; for networks of pictures a folder of pictures or videos, or a video; may be repeated")
	f.StringVar(&o.out, "out", "", "folder of the run, made where missing")
	f.StringVar(&o.config, "config", "", "TOML file; what it leaves out has a default")
	f.StringArrayVar(&o.set, "set", nil, "key=value of the configuration, over the file's; may be repeated")
	f.IntVar(&o.steps, "steps", 0, "training steps in all, over the configuration's")
	f.Var(&o.size, "size", "cut samples of height x width out of larger pictures")
	f.StringVar(&o.palette, "palette", "", "file of label colours: turn coloured control pictures of vid2vid into label ids, over the configuration's")
	f.StringVar(&o.vgg, "vgg", "", "VGG19 weights with torchvision's names: train vid2vid, pix2pix or pix2pixHD with the perceptual loss, over the configuration's")
	f.Uint64Var(&o.seed, "seed", 1, "of everything random, over the configuration's")
	f.BoolVar(&o.resume, "resume", false, "go on with the run in RUN, if there is one")
	f.Var(&o.memory, "memory-limit", "of vid2vid's training, like 6G: makes activations again, takes a smaller chunk, then smaller samples, where it does not fit")
	o.device.flags(f, a.say)
	o.clip.flags(f)
	a.jsonFlag(c)
	return c
}

// unsaid stands for steps that nobody gave.
const unsaid = math.MinInt

// configure settles the configuration: the file's, or of a run that is resumed
// the frozen one, with the flags over it.
func (o *trainOptions) configure(changed func(string) bool) (trainConfig, error) {
	c := defaultTrain()
	steps, l1 := c.Steps, c.Weights.L1
	c.Steps, c.Weights.L1 = unsaid, unsaidL1
	c.Generator.InputNC = 0
	if err := o.read(&c); err != nil {
		return c, err
	}
	switch {
	case changed("steps"):
		c.Steps = o.steps
	case c.Steps == unsaid && c.byEpochs():
		c.Steps = 0
	case c.Steps == unsaid:
		c.Steps = steps
	}
	if changed("size") {
		c.Size = o.size.String()
	}
	if changed("palette") {
		c.Palette = o.palette
	}
	if changed("seed") {
		c.Seed = o.seed
	}
	if o.vgg != "" && c.Sum == "" {
		c.VGG = o.vgg
	}
	settleL1(&c.Weights.L1, l1, c.Perceptual, true)
	if c.Generator.InputNC == 0 {
		c.Generator.InputNC = c.channels()
	}
	return c, c.check()
}

// trainee is a network and all that its training holds open.
type trainee interface {
	// run reads the data, which may be refused, before anything costly, and
	// trains.
	run(ctx context.Context) (train.Summary, error)
	close() error
}

func runTrain(ctx context.Context, a *app, o trainOptions, changed func(string) bool) (err error) {
	if len(o.data) == 0 || o.out == "" {
		return usage("give --data DIR and --out RUN")
	}
	if err := o.clip.check(); err != nil {
		return err
	}
	defer debug.SetGCPercent(debug.SetGCPercent(garbage))
	base := session{a: a, o: o, bar: a.meter("steps")}
	base.bar.barWidth, base.bar.cut = 5, keepStart // losses want the room
	defer base.bar.done()
	s, err := o.trainee(base, changed)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	sum, err := s.run(ctx)
	base.bar.done()
	return a.trained(ctx, sum, err)
}

// trained tells how a run ended.
func (a *app) trained(ctx context.Context, sum train.Summary, err error) error {
	switch {
	case err != nil && ctx.Err() != nil:
		a.say("stopped at step %d; go on with v2v train --resume", sum.Step)
		return err
	case errors.Is(err, train.ErrDiverged):
		return withCode(exitDiverged, fmt.Errorf("%w; the last good checkpoint is %s", err, orNone(sum.Checkpoint)))
	case errors.Is(err, train.ErrExists), errors.Is(err, train.ErrConfig):
		return withCode(jobs.ExitUsage, err)
	case errors.Is(err, train.ErrLocked):
		return withCode(jobs.ExitLocked, err)
	case err != nil:
		return err
	}
	a.say("%d steps in %s; the model is %s", sum.Step, sum.Trained.Round(time.Second), sum.Model)
	return nil
}

func orNone(path string) string {
	if path == "" {
		return "none"
	}
	return path
}

// session is what a run of training holds open.
type session struct {
	a       *app
	o       trainOptions
	c       trainConfig
	bar     *meter
	closers []func() error

	data, held *train.Data // held is nil where nothing is held out
	trainer    train.Trainer
	device     string
	from       string // checkpoint that it begins with
	steps      int    // in all
	means      string // what the names of the model's weights begin with, where they are means

	unperceived bool // there are no weights of the perceptual loss, and nobody was told
}

// read opens the data, and what of it is held out.
func (s *session) read(ctx context.Context) error {
	data := s.c.data()
	data.Open = func(ctx context.Context, path string) (video.Reader, error) { return s.o.clip.plain(ctx, path) }
	data.Progress = func(done, total int) { s.bar.set(done, total, "reading clips") }
	colors, err := s.c.colors(&data)
	if err = errors.Join(err, s.dataset(&data)); err != nil {
		return err
	}
	if s.c.motion() {
		e, err := cvflow.NewFarneback(cvflow.Options{})
		if err != nil {
			return err
		}
		s.closers = append(s.closers, e.Close)
		data.Flow = e
	}
	if s.data, err = s.openData(ctx, data); err != nil {
		return err
	}
	data.Split, data.Frames, data.Flip = train.TestSplit, 0, false
	s.held, err = s.openData(ctx, data)
	if err != nil && !errors.Is(err, train.ErrNoSplit) {
		return err
	}
	if s.held != nil && s.held.Windows(s.c.Frames) == 0 {
		s.a.say("no held-out clip has %d frames: samples show training clips", s.c.Frames)
		s.held = nil
	}
	if note := colors.Note(); note != "" {
		s.a.say("%s", note)
	}
	s.bar.done()
	return nil
}

func (s *session) open(ctx context.Context) error {
	if err := s.read(ctx); err != nil {
		return err
	}
	v, err := s.fit(ctx)
	if err != nil {
		return err
	}
	dev, err := s.o.device.precise()
	if err != nil {
		return err
	}
	s.closers, s.device = append(s.closers, dev.Close), dev.Name()
	t, err := train.NewVid2Vid(dev, v)
	if err != nil {
		return err
	}
	t.Warn(s.warn)
	s.trainer, s.means = t, t.Weight("")
	s.closers = append(s.closers, t.Close)
	return nil
}

func (s *session) openData(ctx context.Context, o train.DataOptions) (*train.Data, error) {
	d, err := train.OpenData(ctx, s.o.data[0], o)
	if err != nil {
		return nil, withCode(jobs.ExitUnreadable, err)
	}
	s.closers = append(s.closers, d.Close)
	if n := s.c.Generator.LabelNC; n > 0 {
		if err := d.CheckLabels(n); err != nil {
			return nil, withCode(jobs.ExitUnreadable, err)
		}
	}
	return d, nil
}

// close frees everything, the last first.
func (s *session) close() error {
	var err error
	for i := len(s.closers) - 1; i >= 0; i-- {
		err = errors.Join(err, s.closers[i]())
	}
	return err
}

func (s *session) options() train.Options {
	o := train.Options{
		Dir: s.o.out, Trainer: s.trainer, Data: s.data, Validation: s.held, Config: s.c,
		Steps: s.c.Steps, Schedule: train.Schedule{LR: s.c.LR, Constant: s.c.Constant}, Epochs: s.c.epochs(), From: s.from,
		Frames: s.c.Frames, Batch: s.c.Batch, Seed: s.c.Seed,
		CheckpointSteps: s.c.CheckpointSteps, SheetSteps: s.c.SheetSteps,
		Resume: s.o.resume, SaveModel: s.save, Events: s.event, Logger: s.a.log,
		Env: s.o.device.env(s.device),
	}
	if s.held != nil {
		o.Validate = s.validate
	}
	if ffio.Available() == nil {
		o.Video = sampleVideo
	}
	return o
}

// sampleVideo opens a video of samples.
func sampleVideo(ctx context.Context, path string, w, h int) (video.Writer, error) {
	info := video.Info{Stills: true, Width: w, Height: h, Rate: video.Rational{Num: 25, Den: 1}}
	sink := sinkOptions{crf: -1, overwrite: true, padOdd: true}
	return sink.create(ctx, path, "", info, w, h)
}

// save writes the model file of a state of training.
func (s *session) save(path string, state []train.State) error {
	w, h := s.data.Size()
	about := models.About{Size: (&size{h, w}).String(), Steps: s.steps, Seed: s.c.Seed, Extract: s.c.DatasetTOML.kind()}
	if about.Extract == "" {
		about.Extract = extractOf(s.o.data[0])
	}
	g := s.c.Generator
	for i := range state { // the weights' means go by the weights' names
		state[i].Name = strings.TrimPrefix(state[i].Name, s.means)
	}
	return saveModel(path, vid2vid, &g, about, s.c.Half, state)
}

// saveModel writes a network with the weights of a state of training.
func saveModel(path, name string, net models.Network, about models.About, half bool, state []train.State) error {
	cfg, err := models.NewConfig(name, net, about)
	if err != nil {
		return err
	}
	buffers := map[string]train.State{}
	for _, st := range state {
		buffers[st.Name] = st
	}
	return models.Save(path, cfg, half, func(name string, dst []float32) error {
		st, ok := buffers[name]
		if !ok {
			return fmt.Errorf("the trainer has no weight %s", name)
		}
		return st.Buffer.Read(dst)
	})
}

// validated is how many samples the score of a checkpoint is the mean of.
const validated = 4

// validate is the mean PSNR of held-out frames, each the last of a sample.
func (s *session) validate(ctx context.Context) (float64, error) {
	samples, err := s.held.Spread(ctx, validated, s.c.Frames)
	if err != nil {
		return 0, err
	}
	var sum float64
	for _, sample := range samples {
		pictures, err := s.trainer.Render(ctx, sample)
		if err != nil {
			return 0, err
		}
		byName := map[string]*video.Frame{}
		for _, p := range pictures {
			byName[p.Label] = p.Frame
		}
		p, err := metric.PSNR(byName["fake"], byName["real"], nil)
		if err != nil {
			return 0, err
		}
		sum += min(p, maxPSNR)
	}
	return sum / float64(len(samples)), nil
}

// event tells of a run's progress.
func (s *session) event(e train.Event) {
	if s.a.json {
		s.a.trainEvent(e)
	}
	switch e := e.(type) {
	case train.Started:
		s.tellUnperceived()
		s.a.say("%s: %d clips, %d frames, %d parameters, step %d of %d, on %s", e.Dir, e.Clips, e.Frames, e.Parameters, e.Step, e.Steps, s.device)
	case train.Stepped:
		var parts []string
		for _, l := range e.Smooth {
			parts = append(parts, fmt.Sprintf("%s %.3g", l.Name, l.Value))
		}
		s.bar.set(e.Step, e.Steps, strings.Join(parts, " "))
	case train.SheetWritten:
		s.bar.say("step %d: samples in %s", e.Step, e.Path)
	case train.VideoWritten:
		s.bar.say("step %d: a clip in %s", e.Step, e.Path)
	case train.CheckpointWritten:
		score := ""
		if e.Score != nil {
			score = fmt.Sprintf(", held-out PSNR %.2f dB", *e.Score)
		}
		s.bar.say("step %d: checkpoint%s", e.Step, score)
	}
}

// trainEvent prints an event with its kind among its fields.
func (a *app) trainEvent(e train.Event) error {
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "{\"event\":%q,%s\n", e.Kind(), body[1:])
	return err
}
