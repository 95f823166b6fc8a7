package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/nn"
	"github.com/v2v/v2v/video"
)

func newInfo(a *app) *cobra.Command {
	o := clipOptions{}
	at := size{}
	c := &cobra.Command{
		Use:   "info MODEL|CLIP",
		Short: "Print what a model file or a clip is",
		Long: `Prints a model's configuration, parameters, and what a frame of a given size
costs; or what is known of a video or a folder of pictures.`,
		Example: `  v2v info model.safetensors --size 480x640
  v2v info walk.mp4 --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if isModel(args[0]) {
				return a.modelInfo(args[0], at)
			}
			if err := o.check(); err != nil {
				return err
			}
			return a.clipInfo(c.Context(), o, args[0])
		},
	}
	o.flags(c.Flags())
	c.Flags().Var(&at, "size", "height x width of the frames that a model's cost is given for")
	a.jsonFlag(c)
	return c
}

// isModel reports whether a path is to be read as a model, by its name.
func isModel(path string) bool {
	return slices.Contains([]string{".safetensors", ".pth", ".pt", ".bin", ".ckpt"}, filepath.Ext(path))
}

// modelReport is what info prints of a model. Memory is what running takes
// beyond the program itself: weights, values at their fullest, frames.
type modelReport struct {
	Event      string          `json:"event"`
	Path       string          `json:"path"`
	Network    string          `json:"network"`
	Options    json.RawMessage `json:"options"`
	About      models.About    `json:"about"`
	First      *models.Config  `json:"first,omitempty"` // makes the first frames
	Needs      models.Needs    `json:"needs"`
	Parameters int             `json:"parameters"`
	Bytes      int64           `json:"file_bytes"`
	Size       string          `json:"size"`
	GFLOP      float64         `json:"gflop"`
	Memory     float64         `json:"memory_mb"`
	Obstacle   string          `json:"obstacle,omitempty"` // why it does not run on clips
}

// fallbackSize is what costs are given for where neither the user nor the
// model names a size.
var fallbackSize = size{256, 256}

func (a *app) modelInfo(path string, at size) (err error) {
	m, err := openModel(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	if at == (size{}) && at.Set(m.Config.About.Size) != nil {
		at = fallbackSize
	}
	r := modelReport{Event: "model", Path: path, Network: m.Config.Network, Options: m.Config.Options, About: m.Config.About, First: m.Config.First,
		Needs: m.Net.Needs(), Size: at.String()}
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	r.Bytes = st.Size()
	params, err := models.Parameters(m.Net)
	if err != nil {
		return err
	}
	r.Parameters = count(params)
	if p, err := models.GeneratorProgram(m.Net, 1, at.H, at.W); err != nil {
		r.Obstacle = err.Error()
	} else {
		r.GFLOP = float64(p.Work()) / 1e9
		r.Memory = float64(4*r.Parameters+held(p)) / 1e6
	}
	if a.json {
		return a.event(r)
	}
	return a.printModel(r)
}

func count(params []nn.Param) int {
	n := 0
	for _, p := range params {
		n += p.Shape.TotalSize()
	}
	return n
}

// held is how many bytes a program's values need at the same time, packed as a
// device packs them, without its constants. Values that fusing has left unmade
// need none.
func held(p *engine.Program) int {
	first, last := make([]int, len(p.Values)), make([]int, len(p.Values))
	made := make([]bool, len(p.Values))
	for i, in := range p.Code {
		first[in.Out], last[in.Out], made[in.Out] = i, i, true
		for _, v := range in.Reads() {
			last[v] = i
		}
	}
	var spans []engine.Span
	bytes := 0
	for i, v := range p.Values {
		n := v.Size() * v.Type.Bytes()
		switch {
		case v.Role == engine.Constant || v.Alias >= 0:
		case v.Role == engine.Temporary && !v.Output:
			if !made[i] {
				continue
			}
			spans = append(spans, engine.Span{First: first[i], Last: last[i], Bytes: n})
		default:
			bytes += n
		}
	}
	_, arena := engine.Pack(spans, 64)
	return bytes + arena
}

func (a *app) printModel(r modelReport) error {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(w, name+"\t"+format+"\n", args...) }
	row("network", "%s", r.Network)
	row("options", "%s", r.Options)
	if r.First != nil {
		row("first frames", "%s %s", r.First.Network, r.First.Options)
	}
	if r.About.Extract != "" {
		row("control pictures", "%s", r.About.Extract)
	}
	if r.About.Steps > 0 {
		row("trained", "%d steps at %s, seed %d", r.About.Steps, r.About.Size, r.About.Seed)
	}
	if r.About.Note != "" {
		row("note", "%s", r.About.Note)
	}
	if i := r.About.Imported; i != nil {
		row("imported from", "%s", strings.Join(i.From, ", "))
		for _, as := range i.Assumed {
			row("", "%s", assumption(as))
		}
	}
	row("sees", "%d control pictures, %d frames made before; sizes padded to a multiple of %d", r.Needs.Window, r.Needs.Past, r.Needs.Stride)
	row("parameters", "%d", r.Parameters)
	row("file", "%.1f MB", float64(r.Bytes)/1e6)
	if r.Obstacle != "" {
		row("does not run on clips", "%s", r.Obstacle)
		return w.Flush()
	}
	row("a frame of "+r.Size, "%.2f GFLOP, about %.0f MB of memory", r.GFLOP, r.Memory)
	return w.Flush()
}

// clipReport is what info prints of a clip.
type clipReport struct {
	Event    string  `json:"event"`
	Path     string  `json:"path"`
	Codec    string  `json:"codec"`
	PixFmt   string  `json:"pix_fmt,omitempty"`
	Width    int     `json:"width"`
	Height   int     `json:"height"`
	Frames   int     `json:"frames"`
	Rate     string  `json:"rate"`
	Variable bool    `json:"variable_rate"`
	Seconds  float64 `json:"seconds"`
	Rotation int     `json:"rotation"`
	Aspect   string  `json:"sample_aspect"`
	Matrix   string  `json:"matrix,omitempty"`
	Range    string  `json:"range,omitempty"`
	HDR      bool    `json:"hdr"`

	Audio     []string `json:"audio"`
	Subtitles []string `json:"subtitles"`
	Decoder   string   `json:"decoder"`
	Notes     []string `json:"notes"`
}

func (a *app) clipInfo(ctx context.Context, o clipOptions, path string) (err error) {
	c, err := o.plain(ctx, path)
	if err != nil {
		return err
	}
	defer c.Close() // nothing was read
	i := c.Info()
	r := clipReport{Event: "clip", Path: path, Codec: i.Codec, PixFmt: i.PixFmt, Width: i.Width, Height: i.Height,
		Frames: i.Frames(), Rate: i.Rate.String(), Variable: i.Variable, Seconds: i.Duration.Seconds(), Rotation: i.Rotation,
		Aspect: i.SampleAspect.String(), Matrix: i.Color.Matrix, Range: i.Color.Range, HDR: i.Color.HDR(),
		Audio: append([]string{}, i.AudioCodecs...), Subtitles: append([]string{}, i.SubtitleCodecs...),
		Decoder: c.decoder, Notes: append([]string{}, c.notes...)}
	if a.json {
		return a.event(r)
	}
	return a.printClip(r, i)
}

func (a *app) printClip(r clipReport, i video.Info) error {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(w, name+"\t"+format+"\n", args...) }
	row("video", "%s %s, %dx%d", r.Codec, r.PixFmt, r.Width, r.Height)
	kind := "constant"
	if r.Variable {
		kind = "varying"
	}
	row("frames", "%d, %s a second, %s, %.3f s", r.Frames, r.Rate, kind, r.Seconds)
	if r.Rotation != 0 {
		row("rotation", "%d degrees, applied", r.Rotation)
	}
	row("pixel shape", "%s", r.Aspect)
	row("colour", "matrix %s, range %s", orUnknown(i.Color.Matrix), orUnknown(i.Color.Range))
	for _, codec := range r.Audio {
		row("audio", "%s", codec)
	}
	for _, codec := range r.Subtitles {
		row("subtitles", "%s", codec)
	}
	row("decoder", "%s", r.Decoder)
	for _, note := range r.Notes {
		row("note", "%s", note)
	}
	return w.Flush()
}

func orUnknown(tag string) string {
	if tag == "" {
		return "not tagged"
	}
	return tag
}
