package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/v2v/v2v/jobs"
	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/cvimg"
)

type prepareOptions struct {
	clip      clipOptions
	data      string
	holdout   float64
	every     int
	overwrite bool
	real      string // the clip of the real frames, where control pictures are from another
	maps      bool   // keep all planes of faces
}

func newPrepare(a *app) *cobra.Command {
	var o prepareOptions
	c := &cobra.Command{
		Use:   "prepare --extract KIND CLIP... -o DATA",
		Short: "Make a paired training set from real video",
		Long: `Makes pairs of control pictures and real frames for training: Canny edges, the
moving foreground, luminance, or colour regions. Pictures are extracted at the
clip's own resolution and then made smaller. The end of each clip is held out
in test_A and test_B. A clip is there whole or not at all.

The commands below make control pictures of what lies beside a clip: keypoints,
landmarks, labels. A clip that is called like one of them is given as ./pose.`,
		Example: `  v2v prepare --extract edges walk.mp4 -o data --size 144x192
  v2v prepare --extract mask *.mp4 -o data --size 256x256 --holdout 0.2`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return runPrepare(c.Context(), a, o, args) },
	}
	f := c.Flags()
	f.StringVar(&o.clip.extract, "extract", "", strings.Join(cvimg.Kinds, ", "))
	o.flags(f)
	a.jsonFlag(c)
	c.AddCommand(newPreparePose(a), newPrepareFace(a), newPrepareLabels(a), newPrepareCheck(a))
	for _, sub := range c.Commands() {
		sub.Args = asUsage(sub.Args)
	}
	return c
}

// flags are those of every way to make pairs.
func (o *prepareOptions) flags(f *pflag.FlagSet) {
	f.StringVarP(&o.data, "output", "o", "", "folder of the data set, added to where it exists")
	f.Float64Var(&o.holdout, "holdout", 0.1, "share of each clip, at its end, kept from training")
	f.IntVar(&o.every, "every", 1, "keep every so many frames only")
	f.BoolVar(&o.overwrite, "overwrite", false, "make clips again that are there")
	o.clip.flags(f)
	o.clip.sizeFlag(f)
}

func (o *prepareOptions) check() error {
	switch {
	case o.data == "":
		return usage("give -o DATA, a folder")
	case o.clip.kind() == "":
		return usage("give --extract, one of %s", strings.Join(cvimg.Kinds, ", "))
	case !(o.holdout >= 0 && o.holdout < 1):
		return usage("--holdout %g: give a share from 0 to below 1", o.holdout)
	case o.every < 1:
		return usage("--every %d: give 1 or more", o.every)
	}
	return o.clip.check()
}

func runPrepare(ctx context.Context, a *app, o prepareOptions, inputs []string) (err error) {
	if err := o.check(); err != nil {
		return err
	}
	list, err := o.look(ctx, inputs)
	if err != nil {
		return err
	}
	d, err := openDataset(o.data, o)
	if err != nil {
		return err
	}
	defer d.close()
	if err := d.accept(list, o.overwrite); err != nil {
		return err
	}
	for _, n := range o.clip.notes() {
		a.say("%s", n)
	}
	bar := a.meter("frames")
	defer bar.done()
	damaged, done, total := 0, 0, 0
	for _, c := range list {
		total += c.Frames
	}
	for _, c := range list {
		tick := func(n int) { bar.set(done+n, total, filepath.Base(c.Source)) }
		if err := o.make(ctx, d, c, tick); err != nil {
			return fmt.Errorf("prepare %q: %w", c.Source, err)
		}
		done += c.Frames
		if c.Damaged != "" {
			damaged++
		}
		what := "pairs"
		if o.unpaired() {
			what = "control pictures without real frames"
		}
		bar.say("%s: %d %s to train on, %d held out, %dx%d (height x width)", c.Name, c.Train, what, c.Test, c.Height, c.Width)
		if p, ok := c.control.(*poseControl); ok && p.nobody > 0 {
			bar.say("%s: nobody was found in %d of %d frames, which are black", c.Name, p.nobody, c.Frames)
		}
		if l, ok := c.control.(*labelControl); ok && l.colors.Note() != "" {
			bar.say("%s: %s", c.Name, l.colors.Note())
		}
		if err := a.tellPrepared(c); err != nil {
			return err
		}
	}
	if damaged > 0 {
		return withCode(jobs.ExitSome, fmt.Errorf("prepare: %d of %d clips are damaged; the frames there are were taken", damaged, len(list)))
	}
	return nil
}

func (a *app) tellPrepared(c *prepared) error {
	if !a.json {
		return nil
	}
	return a.event(struct {
		Event string `json:"event"`
		*prepared
	}{"clip_prepared", c})
}

// look opens every input once, so that what is wrong with one, or with the
// files beside it, is known before work begins.
func (o *prepareOptions) look(ctx context.Context, inputs []string) ([]*prepared, error) {
	var list []*prepared
	var problems []string
	for _, in := range inputs {
		c, err := o.clip.plain(ctx, in)
		if err != nil {
			return nil, err
		}
		i := c.Info()
		c.Close() // nothing was read
		p := &prepared{Name: stem(in), Source: in, Real: o.real, Frames: i.Frames(), Height: i.Height, Width: i.Width}
		if o.clip.face.crop {
			if square, err := o.clip.face.square(in, i, len(inputs) == 1); err == nil { // else reported below
				p.Width, p.Height = square.Dx(), square.Dy()
			}
		}
		if o.clip.size != (size{}) {
			p.Height, p.Width = o.clip.size.H, o.clip.size.W
		}
		if at := slices.IndexFunc(list, func(q *prepared) bool { return q.Name == p.Name }); at >= 0 {
			return nil, usage("%s and %s would both be clip %s: rename one of them", list[at].Source, in, p.Name)
		}
		if len(list) > 0 && (p.Height != list[0].Height || p.Width != list[0].Width) {
			return nil, usage("%s is %dx%d and %s is %dx%d (height x width): give one --size for all",
				list[0].Source, list[0].Height, list[0].Width, in, p.Height, p.Width)
		}
		var wrong []string
		p.control, wrong = o.clip.control(in, i, len(inputs) == 1)
		more, err := o.besides(ctx, p, i)
		if err != nil {
			return nil, err
		}
		problems = append(append(problems, wrong...), more...)
		list = append(list, p)
	}
	if len(problems) > 0 {
		return nil, withCode(jobs.ExitUnreadable, &listError{"prepare: nothing was made", problems})
	}
	return list, nil
}

// split is the number of the first held-out frame of n.
func (o *prepareOptions) split(n int) int {
	return n - int(math.Ceil(o.holdout*float64(n)))
}

// make writes one clip. The control sees every frame; those between are not
// kept.
func (o *prepareOptions) make(ctx context.Context, d *dataset, c *prepared, tick func(frame int)) (err error) {
	out, err := d.begin(c.Name)
	if err != nil {
		return err
	}
	defer out.close()
	defer func() { err = errors.Join(err, c.control.close()) }()
	if err := c.control.begin(ctx); err != nil {
		return err
	}
	to := size{H: c.Height, W: c.Width}
	first := o.split(c.Frames)
	path := c.Source
	if c.Real != "" {
		path = c.Real
	}
	c.Damaged, err = o.clip.allFrames(ctx, path, func(n int, f *video.Frame) error {
		all, err := c.control.next(ctx, f, to)
		if err != nil {
			return err
		}
		tick(n)
		if n%o.every != 0 {
			return nil
		}
		if !o.maps {
			all[mapsSide] = nil
		}
		if !o.unpaired() && all[realSide] == nil {
			if all[realSide], err = fitted(f, to); err != nil {
				return err
			}
		}
		part := trainPart
		if n >= first {
			part = testPart
		}
		if of, ok := c.control.(pointed); ok {
			if err := out.addPoints(part, c.made(part), of.points()); err != nil {
				return err
			}
		}
		c.count(part)
		return out.add(ctx, part, all)
	})
	if err != nil {
		return err
	}
	return out.commit(ctx, c)
}
