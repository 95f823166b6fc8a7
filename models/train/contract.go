package train

import (
	"context"

	"github.com/v2v/v2v/flow"
	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/video"
)

// Sample is one training sample: T consecutive frames of one clip, all of the
// training size. A is what the network sees, B what it should make of it; the
// pictures that a control picture consists of lie below one another in A.
// Flow[t] is the measured backward flow from B[t] to B[t-1] and Visible[t] is
// 1 where that flow holds and 0 where it is occluded, (H,W); both are nil at
// t = 0 and throughout where the trainer does not want them.
type Sample struct {
	Clip  string // where the frames are from
	Start int    // number of the first one there

	A, B    []*video.Frame
	Flow    []*flow.Field
	Visible [][]float32
	// Far is by a number of frames the flow from each to that many before.
	Far map[int][]*flow.Field

	instances bool // the last picture of A is one of instances
}

// Input is a picture of A[t] for a person to look at: of several all over one
// another, but for that of instances, and of the planes of a face the curves.
func (s *Sample) Input(t int) *video.Frame {
	a, b := s.A[t], s.B[t]
	if a.H == b.H {
		return a
	}
	f, n := video.NewFrame(b.W, b.H), a.H/b.H
	copy(f.Pix, a.Pix)
	if n >= facePictures {
		for i := 0; i < len(f.Pix); i += 3 {
			f.Pix[i+1], f.Pix[i+2] = f.Pix[i], f.Pix[i]
		}
		return f
	}
	if s.instances {
		n--
	}
	for i, v := range a.Pix[:n*len(f.Pix)] {
		f.Pix[i%len(f.Pix)] = max(f.Pix[i%len(f.Pix)], v)
	}
	return f
}

// facePictures are those that 15 planes fill.
const facePictures = 5

// Loss is one term of a step's losses, in the order it is shown.
type Loss struct {
	Name  string
	Value float64
}

// Rates is what the schedule sets for a step.
type Rates struct {
	LR   float64 // learning rate of the generator and the image discriminator
	Step int     // optimiser steps done before this one, from 0
}

// Trainer trains one network. A step is one update of the generator and its
// discriminators; a sample of T frames takes Steps(T) of them.
type Trainer interface {
	// Steps is the number of optimiser steps that a sample of t frames takes.
	Steps(t int) int
	// Train takes those steps on the samples of one batch, all of one length,
	// calling report after each. It stops at the first error of report or ctx.
	Train(ctx context.Context, batch []*Sample, r Rates, report func([]Loss) error) error
	// Render runs the generator over a sample as convert would and returns
	// what a person wants to see of its last frame, by name, in the order of
	// display: input, fake, real, flow, mask.
	Render(ctx context.Context, s *Sample) ([]Picture, error)
	// State lists every buffer a checkpoint needs, by unique name: weights,
	// optimisers' moments. Weights of the generator come first.
	State() []State
	// Close frees the device's memory.
	Close() error
}

// Picture is a labelled frame of a sample sheet.
type Picture struct {
	Label string
	Frame *video.Frame
}

// State is one named buffer of a trainer. Model says that it belongs to the
// generator's weights, which alone go into the final model file.
type State struct {
	Name   string
	Model  bool
	Buffer engine.Buffer
}
