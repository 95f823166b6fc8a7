package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/cvimg"
)

// modelOptions say what generates.
type modelOptions struct {
	path   string
	first  string
	style  styleOptions
	from   string // where first frames are read
	steady stabilise
	device deviceOptions
	spread bool // over every card that --device names

	clips clipOptions // how clips of first frames are read
	start int         // their first frame
}

func (o *modelOptions) flags(f *pflag.FlagSet, say sayer) {
	f.StringVar(&o.path, "model", "", "model file")
	f.StringVar(&o.first, "first", "", "picture taken as the frame before the first one")
	o.style.flags(f)
	f.StringVar(&o.from, "first-from", "", "go on from the first frames of: a real CLIP, or one of its name in a FOLDER; input, with --extract; zeros, which is nothing (default the model's image network, or nothing)")
	f.Var(&o.steady, "stabilise", "for long clips, with commas between: every=N begins anew every N frames, as at the start; cuts, at scene cuts; floor=X is the mask's lower bound, 0 to 1: what is new in each pixel, so that older errors die out")
	o.device.flags(f, say)
}

// machine is an open device with a model to run on it.
type machine struct {
	devs  []engine.Device // several cards take a batch's workers in turn
	model *models.Model
	first *video.Frame
	steps []*models.Lockstep // by device; nil where every clip runs alone
	seats []int              // by worker, the number of its device; nil: they take turns
	o     modelOptions
}

func (o modelOptions) open() (*machine, error) {
	m := &machine{o: o}
	var err error
	if m.model, err = openModel(o.path); err != nil {
		return nil, err
	}
	if err := errors.Join(o.style.check(m.model), o.checkFirst(m.model.Net.Needs())); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	if o.first != "" {
		if m.first, err = video.ReadImage(o.first); err != nil {
			return nil, errors.Join(usage("--first: %w", err), m.Close())
		}
	}
	if m.devs, err = o.devices(); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// devices opens what computes: every card of a list where a batch spreads over
// them, else one device.
func (o modelOptions) devices() ([]engine.Device, error) {
	if o.spread {
		return o.device.openAll()
	}
	d, err := o.device.open()
	if err != nil {
		return nil, err
	}
	return []engine.Device{d}, nil
}

// Close frees the device and the model; generators must be closed before.
func (m *machine) Close() error {
	var err error
	for _, d := range m.devs {
		err = errors.Join(err, d.Close())
	}
	return errors.Join(err, m.model.Close())
}

// note says where the control pictures are not what the model was trained on.
func (m *machine) note(extract string) []string {
	if about := m.model.Config.About.Extract; about != "" && extract != "" && about != extract {
		return []string{fmt.Sprintf("the model was trained on %s, not on %s", about, extract)}
	}
	return nil
}

// generator runs a model and gives every clip the first picture in its size.
type generator struct {
	m      *machine
	dev    engine.Device
	runner *models.Runner
	w, h   int // of the picture that runner was made with
	step   *models.Lockstep
	style  styleSource
	seeds  *seeder
}

func (m *machine) generator(worker int) *generator {
	seat := worker % len(m.devs)
	if m.seats != nil {
		seat = m.seats[worker]
	}
	g := &generator{m: m, dev: m.devs[seat], style: styleSource{o: m.o.style}}
	if m.steps != nil {
		g.step = m.steps[seat]
	}
	return g
}

// Start implements jobs.Generator.
func (g *generator) Start(ctx context.Context, info video.Info) (w, h int, err error) {
	whole := info
	info.Height /= g.m.model.Net.Needs().Tiles()
	g.seeds.close()
	if g.seeds, err = g.m.seeder(info); err != nil {
		return 0, 0, err
	}
	if g.runner == nil || g.m.first != nil && (g.w != info.Width || g.h != info.Height) {
		first := g.m.first
		if first != nil && (first.W != info.Width || first.H != info.Height) {
			first = video.NewFrame(info.Width, info.Height)
			if err := cvimg.Resize(first, g.m.first); err != nil {
				return 0, 0, fmt.Errorf("--first: %w", err)
			}
		}
		if err := g.stop(); err != nil {
			return 0, 0, err
		}
		g.runner = models.NewRunner(g.dev, g.m.model, g.runOptions(first))
		g.w, g.h = info.Width, info.Height
	}
	if g.m.o.style.from != "" {
		if err := g.style.start(ctx, size{info.Height, info.Width}); err != nil {
			return 0, 0, err
		}
	}
	return g.runner.Start(ctx, whole)
}

// Generate implements jobs.Generator.
func (g *generator) Generate(ctx context.Context, src, dst *video.Frame) error {
	return g.runner.Generate(ctx, src, dst)
}

// Finish implements jobs.Finisher.
func (g *generator) Finish() {
	if g.runner != nil {
		g.runner.Finish()
	}
}

// Close implements jobs.Generator.
func (g *generator) Close() error {
	g.seeds.close()
	return errors.Join(g.style.close(), g.stop())
}

func (g *generator) stop() error {
	if g.runner == nil {
		return nil
	}
	err := g.runner.Close()
	g.runner = nil
	return err
}

// identity names everything but the model that changes an output, for the
// records of a batch.
func identity(parts ...string) string { return fmt.Sprintf("%q", parts) }

// pictureHash tells pictures apart.
func pictureHash(f *video.Frame) string {
	return fmt.Sprintf("%dx%d %x", f.W, f.H, sha256.Sum256(f.Pix))
}
