package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/cvimg"
	"github.com/v2v/v2v/video/pose"
)

// poseOptions say how people are drawn.
type poseOptions struct {
	dir        string
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
	return fmt.Sprintf("--people %s --confidence %g --stroke %g", o.people, o.confidence, o.stroke)
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
	return &poseControl{o: o, files: files, nobody: nobody}, problems
}

type poseControl struct {
	o      *poseOptions
	files  []string
	nobody int // files without people
	n      int
	follow pose.Follower
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
	p[controlSide] = video.NewFrame(to.W, to.H)
	pose.Draw(p[controlSide], people, c.o.draw())
	return p, nil
}

// faceOptions say how faces are drawn.
type faceOptions struct {
	dir        string
	background bool
}

func (o *faceOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.dir, "landmarks", "", "folder of text files of 68 landmarks, or with one such folder a clip: draw faces")
	f.BoolVar(&o.background, "background", false, "with --landmarks: add the edges of what is around the face")
}

func (o *faceOptions) settings() string { return fmt.Sprintf("--background=%v", o.background) }

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
}

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
	l.Scale(f.W, f.H, to.W, to.H)
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
