package main

import (
	"context"
	"errors"
	"fmt"
	"image"

	"github.com/spf13/pflag"

	"github.com/v2v/v2v/jobs"
	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/cvimg"
	"github.com/v2v/v2v/video/labelmap"
	"github.com/v2v/v2v/video/pose"
)

// poseOptions say how people are drawn.
type poseOptions struct {
	dir        string
	iuv        string // DensePose's pictures beside it
	people     string
	confidence float64
	stroke     float64
}

func (o *poseOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.dir, "keypoints", "", "folder of OpenPose's JSON files, or with one such folder a clip: draw poses")
	f.StringVar(&o.people, "people", "one", "with --keypoints: draw one person, followed through the clip, or all")
	f.Float64Var(&o.confidence, "confidence", 0.05, "with --keypoints: draw joints of the body that OpenPose is surer of")
	f.Float64Var(&o.stroke, "stroke", 1, "with --keypoints: how many times as thick lines are")
}

func (o *poseOptions) check() error {
	switch {
	case o.dir == "":
		return nil
	case o.people != "one" && o.people != "all":
		return usage("--people %q: give one or all", o.people)
	case !(o.confidence >= 0 && o.confidence < 1):
		return usage("--confidence %g: give a number from 0 to below 1", o.confidence)
	case !(o.stroke > 0 && o.stroke <= 20):
		return usage("--stroke %g: give a number above 0 and up to 20", o.stroke)
	}
	return nil
}

// settings are what changes the pictures.
func (o *poseOptions) settings() string {
	how := fmt.Sprintf("--people %s --confidence %g --stroke %g", o.people, o.confidence, o.stroke)
	if o.iuv != "" {
		how += " --densepose"
	}
	return how
}

func (o *poseOptions) draw() pose.Options {
	d := pose.Options{Body: o.confidence, Width: o.stroke}
	if o.confidence == 0 {
		d.Body = -1 // whatever was found
	}
	return d
}

// control finds and reads every keypoint file of a clip.
func (o *poseOptions) control(path string, info video.Info, alone bool) (control, []string) {
	find := companions{dir: o.dir, what: "keypoint file", ext: ".json", clip: path, info: info, alone: alone}
	files, problems := find.find()
	nobody := 0
	for _, file := range files {
		if file == "" {
			continue // reported
		}
		people, err := pose.ReadFile(file)
		if err != nil {
			problems = append(problems, err.Error())
		} else if len(people) == 0 {
			nobody++
		}
	}
	c := &poseControl{o: o, files: files, nobody: nobody}
	if o.iuv != "" {
		find = companions{dir: o.iuv, what: "DensePose picture", ext: ".png", clip: path, info: info, alone: alone}
		var more []string
		c.iuv, more = find.find()
		problems = append(problems, more...)
	}
	return c, problems
}

type poseControl struct {
	o      *poseOptions
	files  []string
	iuv    []string // by frame; nil for none
	nobody int      // files without people
	n      int
	follow pose.Follower
	drawn  []pose.Person // the last, in the picture's size
}

func (c *poseControl) begin(context.Context) error { return nil }
func (c *poseControl) close() error                { return nil }

func (c *poseControl) next(_ context.Context, f *video.Frame, to size) (p pictures, err error) {
	if c.n == len(c.files) {
		return p, fmt.Errorf("frame %d has no keypoint file", c.n)
	}
	people, err := pose.ReadFile(c.files[c.n])
	if err != nil {
		return p, err
	}
	c.n++
	if c.o.people != "all" {
		one := c.follow.Pick(people)
		if people = nil; one != nil {
			people = []pose.Person{*one}
		}
	}
	for i := range people {
		people[i].Scale(f.W, f.H, to.W, to.H)
	}
	p[controlSide], c.drawn = video.NewFrame(to.W, to.H), people
	pose.Draw(p[controlSide], people, c.o.draw())
	if c.iuv != nil {
		p[iuvSide], err = densePicture(c.iuv[c.n-1], to)
	}
	return p, err
}

// densePicture reads a picture of DensePose in another size, and refuses one that is
// none.
func densePicture(path string, to size) (*video.Frame, error) {
	f, err := video.ReadImage(path)
	if err == nil {
		err = labelmap.DensePose(video.NewFrame(f.W, f.H), f)
	}
	if err != nil {
		return nil, withCode(jobs.ExitUnreadable, fmt.Errorf("%s: %w", path, err))
	}
	out := video.NewFrame(to.W, to.H)
	labelmap.ResizeFrame(out, f)
	return out, nil
}

func (c *poseControl) points() []byte { return pose.Format(c.drawn) }

// faceOptions say how faces are drawn.
type faceOptions struct {
	dir        string
	background bool
	crop       bool
}

func (o *faceOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.dir, "landmarks", "", "folder of text files of 68 landmarks, or with one such folder a clip: draw faces")
	f.BoolVar(&o.background, "background", false, "with --landmarks: add the edges of what is around the face")
	f.BoolVar(&o.crop, "crop-face", false, "with --landmarks: see a square about the face of the clip's first frame alone")
}

func (o *faceOptions) check() error {
	if o.dir == "" && (o.background || o.crop) {
		return usage("--background and --crop-face go with --landmarks")
	}
	return nil
}

func (o *faceOptions) settings() string {
	how := fmt.Sprintf("--background=%v", o.background)
	if o.crop {
		how += " --crop-face"
	}
	return how
}

// square is what is seen of a clip alone.
func (o *faceOptions) square(path string, info video.Info, alone bool) (image.Rectangle, error) {
	find := companions{dir: o.dir, what: "landmark file", ext: ".txt", clip: path, info: info, alone: alone}
	files, problems := find.find()
	if len(problems) > 0 {
		return image.Rectangle{}, withCode(jobs.ExitUnreadable, errors.New(problems[0]))
	}
	l, err := pose.ReadLandmarks(files[0])
	if err != nil {
		return image.Rectangle{}, withCode(jobs.ExitUnreadable, err)
	}
	return l.Square(info.Width, info.Height), nil
}

// control finds and reads every landmark file of a clip.
func (o *faceOptions) control(path string, info video.Info, alone bool) (control, []string) {
	find := companions{dir: o.dir, what: "landmark file", ext: ".txt", clip: path, info: info, alone: alone}
	files, problems := find.find()
	for _, file := range files {
		if file == "" {
			continue // reported
		}
		if _, err := pose.ReadLandmarks(file); err != nil {
			problems = append(problems, err.Error())
		}
	}
	return &faceControl{o: o, files: files}, problems
}

type faceControl struct {
	o     *faceOptions
	files []string
	n     int
	edges *cvimg.Extractor // nil without a background
	own   *video.Frame
	drawn *pose.Landmarks // the last, in the picture's size

	square image.Rectangle // that is seen, where not all is; empty before the first frame
}

func (c *faceControl) points() []byte { return c.drawn.Text() }

func (c *faceControl) begin(context.Context) (err error) {
	if c.o.background {
		c.edges, err = cvimg.NewExtractor("edges", cvimg.Options{})
	}
	return err
}

func (c *faceControl) close() error {
	if c.edges == nil {
		return nil
	}
	return c.edges.Close()
}

func (c *faceControl) next(_ context.Context, f *video.Frame, to size) (p pictures, err error) {
	if c.n == len(c.files) {
		return p, fmt.Errorf("frame %d has no landmark file", c.n)
	}
	l, err := pose.ReadLandmarks(c.files[c.n])
	if err != nil {
		return p, err
	}
	c.n++
	if c.o.crop {
		if c.square.Empty() {
			c.square = l.Square(f.W, f.H)
		}
		l.Shift(-float64(c.square.Min.X), -float64(c.square.Min.Y))
		f = cropped(f, c.square)
		if p[realSide], err = fitted(f, to); err != nil {
			return p, err
		}
	}
	l.Scale(f.W, f.H, to.W, to.H)
	c.drawn = l
	m, err := pose.FaceMaps(l, to.W, to.H)
	if err != nil {
		return p, err
	}
	if err := c.addBackground(m, f, to); err != nil {
		return p, err
	}
	p[controlSide], p[partSide], p[mapsSide] = m.EdgeFrame(), m.PartFrame(), m.Packed()
	return p, nil
}

// cropped is a part of a frame.
func cropped(f *video.Frame, r image.Rectangle) *video.Frame {
	out := video.NewFrame(r.Dx(), r.Dy())
	out.PTS = f.PTS
	for y := range out.H {
		copy(out.Pix[3*y*out.W:], f.Pix[3*((r.Min.Y+y)*f.W+r.Min.X):][:3*out.W])
	}
	return out
}

// addBackground draws the edges of the frame where there is no face.
func (c *faceControl) addBackground(m *pose.Maps, f *video.Frame, to size) error {
	if c.edges == nil {
		return nil
	}
	if c.own == nil {
		c.own = video.NewFrame(f.W, f.H)
	}
	if err := c.edges.Apply(c.own, f); err != nil {
		return err
	}
	around, err := fitted(c.own, to)
	if err != nil {
		return errors.Join(errors.New("edges around the face"), err)
	}
	m.AddBackground(around)
	return nil
}
