package models

import (
	"fmt"

	"github.com/v2v/v2v/video"
)

// Steady says how a long clip is kept from drifting: every frame is made of
// those before, so that errors grow. The zero value leaves it as it is.
type Steady struct {
	Every int     // begin anew every so many frames; 0 never
	Cuts  bool    // begin anew where the control pictures change at once
	Floor float32 // what is hallucinated of every pixel at least: the mask's lower bound, 0 to 1
}

func (s Steady) validate() error {
	switch {
	case s.Every < 0:
		return fmt.Errorf("begin anew every %d frames; give a number above 0", s.Every)
	case !(s.Floor >= 0 && s.Floor <= 1):
		return fmt.Errorf("mask floor %g; give 0 to 1", s.Floor)
	}
	return nil
}

// A cut changes this share of a control picture at least, and so many times
// what the frames before changed on average.
const (
	cutShare  = 0.08
	cutFactor = 3
	cutLevels = 24 // a byte that differs by no more has not changed
)

// cutter finds scene cuts in control pictures.
type cutter struct {
	before []byte
	mean   float64 // share that changed from frame to frame since the last cut
	n      int     // frames that mean is of
	levels int     // 0 for index pictures, where every change counts
}

// cut reports whether a scene begins with a frame.
func (c *cutter) cut(f *video.Frame) bool {
	changed := 0
	for i, b := range c.before {
		if d := int(f.Pix[i]) - int(b); d > c.levels || -d > c.levels {
			changed++
		}
	}
	first := c.before == nil
	c.before = append(c.before[:0], f.Pix...)
	if first {
		return false
	}
	share := float64(changed) / float64(len(f.Pix))
	if c.n > 0 && share > cutShare && share > cutFactor*c.mean {
		c.mean, c.n = 0, 0
		return true
	}
	c.n++
	c.mean += (share - c.mean) / float64(c.n)
	return false
}

// renew begins anew where it is time to, before the frame of src is made.
func (r *Runner) renew(src *video.Frame) error {
	s := r.o.Steady
	cut := s.Cuts && r.cuts.cut(src)
	if r.t == 0 || !cut && (s.Every == 0 || r.age() < s.Every) {
		return nil
	}
	if cut {
		r.shown = r.t
	}
	r.began = r.t
	return r.seed()
}

// age is how many frames there are since the network began with nothing, or
// with what it was given.
func (r *Runner) age() int { return r.t - r.began }
