package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/sheet"
)

type sampleOptions struct {
	model, out  string
	n           int
	seed        uint64
	learned     bool
	class       string
	interpolate int
	stops       int
	zoom        int
	rate        rate
	sink        sinkOptions
	device      deviceOptions
}

func newSample(a *app) *cobra.Command {
	var o sampleOptions
	c := &cobra.Command{
		Use:   "sample --model MODEL -o OUT",
		Short: "Make pictures with a network that was trained on pictures alone",
		Long: `Makes pictures of drawn codes with a perceptron, mlp, deconv or gan: one PNG
with a grid of them; or, with --interpolate, a video that walks from code to
code and back to the first. A code is noise for a gan; for the others it is
drawn of the normal distribution of those they have learned, one for each
training picture. The same seed draws the same.`,
		Example: `  v2v sample --model run/model.safetensors -n 64 --seed 3 -o grid.png
  v2v sample --model run/model.safetensors --interpolate 60 -o walk.mp4 --zoom 4`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runSample(c.Context(), a, o) },
	}
	f := c.Flags()
	f.StringVar(&o.model, "model", "", "model file of a network of pictures")
	f.StringVarP(&o.out, "output", "o", "", "PNG to write; with --interpolate a video, or a folder of PNGs")
	f.IntVarP(&o.n, "count", "n", 64, "how many pictures")
	f.Uint64Var(&o.seed, "seed", 1, "of what is drawn")
	f.BoolVar(&o.learned, "learned", false, "take learned codes as they are, rather than draw: what the network makes of training pictures")
	f.StringVar(&o.class, "class", "", "make pictures of this class alone; all in turn otherwise")
	f.IntVar(&o.interpolate, "interpolate", 0, "make a walk of so many frames")
	f.IntVar(&o.stops, "stops", 5, "codes that the walk passes")
	f.IntVar(&o.zoom, "zoom", 1, "enlarge pictures so many times")
	f.Var(&o.rate, "rate", "frames a second of the walk (default 25)")
	f.BoolVar(&o.sink.overwrite, "overwrite", false, "replace an output that exists")
	o.sink.flags(f)
	o.device.flags(f, a.say)
	return c
}

// maxSamples bounds what one call makes: a grid of 128 by 128.
const maxSamples = 1 << 14

func (o *sampleOptions) check() error {
	switch {
	case o.out == "":
		return usage("give -o OUT")
	case o.n < 1 || o.n > maxSamples:
		return usage("-n %d: give 1 to %d", o.n, maxSamples)
	case o.interpolate < 0 || o.stops < 2:
		return usage("--interpolate %d --stops %d: give frames from 1 up, and at least 2 stops", o.interpolate, o.stops)
	case o.zoom < 1 || o.zoom > 32:
		return usage("--zoom %d: give 1 to 32", o.zoom)
	case o.interpolate == 0 && isFolder(o.out):
		return usage("-o %s: a grid is one picture, like grid.png", o.out)
	}
	return o.sink.free(o.out, "")
}

func runSample(ctx context.Context, a *app, o sampleOptions) (err error) {
	if err := o.check(); err != nil {
		return err
	}
	m, err := openPictureModel(o.model)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	if o.learned && !m.Net.Learned() {
		return usage("--learned: %s learns no codes, it makes pictures of noise", m.Config.Network)
	}
	dev, err := o.device.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	return o.produce(ctx, a, dev, m)
}

func openPictureModel(path string) (*models.PictureModel, error) {
	if path == "" {
		return nil, usage("give --model FILE.safetensors")
	}
	m, err := models.OpenPicture(path)
	if err != nil {
		return nil, withCode(exitModel, err)
	}
	return m, nil
}

func (o *sampleOptions) produce(ctx context.Context, a *app, dev engine.Device, m *models.PictureModel) (err error) {
	s, err := models.NewSampler(dev, m.Net, m.Weight)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	codes := o.codes(s)
	classes, err := o.classes(m.Net.Options().Classes, len(codes))
	if err != nil {
		return err
	}
	frames, err := s.Make(ctx, codes, classes)
	if err != nil {
		return err
	}
	for i, f := range frames {
		frames[i] = enlarged(f, o.zoom)
	}
	if o.interpolate > 0 {
		return o.film(ctx, a, frames)
	}
	grid := grid(frames, columns(len(frames)))
	if err := video.WritePNG(o.out, grid); err != nil {
		return err
	}
	a.say("%s: %d pictures of %s, %dx%d", o.out, len(frames), m.Config.Network, grid.W, grid.H)
	return nil
}

// codes are those of a grid, or of a walk: through drawn noise, or from learned
// code to learned code.
func (o *sampleOptions) codes(s *models.Sampler) [][]float32 {
	n := o.n
	if o.interpolate > 0 {
		n = o.stops
	}
	codes := s.Draw(n, o.seed)
	if learned := s.Learned(); learned != nil && (o.learned || o.interpolate > 0) {
		codes = codes[:min(n, len(learned))]
		first := int(o.seed % uint64(len(learned)))
		for i := range codes {
			codes[i] = learned[(first+i*len(learned)/len(codes))%len(learned)]
		}
	}
	if o.interpolate > 0 {
		return s.Walk(codes, o.interpolate)
	}
	return codes
}

// classes numbers the classes of n pictures.
func (o *sampleOptions) classes(names []string, n int) ([]int, error) {
	if o.class != "" && !slices.Contains(names, o.class) {
		if len(names) == 0 {
			return nil, usage("--class %s: the network was trained without classes", o.class)
		}
		return nil, usage("--class %q is none of %s", o.class, strings.Join(names, ", "))
	}
	if len(names) == 0 {
		return nil, nil
	}
	classes := make([]int, n)
	for i := range classes {
		switch {
		case o.class != "":
			classes[i] = slices.Index(names, o.class)
		case o.interpolate == 0:
			classes[i] = i % len(names)
		}
	}
	return classes, nil
}

// film writes a walk.
func (o *sampleOptions) film(ctx context.Context, a *app, frames []*video.Frame) (err error) {
	w, h := frames[0].W, frames[0].H
	info := video.Info{Stills: true, Width: w, Height: h, Rate: video.Rational(o.rate)}
	if info.Rate.Num == 0 {
		info.Rate = video.Rational{Num: 25, Den: 1}
	}
	out, err := o.sink.create(ctx, o.out, "", info, w, h)
	if err != nil {
		return fmt.Errorf("write %q: %w", o.out, err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	for i, f := range frames {
		f.PTS = int64(i)
		if err := out.Write(ctx, f); err != nil {
			return fmt.Errorf("write %q: frame %d: %w", o.out, i, err)
		}
	}
	if err := out.Commit(ctx); err != nil {
		return fmt.Errorf("write %q: %w", o.out, err)
	}
	a.say("%s: %d frames of %dx%d, %s a second", o.out, len(frames), w, h, info.Rate)
	return nil
}

// columns is how wide a grid of n pictures is: about as wide as it is high.
func columns(n int) int { return int(math.Ceil(math.Sqrt(float64(n)))) }

// grid lays frames out in rows.
func grid(frames []*video.Frame, columns int) *video.Frame {
	var rows [][]*video.Frame
	for row := range slices.Chunk(frames, columns) {
		rows = append(rows, row)
	}
	return sheet.Grid(rows, 2)
}

// enlarged repeats every pixel by times by times.
func enlarged(f *video.Frame, by int) *video.Frame {
	if by == 1 {
		return f
	}
	out := video.NewFrame(f.W*by, f.H*by)
	for y := range out.H {
		for x := range out.W {
			copy(out.Pix[3*(y*out.W+x):][:3], f.Pix[3*(y/by*f.W+x/by):])
		}
	}
	return out
}
