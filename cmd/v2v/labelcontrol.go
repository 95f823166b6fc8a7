package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/v2v/v2v/jobs"
	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/labelmap"
)

// labelOptions say what the pictures of a clip mean.
type labelOptions struct {
	palette   string
	tolerance float64
	ids       bool
	densepose bool
	headless  bool // with densepose: without the head
	labels    int  // how many there are; 0 for any
	instances string
	packed    bool // instances are packed into the pictures of labels
}

func (o *labelOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.palette, "palette", "", "file of label colours, lines of id r g b name: turn a coloured clip into label ids")
	f.Float64Var(&o.tolerance, "tolerance", 24, "with --palette: how far a pixel may be from the colour of its label, in levels")
	f.BoolVar(&o.ids, "ids", false, "the pictures hold label ids; palette PNGs by their index")
	f.StringVar(&o.instances, "instances", "", "folder of index PNGs of up to 16 bits, one a frame, or with one such folder a clip: which instance a pixel is of")
	f.BoolVar(&o.headless, "remove-face-labels", false, "with --densepose: leave out the head")
}

func (o *labelOptions) wanted() bool { return o.palette != "" || o.ids || o.densepose }

func (o *labelOptions) check() error {
	given := 0
	for _, on := range []bool{o.palette != "", o.ids, o.densepose} {
		if on {
			given++
		}
	}
	switch {
	case given > 1:
		return usage("--palette, --ids and --densepose exclude one another: give one")
	case o.headless && !o.densepose:
		return usage("--remove-face-labels goes with --densepose")
	case o.instances != "" && o.densepose:
		return usage("--instances goes with labels or pictures in colour, not with --densepose")
	case o.palette != "" && !(o.tolerance > 0):
		return usage("--tolerance %g: give a number above 0", o.tolerance)
	case o.labels < 0 || o.labels > labelmap.MaxID+1:
		return usage("--label-nc %d: give 1 to %d", o.labels, labelmap.MaxID+1)
	}
	if o.palette == "" {
		return nil
	}
	_, err := o.read()
	return err
}

// read reads the palette.
func (o *labelOptions) read() (*labelmap.Palette, error) {
	p, err := labelmap.ReadPalette(o.palette)
	if err != nil {
		return nil, usage("%w", err)
	}
	return p, nil
}

func (o *labelOptions) settings() string {
	how := "--ids"
	switch {
	case o.densepose:
		how = "--densepose"
	case o.palette != "":
		how = fmt.Sprintf("--palette %s --tolerance %g", filepath.Base(o.palette), o.tolerance)
	}
	if o.instances != "" {
		how += " --instances"
	}
	if o.headless {
		how += " --remove-face-labels"
	}
	return how
}

// control makes label ids of a clip's frames, with the instance maps beside it.
func (o *labelOptions) control(path string, info video.Info, alone bool) (control, []string) {
	c := &labelControl{o: o, path: path, stills: stillNames(info)}
	if o.instances == "" || !o.packed {
		return c, nil
	}
	var problems []string
	c.instances, problems = o.maps(path, info, alone)
	return c, problems
}

// maps finds the instance map of every frame of a clip.
func (o *labelOptions) maps(path string, info video.Info, alone bool) (files, problems []string) {
	pictures := "pictures"
	if o.packed {
		pictures = "labels"
	}
	find := companions{dir: o.instances, what: "instance map", ext: ".png", clip: path, info: info, alone: alone}
	files, problems = find.find()
	for _, file := range files {
		if file == "" {
			continue // reported
		}
		m, err := labelmap.ReadIndex(file)
		if err != nil {
			problems = append(problems, err.Error())
		} else if m.W != info.Width || m.H != info.Height {
			problems = append(problems, fmt.Sprintf("%s is %dx%d, the %s are %dx%d (height x width)", file, m.H, m.W, pictures, info.Height, info.Width))
		}
	}
	return files, problems
}

type labelControl struct {
	o         *labelOptions
	path      string
	stills    []string                                        // names of the pictures of a clip that is a folder
	instances []string                                        // by frame; nil for none
	open      func(ctx context.Context) (video.Reader, error) // of the labels, where the frames passed to next are others

	reader video.Reader
	colors *labelmap.Colors
	n      int
	ids    *video.Frame
}

func (c *labelControl) begin(ctx context.Context) error {
	if c.o.palette != "" {
		p, err := c.o.read()
		if err != nil {
			return err
		}
		if c.colors, err = labelmap.NewColors(p, labelmap.Options{Tolerance: c.o.tolerance}); err != nil {
			return err
		}
	}
	if c.open == nil || c.raw() {
		return nil
	}
	r, err := c.open(ctx)
	if err != nil {
		return err // r may be a nil pointer in an interface
	}
	c.reader = r
	return nil
}

// raw reports whether pictures are read as index pictures, not decoded.
func (c *labelControl) raw() bool { return c.o.ids && c.stills != nil }

// where is the file that frame n is in.
func (c *labelControl) where(n int) string {
	if n < len(c.stills) {
		return filepath.Join(c.path, c.stills[n])
	}
	return c.path
}

func (c *labelControl) close() error {
	if c.reader == nil {
		return nil
	}
	return c.reader.Close()
}

func (c *labelControl) next(ctx context.Context, f *video.Frame, to size) (p pictures, err error) {
	n := c.n
	c.n++
	if err = c.read(ctx, n, f); err == nil && c.o.labels > 0 {
		err = labelmap.CheckFrame(c.ids, c.o.labels)
	}
	if err != nil {
		return p, withCode(jobs.ExitUnreadable, fmt.Errorf("labels %q frame %d: %w", c.where(n), n, err))
	}
	out := c.ids
	if out.W != to.W || out.H != to.H {
		out = video.NewFrame(to.W, to.H)
		labelmap.ResizeFrame(out, c.ids)
	}
	p[controlSide] = out
	if c.instances == nil {
		return p, nil
	}
	m, err := labelmap.ReadIndex(c.instances[n])
	if err != nil {
		return p, withCode(jobs.ExitUnreadable, err)
	}
	if err := labelmap.Pack(out, m.Resize(to.W, to.H)); err != nil {
		return p, err
	}
	return p, nil
}

// read fills ids with those of frame n; f is what the clip shows there.
func (c *labelControl) read(ctx context.Context, n int, f *video.Frame) error {
	if c.raw() {
		return c.readStill(n)
	}
	if c.reader != nil {
		own, err := c.reader.Next(ctx)
		switch {
		case err == io.EOF:
			return fmt.Errorf("the clip ends before the real one: %w", io.ErrUnexpectedEOF)
		case err != nil:
			return err
		}
		defer own.Release()
		f = own
	}
	c.room(f.W, f.H)
	switch {
	case c.colors != nil:
		_, err := c.colors.Convert(c.ids, f)
		return err
	case c.o.densepose:
		if err := labelmap.DensePose(c.ids, f); err != nil || !c.o.headless {
			return err
		}
		labelmap.Behead(c.ids)
		return nil
	}
	for i := 0; i < len(f.Pix); i += 3 {
		if f.Pix[i] != f.Pix[i+1] || f.Pix[i] != f.Pix[i+2] {
			return fmt.Errorf("pixel (%d,%d) has a colour, not an id: give --palette FILE", i/3%f.W, i/3/f.W)
		}
	}
	copy(c.ids.Pix, f.Pix)
	return nil
}

func (c *labelControl) readStill(n int) error {
	if n == len(c.stills) {
		return fmt.Errorf("the clip ends before the real one: %w", io.ErrUnexpectedEOF)
	}
	m, err := labelmap.ReadIndex(c.where(n))
	if err != nil {
		return err
	}
	c.room(m.W, m.H)
	return m.Fill(c.ids)
}

// room makes ids a frame of a size.
func (c *labelControl) room(w, h int) {
	if c.ids == nil || c.ids.W != w || c.ids.H != h {
		c.ids = video.NewFrame(w, h)
	}
}
