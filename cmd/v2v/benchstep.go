package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/v2v/v2v/flow"
	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/train"
	"github.com/v2v/v2v/video"
)

// stepWarmUp is how many frames of a clip come before those that are timed:
// the first has no past, and the next ones pay for memory.
const stepWarmUp = 3

// timeSteps times full steps of a vid2vid trainer: the benchmark's generator,
// and discriminators as wide.
func (o benchOptions) timeSteps(ctx context.Context, a *app) (err error) {
	if o.model != "" || o.arch != "composite" || o.train || o.profile {
		return usage("--step measures --arch composite, without --train and --profile")
	}
	if o.runs < leastRuns {
		return usage("--runs %d: give %d or more, or the median says little", o.runs, leastRuns)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(garbage)) // as where a network is trained
	net, err := o.network()
	if err != nil {
		return err
	}
	g := net.(*models.Vid2Vid)
	need := g.Needs()
	c := train.DefaultVid2Vid()
	c.Generator, c.D.NDF = *g, g.NGF
	c.Height, c.Width, c.Batch, c.Seed = models.Padded(o.size.H, need.Stride), models.Padded(o.size.W, need.Stride), 1, 1
	dev, err := o.device.precise()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	began := time.Now()
	v, err := train.NewVid2Vid(dev, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.Close()) }()
	r := benchReport{Event: "bench", Name: o.arch, Device: dev.Name(), Size: o.size.String(), Compile: time.Since(began).Seconds()}
	last := time.Now()
	n := 0
	err = v.Train(ctx, []*train.Sample{noise(c.Height, c.Width, stepWarmUp+o.runs)}, train.Rates{LR: 2e-4}, func([]train.Loss) error {
		if n++; n > stepWarmUp {
			r.Runs = append(r.Runs, float64(time.Since(last))/1e6)
		}
		last = time.Now()
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	r.PerStep, r.PeakRSS = median(r.Runs), peakRSS()
	for _, s := range v.State() {
		if s.Model {
			r.Parameters += s.Buffer.Shape().TotalSize()
		}
	}
	return a.printBench(r)
}

// noise is a clip of random pictures with random small motion.
func noise(h, w, frames int) *train.Sample {
	rng := rand.New(rand.NewPCG(1, 2))
	s := &train.Sample{Clip: "noise"}
	picture := func() *video.Frame {
		f := video.NewFrame(w, h)
		for i := range f.Pix {
			f.Pix[i] = byte(rng.Uint32())
		}
		return f
	}
	for range frames {
		s.A, s.B = append(s.A, picture()), append(s.B, picture())
		f, seen := flow.NewField(w, h), make([]float32, h*w)
		for i := range seen {
			seen[i] = 1
		}
		for i := range f.U {
			f.U[i], f.V[i] = rng.Float32()*4-2, rng.Float32()*4-2
		}
		s.Flow, s.Visible = append(s.Flow, f), append(s.Visible, seen)
	}
	return s
}
