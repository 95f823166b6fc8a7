package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/v2v/v2v/jobs"
	"github.com/v2v/v2v/models/train"
	"github.com/v2v/v2v/video"
)

type plotOptions struct {
	out    string
	keys   []string
	smooth int
}

// rateKey is the learning rate among the losses.
const rateKey = "lr"

// plotted is the event that says what plot has drawn.
type plotted struct {
	Event  string   `json:"event"`
	Output string   `json:"output"`
	Runs   []string `json:"runs"`
	Keys   []string `json:"keys"`
	Marks  int      `json:"marks"`
}

func newPlot(a *app) *cobra.Command {
	var o plotOptions
	c := &cobra.Command{
		Use:   "plot RUN... -o CURVES.png",
		Short: "Draw the curves of training runs",
		Long: `Draws what the metrics of a training run hold: the losses of the generator (G),
the discriminator (D) and the discriminator over time (D_T), measures, and the
learning rate; smoothed, with the raw values behind. Letters mark where a stage
began and where training warned. Stages are drawn one after another. Of several
runs, each key gets a panel with a curve a run. A run may be going on.`,
		Example: `  v2v plot run -o curves.png
  v2v plot run1 run2 -o both.png --keys G_L1,D_real --smooth 200`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if !c.Flags().Changed("smooth") {
				o.smooth = -1
			}
			return a.plot(o, args)
		},
	}
	f := c.Flags()
	f.StringVarP(&o.out, "output", "o", "", "PNG to write")
	f.StringSliceVar(&o.keys, "keys", nil, "only these, of metrics.jsonl or lr (default all)")
	f.IntVar(&o.smooth, "smooth", 0, "mean over so many steps; 0 draws raw values alone (default a fiftieth of the run)")
	a.jsonFlag(c)
	return c
}

// drawn is a run that is to be drawn.
type drawn struct {
	name  string
	curve *train.Curve
}

func (a *app) plot(o plotOptions, dirs []string) error {
	switch {
	case strings.ToLower(filepath.Ext(o.out)) != ".png":
		return usage("give -o CURVES.png")
	case o.smooth < -1:
		return usage("--smooth %d: give a number of steps, or 0", o.smooth)
	}
	var runs []drawn
	var keys []string
	for _, dir := range dirs {
		c, err := runCurve(dir)
		if errors.Is(err, train.ErrNoMetrics) {
			return withCode(jobs.ExitUnreadable, fmt.Errorf("plot: %w", err))
		} else if err != nil {
			return fmt.Errorf("plot: %w", err)
		}
		runs = append(runs, drawn{filepath.Base(filepath.Clean(dir)), c})
		for _, k := range append(c.Keys, rateKey) {
			if !slices.Contains(keys, k) {
				keys = append(keys, k)
			}
		}
	}
	nameApart(runs, dirs)
	for _, k := range o.keys {
		if !slices.Contains(keys, k) {
			return usage("--keys: there is no %q; there are %s", k, strings.Join(keys, ", "))
		}
	}
	if o.keys != nil {
		keys = slices.DeleteFunc(keys, func(k string) bool { return !slices.Contains(o.keys, k) })
	}
	picture, err := drawCurves(runs, keys, o.smooth)
	if err != nil {
		return fmt.Errorf("plot: %w", err)
	}
	if err := video.WritePNG(o.out, picture); err != nil {
		return err
	}
	return a.tellPlot(o.out, runs, keys)
}

// runCurve reads the curve of a run; of one in stages, those of all that have
// begun, one after another.
func runCurve(dir string) (*train.Curve, error) {
	whole, err := train.ReadCurve(dir)
	if !errors.Is(err, train.ErrNoMetrics) {
		return whole, err
	}
	whole = &train.Curve{}
	for n := 1; ; n++ {
		c, missing := train.ReadCurve(stageFolder(dir, n))
		switch {
		case errors.Is(missing, train.ErrNoMetrics) && n == 1:
			return nil, err
		case errors.Is(missing, train.ErrNoMetrics):
			return whole, nil
		case missing != nil:
			return nil, missing
		case n == 1:
			whole = c
		default:
			follow(whole, c, n)
		}
	}
}

// follow appends the curve of stage n.
func follow(whole, c *train.Curve, n int) {
	done := whole.Steps[len(whole.Steps)-1].Step
	whole.Marks = append(whole.Marks, train.Mark{Step: done, Text: fmt.Sprintf("stage %d", n)})
	for _, m := range c.Marks {
		m.Step += done
		whole.Marks = append(whole.Marks, m)
	}
	for _, s := range c.Steps {
		s.Step += done
		whole.Steps = append(whole.Steps, s)
	}
	for _, k := range c.Keys {
		if !slices.Contains(whole.Keys, k) {
			whole.Keys = append(whole.Keys, k)
		}
	}
}

// nameApart names runs by their whole paths where folders' names are equal.
func nameApart(runs []drawn, dirs []string) {
	seen := map[string]int{}
	for _, r := range runs {
		seen[r.name]++
	}
	for i := range runs {
		if seen[runs[i].name] > 1 {
			runs[i].name = dirs[i]
		}
	}
}

func (a *app) tellPlot(out string, runs []drawn, keys []string) error {
	p := plotted{Event: "plotted", Output: out, Keys: keys}
	for _, r := range runs {
		p.Runs = append(p.Runs, r.name)
		p.Marks += len(r.curve.Marks)
		a.say("%s: steps %d to %d", r.name, r.curve.Steps[0].Step, r.curve.Steps[len(r.curve.Steps)-1].Step)
	}
	if a.json {
		return a.event(p)
	}
	_, err := fmt.Fprintln(a.out, out)
	return err
}

// panel is one pair of axes: curves of one scale.
type panel struct {
	title string
	keys  []string
}

// groups are the titles of panels, from top to bottom.
var groups = []string{"G", "D", "D_T", "gradient norm", "measures", "learning rate"}

// groupOf is the panel where a key is drawn with others of its scale.
func groupOf(key string) string {
	has := func(prefix string) bool { return key == prefix || strings.HasPrefix(key, prefix+"_") }
	switch {
	case has(rateKey):
		return "learning rate"
	case strings.HasSuffix(key, "_norm"), strings.HasSuffix(key, "_grad"):
		return "gradient norm"
	case has("W"), key == "diversity", strings.HasSuffix(key, "_acc"):
		return "measures"
	case strings.HasPrefix(key, "DT"), strings.HasPrefix(key, "D_T"):
		return "D_T"
	case has("D"), has("Df"):
		return "D"
	}
	return "G"
}

// panels sorts keys into groups, or gives each a panel.
func panels(keys []string, each bool) []panel {
	var out []panel
	for _, title := range groups {
		p := panel{title: title}
		for _, k := range keys {
			if groupOf(k) != title {
				continue
			}
			p.keys = append(p.keys, k)
			if each {
				out = append(out, panel{k, []string{k}})
			}
		}
		if !each && len(p.keys) > 0 {
			out = append(out, p)
		}
	}
	return out
}
