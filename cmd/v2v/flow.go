package main

import (
	"context"
	"errors"
	"math"

	"github.com/spf13/cobra"

	"github.com/v2v/v2v/flow"
	"github.com/v2v/v2v/flow/cvflow"
	"github.com/v2v/v2v/jobs"
	"github.com/v2v/v2v/video"
)

func newFlow(a *app) *cobra.Command {
	var o convertOptions
	var out string
	var longest float64
	c := &cobra.Command{
		Use:   "flow IN -o OUT",
		Short: "Draw a clip's optical flow",
		Long: `Measures the flow from every frame to the one before it and draws it on the
Middlebury colour wheel: hue is direction, saturation is length. The first frame
has no flow and is white.`,
		Example: `  v2v flow walk.mp4 -o flow.mp4
  v2v flow walk.mp4 -o flow/ --longest 8 --frames 50`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return runFlow(c.Context(), a, o, args[0], out, longest)
		},
	}
	f := c.Flags()
	f.StringVarP(&out, "output", "o", "", "video file or folder of PNGs to write")
	f.Float64Var(&longest, "longest", 0, "pixels a frame of full colour (default: a hundredth of the diagonal)")
	f.BoolVar(&o.sink.overwrite, "overwrite", false, "replace an output that exists")
	o.clip.flags(f)
	o.clip.sizeFlag(f)
	o.sink.flags(f)
	o.rangeFlags(f)
	a.jsonFlag(c)
	return c
}

func runFlow(ctx context.Context, a *app, o convertOptions, in, out string, longest float64) (err error) {
	if out == "" {
		return usage("give -o OUT, a video file or a folder")
	}
	if err := o.check(); err != nil {
		return err
	}
	if longest < 0 {
		return usage("--longest %g: give a positive number of pixels", longest)
	}
	job, err := a.job(ctx, &o, in, out)
	if err != nil {
		return err
	}
	e, err := cvflow.NewFarneback(cvflow.Options{})
	if err != nil {
		return errors.Join(err, job.Reader.Close())
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	job.Flow, job.Generator = e, &painter{longest: float32(longest)}
	return a.runClip(ctx, job)
}

// painter is a generator that draws the measured flow.
type painter struct{ longest float32 }

// shortest keeps the noise of a small clip that stands still from being drawn
// in full colour.
const shortest = 2

// Start implements jobs.Generator.
func (p *painter) Start(_ context.Context, i video.Info) (w, h int, err error) {
	if p.longest == 0 {
		p.longest = float32(max(shortest, math.Hypot(float64(i.Width), float64(i.Height))/100))
	}
	return i.Width, i.Height, nil
}

// Generate implements jobs.Generator, for a frame without flow.
func (p *painter) Generate(ctx context.Context, src, dst *video.Frame) error {
	return p.GenerateFlow(ctx, src, dst, nil)
}

// GenerateFlow implements jobs.FlowGenerator.
func (p *painter) GenerateFlow(_ context.Context, src, dst *video.Frame, back *flow.Field) error {
	if back == nil {
		back = flow.NewField(src.W, src.H)
	}
	flow.Draw(dst, back, p.longest)
	return nil
}

// Close implements jobs.Generator.
func (p *painter) Close() error { return nil }

var _ jobs.FlowGenerator = (*painter)(nil)
