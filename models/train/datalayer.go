package train

import (
	"image"
	"math/rand/v2"

	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/pose"
)

// layer is a part of control pictures: one picture, or several below one another.
type layer interface {
	// picture is what it shows of frame t of a clip in a sample.
	picture(d *Data, c *clip, t int, l *look) (*video.Frame, error)
	// memory is how many bytes it has beside Data.frames.
	memory() int64
}

// look is how a sample is cut out, and what else is drawn for it.
type look struct {
	view    view
	real    *video.Frame // of the frame that is looked at
	dropped bool         // something is gone of DensePose's pictures
	gone    [256]bool    // by the byte that stands for a part
	without pose.Without
	head    [headJoints][2]float64       // how far joints of the head are moved, in pixels
	face    [2]float64                   // and the face
	scale   [pose.ScaledParts][2]float64 // of parts of a face, across and down; zero for none
	buf     []byte
}

// look draws what is left out, in training; without r nothing but what always is.
func (d *Data) look(r *rand.Rand) (l look) {
	if d.o.Split != TrainSplit {
		r = nil
	}
	if r != nil && d.o.PartDrop > 0 {
		drop(r, d.o.PartDrop, &l.gone)
	}
	d.o.Pose.look(r, &l)
	d.o.Face.look(r, &l)
	l.dropped = l.gone != [256]bool{}
	return l
}

// stacked are the pictures of all layers below one another.
func stacked(d *Data, c *clip, t int, l *look, layers []layer) (*video.Frame, error) {
	var all []*video.Frame
	h := 0
	for _, of := range layers {
		f, err := of.picture(d, c, t, l)
		if err != nil {
			return nil, err
		}
		all, h = append(all, f), h+f.H
	}
	if len(all) == 1 {
		return all[0], nil
	}
	whole := video.NewFrame(all[0].W, h)
	pix := whole.Pix[:0]
	for _, f := range all {
		pix = append(pix, f.Pix...)
	}
	return whole, nil
}

// pictures are those of a clip that lie in Data.frames, from first on.
type pictures struct {
	first int
	ids   bool // they hold numbers that no resizing may mix
	dense bool // parts of the body may be left out: they are DensePose's, where anything is
}

func (pictures) memory() int64 { return 0 }

func (p pictures) picture(d *Data, c *clip, t int, l *look) (*video.Frame, error) {
	pix, err := d.frames.get(p.first+t, l.buf)
	if err != nil {
		return nil, err
	}
	if d.frames.file != nil {
		l.buf = pix
	}
	whole := &video.Frame{Pix: pix, W: c.size.X, H: c.size.Y}
	if full := l.view.full; full != (image.Point{}) {
		whole = d.o.Scaling.scaled(whole, full, p.ids)
	}
	f := l.view.frame(whole.Pix, whole.W)
	if l.dropped && p.dense {
		hide(&l.gone, f)
	}
	return f, nil
}
