package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/v2v/v2v/jobs"
	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/video"
)

// convertOptions are what convert and batch have in common.
type convertOptions struct {
	model    modelOptions
	clip     clipOptions
	sink     sinkOptions
	onDamage string
	start    int
	frames   int
}

func (o *convertOptions) flags(f *pflag.FlagSet, say sayer) {
	o.model.flags(f, say)
	o.clip.flags(f)
	o.clip.sizeFlag(f)
	o.clip.controlFlags(f)
	o.clip.tiles.flags(f)
	f.BoolVar(&o.clip.labels.densepose, "densepose", false, "the pictures are DensePose's IUV: part in blue, place in red and green")
	o.sink.flags(f)
	o.rangeFlags(f)
}

func (o *convertOptions) rangeFlags(f *pflag.FlagSet) {
	f.StringVar(&o.onDamage, "on-damage", "keep", "keep the frames of a damaged clip that there are, or fail")
	f.IntVar(&o.start, "start", 0, "first frame to convert, counted from 0")
	f.IntVar(&o.frames, "frames", 0, "how many frames to convert at most; 0 for all")
}

func (o *convertOptions) check() error {
	switch {
	case o.onDamage != "keep" && o.onDamage != "fail":
		return usage("--on-damage %q: give keep or fail", o.onDamage)
	case o.start < 0 || o.frames < 0:
		return usage("--start %d --frames %d: give numbers from 0 up", o.start, o.frames)
	}
	if o.model.from == fromInput && o.clip.extract == "" {
		return usage("--first-from input: the input holds control pictures; give a real clip, or --extract")
	}
	return o.clip.check()
}

func (o *convertOptions) damage() jobs.OnDamage {
	if o.onDamage == "fail" {
		return jobs.DamageFail
	}
	return jobs.DamageKeep
}

func newConvert(a *app) *cobra.Command {
	var o convertOptions
	var out string
	c := &cobra.Command{
		Use:   "convert --model MODEL IN -o OUT",
		Short: "Turn one clip into a realistic video",
		Long: `Turns a control video (edges, masks, gray, regions), or a folder of pictures,
into a realistic video, frame for frame. Sound and subtitles are kept. OUT is a
video by its extension, or else a folder of PNGs. With --extract, IN is a real
clip and the control pictures are made on the way; with --keypoints or
--landmarks they are drawn from files beside it, one a frame. With --palette, IN
is a clip of coloured labels. A pix2pixHD trained with features of instances
draws their looks by --style N, or takes them from a real clip (--style-from).`,
		Example: `  v2v convert --model model.safetensors edges.mp4 -o out.mp4
  v2v convert --model model.safetensors --extract edges walk.mp4 -o out.mp4
  v2v convert --model model.safetensors --keypoints json/ dance.mp4 -o out.mp4
  v2v convert --model model.safetensors --palette city.txt labels.mkv -o out.mp4
  v2v convert --model pose.safetensors --densepose iuv/ --keypoints json/ -o out
  v2v convert --model model.safetensors frames/ -o out/ --size 256x512
  v2v convert --model model.safetensors -o out.mp4 -- -odd-name.mp4`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return runConvert(c.Context(), a, o, args[0], out) },
	}
	f := c.Flags()
	f.StringVarP(&out, "output", "o", "", "video file or folder of PNGs to write")
	f.BoolVar(&o.sink.overwrite, "overwrite", false, "replace an output that exists")
	o.flags(f, a.say)
	a.jsonFlag(c)
	return c
}

// sees lets the clip be read as the model sees it.
func (o *convertOptions) sees(m *machine) error {
	needs, l := m.model.Net.Needs(), &o.clip.labels
	o.clip.tiles.n, o.clip.tiles.instances = needs.Tiles(), needs.Instances
	if l.instances != "" && !needs.Edges {
		return usage("--instances is for models that see boundaries (use_instance); this one does not")
	}
	if l.instances != "" && !needs.Instances {
		l.packed = true
		l.ids = l.ids || l.palette == ""
	}
	o.clip.index = needs.Labels > 0 && o.clip.kind() == ""
	return o.clip.tiles.check(o.clip.kind(), l.instances != "")
}

// planned is the event that says what convert is about to do.
type planned struct {
	Version int      `json:"v"`
	Event   string   `json:"event"`
	Input   string   `json:"input"`
	Output  string   `json:"output"`
	Decoder string   `json:"decoder"`
	Frames  int      `json:"frames"`
	Notes   []string `json:"notes"`
}

func runConvert(ctx context.Context, a *app, o convertOptions, in, out string) (err error) {
	if out == "" {
		return usage("give -o OUT, a video file or a folder")
	}
	if err := o.check(); err != nil {
		return err
	}
	o.clip.alone = true
	o.model.style.clip = &o.clip
	if err := o.model.style.wholeClip(o.start == 0); err != nil {
		return err
	}
	o.model.clips, o.model.start = o.clip, o.start
	m, err := o.model.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	if err := o.sees(m); err != nil {
		return err
	}
	job, err := a.job(ctx, &o, in, out, m.note(o.clip.kind())...)
	if err != nil {
		return err
	}
	gen := m.generator(0)
	defer func() { err = errors.Join(err, gen.Close()) }()
	job.Generator = gen
	return a.runClip(ctx, job)
}

// job opens the input, refuses outputs that cannot be, and tells what will be
// done. The generator is the caller's to add.
func (a *app) job(ctx context.Context, o *convertOptions, in, out string, notes ...string) (*jobs.Clip, error) {
	src, err := o.clip.open(ctx, in)
	if err != nil {
		return nil, err
	}
	plan, err := o.sink.plan(out, src.Info(), src.Info().Width, src.Info().Height/o.clip.tiles.count())
	if err != nil {
		return nil, errors.Join(err, src.Close())
	}
	if err := a.tellPlan(src, in, out, slices.Concat(plan, src.notes, notes)); err != nil {
		return nil, errors.Join(err, src.Close())
	}
	return &jobs.Clip{
		Input: in, Output: out, Reader: src,
		NewWriter: func(ctx context.Context, info video.Info, w, h int) (video.Writer, error) {
			return o.sink.create(ctx, out, "", info, w, h)
		},
		OnDamage: o.damage(), Start: o.start, Frames: o.frames,
	}, nil
}

func (a *app) tellPlan(src *clip, in, out string, notes []string) error {
	i := src.Info()
	a.say("%s: %s, %d frames of %dx%d, %s a second, decoded by %s", in, i.Codec, i.Frames(), i.Width, i.Height, i.Rate, src.decoder)
	for _, n := range notes {
		a.say("%s: %s", out, n)
	}
	if !a.json {
		return nil
	}
	return a.event(planned{jobs.EventVersion, "clip_planned", in, out, src.decoder, i.Frames(), notes})
}

// runClip runs one clip outside a batch and tells how it went.
func (a *app) runClip(ctx context.Context, c *jobs.Clip) error {
	bar := a.meter("frames")
	defer bar.done()
	res, err := c.Run(ctx, func(e jobs.Event) {
		if a.json {
			a.event(e)
		}
		bar.set(e.Clip.Frames, e.Clip.Total, filepath.Base(c.Output))
	})
	bar.done()
	if a.json {
		if jerr := a.event(jobs.ClipEvent(c, res, err)); err == nil {
			err = jerr
		}
	}
	if err != nil {
		return clipError(ctx, c.Input, err)
	}
	s := res.Stages
	a.say("%s: %d frames of %dx%d in %.1f s, %.2f a second (busy: decode %.1f s, generate %.1f s, encode %.1f s)",
		c.Output, res.FramesOut, res.Width, res.Height, res.Wall, float64(res.FramesOut)/res.Wall, s.Decode, s.Flow+s.Generate, s.Encode)
	if res.Damaged != "" {
		return withCode(jobs.ExitSome, fmt.Errorf("the input is damaged: %s", res.Damaged))
	}
	return nil
}

// clipError names the clip that failed and gives the failure its exit code.
func clipError(ctx context.Context, path string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var at *jobs.StageError
	code := jobs.ExitError
	switch errors.As(err, &at); {
	case errors.Is(err, engine.ErrUnsupported):
		code = jobs.ExitUsage
	case errors.Is(err, video.ErrDamaged):
		code = jobs.ExitSome
	case at != nil && (at.Stage == "open" || at.Stage == "decode"), errors.Is(err, models.ErrLabel):
		code = jobs.ExitUnreadable
	}
	return withCode(code, fmt.Errorf("convert %q: %w", path, err))
}
