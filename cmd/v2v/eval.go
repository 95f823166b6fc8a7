package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/v2v/v2v/flow"
	"github.com/v2v/v2v/flow/cvflow"
	"github.com/v2v/v2v/video"
)

type evalOptions struct {
	fake, real, mask string
	mean             string // clips whose mean frame is the baseline
	sheet, control   string
	every, by        int
	clip             clipOptions
}

// scores are what eval measures of a clip, means over its frames. PSNR of
// equal frames is taken as maxPSNR, for JSON holds no infinity. Foreground is
// absent without a mask, or where no frame has anything inside.
type scores struct {
	PSNR       float64  `json:"psnr"`
	SSIM       float64  `json:"ssim"`
	Chroma     float64  `json:"chroma_psnr"` // of colour without brightness
	Warp       float64  `json:"warp_error"`
	RealWarp   float64  `json:"real_warp_error"`
	Foreground *float64 `json:"psnr_foreground,omitempty"`
	// The same of the frame that --mean gives, in place of the generated ones.
	MeanFrame           *float64 `json:"mean_frame_psnr,omitempty"`
	MeanFrameForeground *float64 `json:"mean_frame_psnr_foreground,omitempty"`
}

// clipScores are the scores of one clip.
type clipScores struct {
	Name   string `json:"name"`
	Frames int    `json:"frames"` // measured
	scores
	By []stretch `json:"by,omitempty"` // means by --by frames
}

// evalReport is what eval prints with --json: the mean over clips, also under
// its own name, and every clip.
type evalReport struct {
	Event string `json:"event"`
	scores
	Mean  scores       `json:"mean"`
	Clips []clipScores `json:"clips"`
}

func newEval(a *app) *cobra.Command {
	var o evalOptions
	c := &cobra.Command{
		Use:   "eval --fake PATH --real PATH",
		Short: "Measure how close generated clips are to real ones, and how steady",
		Long: `Measures PSNR and SSIM of generated frames against real ones, and the temporal
warping error of both: how much a frame differs from the one before, moved along
the flow of the real clip, where nothing is hidden. With a mask, PSNR is
measured inside it too; chroma PSNR is of colour without brightness. A PATH is a
video, a folder of pictures, or a folder of clips, which are matched by name.`,
		Example: `  v2v eval --fake out.mp4 --real real.mp4
  v2v eval --fake out/ --real data/test_B --mask mog2 --json
  v2v eval --fake long.mp4 --real real.mp4 --by 100`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runEval(c.Context(), a, o) },
	}
	f := c.Flags()
	f.StringVar(&o.fake, "fake", "", "generated clip, or folder of clips")
	f.StringVar(&o.real, "real", "", "real clip, or folder of clips")
	f.StringVar(&o.mask, "mask", "", "clip that is white where PSNR counts, or mog2: what moves in the real clip")
	f.StringVar(&o.mean, "mean", "", "clip, or folder of clips, whose mean frame is measured too, as a baseline")
	f.StringVar(&o.sheet, "sheet", "", "PNG with moments of the generated and the real clip side by side")
	f.StringVar(&o.control, "control", "", "control clip, a column of the sheet")
	f.IntVar(&o.every, "every", 1, "measure every so many frames only")
	f.IntVar(&o.by, "by", 0, "tell how a clip goes on, by so many frames")
	o.clip.flags(f)
	a.jsonFlag(c)
	return c
}

func runEval(ctx context.Context, a *app, o evalOptions) (err error) {
	if o.every < 1 {
		return usage("--every %d: give 1 or more", o.every)
	}
	if o.by < 0 {
		return usage("--by %d: give a number of frames", o.by)
	}
	if err := o.clip.check(); err != nil {
		return err
	}
	list, err := pairs(ctx, o.fake, o.real, o.mask)
	if err != nil {
		return err
	}
	if err := o.checkSheet(list); err != nil {
		return err
	}
	var baseline *video.Frame
	if o.mean != "" {
		if baseline, err = o.clip.meanFrame(ctx, o.mean); err != nil {
			return err
		}
	}
	e, err := cvflow.NewFarneback(cvflow.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	r := evalReport{Event: "eval"}
	bar := a.meter("clips")
	defer bar.done()
	for i, p := range list {
		bar.set(i, len(list), p.name)
		s, err := o.score(ctx, p, e, baseline)
		if err != nil {
			return fmt.Errorf("eval %s: %w", p.name, err)
		}
		r.Clips = append(r.Clips, s)
	}
	bar.done()
	r.Mean = mean(r.Clips)
	r.scores = r.Mean
	if err := o.drawSheet(ctx, list[0]); err != nil {
		return err
	}
	return a.printScores(r)
}

// score measures one clip.
func (o evalOptions) score(ctx context.Context, p pair, e flow.Estimator, baseline *video.Frame) (s clipScores, err error) {
	m, err := o.openMeter(ctx, p, e)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, m.close()) }()
	if m.baseline = baseline; baseline != nil {
		if i := m.real.Info(); baseline.W != i.Width || baseline.H != i.Height {
			return s, usage("--mean %s is %dx%d, the clip %dx%d (height x width)", o.mean, baseline.H, baseline.W, i.Height, i.Width)
		}
	}
	for m.next(ctx) {
	}
	if m.err != nil {
		return s, m.err
	}
	s = clipScores{Name: p.name, Frames: m.frames, scores: m.scores()}
	if o.by > 0 {
		s.By = stretches(m.each, o.by)
	}
	return s, nil
}

func mean(clips []clipScores) scores {
	var m scores
	n := float64(len(clips))
	for _, c := range clips {
		m.PSNR += c.PSNR / n
		m.SSIM += c.SSIM / n
		m.Chroma += c.Chroma / n
		m.Warp += c.Warp / n
		m.RealWarp += c.RealWarp / n
	}
	m.Foreground = meanOf(clips, func(s scores) *float64 { return s.Foreground })
	m.MeanFrame = meanOf(clips, func(s scores) *float64 { return s.MeanFrame })
	m.MeanFrameForeground = meanOf(clips, func(s scores) *float64 { return s.MeanFrameForeground })
	return m
}

// meanOf is the mean of a score over the clips that have it, or nil.
func meanOf(clips []clipScores, of func(scores) *float64) *float64 {
	var sum float64
	n := 0
	for _, c := range clips {
		if x := of(c.scores); x != nil {
			sum += *x
			n++
		}
	}
	if n == 0 {
		return nil
	}
	sum /= float64(n)
	return &sum
}
