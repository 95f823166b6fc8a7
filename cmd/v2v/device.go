package main

import (
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/devices"
)

// deviceOptions say what computes.
type deviceOptions struct {
	name      string
	threads   int
	precision engine.Precision
	say       sayer
}

// sayer tells the user something in a line.
type sayer func(format string, args ...any)

func (d *deviceOptions) flags(f *pflag.FlagSet, say sayer) {
	d.say = say
	f.StringVar(&d.name, "device", "auto", "auto, cuda:0, cpu or ref")
	f.IntVar(&d.threads, "threads", 0, "processors that compute; 0 takes all")
	f.Var((*precision)(&d.precision), "precision", "what convolutions compute in: f32, or bf16 where the processor has it; tf32 on cards")
}

func (d *deviceOptions) open() (engine.Device, error) {
	dev, err := devices.Open(d.name, d.options())
	return dev, d.failed(err)
}

// precise opens a device that computes in the precision asked for.
func (d *deviceOptions) precise() (engine.Device, error) {
	dev, err := d.open()
	if err != nil {
		return nil, err
	}
	return engine.Precise(dev, d.precision), nil
}

// env is what a run notes of the device that it has opened.
func (d *deviceOptions) env(name string) map[string]string {
	return map[string]string{"device": name, "threads": fmt.Sprint(d.threads), "precision": (*precision)(&d.precision).String()}
}

// openAll opens every card of a list, or the one device.
func (d *deviceOptions) openAll() ([]engine.Device, error) {
	all, err := devices.OpenAll(d.name, d.options())
	return all, d.failed(err)
}

func (d *deviceOptions) options() devices.Options {
	return devices.Options{Threads: d.threads, Notice: func(text string) {
		if d.say != nil {
			d.say("%s", text)
		}
	}}
}

// failed gives an error of opening its exit code.
func (d *deviceOptions) failed(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, engine.ErrUnsupported), errors.Is(err, devices.ErrCard):
		return withCode(exitResources, err)
	}
	return usage("--device %s: %w", d.name, err)
}

// precision is the value of --precision.
type precision engine.Precision

// String implements pflag.Value.
func (p *precision) String() string {
	return [...]string{engine.Float32: "f32", engine.BFloat16: "bf16", engine.TF32: "tf32"}[*p]
}

// Type implements pflag.Value.
func (p *precision) Type() string { return "P" }

// Set implements pflag.Value.
func (p *precision) Set(text string) error {
	v, err := engine.ParsePrecision(text)
	*p = precision(v)
	return err
}

// openModel opens a model file; whatever is wrong with it has one exit code.
func openModel(path string) (*models.Model, error) {
	if path == "" {
		return nil, usage("give --model FILE.safetensors")
	}
	m, err := models.Open(path)
	if err != nil {
		if p, perr := models.OpenPicture(path); perr == nil {
			err = errors.Join(fmt.Errorf("model %s: a %s makes pictures of codes, not frames of a clip: use v2v sample", path, p.Config.Network), p.Close())
		}
		return nil, withCode(exitModel, err)
	}
	return m, nil
}
