package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"

	"github.com/v2v/v2v/jobs"
	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/train"
	"github.com/v2v/v2v/video"
)

type compareOptions struct {
	out     string
	data    []string
	held    []string // pictures that training never saw
	columns int
	seed    uint64
	weights string // of an Inception network; "" leaves FID out
	clip    clipOptions
	device  deviceOptions
}

func newCompare(a *app) *cobra.Command {
	var o compareOptions
	c := &cobra.Command{
		Use:   "compare RUN... -o SHEET.png",
		Short: "Put what networks of pictures have learned side by side",
		Long: `Makes one picture of several training runs of perceptron, mlp, deconv and gan,
all at the last step that every run has a checkpoint of: real pictures on top,
below them what each network makes of its learned codes and of drawn ones, its
losses, time and parameters, and these figures, means over 64 pictures:
  PSNR       to the nearest training picture, in dB: high means learned by heart
  sharpness  variance of the Laplacian: low means blurred, as compared with real
  likeness   SSIM of two pictures: above that of real ones means too few kinds
The real pictures are looked for where the runs had them. With --held there is
PSNR to the nearest of pictures that training never saw, too, and with
--inception FID, the Frechet distance of up to 256 pictures to as many real ones
by the features of Inception-v3, whose weights v2v does not bring along.`,
		Example: `  v2v compare runs/perceptron runs/mlp runs/deconv runs/gan -o sheet.png
  v2v compare runs/* -o sheet.png --inception pt_inception-2015-12-05.pth`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return runCompare(c.Context(), a, o, args) },
	}
	f := c.Flags()
	f.StringVarP(&o.out, "output", "o", "", "PNG to write")
	f.StringArrayVar(&o.data, "data", nil, "where the runs' training pictures are now; may be repeated")
	f.StringArrayVar(&o.held, "held", nil, "pictures, or videos, that training never saw: measure PSNR to them; may be repeated")
	f.IntVar(&o.columns, "columns", 8, "pictures in a row")
	f.Uint64Var(&o.seed, "seed", 1, "of the drawn codes")
	f.StringVar(&o.weights, "inception", "", "weights of Inception-v3, torchvision's or pytorch-fid's: measure FID")
	o.clip.flags(f)
	o.device.flags(f, a.say)
	a.jsonFlag(c)
	return c
}

// contender is a run that is compared.
type contender struct {
	past *train.Past
	c    PictureTOML
	net  models.Picture
	at   train.PastCheckpoint
}

// entry is one row of pictures, with its figures.
type entry struct {
	Run        string  `json:"run,omitempty"` // none of the real pictures
	Network    string  `json:"network"`
	Codes      string  `json:"codes,omitempty"` // learned or drawn
	Step       int     `json:"step,omitempty"`
	Parameters int     `json:"parameters,omitempty"`
	Seconds    float64 `json:"seconds,omitempty"`
	figures
	Held *float64 `json:"held_psnr,omitempty"` // PSNR to the nearest picture that training never saw
	FID  *float64 `json:"fid,omitempty"`

	shown []*video.Frame
	curve []train.PastStep // of a run's first entry
}

// title is the network, and the run where it has a name of its own.
func (e entry) title() string {
	if run := filepath.Base(e.Run); e.Run != "" && run != e.Network {
		return run + ": " + e.Network
	}
	return e.Network
}

// compareReport is what compare prints with --json.
type compareReport struct {
	Event   string  `json:"event"`
	Entries []entry `json:"entries"`
}

func runCompare(ctx context.Context, a *app, o compareOptions, runs []string) (err error) {
	switch {
	case o.out == "":
		return usage("give -o SHEET.png")
	case o.columns < 1 || o.columns > 64:
		return usage("--columns %d: give 1 to 64", o.columns)
	}
	all, err := contenders(runs)
	if err != nil {
		return err
	}
	data, err := o.pictures(ctx, a, all)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, data.Close()) }()
	var real []*video.Frame
	if err := data.Pictures(ctx, func(f *video.Frame) error { real = append(real, f); return nil }); err != nil {
		return err
	}
	dev, err := o.device.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	bar := a.meter("networks")
	defer bar.done()
	fid, err := newFID(ctx, dev, o.weights, real)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, fid.close()) }()
	held, err := o.unseen(ctx, all[0])
	if err != nil {
		return err
	}
	spread := evenly(len(real), o.columns)
	entries := []entry{{Network: "real", shown: pick(real, spread), figures: measure(pick(real, evenly(len(real), measuredPictures)), nil)}}
	for i, c := range all {
		bar.set(i, len(all), c.c.Model)
		made, err := o.entries(ctx, dev, c, data, real, spread, rulers{fid, held})
		if err != nil {
			return fmt.Errorf("compare %s: %w", c.past.Dir, err)
		}
		entries = append(entries, made...)
	}
	bar.done()
	if err := video.WritePNG(o.out, drawComparison(entries)); err != nil {
		return err
	}
	return a.printComparison(o.out, entries)
}

// contenders reads the runs and finds the last step that all have kept.
func contenders(runs []string) ([]*contender, error) {
	var all []*contender
	kept := map[int]int{} // step to how many runs have it
	for _, dir := range runs {
		past, err := train.ReadPast(dir)
		if err != nil {
			return nil, usage("%w", err)
		}
		c := &contender{past: past}
		if err := toml.Unmarshal(past.Config, &c.c); err != nil {
			return nil, usage("configuration of run %s: %w", dir, err)
		}
		if c.net, err = models.BlankPicture(orVid2vid(c.c.Model)); err != nil {
			return nil, usage("run %s: %w", dir, err)
		}
		if first := all; len(first) > 0 && (first[0].c.Generator.Size != c.c.Generator.Size || first[0].c.Generator.Channels != c.c.Generator.Channels) {
			return nil, usage("run %s makes pictures of %d pixels and %d channels, %s of %d and %d: they cannot be compared", dir,
				c.c.Generator.Size, c.c.Generator.Channels, first[0].past.Dir, first[0].c.Generator.Size, first[0].c.Generator.Channels)
		}
		for _, k := range past.Checkpoints {
			kept[k.Step]++
		}
		all = append(all, c)
	}
	last := 0
	for step, n := range kept {
		if n == len(all) {
			last = max(last, step)
		}
	}
	if last == 0 {
		var have []string
		for _, c := range all {
			var steps []string
			for _, k := range c.past.Checkpoints {
				steps = append(steps, fmt.Sprint(k.Step))
			}
			have = append(have, fmt.Sprintf("%s has %s", c.past.Dir, strings.Join(steps, ", ")))
		}
		return nil, usage("the runs have no checkpoint of one step: %s; train them to the same", strings.Join(have, "; "))
	}
	for _, c := range all {
		i := slices.IndexFunc(c.past.Checkpoints, func(k train.PastCheckpoint) bool { return k.Step == last })
		c.at = c.past.Checkpoints[i]
	}
	return all, nil
}

func orVid2vid(name string) string {
	if name == "" {
		return vid2vid
	}
	return name
}

// pictures opens the training pictures, of the first run where they differ.
func (o *compareOptions) pictures(ctx context.Context, a *app, all []*contender) (*train.PictureData, error) {
	first := all[0]
	paths := o.data
	if len(paths) == 0 {
		paths = strings.Split(first.past.Env[dataKey], "\n")
	}
	for _, c := range all[1:] {
		if c.past.Env[dataKey] != first.past.Env[dataKey] || c.c.Every != first.c.Every {
			a.say("%s was trained on other pictures than %s; those of %s are shown", c.past.Dir, first.past.Dir, first.past.Dir)
		}
	}
	data, err := train.OpenPictures(ctx, paths, train.PictureDataOptions{Size: first.c.Generator.Size, Every: first.c.Every, Classes: first.c.Classes,
		Open: func(ctx context.Context, path string) (video.Reader, error) { return o.clip.plain(ctx, path) }})
	if err != nil {
		return nil, withCode(jobs.ExitUnreadable, fmt.Errorf("training pictures of %s: %w; give --data", first.past.Dir, err))
	}
	return data, nil
}

// entries makes the pictures of a run and measures them: of learned codes, where
// it has some, and of drawn ones.
func (o *compareOptions) entries(ctx context.Context, dev engine.Device, c *contender, data *train.PictureData, real []*video.Frame, spread []int, r rulers) (made []entry, err error) {
	w, err := c.at.Weights()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	options := c.c.Generator
	if c.net.Learned() {
		if s := w.Shape(models.CodeTable + ".weight"); len(s) == 2 {
			options.Images = s[0]
		}
	} else if c.c.Classes {
		options.Classes = data.Classes
	}
	*c.net.Options() = options
	params, err := models.PictureParameters(c.net)
	if err != nil {
		return nil, err
	}
	s, err := models.NewSampler(dev, c.net, w.Weight)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	base := entry{Run: c.past.Dir, Network: c.c.Model, Step: c.at.Step, Parameters: count(params), Seconds: c.seconds()}
	add := func(codes string, shown, measured [][]float32) error {
		e := base
		e.Codes = codes
		if len(made) == 0 {
			e.curve = c.past.Curve
		}
		all, err := s.Make(ctx, append(slices.Clone(shown), measured...), cycle(len(shown)+len(measured), len(options.Classes)))
		if err != nil {
			return err
		}
		e.shown, all = all[:len(shown)], all[len(shown):]
		e.figures = measure(pick(all, evenly(len(all), measuredPictures)), real)
		if err := r.measure(ctx, &e, all); err != nil {
			return err
		}
		made = append(made, e)
		return nil
	}
	if learned := s.Learned(); learned != nil {
		if len(learned) != len(real) {
			return nil, fmt.Errorf("it has learned %d pictures, and the data has %d: it is not what the run was trained on", len(learned), len(real))
		}
		if err := add("learned", pick(learned, spread), pick(learned, evenly(len(learned), max(measuredPictures, r.fid.count())))); err != nil {
			return nil, err
		}
	}
	drawn := s.Draw(max(measuredPictures, r.fid.count()), o.seed)
	return made, add("drawn", drawn[:min(o.columns, len(drawn))], drawn)
}

// cycle numbers n pictures by their class in turn.
func cycle(n, classes int) []int {
	all := make([]int, n)
	for i := range all {
		if classes > 0 {
			all[i] = i % classes
		}
	}
	return all
}

// seconds is how long training took up to the checkpoint.
func (c *contender) seconds() float64 {
	var s float64
	for _, p := range c.past.Curve {
		if p.Step <= c.at.Step {
			s = p.Spent
		}
	}
	return s
}

// evenly is up to k numbers below n, evenly spread.
func evenly(n, k int) []int {
	k = min(k, n)
	all := make([]int, k)
	for i := range all {
		all[i] = (2*i + 1) * n / (2 * k)
	}
	return all
}

func pick[T any](from []T, which []int) []T {
	var picked []T
	for _, i := range which {
		picked = append(picked, from[i])
	}
	return picked
}

func (a *app) printComparison(out string, entries []entry) error {
	if a.json {
		return a.event(compareReport{"compare", entries})
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	head := "network\tcodes\tstep\tparameters\tseconds\tPSNR\tsharpness\tlikeness\t"
	last := entries[len(entries)-1]
	if last.Held != nil {
		head += "held-out PSNR\t"
	}
	if last.FID != nil {
		head += "FID\t"
	}
	fmt.Fprintln(w, head)
	for _, e := range entries {
		if e.Run == "" {
			fmt.Fprintf(w, "%s\t-\t-\t-\t-\t-\t%.0f\t%.3f\t\n", e.Network, e.Sharpness, e.Likeness)
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%.0f\t%.2f dB\t%.0f\t%.3f\t", e.title(), e.Codes, e.Step, e.Parameters, e.Seconds, e.PSNR, e.Sharpness, e.Likeness)
		if e.Held != nil {
			fmt.Fprintf(w, "%.2f dB\t", *e.Held)
		}
		if e.FID != nil {
			fmt.Fprintf(w, "%.2f\t", *e.FID)
		}
		fmt.Fprintln(w)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	a.say("the sheet is %s", filepath.Clean(out))
	return nil
}
