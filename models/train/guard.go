package train

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// ErrDiverged is wrapped where a loss or a weight has become useless.
var ErrDiverged = errors.New("training diverged")

// A loss diverges where it is no number, beyond maxLoss (GAN losses stay within
// some hundreds, floats square to 1e38), or at once a thousand times ten above
// what it has been. That needs a mean worth the name, and a loss that is not
// merely rising from nothing.
const (
	maxLoss    = 1e8
	maxJump    = 1e4
	jumpFrom   = 10
	jumpWarmup = 20 // steps
)

// smoothing keeps 98% of the running mean a step: about the last fifty count.
const smoothing = 0.98

// Mean is a running mean. It starts as a plain one, so that the first values
// do not count as the last fifty.
type Mean struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	N     int     `json:"n"`
}

func (m *Mean) add(v float64) {
	m.N++
	keep := min(smoothing, 1-1/float64(m.N))
	m.Value = keep*m.Value + (1-keep)*v
}

// lossMeans follow every term, in the order of first showing.
type lossMeans []Mean

// add checks a step's losses against what they have been, then takes them in.
func (ms *lossMeans) add(losses []Loss) error {
	for _, l := range losses {
		i := slices.IndexFunc(*ms, func(m Mean) bool { return m.Name == l.Name })
		if i < 0 {
			i = len(*ms)
			*ms = append(*ms, Mean{Name: l.Name})
		}
		m := &(*ms)[i]
		size := math.Abs(l.Value)
		switch {
		case math.IsNaN(size) || size > maxLoss:
			return fmt.Errorf("%w: loss %s is %g", ErrDiverged, l.Name, l.Value)
		case m.N >= jumpWarmup && size > jumpFrom && size > maxJump*math.Abs(m.Value):
			return fmt.Errorf("%w: loss %s jumped to %g from a mean of %g", ErrDiverged, l.Name, l.Value, m.Value)
		}
		m.add(l.Value)
	}
	return nil
}

func (ms lossMeans) losses() Losses {
	out := make(Losses, len(ms))
	for i, m := range ms {
		out[i] = Loss{m.Name, m.Value}
	}
	return out
}

// pace measures how fast steps go and how much of the time goes into waiting
// for samples.
type pace struct {
	last         time.Time
	step, waited Mean // seconds a step
	wait         time.Duration
}

// ran notes the end of a step.
func (p *pace) ran(now time.Time) {
	if !p.last.IsZero() {
		p.step.add(now.Sub(p.last).Seconds())
		p.waited.add(p.wait.Seconds())
	}
	p.last, p.wait = now, 0
}

// pause takes what happened since the last step, a checkpoint say, out of the
// measure.
func (p *pace) pause(d time.Duration) {
	if !p.last.IsZero() {
		p.last = p.last.Add(d)
	}
}

func (p *pace) rate() float64 {
	if p.step.Value <= 0 {
		return 0
	}
	return 1 / p.step.Value
}

func (p *pace) dataWait() float64 {
	if p.step.Value <= 0 {
		return 0
	}
	return p.waited.Value / p.step.Value
}
