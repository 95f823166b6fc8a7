package train

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/v2v/v2v/video"
)

// Options describe a run. Dir, Trainer, Data and Steps are needed; everything
// else works as its zero value.
type Options struct {
	Dir     string // the run folder, made where missing
	Trainer Trainer
	Data    *Data
	// Validation is what sample sheets show; the training data where nil.
	Validation *Data
	// Config is frozen as config.toml; a resumed run must have the same.
	Config any

	Steps    int // optimiser steps in all; the last sample may go a few beyond
	Schedule Schedule
	// Epochs counts instead of Steps and Schedule.Constant, where set.
	Epochs Epochs
	table  *Timetable // of Epochs
	Frames int        // frames a sample; 6 when zero
	Batch  int        // samples a batch; 1 when zero
	Seed   uint64     // of everything random here

	CheckpointSteps int           // steps from one checkpoint to the next; 1000 when zero
	CheckpointEvery time.Duration // and at most this between them; 10 minutes when zero
	Keep            int           // the last so many are kept, and the best; 3 when zero
	SheetSteps      int           // steps from one sample sheet to the next, one at the end of each epoch besides; 500 when zero, none when negative
	SheetFrames     int           // frames rendered for a sheet, which shows the last; Frames when zero
	MetricSteps     int           // steps from one line of metrics to the next; 1 when zero

	// Resume goes on in a folder that holds a run already. A folder that holds
	// none begins one.
	Resume bool
	// From is a checkpoint whose weights a new run begins with, as far as they
	// fit.
	From string
	// SaveModel makes the model file of the generator's state, at every
	// checkpoint and at the end.
	SaveModel func(path string, state []State) error
	// Validate scores the network before every checkpoint; higher is better.
	Validate func(ctx context.Context) (float64, error)
	// Video opens a sample video, which is made with every sample sheet where the
	// trainer is a Filmer; one that is there already is written over. Nil makes none.
	Video func(ctx context.Context, path string, w, h int) (video.Writer, error)
	// Events is told what goes on.
	Events func(Event)
	// Env is noted in env.json: device, precision.
	Env    map[string]string
	Logger *slog.Logger // beside run.log
}

// Schedule is the learning rate over the steps.
type Schedule struct {
	LR float64 // 2e-4 when zero
	// Constant is for how many steps it stays; then it falls in a straight line
	// to zero at the last step. Half of the steps when zero.
	Constant int
}

// Defaults of Options.
const (
	defaultLR = 2e-4 // vid2vid, pix2pixHD, pix2pix

	// Six frames are four that the generator made from its own frames alone,
	// where three are fed back, and a sample is still made in a moment.
	defaultSampleFrames = 6

	defaultCheckpointSteps = 1000
	defaultCheckpointEvery = 10 * time.Minute // what a crash may cost
	defaultKeep            = 3                // enough to step back from one that went wrong
	defaultSheetSteps      = 500
	sheetRows              = 3 // fixed samples, as many as a screen shows
)

func (o Options) resolved() (Options, error) {
	switch {
	case o.Dir == "":
		return o, errors.New("a run needs a folder")
	case o.Trainer == nil:
		return o, errors.New("a run needs a trainer")
	case o.Data == nil:
		return o, errors.New("a run needs data")
	case o.Steps <= 0 && o.Epochs == (Epochs{}):
		return o, fmt.Errorf("a run of %d steps does nothing", o.Steps)
	}
	orElse(&o.Schedule.LR, defaultLR)
	orElse(&o.Frames, defaultSampleFrames)
	orElse(&o.Batch, 1)
	if o.Epochs != (Epochs{}) {
		if err := o.Epochs.check(); err != nil {
			return o, err
		}
		o.table = NewTimetable(o.Epochs, o.Data, o.Seed, o.Batch, o.Frames)
		o.Steps = o.table.Steps(o.Epochs.count(), o.Trainer.Steps)
	}
	orElse(&o.Schedule.Constant, o.Steps/2)
	orElse(&o.CheckpointSteps, defaultCheckpointSteps)
	orElse(&o.CheckpointEvery, defaultCheckpointEvery)
	orElse(&o.Keep, defaultKeep)
	orElse(&o.SheetSteps, defaultSheetSteps)
	orElse(&o.SheetFrames, o.Frames)
	orElse(&o.MetricSteps, 1)
	if o.Events == nil {
		o.Events = func(Event) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Data.Windows(o.Frames) == 0 {
		return o, fmt.Errorf("no clip of the data has the %d frames of a sample", o.Frames)
	}
	if shown := o.shown(); o.SheetSteps > 0 && shown.Windows(o.SheetFrames) == 0 {
		return o, fmt.Errorf("no clip of the validation data has the %d frames of a sample sheet", o.SheetFrames)
	}
	return o, nil
}

// shown is the data that sample sheets are made of.
func (o Options) shown() *Data {
	if o.Validation != nil {
		return o.Validation
	}
	return o.Data
}

func orElse[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

func (o Options) plan() plan {
	p := plan{Seed: o.Seed, Steps: o.Steps, LR: o.Schedule.LR, Constant: o.Schedule.Constant,
		Frames: o.Frames, Batch: o.Batch, Data: o.Data.describe()}
	if o.table != nil {
		p.Epochs = &o.table.e
	}
	return p
}

// at is the learning rate of the step after so many.
func (p plan) at(step int) float64 {
	if step < p.Constant || p.Steps <= p.Constant {
		return p.LR
	}
	return p.LR * max(0, 1-float64(step-p.Constant)/float64(p.Steps-p.Constant))
}
