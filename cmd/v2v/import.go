package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/published"
)

// importOptions are the values of import's flags; which of them were given
// decides what is asked of published.Import.
type importOptions struct {
	out       string
	overwrite bool
	epoch     string
	normStats string
	labels    int
	edges     bool
	features  int
	fgLabels  []int
	first     string
}

func newImport(a *app) *cobra.Command {
	var o importOptions
	c := &cobra.Command{
		Use:   "import PATH -o MODEL.safetensors",
		Short: "Make a model of weights trained with vid2vid, pix2pixHD or pix2pix",
		Long: `Makes a model of a checkpoint of NVIDIA's vid2vid or pix2pixHD, or of
CycleGAN-and-pix2pix. PATH is a .pth file, a .safetensors file with the same
names, or a checkpoint folder (latest_net_G.pth; latest_net_G0.pth,
latest_net_G1.pth and so on). The network is told by the names and shapes of its
weights. What they cannot tell is taken from opt.txt beside them, or else as
published, and printed with the flag that changes it; v2v info shows it again.
Nothing in a checkpoint is run.`,
		Example: `  v2v import checkpoints/label2city_1024 -o city.safetensors
  v2v import edges2shoes/latest_net_G.pth -o shoes.safetensors
  v2v import checkpoints/mine --epoch 40 -o mine.safetensors --label-nc 20
  v2v import latest_net_G.pth -o m.safetensors --norm-stats running
  v2v import my.safetensors --first-frame-model one.safetensors -o m.safetensors`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return runImport(c.Context(), a, args[0], o, o.choices(c.Flags().Changed))
		},
	}
	o.flags(c.Flags())
	a.jsonFlag(c)
	return c
}

func (o *importOptions) flags(f *pflag.FlagSet) {
	f.StringVarP(&o.out, "output", "o", "", "model file to write, .safetensors")
	f.BoolVar(&o.overwrite, "overwrite", false, "replace an output that exists")
	f.StringVar(&o.epoch, "epoch", "", "of a folder's files: a number, or iter_N (default latest)")
	f.StringVar(&o.normStats, "norm-stats", "", "normalise by the frame's own statistics: frame, or by stored ones: running (default frame)")
	f.IntVar(&o.labels, "label-nc", 0, "control pictures are index pictures of so many labels, or with 0 pictures")
	f.BoolVar(&o.edges, "use-instance", false, "one channel of a control picture is its boundaries")
	f.IntVar(&o.features, "feat-num", 0, "channels of an encoder's features (pix2pixHD)")
	f.StringVar(&o.first, "first-frame-model", "", "model of an image network, made by import or train, to make the first frames; PATH is a model, too")
	f.IntSliceVar(&o.fgLabels, "fg-labels", nil, "labels of the foreground (vid2vid)")
}

// choices are what the command line or the environment has settled.
func (o *importOptions) choices(changed func(flag string) bool) published.Choices {
	c := published.Choices{NormStats: o.normStats}
	if changed("label-nc") {
		c.LabelNC = &o.labels
	}
	if changed("use-instance") {
		c.Edges = &o.edges
	}
	if changed("feat-num") {
		c.Features = &o.features
	}
	if changed("fg-labels") {
		c.FGLabels = o.fgLabels
	}
	return c
}

// imported is the event that says what import has made.
type imported struct {
	Event      string              `json:"event"`
	Output     string              `json:"output"`
	Network    string              `json:"network"`
	Options    json.RawMessage     `json:"options"`
	Files      []string            `json:"files"`
	Parameters int                 `json:"parameters"`
	Dropped    int                 `json:"dropped"`
	Assumed    []models.Assumption `json:"assumed"`
}

func runImport(ctx context.Context, a *app, path string, o importOptions, choices published.Choices) error {
	switch {
	case o.out == "":
		return usage("give -o MODEL.safetensors")
	case filepath.Ext(o.out) != ".safetensors" || isFolder(o.out):
		return usage("write %q: give a model's name, which ends in .safetensors", o.out)
	case o.normStats != "" && o.normStats != "frame" && o.normStats != "running":
		return usage("--norm-stats %q: give frame or running", o.normStats)
	}
	sink := sinkOptions{overwrite: o.overwrite}
	if err := sink.free(o.out, path); err != nil {
		return err
	}
	if o.first != "" && isV2V(path) {
		if err := joinFirst(o.out, path, o.first); err != nil {
			return err
		}
		return a.tellJoined(o.out)
	}
	if o.first != "" {
		return usage("--first-frame-model: import %s first, and give the model that is made in its place", path)
	}
	done, err := published.Import(ctx, path, o.out, published.Options{Epoch: o.epoch, Choices: choices})
	switch {
	case errors.Is(err, published.ErrChoice) || errors.Is(err, published.ErrEpoch):
		return usage("%w", err)
	case err != nil:
		return withCode(exitModel, err)
	}
	return a.tellImported(path, o.out, done)
}

func (a *app) tellImported(path, out string, done published.Imported) error {
	files := ""
	if n := len(done.Files); n > 1 {
		files = fmt.Sprintf(" in %d files", n)
	}
	a.say("%s: %s%s, %d parameters", filepath.Base(path), done.Network, files, done.Parameters)
	for _, as := range done.Assumed {
		a.say("%s", assumption(as))
	}
	if err := runsOnClips(done.Net); err != nil {
		a.say("%s", folded("note: it does not run on clips: "+err.Error(), 80))
	}
	if !a.json {
		return nil
	}
	raw, err := json.Marshal(done.Net)
	if err != nil {
		return err
	}
	return a.event(imported{"imported", out, done.Network, raw, done.Files, done.Parameters, done.Dropped,
		append([]models.Assumption{}, done.Assumed...)})
}

// runsOnClips says why convert could not take a network.
func runsOnClips(net models.Network) error {
	if role := net.Needs().Role; role != "" {
		return fmt.Errorf("a network of this kind, %s, makes no frames", role)
	}
	_, err := models.GeneratorProgram(net, 1, fallbackSize.H, fallbackSize.W)
	return err
}

// folded breaks text into lines of at most so many columns, but for longer
// words.
func folded(text string, columns int) string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && utf8.RuneCountInString(line+" "+word) > columns {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	return strings.Join(append(lines, line), "\n")
}

// assumption is a line that says what was taken for true, and how to have it
// otherwise.
func assumption(as models.Assumption) string {
	line := as.Option + ": " + as.Value
	if as.Source == "opt.txt" {
		line = "from opt.txt: " + line
	} else {
		line = "assumed: " + line
	}
	if as.Change != "" {
		line += "; " + as.Change
	}
	return line
}
