package train

import (
	"context"
	"fmt"
	"math/rand/v2"
)

// Epochs is a schedule that counts passes over the data, as vid2vid's does. The
// learning rate, of every optimiser, stays for Constant epochs and then falls in
// a straight line over Decay. The zero value leaves Options.Steps in force.
type Epochs struct {
	Constant int `json:"constant"` // niter
	Decay    int `json:"decay"`    // niter_decay
	// Grow is after how many epochs samples become twice as long (niter_step);
	// 0 leaves them.
	Grow int `json:"grow"`
	// Longest is what they grow to (max_frames_total), 128 when zero; nor are
	// they longer than the longest clip. Of both Spare frames are left.
	Longest int `json:"longest"`
	Spare   int `json:"spare"`
	// Samples is how many are drawn in an epoch, from everywhere in the data.
	// When zero an epoch is one sample of each clip, of a clip that is shorter
	// than samples have become the whole.
	Samples int `json:"samples"`
}

const defaultLongest = 128 // the published bound

func (e Epochs) check() error {
	if e.count() < 1 || min(e.Constant, e.Decay, e.Grow, e.Longest, e.Spare, e.Samples) < 0 {
		return fmt.Errorf("a schedule of %d and %d epochs, growing every %d, of %d samples: give at least one epoch and nothing negative",
			e.Constant, e.Decay, e.Grow, e.Samples)
	}
	return nil
}

func (e Epochs) count() int { return e.Constant + e.Decay }

// factor is of the learning rate in an epoch.
func (e Epochs) factor(epoch int) float64 {
	if epoch < e.Constant || e.Decay == 0 {
		return 1
	}
	return 1 - float64(epoch-e.Constant)/float64(e.Decay)
}

// Timetable is which samples each epoch takes.
type Timetable struct {
	e      Epochs
	d      *Data
	seed   uint64
	batch  int
	frames int // of a sample, at first
	most   int // at last
}

// NewTimetable lays out the epochs of a run on d whose samples have so many
// frames at first.
func NewTimetable(e Epochs, d *Data, seed uint64, batch, frames int) *Timetable {
	orElse(&e.Longest, defaultLongest)
	t := &Timetable{e: e, d: d, seed: seed, batch: batch, frames: frames}
	longest := 0
	for _, c := range d.clips {
		longest = max(longest, c.n)
	}
	t.most = max(frames, min(e.Longest, longest)-e.Spare)
	return t
}

// Steps is how many optimiser steps the first epochs take, where a sample takes
// per(frames).
func (t *Timetable) Steps(epochs int, per func(frames int) int) int {
	n := 0
	for e := range epochs {
		for b := range t.batches() {
			_, frames := t.pick(e, b)
			n += per(frames)
		}
	}
	return n
}

// Longest is how many frames the longest sample of so many epochs has.
func (t *Timetable) Longest(epochs int) int { return t.length(epochs - 1) }

// batches is how many there are in an epoch.
func (t *Timetable) batches() int {
	n := t.e.Samples
	orElse(&n, len(t.d.clips))
	return (n + t.batch - 1) / t.batch
}

// epoch is which one sample i belongs to.
func (t *Timetable) epoch(i uint64) int { return int(i / uint64(t.batches()*t.batch)) }

// length is how long the samples of an epoch are.
func (t *Timetable) length(epoch int) int {
	n := t.frames
	for e := t.e.Grow; t.e.Grow > 0 && e <= epoch && n < t.most; e += t.e.Grow {
		n = min(2*n, t.most)
	}
	return n
}

// pick is what batch b of an epoch is drawn from: for each sample the one clip,
// or nil for all of them, and its length.
func (t *Timetable) pick(epoch, b int) (clips []*clip, frames int) {
	clips, frames = make([]*clip, t.batch), t.length(epoch)
	if t.e.Samples > 0 {
		return clips, frames
	}
	// Another stream than that of samples, which are numbered from 0.
	order := rand.New(rand.NewPCG(t.seed, ^uint64(epoch))).Perm(len(t.d.clips))
	for i := range clips {
		clips[i] = t.d.clips[order[(b*t.batch+i)%len(order)]]
		frames = min(frames, clips[i].n)
	}
	return clips, frames
}

// draw makes the batch that begins with sample first.
func (t *Timetable) draw(ctx context.Context, first uint64) ([]*Sample, error) {
	epoch := t.epoch(first)
	b := int(first%uint64(t.batches()*t.batch)) / t.batch
	clips, frames := t.pick(epoch, b)
	samples := make([]*Sample, t.batch)
	for i, c := range clips {
		from := t.d.clips
		if c != nil {
			from = []*clip{c}
		}
		var err error
		if samples[i], err = t.d.sample(ctx, from, first+uint64(i), t.seed, frames); err != nil {
			return nil, err
		}
	}
	return samples, nil
}
