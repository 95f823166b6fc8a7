package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/v2v/v2v/jobs"
	"github.com/v2v/v2v/models/train"
)

// trainConfig is the TOML of a training run. A run's folder has a copy of it,
// with the defaults written out.
type trainConfig struct {
	Model    string  `toml:"model,omitempty"` // vid2vid, or left out
	Steps    int     `toml:"steps"`
	Size     string  `toml:"size"`     // HxW cut out of larger pictures; "" takes them whole
	Frames   int     `toml:"frames"`   // of a sample
	Batch    int     `toml:"batch"`    // samples at a time
	Seed     uint64  `toml:"seed"`     // of everything random
	LR       float64 `toml:"lr"`       // learning rate
	Constant int     `toml:"constant"` // steps before it begins to fall; 0 is half of them
	Flip     bool    `toml:"flip"`     // mirror every other sample
	Half     bool    `toml:"half"`     // store the model's weights in 16 bits

	Confidence train.Confidence `toml:"flow_confidence,omitempty"` // where measured flow is right: consistency, which "" is too, or photometric

	CheckpointSteps int `toml:"checkpoint_steps"`
	SheetSteps      int `toml:"sheet_steps"` // -1 for no sample sheets

	ScheduleTOML
	ControlTOML
	ScalingTOML
	DatasetTOML
	train.Vid2VidConfig
}

// defaultTrain is a run that ends within an hour or two on a few cores.
func defaultTrain() trainConfig {
	return trainConfig{
		Steps: 10000, Frames: 6, Batch: 1, Seed: 1,
		LR:   2e-4, // vid2vid's
		Flip: true, Half: true, CheckpointSteps: 1000, SheetSteps: 500,
		Vid2VidConfig: train.DefaultVid2Vid(),
	}
}

// read fills a configuration in with what the file says, or of a run that is
// resumed the frozen one, and then with what --set says. A key it does not know
// is an error.
func (o *trainOptions) read(c any) error {
	if path := o.file(); path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return withCode(jobs.ExitUsage, fmt.Errorf("configuration: %w", err))
		}
		if err := decodeTOML("configuration "+path, text, c); err != nil {
			return err
		}
	}
	for _, set := range o.set {
		key, value, ok := strings.Cut(set, "=")
		if !ok {
			return usage("--set %q is not key=value", set)
		}
		if !isTOML(value) {
			value = strconv.Quote(value)
		}
		if err := decodeTOML("--set "+set, []byte(key+" = "+value), c); err != nil {
			return err
		}
	}
	return nil
}

// file is the configuration that is read, or "".
func (o *trainOptions) file() string {
	if o.config != "" || !o.resume {
		return o.config
	}
	frozen := filepath.Join(o.out, "config.toml")
	if _, err := os.Stat(frozen); err != nil {
		return ""
	}
	return frozen
}

// isTOML reports whether a value can stand as it is: a number, a truth value, a
// list, a quoted text.
func isTOML(value string) bool {
	var v map[string]any
	return toml.Unmarshal([]byte("v = "+value), &v) == nil
}

func decodeTOML(from string, text []byte, c any) error {
	err := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(c)
	var unknown *toml.StrictMissingError
	var at *toml.DecodeError
	line := 0
	switch {
	case err == nil:
		return nil
	case errors.As(err, &unknown):
		line, _ = unknown.Errors[0].Position()
		err = fmt.Errorf("unknown key %s", strings.Join(unknown.Errors[0].Key(), "."))
	case errors.As(err, &at):
		line, _ = at.Position()
	}
	if line > 0 && strings.HasPrefix(from, "configuration") {
		from = fmt.Sprintf("%s:%d", from, line)
	}
	return usage("%s: %w", from, err)
}

func (c *trainConfig) check() error {
	switch {
	case c.byEpochs() && c.Steps != 0:
		return usage("configuration: steps is %d, but niter and niter_decay count epochs; give one or the other", c.Steps)
	case c.Steps < 1 && !c.byEpochs():
		return usage("configuration: steps is %d; give at least 1", c.Steps)
	case c.Frames < 2:
		return usage("configuration: frames is %d; a sample has at least 2", c.Frames)
	case c.MaxFramesTotal > 0 && c.MaxFramesTotal < c.Frames:
		return usage("configuration: max_frames_total is %d, but samples have %d frames at first (frames): give as many or more", c.MaxFramesTotal, c.Frames)
	case c.Batch < 1:
		return usage("configuration: batch is %d; give at least 1", c.Batch)
	case !(c.LR > 0):
		return usage("configuration: lr is %g; give a positive learning rate", c.LR)
	case c.MaxBackpropagate > 0 && c.NiterStep == 0:
		return usage("configuration: max_frames_backpropagate is reached as samples grow: give niter_step too, or n_frames_bp for as many throughout")
	case c.Constant < 0 || c.CheckpointSteps < 1:
		return usage("configuration: constant is %d and checkpoint_steps %d; give at least 0 and 1", c.Constant, c.CheckpointSteps)
	}
	if c.Size != "" {
		if err := new(size).Set(c.Size); err != nil {
			return usage("configuration: size: %w", err)
		}
	}
	if err := c.Confidence.Validate(); err != nil {
		return usage("configuration: %w", err)
	}
	if err := c.checkScaling(); err != nil {
		return err
	}
	if err := c.checkDataset(); err != nil {
		return err
	}
	if err := c.ControlTOML.check(c.Generator.LabelNC); err != nil {
		return err
	}
	return c.ScheduleTOML.check()
}

// data is what the configuration says of samples.
func (c *trainConfig) data() train.DataOptions {
	var crop size
	if c.Size != "" {
		crop.Set(c.Size) // check has read it already
	}
	o := train.DataOptions{Frames: c.Frames, Flip: c.Flip, Crop: image.Pt(crop.W, crop.H), MaxStep: c.MaxTStep, Strides: c.Strides(),
		Scaling: c.scaling(c.numbers()), Confidence: c.Confidence}
	c.load(&o)
	c.beside(&o)
	return o
}

// motion reports whether some loss wants measured flow.
func (c *trainConfig) motion() bool {
	w := c.Weights
	return w.Flow > 0 || w.FlowWarp > 0 || w.Warp > 0 || w.Mask > 0 || w.Temporal > 0
}

// extractOf is how a data folder's control pictures were made, as far as
// v2v prepare has noted it.
func extractOf(dir string) string {
	b, err := os.ReadFile(filepath.Join(dir, recipeName))
	if err != nil {
		return ""
	}
	var r recipe
	if json.Unmarshal(b, &r) != nil {
		return ""
	}
	return r.Extract
}
