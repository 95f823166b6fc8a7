package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/v2v/v2v/jobs"
	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/cvimg"
)

// side is what a picture of a data set shows.
type side int

const (
	controlSide side = iota
	realSide
	partSide // which part of a face a pixel is of
	mapsSide // all planes of a face; what OpenPose has found, where controlSide shows DensePose's parts
	iuvSide  // DensePose's picture as it wrote it, beside one of OpenPose
	sides
)

// pictures are those of one frame, by side; nil for none.
type pictures [sides]*video.Frame

// control makes the control pictures of one clip. Making one is cheap: files
// have been looked for, and nothing is open before begin.
type control interface {
	begin(ctx context.Context) error
	// next makes what goes beside the next frame of the clip, h x w, valid
	// until the next call. The frame stays the caller's.
	next(ctx context.Context, f *video.Frame, to size) (pictures, error)
	close() error
}

// bothPoses is the kind of control pictures that show DensePose's and OpenPose's.
const bothPoses = "densepose and pose"

// pointed is a control that draws points.
type pointed interface {
	// points are those of the picture that was made last, in its size, as their
	// files have them.
	points() []byte
}

// kind is how control pictures are made, as data sets and models note it;
// empty where the clip holds them.
func (o *clipOptions) kind() string {
	switch {
	case o.extract != "":
		return o.extract
	case o.pose.dir != "" && o.labels.densepose:
		return bothPoses
	case o.pose.dir != "":
		return "pose"
	case o.face.dir != "":
		return "face"
	case o.labels.densepose:
		return "densepose"
	case o.labels.wanted():
		return "labels"
	}
	return ""
}

// settings are what changes the pictures of a kind, beyond the kind itself.
func (o *clipOptions) settings() string {
	switch o.kind() {
	case "pose":
		return o.pose.settings()
	case bothPoses:
		return o.labels.settings() + " " + o.pose.settings()
	case "face":
		return o.face.settings()
	case "labels", "densepose":
		return o.labels.settings()
	}
	return ""
}

// notes are what is worth knowing of how the pictures are made.
func (o *clipOptions) notes() []string {
	if o.labels.palette == "" {
		return nil
	}
	p, err := o.labels.read()
	if err != nil {
		return nil // begin says so
	}
	var list []string
	for _, n := range p.Notes {
		list = append(list, o.labels.palette+": "+n)
	}
	return list
}

// beside tells apart what outputs depend on beside the clips, for the records
// of a batch: settings, and the names, sizes and times of files. Empty where
// there is nothing.
func (o *clipOptions) beside() (string, error) {
	if o.settings() == "" && o.labels.instances == "" {
		return "", nil
	}
	h := sha256.New()
	fmt.Fprintln(h, o.kind(), o.settings())
	for _, root := range []string{o.pose.dir, o.face.dir, o.labels.palette, o.labels.instances} {
		if root == "" {
			continue
		}
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			fi, err := d.Info()
			if err == nil {
				fmt.Fprintf(h, "%q %d %d\n", path, fi.Size(), fi.ModTime().UnixNano())
			}
			return err
		})
		if err != nil {
			return "", withCode(jobs.ExitUnreadable, fmt.Errorf("batch: %w", err))
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}

// control makes the one that kind says, for a clip that may be one of many.
// Whatever is wrong with the files that it needs comes back as problems.
func (o *clipOptions) control(path string, info video.Info, alone bool) (control, []string) {
	switch o.kind() {
	case "pose":
		return o.pose.control(path, info, alone)
	case "face":
		return o.face.control(path, info, alone)
	case bothPoses:
		dense, wrong := o.labels.control(path, info, alone)
		drawn, more := o.pose.control(path, info, alone)
		return &bothControl{dense, drawn}, append(wrong, more...)
	case "labels", "densepose":
		return o.labels.control(path, info, alone)
	}
	return &extractControl{o: o, path: path}, nil
}

// controlled is a clip whose frames have become control pictures of a size. On
// failure r is closed.
func (o *clipOptions) controlled(ctx context.Context, r video.Reader, path string, to size) (video.Reader, error) {
	c, problems := o.control(path, r.Info(), o.alone)
	if len(problems) > 0 {
		more := ""
		if len(problems) > 1 {
			more = fmt.Sprintf(" (and %d more)", len(problems)-1)
		}
		return nil, errors.Join(withCode(jobs.ExitUnreadable, errors.New(problems[0]+more)), r.Close())
	}
	if err := c.begin(ctx); err != nil {
		return nil, errors.Join(err, c.close(), r.Close())
	}
	shown := o.shown()
	s := newStage(r, to.W, to.H*len(shown), func(dst, src *video.Frame) error {
		p, err := c.next(ctx, src, to)
		if err == nil {
			stack(dst, p, shown)
		}
		return err
	})
	s.close = c.close
	return s, nil
}

// shown are the sides that a model sees of what is made, one below another. The
// planes of a face are several pictures.
func (o *clipOptions) shown() []side {
	shown := []side{controlSide}
	switch {
	case o.kind() == bothPoses:
		shown = append(shown, mapsSide)
	case o.kind() == "face" && o.tiles.colors() == facePictures:
		shown = nil
		for range facePictures {
			shown = append(shown, mapsSide)
		}
	}
	if o.kind() == "face" && o.tiles.instances {
		shown = append(shown, partSide)
	}
	return shown
}

// stack puts pictures below one another.
func stack(dst *video.Frame, p pictures, shown []side) {
	pix := dst.Pix[:0]
	for i, s := range shown {
		if i == 0 || s != shown[i-1] {
			pix = append(pix, p[s].Pix...)
		}
	}
}

// bothControl makes DensePose's pictures and draws what OpenPose has found.
type bothControl struct{ dense, drawn control }

func (c *bothControl) begin(ctx context.Context) error {
	return errors.Join(c.dense.begin(ctx), c.drawn.begin(ctx))
}

func (c *bothControl) close() error { return errors.Join(c.dense.close(), c.drawn.close()) }

func (c *bothControl) next(ctx context.Context, f *video.Frame, to size) (p pictures, err error) {
	if p, err = c.dense.next(ctx, f, to); err != nil {
		return p, err
	}
	drawn, err := c.drawn.next(ctx, f, to)
	p[mapsSide] = drawn[controlSide]
	return p, err
}

// fitted is a frame in a size: itself, or a new one.
func fitted(f *video.Frame, to size) (*video.Frame, error) {
	if f.W == to.W && f.H == to.H {
		return f, nil
	}
	out := video.NewFrame(to.W, to.H)
	return out, cvimg.Resize(out, f)
}

// extractControl sees what is in the frames themselves. Pictures are extracted
// at the clip's own resolution and then made smaller.
type extractControl struct {
	o    *clipOptions
	path string
	e    *cvimg.Extractor
	own  *video.Frame
}

// begin shows extractors that want to know a clip before they begin its start,
// in a reader of its own.
func (c *extractControl) begin(ctx context.Context) (err error) {
	if c.e, err = cvimg.NewExtractor(c.o.extract, cvimg.Options{}); err != nil {
		return err
	}
	return c.o.eachFrame(ctx, c.path, c.e.WarmUp(), func(_ int, f *video.Frame) error { return c.e.Learn(f) })
}

func (c *extractControl) next(_ context.Context, f *video.Frame, to size) (p pictures, err error) {
	if c.own == nil {
		c.own = video.NewFrame(f.W, f.H)
	}
	if err := c.e.Apply(c.own, f); err != nil {
		return p, err
	}
	p[controlSide], err = fitted(c.own, to)
	return p, err
}

func (c *extractControl) close() error {
	if c.e == nil {
		return nil
	}
	return c.e.Close()
}
