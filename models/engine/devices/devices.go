// Package devices opens a compute device by the name a user gives. It is the
// only importer of the devices themselves.
package devices

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/cpu"
	"github.com/v2v/v2v/models/engine/ref"
)

// Options for Open.
type Options struct {
	// Threads that the cpu device computes with; 0 takes every processor.
	Threads int
}

// Open returns the device called name: "cpu" (oneDNN), "ref" (plain Go), or
// "auto", the fastest that this build and machine have.
func Open(name string, o Options) (engine.Device, error) {
	switch name {
	case "", "auto":
		d, err := cpu.Open(cpu.Options{Threads: o.Threads})
		if errors.Is(err, engine.ErrUnsupported) {
			return ref.Open(), nil
		}
		return d, err
	case "cpu":
		return cpu.Open(cpu.Options{Threads: o.Threads})
	case "ref":
		return ref.Open(), nil
	}
	return nil, fmt.Errorf("device %q is none of auto, cpu, ref", name)
}

// Description is what `v2v devices` says of one device.
type Description struct {
	Name  string `json:"name"`
	OK    bool   `json:"ok"`
	About string `json:"about"` // what it runs on, or why it does not
}

// List describes every device, usable or not.
func List() []Description {
	all := []Description{{Name: "ref", OK: true, About: "plain Go, the reference; slow"}}
	c := Description{Name: "cpu", OK: true, About: fmt.Sprintf("oneDNN, %d threads", runtime.GOMAXPROCS(0))}
	d, err := cpu.Open(cpu.Options{})
	if err != nil {
		c.OK, c.About = false, err.Error()
	} else if err := d.Close(); err != nil {
		c.OK, c.About = false, err.Error()
	}
	return append([]Description{c}, all...)
}
