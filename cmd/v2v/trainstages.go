package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/renameio/v2"
	"github.com/pelletier/go-toml/v2"

	"github.com/v2v/v2v/models/train"
	"github.com/v2v/v2v/video"
)

// ScheduleTOML is the part of the TOML that counts epochs. Its name is exported
// because TOML is written of exported embedded structs alone.
type ScheduleTOML struct {
	Niter          int    `toml:"niter,omitempty"`            // epochs at the full learning rate; with niter_decay instead of steps
	NiterDecay     int    `toml:"niter_decay,omitempty"`      // epochs over which it falls
	NiterStep      int    `toml:"niter_step,omitempty"`       // epochs after which samples become twice as long; 0 for never
	MaxFramesTotal int    `toml:"max_frames_total,omitempty"` // how long they become, with the frames before them; 0 is 128
	EpochSamples   int    `toml:"epoch_samples,omitempty"`    // samples an epoch; 0 is one of each clip
	NiterFixGlobal int    `toml:"niter_fix_global,omitempty"` // epochs in which the finest spatial scale alone learns
	MaxTStep       int    `toml:"max_t_step,omitempty"`       // frames of a clip at most from one of a sample to the next; 0 is 1
	LoadSize       string `toml:"load_size,omitempty"`        // HxW that everything is resized to; "" for no change

	Stage []map[string]any `toml:"stage,omitempty"` // what each stage has over the rest
}

func (s ScheduleTOML) byEpochs() bool { return s.Niter != 0 || s.NiterDecay != 0 }

func (s ScheduleTOML) check() error {
	switch {
	case min(s.Niter, s.NiterDecay, s.NiterStep, s.MaxFramesTotal, s.EpochSamples, s.NiterFixGlobal, s.MaxTStep) < 0:
		return usage("configuration: niter, niter_decay, niter_step, max_frames_total, epoch_samples, max_t_step and niter_fix_global are at least 0")
	case !s.byEpochs() && (s.NiterStep > 0 || s.EpochSamples > 0 || s.NiterFixGlobal > 0):
		return usage("configuration: niter_step, epoch_samples and niter_fix_global count epochs: give niter or niter_decay instead of steps")
	case s.LoadSize != "":
		if err := new(size).Set(s.LoadSize); err != nil {
			return usage("configuration: load_size: %w", err)
		}
	}
	return nil
}

// epochs are none where steps are counted.
func (c *trainConfig) epochs() train.Epochs {
	if !c.byEpochs() {
		return train.Epochs{}
	}
	return train.Epochs{Constant: c.Niter, Decay: c.NiterDecay, Grow: c.NiterStep, Longest: c.MaxFramesTotal,
		Spare: c.Generator.Frames - 1, Samples: c.EpochSamples}
}

// load resizes what data consists of.
func (c *trainConfig) load(o *train.DataOptions) {
	if c.LoadSize == "" {
		return
	}
	var to size
	to.Set(c.LoadSize) // check has read it already
	o.A = func(f *video.Frame) (*video.Frame, error) { return fitted(f, to) }
	o.B = o.A
	if c.numbers() {
		o.A = func(f *video.Frame) (*video.Frame, error) { return fittedLabels(f, to) }
	}
}

// stages are the configurations of stages, one after another.
func (c trainConfig) stages() ([]trainConfig, error) {
	var all []trainConfig
	for i, table := range c.Stage {
		text, err := toml.Marshal(table)
		if err != nil {
			return nil, fmt.Errorf("stage %d: %w", i+1, err)
		}
		own := c
		own.Stage, own.Generator.FGLabels, own.D.FaceLabels = nil, slices.Clone(c.Generator.FGLabels), slices.Clone(c.D.FaceLabels)
		_, steps := table["steps"]
		if steps {
			own.Niter, own.NiterDecay, own.NiterStep, own.EpochSamples, own.NiterFixGlobal, own.MaxBackpropagate = 0, 0, 0, 0, 0, 0
		}
		where := fmt.Sprintf("stage %d", i+1)
		if err := decodeTOML(where, text, &own); err != nil {
			return nil, err
		}
		switch {
		case len(own.Stage) > 0:
			return nil, usage("%s: a stage has no stages", where)
		case own.Seed != c.Seed || own.Model != c.Model:
			return nil, usage("%s: seed and model are the same for all stages: give them above the first", where)
		case own.VGG != c.VGG || own.Sum != c.Sum:
			return nil, usage("%s: vgg is the same for all stages: give it above the first", where)
		case own.byEpochs() && !steps:
			own.Steps = 0
		}
		if err := own.check(); err != nil {
			return nil, fmt.Errorf("%s: %w", where, err)
		}
		if err := own.Generator.Validate(); err != nil {
			return nil, usage("%s: generator: %w", where, err)
		}
		all = append(all, own)
	}
	return all, nil
}

// run trains, in stages where there are some.
func (s *session) run(ctx context.Context) (sum train.Summary, err error) {
	if err := s.perceive(&s.c.Perceptual, true); err != nil {
		return sum, err
	}
	stages, err := s.c.stages()
	if err != nil {
		return sum, err
	}
	if len(stages) == 0 {
		if err := s.open(ctx); err != nil {
			return sum, err
		}
		return train.Run(ctx, s.options())
	}
	release, err := train.Hold(s.o.out, s.c, s.o.resume)
	if err != nil {
		return sum, err
	}
	defer func() { err = errors.Join(err, release()) }()
	from := ""
	for i, c := range stages {
		dir := stageFolder(s.o.out, i+1)
		last, done, err := train.LastCheckpoint(dir)
		if err != nil {
			return sum, err
		}
		// The last stage is entered even so: its model may not be written yet.
		if done && i < len(stages)-1 {
			s.a.say("stage %d of %d is done", i+1, len(stages))
			from = last
			continue
		}
		s.bar.say("stage %d of %d", i+1, len(stages))
		if sum, err = s.stage(ctx, c, dir, from); err != nil {
			return sum, fmt.Errorf("stage %d: %w", i+1, err)
		}
		from = sum.Checkpoint
	}
	model := filepath.Join(s.o.out, filepath.Base(sum.Model))
	if err := copyFile(model, sum.Model); err != nil {
		return sum, fmt.Errorf("write the model: %w", err)
	}
	sum.Model = model
	return sum, nil
}

// stageFolder is where stage n of a run is, from 1.
func stageFolder(run string, n int) string { return filepath.Join(run, fmt.Sprintf("stage-%d", n)) }

// stage trains one stage in a folder of its own.
func (s *session) stage(ctx context.Context, c trainConfig, dir, from string) (sum train.Summary, err error) {
	one := session{a: s.a, o: s.o, c: c, bar: s.bar, from: from, unperceived: s.unperceived}
	s.unperceived = false
	one.o.out, one.o.resume = dir, true
	defer func() { err = errors.Join(err, one.close()) }()
	if err := one.open(ctx); err != nil {
		return sum, err
	}
	return train.Run(ctx, one.options())
}

// copyFile makes or replaces a file at once.
func copyFile(to, from string) (err error) {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	dst, err := renameio.NewPendingFile(to, renameio.WithPermissions(0o644))
	if err != nil {
		return err
	}
	defer dst.Cleanup()
	if _, err := io.Copy(dst, src); err != nil {
		return err
	}
	return dst.CloseAtomicallyReplace()
}
