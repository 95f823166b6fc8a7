package ffio

import (
	"errors"
	"fmt"
	"time"

	"github.com/v2v/v2v/video"
)

// maxLead is the longest wait before the first picture that is kept. A clip cut
// from a broadcast may begin at ten hours; it then begins at zero, sound and
// picture together.
const maxLead = time.Second

// clock turns a frame's PTS or number into its time in the output.
type clock struct {
	rate video.Rational // frames a second, the mean where they vary
	out  video.Rational // tick of the output, numerator 1

	counted bool           // frame i stands at i/rate: there is no source, or ...
	snap    bool           // PTS is rounded to the nearest i/rate
	in      video.Rational // tick of the PTS
	first   int64          // PTS of the source's first frame
	origin  int64          // output ticks at that PTS, before lead

	shift time.Duration // taken from every time of the source
	lead  time.Duration // added on the pipe, which knows no times below zero, and taken off by ffmpeg
}

// newClock picks the output's clock. Steady clips whose container rounds times
// (Matroska, to the millisecond) are set right on the grid of their rate, so
// that 30000/1001 stays 30000/1001; all others keep each tick.
func newClock(o WriteOptions, container string) (clock, error) {
	s := o.Source
	if s == nil || len(s.Times) == 0 {
		c := clock{rate: o.Rate, counted: true}
		if s != nil && s.Rate.Num > 0 {
			c.rate = s.Rate
		}
		if c.rate.Num == 0 {
			c.rate = defaultRate
		}
		if c.rate.Num < 0 || c.rate.Den <= 0 {
			return clock{}, fmt.Errorf("frame rate %s is not usable", c.rate)
		}
		c.out = video.Rational{Num: 1, Den: c.rate.Num}
		return c, nil
	}
	if s.TimeBase.Num <= 0 || s.TimeBase.Den <= 0 || s.Rate.Num <= 0 || s.Rate.Den <= 0 {
		return clock{}, errors.New("the source's clock is unknown: probe it first")
	}
	c := clock{rate: s.Rate, in: s.TimeBase, first: s.Times[0]}
	if s.Start > maxLead {
		c.shift = s.Start.Truncate(time.Microsecond)
	}
	step := reduce(s.Rate.Den*s.TimeBase.Den, s.Rate.Num*s.TimeBase.Num) // ticks a frame
	if avi := container == "avi"; avi && s.Variable {
		return clock{}, errors.New("the source's frame rate varies, which .avi cannot hold: choose .mp4 or .mkv")
	} else if !s.Variable && (step.Den != 1 || avi) {
		c.snap = true
		c.out = video.Rational{Num: 1, Den: s.Rate.Num}
		if avi { // begins at zero, or its muxer tears the first frame from the second
			c.shift = toDuration(c.first, s.TimeBase)
		}
	} else {
		c.out = video.Rational{Num: 1, Den: s.TimeBase.Den}
	}
	c.setOrigin()
	return c, nil
}

func toDuration(ticks int64, tb video.Rational) time.Duration {
	return time.Duration(rescale(ticks, nanosecond*tb.Num, tb.Den))
}

// setOrigin places the first frame on the output's clock and finds the lead that
// keeps every time on the pipe positive.
func (c *clock) setOrigin() {
	c.origin = rescale(c.first, c.in.Num*c.out.Den, c.in.Den) - rescale(int64(c.shift), c.out.Den, nanosecond)
	if c.origin < 0 {
		ns := -rescale(c.origin, nanosecond, c.out.Den)
		c.lead = (time.Duration(ns) + time.Second - 1).Truncate(time.Second)
	}
}

// ticks is where frame i with the given PTS stands on the output's clock.
func (c *clock) ticks(i int, pts int64) int64 {
	switch {
	case c.counted:
		return int64(i) * c.rate.Den
	case c.snap:
		n := rescale(pts-c.first, c.in.Num*c.rate.Num, c.in.Den*c.rate.Den)
		return c.origin + n*c.rate.Den
	}
	return c.origin + rescale(pts-c.first, c.in.Num, 1)
}

// nanos is the time on the pipe of a tick of the output.
func (c *clock) nanos(tick int64) int64 {
	return rescale(tick, nanosecond, c.out.Den) + int64(c.lead)
}

// encoder is the tick that the encoder counts in. AVI has one for each frame.
func (c *clock) encoder(container string) string {
	if container == "avi" {
		return fmt.Sprintf("%d/%d", c.rate.Den, c.rate.Num)
	}
	return fmt.Sprintf("%d/%d", c.out.Num, c.out.Den)
}

// timescale is the output track's in MP4: a multiple of the clock's of at least
// 10000, as ffmpeg chooses.
func (c *clock) timescale() int64 {
	t := c.out.Den
	for t < 10000 {
		t *= 2
	}
	return t
}
