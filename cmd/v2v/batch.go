package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/v2v/v2v/jobs"
	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/ffio"
)

type batchOptions struct {
	convertOptions
	out       string
	format    string
	overwrite string
	workers   int
	lockstep  lockstep
	memory    memory // that lockstep auto may take; 0 for half of what is free
	failFast  bool
	dryRun    bool
	checksum  bool
	include   []string
	exclude   []string
}

func newBatch(a *app) *cobra.Command {
	var o batchOptions
	c := &cobra.Command{
		Use:   "batch --model MODEL IN... -o OUTDIR",
		Short: "Convert every clip of a folder, skipping what is done",
		Long: `Converts every clip in and below the given folders, or that match the given
patterns. Outputs keep their relative paths. A second run skips what is done and
redoes clips whose input, model or options have changed; a run that was killed
is continued by running it again. A clip that fails is reported, and the others
go on. Exit code 3 says that some failed or are damaged.`,
		Example: `  v2v batch --model model.safetensors clips/ -o out/
  v2v batch --model model.safetensors 'in/*/edges.mp4' -o out/ --dry-run
  v2v batch --model model.safetensors clips/ -o out/ --workers 2 --json
  v2v batch --model model.safetensors clips/ -o out/ --lockstep auto`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return runBatch(c.Context(), a, o, args) },
	}
	f := c.Flags()
	f.StringVarP(&o.out, "output", "o", "", "folder to write to")
	f.StringVar(&o.format, "format", "mp4", "of the outputs: mp4, mov, mkv, webm, avi, or png for folders of pictures")
	f.StringVar(&o.overwrite, "overwrite", "stale", "which outputs to make again: never, stale, or always")
	f.Lookup("overwrite").NoOptDefVal = "always"
	f.IntVar(&o.workers, "workers", 1, "clips at a time, as many as fit a card's memory; of several cards each gets one at least")
	o.lockstepFlags(f)
	f.BoolVar(&o.failFast, "fail-fast", false, "stop at the first clip that fails")
	f.BoolVar(&o.dryRun, "dry-run", false, "only print what would be done")
	f.BoolVar(&o.checksum, "checksum", false, "know inputs by every byte, not by size, time and ends")
	f.StringArrayVar(&o.include, "include", nil, "only clips that match a pattern; may be repeated")
	f.StringArrayVar(&o.exclude, "exclude", nil, "no clips that match a pattern; may be repeated")
	o.flags(f, a.say)
	a.jsonFlag(c)
	return c
}

func (o *batchOptions) check() error {
	overwrites := []string{"stale", "never", "always"}
	switch {
	case o.out == "":
		return usage("give -o OUTDIR")
	case !slices.Contains(overwrites, o.overwrite):
		return usage("--overwrite=%s: give never, stale or always", o.overwrite)
	case o.workers < 1 || o.workers > 64:
		return usage("--workers %d: give 1 to 64", o.workers)
	case o.lockstep != 0 && o.workers > 1:
		return usage("--workers and --lockstep exclude one another: --lockstep N works on N clips at a time")
	case o.memory != 0 && o.lockstep != lockstepAuto:
		return usage("--memory-limit goes with --lockstep auto")
	case o.format != "png" && !slices.Contains(ffio.Extensions(), "."+o.format):
		return usage("--format %q: give png or one of %s", o.format, strings.Join(ffio.Extensions(), ", "))
	}
	o.sink.overwrite = true // whether there is work at all is the plan's decision
	return o.convertOptions.check()
}

// plan finds the clips. The identity of the options holds all that changes a
// picture; device and decoder agree within rounding and are left out.
func (o *batchOptions) plan(ctx context.Context, m *machine, inputs []string) (*jobs.Plan, error) {
	hash, err := m.model.Hash()
	if err != nil {
		return nil, err
	}
	first := ""
	if m.first != nil {
		first = pictureHash(m.first)
	}
	beside, err := o.clip.beside()
	if err != nil {
		return nil, err
	}
	style, err := o.model.style.identity(pictureHash)
	if err != nil {
		return nil, err
	}
	rest := slices.Clone(o.sink.enc)
	for _, more := range []string{style, beside, o.model.from, o.model.steady.String()} {
		if more != "" {
			rest = append(rest, more)
		}
	}
	return jobs.MakePlan(ctx, jobs.PlanOptions{
		Inputs: inputs, OutDir: o.out, Ext: o.format, Folders: o.format == "png",
		Include: o.include, Exclude: o.exclude, Checksum: o.checksum,
		Overwrite: map[string]jobs.Overwrite{"stale": jobs.OverwriteStale, "never": jobs.OverwriteNever, "always": jobs.OverwriteAlways}[o.overwrite],
		Model:     hash,
		Options: identity(append([]string{o.clip.size.String(), o.clip.extract, o.clip.rate.String(), o.sink.codec, strconv.Itoa(o.sink.crf),
			strconv.FormatBool(o.sink.padOdd), o.onDamage, strconv.Itoa(o.start), strconv.Itoa(o.frames), first,
			(*precision)(&o.model.device.precision).String()}, rest...)...),
	})
}

func runBatch(ctx context.Context, a *app, o batchOptions, inputs []string) (err error) {
	o.model.style.clip = &o.clip
	if err := errors.Join(o.check(), o.model.style.wholeClip(false)); err != nil {
		return err
	}
	o.model.clips, o.model.start = o.clip, o.start
	o.model.spread = true
	m, err := o.model.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	if err := errors.Join(o.clip.tiles.whole(), o.sees(m)); err != nil {
		return err
	}
	plan, err := o.plan(ctx, m, inputs)
	if err != nil {
		return err
	}
	if len(plan.Items) == 0 {
		return fmt.Errorf("batch: %w in %s: give folders, videos or patterns", jobs.ErrEmpty, strings.Join(inputs, ", "))
	}
	for _, note := range m.note(o.clip.kind()) {
		a.say("%s", note)
	}
	if o.dryRun {
		return a.dryRun(ctx, o, plan)
	}
	together, err := o.align(ctx, a, m, plan)
	if err != nil {
		return err
	}
	o.workers = max(o.workers, len(m.devs))
	if err := o.seat(ctx, a, m, plan); err != nil {
		return err
	}
	bar := a.meter("frames")
	defer bar.done()
	sum, err := jobs.Run(ctx, plan, jobs.Options{
		OpenReader: func(ctx context.Context, path string) (video.Reader, error) { return o.clip.open(ctx, path) },
		NewWriter: func(ctx context.Context, path, partDir string, info video.Info, w, h int) (video.Writer, error) {
			return o.sink.create(ctx, path, partDir, info, w, h)
		},
		NewGenerator: func(_ context.Context, worker int) (jobs.Generator, error) { return m.generator(worker), nil },
		Together:     together,
		Workers:      o.workers, FailFast: o.failFast, OnDamage: o.damage(), Start: o.start, Frames: o.frames,
		Events: func(e jobs.Event) { a.batchEvent(bar, e) }, Log: a.log,
	})
	bar.done()
	if err != nil {
		return withCode(jobs.ExitCode(sum, err), fmt.Errorf("batch: %w", err))
	}
	if err := a.summary(o.out, sum); err != nil {
		return err
	}
	return told(jobs.ExitCode(sum, nil))
}

// batchEvent passes an event on to the scripts, and shows people where the
// batch stands.
func (a *app) batchEvent(bar *meter, e jobs.Event) {
	if a.json {
		a.event(e)
	}
	switch b := e.Batch; e.Kind {
	case jobs.KindClipStarted:
		bar.say("%s -> %s: %d frames of %dx%d", e.Clip.Input, e.Clip.Output, e.Clip.Total, e.Clip.Width, e.Clip.Height)
	case jobs.KindClipDone:
		bar.say("%s: done, %d frames", e.Clip.Output, e.Clip.Frames)
	case jobs.KindClipFailed:
		bar.say("%s: failed: %s", e.Clip.Input, e.Clip.Error)
	case jobs.KindProgress:
		bar.set(b.Frames, b.Total, fmt.Sprintf("clip %d of %d", b.Done+b.Failed+b.Skipped+1, b.Clips))
	}
}

// dryRun prints the plan, with the number of frames of each clip that would be
// converted.
func (a *app) dryRun(ctx context.Context, o batchOptions, plan *jobs.Plan) error {
	for i := range plan.Items {
		it := &plan.Items[i]
		if it.Action != jobs.ActionRun && it.Action != jobs.ActionRedo {
			continue
		}
		c, err := o.clip.plain(ctx, it.Input)
		if err != nil {
			it.Action, it.Reason = jobs.ActionFail, err.Error()
			continue
		}
		it.Frames = c.Info().Frames()
		c.Close() // nothing was read
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if a.json {
		return a.event(jobs.Event{Version: jobs.EventVersion, Kind: jobs.KindPlan, Items: plan.Items})
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	for _, it := range plan.Items {
		fmt.Fprintf(w, "%s\t%s\t%d frames\t%s\n", it.Action, quoted(it.Rel), it.Frames, it.Reason)
	}
	return w.Flush()
}

// summary prints the table of a batch. With --json stdout is for events.
func (a *app) summary(dir string, sum jobs.Summary) error {
	var to io.Writer = a.out
	if a.json {
		to = a.err
	}
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	for _, r := range sum.Rows {
		status, why := string(r.Status), r.Reason
		switch {
		case r.Err != nil:
			why = oneLine(r.Err)
		case r.Damaged != "":
			status, why = status+", damaged", r.Damaged
		}
		name, err := filepath.Rel(dir, r.Output)
		if err != nil {
			name = r.Output
		}
		fmt.Fprintf(w, "%s\t%s\t%d frames\t%.1f s\t%s\n", status, quoted(name), r.Result.FramesOut, r.Result.Wall, why)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(to, "%d done, %d skipped, %d failed, %d damaged, %d not reached; %d frames in %.1f s\n",
		sum.Done, sum.Skipped, sum.Failed, sum.Damaged, sum.Pending, sum.Frames, sum.Seconds)
	return err
}

// quoted keeps a name on one line of a table.
func quoted(name string) string {
	if strings.ContainsAny(name, "\n\r\t") {
		return strconv.Quote(name)
	}
	return name
}
