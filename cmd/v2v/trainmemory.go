package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/v2v/v2v/models/train"
)

// memory is a flag of bytes: 800M, 6G, 6GiB.
type memory int64

func (m *memory) String() string {
	if *m == 0 {
		return ""
	}
	return fmt.Sprintf("%dM", *m>>20)
}

// Type names the flag's value in help.
func (*memory) Type() string { return "size" }

// Set reads a number and its unit, M or G.
func (m *memory) Set(s string) error {
	number := strings.TrimSuffix(strings.TrimSuffix(strings.ToUpper(s), "B"), "I")
	shift := 0
	if n, ok := strings.CutSuffix(number, "G"); ok {
		number, shift = n, 30
	} else if n, ok := strings.CutSuffix(number, "M"); ok {
		number, shift = n, 20
	}
	x, err := strconv.ParseFloat(number, 64)
	if bytes := x * float64(int64(1)<<shift); err == nil && shift > 0 && bytes >= 1<<20 && bytes < 1<<50 {
		*m = memory(bytes)
		return nil
	}
	return fmt.Errorf("%q is no size like 800M or 6G", s)
}

// garbage is how large the collector lets it grow while a network is trained, in
// percent of what lives: the data, which do all along and hold no pointers to
// follow. By Go's own 100 a clip of 126 MiB, 144x192, took 838 MiB after 400 steps
// at ngf 16, by this 697 MiB, in no more time.
const garbage = 20

// kept is how many bytes the data take, garbage included.
func (s *session) kept() int64 {
	n := s.data.Memory()
	if s.held != nil {
		n += s.held.Memory()
	}
	return n + n*garbage/100
}

// settled is the configuration of training on the data as it was read, and the
// most frames that a sample will have.
func (s *session) settled() (v train.Vid2VidConfig, frames int) {
	v = s.c.Vid2VidConfig
	v.Width, v.Height = s.data.Size()
	v.Batch, v.Seed = s.c.Batch, s.c.Seed
	s.steps, frames = s.c.Steps, s.c.Frames
	if !s.c.byEpochs() {
		return v, frames
	}
	table, epochs := train.NewTimetable(s.c.epochs(), s.data, s.c.Seed, s.c.Batch, s.c.Frames), s.c.Niter+s.c.NiterDecay
	s.steps = table.Steps(epochs, v.Steps)
	if n := s.c.NiterFixGlobal; n > 0 {
		v.FixGlobal = table.Steps(min(n, epochs), v.Steps)
	}
	for e := s.c.NiterStep; v.MaxBackpropagate > 0 && e < epochs; e += s.c.NiterStep {
		v.Grows = append(v.Grows, table.Steps(e, v.Steps))
	}
	return v, table.Longest(epochs)
}

// fit settles the configuration, with what has to be smaller for it to fit into
// the memory limit. What is chosen is frozen with the run.
func (s *session) fit(ctx context.Context) (train.Vid2VidConfig, error) {
	v, frames := s.settled()
	if err := v.Validate(); err != nil {
		return v, usage("configuration: %w", err)
	}
	if s.o.memory == 0 {
		return v, nil
	}
	data := s.kept()
	small, err := v.Fit(int64(s.o.memory)-data, frames)
	if err != nil && data > 1<<20 {
		err = fmt.Errorf("%w beside %d MiB of data", err, data>>20)
	}
	if err != nil {
		return v, usage("--memory-limit %s: %w; a smaller ngf, batch or n_scales_spatial takes less", s.o.memory.String(), err)
	}
	var said []string
	if small.Recompute != v.Recompute {
		s.c.Recompute = true
		said = append(said, "activations made again, not kept (recompute)")
	}
	if small.Chunk != v.Chunk {
		said = append(said, fmt.Sprintf("chunk %d instead of %d", small.Chunk, v.Chunk))
	}
	s.c.Chunk, s.c.Backpropagate = small.Chunk, small.Backpropagate
	if small.Height != v.Height && s.c.Mode != "" {
		return v, usage("--memory-limit %s: samples of %dx%d do not fit, of %dx%d they do: give a smaller loadSize and fineSize",
			s.o.memory.String(), v.Height, v.Width, small.Height, small.Width)
	}
	if small.Height != v.Height {
		size := &size{small.Height, small.Width}
		s.c.Size = size.String()
		said = append(said, fmt.Sprintf("samples of %s instead of %dx%d", s.c.Size, v.Height, v.Width))
		if err := s.data.Close(); err != nil {
			return v, err
		}
		if s.held != nil {
			if err := s.held.Close(); err != nil {
				return v, err
			}
		}
		if err := s.read(ctx); err != nil {
			return v, err
		}
	}
	if len(said) == 0 {
		return v, nil
	}
	s.a.say("to fit into %s: %s", s.o.memory.String(), strings.Join(said, ", "))
	v, _ = s.settled()
	return v, nil
}
