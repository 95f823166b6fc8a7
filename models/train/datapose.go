package train

import (
	"fmt"
	"image"
	"math/rand/v2"

	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/labelmap"
	"github.com/v2v/v2v/video/pose"
)

// PoseData are vid2vid's data of poses (dataset_mode pose): beside train_img, or
// train_B, pictures of DensePose in train_densepose, and in train_openpose what
// OpenPose has found, a folder of JSON files for each clip, one a frame, or of
// pictures that are drawn already. Of both a control picture has 6 channels.
type PoseData struct {
	Dense, Open bool // which of them there are

	// All draws everybody; otherwise it is one person, followed through the clip.
	All  bool
	Draw pose.Options
	// Drop is how likely each part of DensePose's pictures, and of what JSON files
	// hold each limb, each hand and the face, is left out of a training sample
	// (random_drop_prob).
	Drop float64
	// Faceless leaves the head out of DensePose's pictures, held-out ones included,
	// and moves what JSON files tell of it (remove_face_labels): the joints by
	// a deviation of 5 pixels each, the face by 2.
	Faceless bool
}

// The published deviations.
const (
	headDeviation = 5
	faceDeviation = 2
)

// pointBytes is what a pose.Point takes.
const pointBytes = 24

// headJoints is how many joints of BODY_25 are of the head: nose, eyes, ears.
const headJoints = 5

var heads = [headJoints]int{0, 15, 16, 17, 18}

func (o *PoseData) describe() string {
	if o == nil {
		return ""
	}
	return fmt.Sprintf(", poses %v %v %v %g %g %v %g %v", o.Dense, o.Open, o.All, o.Draw.Body, o.Draw.Width, o.Draw.Without.Face, o.Drop, o.Faceless)
}

// look draws what is left out of a sample's poses; without r what always is.
func (o *PoseData) look(r *rand.Rand, l *look) {
	if o == nil {
		return
	}
	l.without = o.Draw.Without
	if o.Faceless && o.Dense {
		lose(labelmap.FirstHeadPart, &l.gone)
		lose(labelmap.BodyParts, &l.gone)
	}
	if r == nil {
		return
	}
	if o.Drop > 0 {
		drop(r, o.Drop, &l.gone)
		for i := range l.without.Limbs {
			l.without.Limbs[i] = l.without.Limbs[i] || r.Float64() < o.Drop
		}
		for _, gone := range []*bool{&l.without.Left, &l.without.Right, &l.without.Face} {
			*gone = r.Float64() < o.Drop || *gone
		}
	}
	if o.Faceless {
		for i := range l.head {
			l.head[i] = [2]float64{headDeviation * r.NormFloat64(), headDeviation * r.NormFloat64()}
		}
		l.face = [2]float64{faceDeviation * r.NormFloat64(), faceDeviation * r.NormFloat64()}
	}
}

// people are those of a clip, drawn for every sample in its size.
type people struct {
	frames [][]pose.Person
	size   image.Point // of the picture that OpenPose saw
}

func (p people) memory() (bytes int64) {
	for _, frame := range p.frames {
		for _, one := range frame {
			bytes += int64(pointBytes * (len(one.Body) + len(one.Face) + len(one.Left) + len(one.Right)))
		}
	}
	return bytes
}

func (p people) picture(d *Data, c *clip, t int, l *look) (*video.Frame, error) {
	to := c.shown(l.view)
	list := make([]pose.Person, len(p.frames[t]))
	for i, one := range p.frames[t] {
		one = one.Clone()
		one.Scale(p.size.X, p.size.Y, to.X, to.Y)
		one.Shift(-float64(l.view.at.X), -float64(l.view.at.Y))
		if l.view.flip {
			one.Mirror(l.view.size.X)
		}
		l.move(&one)
		list[i] = one
	}
	f := video.NewFrame(l.view.size.X, l.view.size.Y)
	o := d.o.Pose.Draw
	o.Without = l.without
	pose.Draw(f, list, o)
	return f, nil
}

// move moves the head.
func (l *look) move(p *pose.Person) {
	for i, joint := range heads {
		p.Body[joint].X += l.head[i][0]
		p.Body[joint].Y += l.head[i][1]
	}
	for i := range p.Face {
		p.Face[i].X += l.face[0]
		p.Face[i].Y += l.face[1]
	}
}

// shown is the size of the whole picture that a view is cut out of.
func (c *clip) shown(v view) image.Point {
	if v.full == (image.Point{}) {
		return c.size
	}
	return v.full
}

// densePose makes of a frame what a network sees of it, and then change.
func densePose(change changeFrame) changeFrame {
	return func(f *video.Frame) (*video.Frame, error) {
		out := video.NewFrame(f.W, f.H)
		out.PTS = f.PTS
		if err := labelmap.DensePose(out, f); err != nil || change == nil {
			return out, err
		}
		return change(out)
	}
}
