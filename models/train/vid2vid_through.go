package train

import (
	"errors"
	"slices"
)

// Gradients through time that grow over a run (max_frames_backpropagate of the
// published code): they go back over one frame of a chunk at first, and over
// twice as many each time that samples have become longer.

// back is over how many frames of a whole chunk they go, at the step after so
// many.
func (c Vid2VidConfig) back(done int) int {
	if c.MaxBackpropagate == 0 {
		return max(1, c.Backpropagate)
	}
	n := 1
	for _, at := range c.Grows {
		if done >= at {
			n = min(2*n, c.MaxBackpropagate, c.chunk())
		}
	}
	return n
}

// phase is what of the kinds of chunks changes over a run.
type phase struct {
	fixed bool
	back  int
}

func (c Vid2VidConfig) phase(done int) phase { return phase{done < c.FixGlobal, c.back(done)} }

// phases lists those that a run comes through.
func (c Vid2VidConfig) phases() []phase {
	var all []phase
	for _, done := range append([]int{0, c.FixGlobal}, c.Grows...) {
		if p := c.phase(done); !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	return all
}

// through is the kind with gradients that go back over so many frames, or over
// all that there are.
func (k kind) through(back int) kind {
	k.back = min(back, k.frames())
	return k
}

// judges is the kind of the discriminators' programs, to which it is all the same
// how the generator learns.
func (k kind) judges() kind {
	k.fixed, k.back = false, 1
	return k
}

// kind is that of the n frames from t on, at the step after so many.
func (v *Vid2Vid) kind(t, n, done int) kind {
	p := v.c.phase(done)
	return kindAt(v.time, t, n, p.fixed).through(p.back)
}

// outgrow frees the programs that the run has left behind.
func (v *Vid2Vid) outgrow(done int) error {
	var errs []error
	for k, s := range v.g {
		if k.through(v.c.back(done)) != k && s.exe != nil {
			errs = append(errs, s.exe.Close())
			s.exe = nil
		}
	}
	return errors.Join(errs...)
}

// lateAdam is the optimiser of parameters that learn through time alone, those
// which make the pictures of a coarser scale, where that begins late: Adam's
// corrections count steps from a parameter's first gradient on.
const lateAdam = "gtadam"

// late reports whether there may be such parameters.
func (c Vid2VidConfig) late() bool {
	return len(c.Grows) > 0 && min(c.MaxBackpropagate, c.chunk(), c.Generator.Needs().Scales) > 1
}

// lateSteps is how many steps that optimiser has taken before the one after so many.
func (c Vid2VidConfig) lateSteps(done int) int {
	every := c.accumulate()
	return max(0, done/every-max(c.FixGlobal, c.Grows[0])/every)
}

// optimiser tells for a kind of chunk which one moves a parameter.
func (g vid2vidGraphs) optimiser(k kind) (func(name string) string, error) {
	soon := map[string]bool{}
	if !g.c.late() || k.back == 1 {
		return func(string) string { return "adam" }, nil
	}
	t := g.start()
	params, _, _ := g.film(t, k.through(1))
	for _, p := range t.b.Reached(t.total(), params) {
		soon[p.Name] = true
	}
	return func(name string) string {
		if soon[name] {
			return "adam"
		}
		return lateAdam
	}, t.b.Err()
}
