package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/v2v/v2v/jobs"
	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/cvimg"
)

// Values of --first-from that name no clip.
const (
	fromZeros = "zeros"
	fromInput = "input"
)

// checkFirst refuses first frames that cannot be, before work starts.
func (o modelOptions) checkFirst(needs models.Needs) error {
	steady := o.steady != (stabilise{})
	switch {
	case o.first != "" && o.from != "":
		return usage("--first and --first-from exclude one another: give one")
	case needs.Past == 0 && (o.first != "" || o.from != "" && o.from != fromZeros):
		return usage("a first frame is given, but the network of %s looks back at none", o.path)
	case needs.Past == 0 && steady:
		return usage("--stabilise: the network of %s looks back at no frames: it does not drift", o.path)
	case o.from == "" || o.from == fromZeros || o.from == fromInput:
		return nil
	}
	if _, err := os.Stat(o.from); err != nil {
		return usage("--first-from: %w; give a clip, a folder of clips, input or zeros", err)
	}
	return nil
}

// seeder reads the frames of a real clip that a network goes on from.
type seeder struct {
	clips clipOptions // how to read it
	start int         // frames of the clip that are left out
	path  string
	w, h  int

	open *clip
	n    int // frames read
}

// seeder is nil where first frames come from elsewhere.
func (m *machine) seeder(info video.Info) (*seeder, error) {
	path := m.o.from
	switch path {
	case "", fromZeros:
		return nil, nil
	case fromInput:
		path = info.Path
	}
	if partner, err := inFolder(path, stem(info.Path)); err != nil {
		return nil, usage("--first-from: %w", err)
	} else if partner != "" {
		path = partner
	}
	return &seeder{clips: m.o.clips, start: m.o.start, path: path, w: info.Width, h: info.Height}, nil
}

// inFolder finds the clip of a name in a folder of clips: nothing where path
// is a clip itself, a folder of stills included.
func inFolder(path, name string) (string, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return "", nil // a file, or what opening it will say
	}
	clips := false
	for _, e := range entries {
		if e.IsDir() || isVideo(e.Name()) {
			clips = true
			if stem(e.Name()) == name {
				return filepath.Join(path, e.Name()), nil
			}
		}
	}
	if clips {
		return "", fmt.Errorf("folder %s holds no clip %s", path, name)
	}
	return "", nil
}

// frame fills dst with frame t after the start.
func (s *seeder) frame(ctx context.Context, t int, dst *video.Frame) (err error) {
	if s.open == nil {
		if s.open, err = s.clips.plain(ctx, s.path); err != nil {
			return err
		}
	}
	for {
		f, err := s.open.Next(ctx)
		switch {
		case err == io.EOF:
			return withCode(jobs.ExitUnreadable, fmt.Errorf("--first-from %s ends after %d frames, before frame %d", s.path, s.n, s.start+t))
		case err != nil:
			return withCode(jobs.ExitUnreadable, fmt.Errorf("--first-from %s: %w", s.path, err))
		}
		s.n++
		if s.n <= s.start+t {
			f.Release()
			continue
		}
		err = fit(dst, f)
		f.Release()
		return err
	}
}

// fit copies a frame, resized where it must be.
func fit(dst, src *video.Frame) error {
	if dst.W == src.W && dst.H == src.H {
		copy(dst.Pix, src.Pix)
		return nil
	}
	return cvimg.Resize(dst, src)
}

// close closes the clip; stopped early it may well complain.
func (s *seeder) close() {
	if s != nil && s.open != nil {
		s.open.Close()
		s.open = nil
	}
}

// runOptions are those of a runner for clips of a size, but for the seeds.
func (g *generator) runOptions(first *video.Frame) models.RunOptions {
	o := models.RunOptions{Precision: g.m.o.device.precision, First: first, Blank: g.m.o.from == fromZeros, Steady: models.Steady(g.m.o.steady),
		Lockstep: g.step, Style: models.Style{Seed: g.m.o.style.seed}}
	if g.m.o.style.from != "" {
		o.Style.Real = g.style.next
	}
	if g.m.o.from != "" && g.m.o.from != fromZeros {
		o.Seed = func(ctx context.Context, t int, dst *video.Frame) error { return g.seeds.frame(ctx, t, dst) }
	}
	return o
}

// joinFirst adds the image network of a file to a video model.
func joinFirst(out, path, first string) (err error) {
	v, err := openModel(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.Close()) }()
	f, err := openModel(first)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return withCode(exitModel, models.WithFirst(out, v, f))
}

// isV2V reports whether a file is a model of v2v's own, not a checkpoint.
func isV2V(path string) bool {
	m, err := models.Open(path)
	if err != nil {
		return false
	}
	m.Close()
	return true
}

// joined is the event that says what import has put together.
type joined struct {
	Event  string `json:"event"`
	Output string `json:"output"`
	Video  string `json:"network"`
	First  string `json:"first_network"`
}

func (a *app) tellJoined(out string) (err error) {
	m, err := openModel(out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	a.say("%s: %s, with %s for first frames", out, m.Config.Network, m.Config.First.Network)
	if !a.json {
		return nil
	}
	return a.event(joined{"joined", out, m.Config.Network, m.Config.First.Network})
}
