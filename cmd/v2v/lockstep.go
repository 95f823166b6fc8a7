package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/pflag"

	"github.com/v2v/v2v/jobs"
	"github.com/v2v/v2v/models"
)

// lockstep is the value of --lockstep: how many clips of one size run as one
// batch; 0 for clips that run alone.
type lockstep int

const (
	lockstepAuto lockstep = -1
	// mostLockstep is what auto goes up to. A network fills the machine with
	// less; more rows than that take memory only.
	mostLockstep = 8
)

func (o *batchOptions) lockstepFlags(f *pflag.FlagSet) {
	f.Var(&o.lockstep, "lockstep", "run N clips of one size as one batch on each device, or auto: as many as there are and memory holds, 8 at most; outputs are the same")
	f.Var(&o.memory, "memory-limit", "of --lockstep auto, like 6G (default half of what is free)")
}

// String implements pflag.Value.
func (l *lockstep) String() string {
	switch *l {
	case 0:
		return ""
	case lockstepAuto:
		return "auto"
	}
	return strconv.Itoa(int(*l))
}

// Type implements pflag.Value.
func (*lockstep) Type() string { return "N" }

// Set implements pflag.Value.
func (l *lockstep) Set(text string) error {
	if text == "auto" {
		*l = lockstepAuto
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 64 {
		return fmt.Errorf("%q: give 1 to 64, or auto", text)
	}
	*l = lockstep(n)
	return nil
}

// align makes the machine run clips in lockstep, as many as there are of one
// size, and returns what clips have in common that should run together.
func (o *batchOptions) align(ctx context.Context, a *app, m *machine, plan *jobs.Plan) (func(jobs.Item) string, error) {
	if o.lockstep == 0 {
		return nil, nil
	}
	sizes, err := o.sizes(ctx, plan)
	if err != nil {
		return nil, err
	}
	counts := map[size]int{}
	var worst size // the largest that there is more than one of
	most := 1
	for _, s := range sizes {
		counts[s]++
		if most = max(most, counts[s]); counts[s] > 1 && s.H*s.W > worst.H*worst.W {
			worst = s
		}
	}
	n := min(int(o.lockstep), (most+len(m.devs)-1)/len(m.devs))
	about := ""
	if o.lockstep == lockstepAuto {
		if n, about, err = o.fitting(m, worst, min(mostLockstep, (most+len(m.devs)-1)/len(m.devs))); err != nil {
			return nil, err
		}
	}
	if n == 1 {
		a.say("lockstep: every clip runs alone%s", about)
	} else {
		a.say("lockstep: %d clips of one size at a time%s", n, about)
	}
	for range m.devs {
		m.steps = append(m.steps, models.NewLockstep(n))
	}
	o.workers = n * len(m.devs)
	return func(it jobs.Item) string {
		s := sizes[it.Rel]
		return s.String()
	}, nil
}

// sizes are those of the pictures that a network sees, by output, of the clips
// that there is work on. What cannot be opened is none: it fails when its turn
// comes.
func (o *batchOptions) sizes(ctx context.Context, plan *jobs.Plan) (map[string]size, error) {
	sizes := map[string]size{}
	for _, it := range plan.Items {
		if it.Action != jobs.ActionRun && it.Action != jobs.ActionRedo {
			continue
		}
		if o.clip.size != (size{}) {
			sizes[it.Rel] = o.clip.size
			continue
		}
		c, err := o.clip.plain(ctx, it.Input)
		if ctx.Err() != nil {
			return nil, errors.Join(context.Cause(ctx), err)
		}
		if err != nil {
			continue
		}
		i := c.Info()
		c.Close() // nothing was read
		if o.clip.tiles.stacked {
			i.Height /= o.clip.tiles.count()
		}
		if o.clip.face.crop {
			if square, err := o.clip.face.square(it.Input, i, false); err == nil {
				i.Width, i.Height = square.Dx(), square.Dy()
			}
		}
		sizes[it.Rel] = size{H: i.Height, W: i.Width}
	}
	return sizes, nil
}

// fitting is how many clips of a size run together in memory, most at most, and
// what to say of it.
func (o *batchOptions) fitting(m *machine, of size, most int) (n int, about string, err error) {
	if most == 1 {
		return 1, "", nil
	}
	limit, what := int64(o.memory), "allowed"
	if limit == 0 {
		if limit, err = m.freeMemory(); err != nil {
			return 0, "", fmt.Errorf("--lockstep auto: %w; give --memory-limit", err)
		}
		limit, what = limit/2, "that are half of what is free"
	}
	f, err := m.footprint(of)
	if err != nil {
		return 0, "", err
	}
	for n = most; ; n-- {
		need, err := m.together(f, n, of)
		if err != nil {
			return 0, "", err
		}
		if need <= limit || n == 1 {
			return n, fmt.Sprintf(", about %d MB of the %d MB %s", need>>20, limit>>20, what), nil
		}
	}
}
