package train

import (
	"errors"
	"fmt"
	"image"
	"math/rand/v2"
	"sync"

	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/pose"
)

// FaceData are vid2vid's data of faces (dataset_mode face): beside train_img, or
// train_B, the 68 landmarks of each frame in train_keypoints, a folder of text
// files for each clip. They are drawn for every sample in its size: 15 planes of
// curves and distances, and where instances are wanted the part of the face that
// each pixel is of.
type FaceData struct {
	// Edges draws the edges of a picture, which are added around the face. Nil for
	// none (no_canny_edge).
	Edges func(dst, src *video.Frame) error
	// Flat leaves curves alone, without distances: one picture (no_dist_map).
	Flat bool
	// Rescale makes each part of the face, in training samples, 0.9 to 1.1 times as
	// large across and down (random_scale_points).
	Rescale bool
	// Square cuts a square about the face of a clip's first frame out of all of it,
	// as vid2vid does, before anything else.
	Square bool

	mu sync.Mutex // keeps Edges to one caller
}

func (o *FaceData) describe() string {
	if o == nil {
		return ""
	}
	return fmt.Sprintf(", faces %v %v %v %v", o.Edges != nil, o.Flat, o.Rescale, o.Square)
}

// look draws how large parts are.
func (o *FaceData) look(r *rand.Rand, l *look) {
	if o == nil || r == nil || !o.Rescale {
		return
	}
	for i := range l.scale {
		l.scale[i] = [2]float64{0.9 + 0.2*r.Float64(), 0.9 + 0.2*r.Float64()}
	}
}

// faces are those of a clip.
type faces struct {
	frames []pose.Landmarks
	size   image.Point // of the picture that they were found in
	parts  bool        // the parts of the face are a picture of their own
}

func (p faces) memory() int64 { return int64(pointBytes * pose.LandmarkPoints * len(p.frames)) }

func (p faces) picture(d *Data, c *clip, t int, l *look) (*video.Frame, error) {
	o, to := d.o.Face, c.shown(l.view)
	w, h := l.view.size.X, l.view.size.Y
	face := p.frames[t]
	face.Scale(p.size.X, p.size.Y, to.X, to.Y)
	face.Shift(-float64(l.view.at.X), -float64(l.view.at.Y))
	if l.view.flip {
		face.Mirror(w)
	}
	if l.scale != [pose.ScaledParts][2]float64{} {
		face.Rescale(l.scale)
	}
	m, err := pose.FaceMaps(&face, w, h)
	if err != nil {
		return nil, err
	}
	if err := o.around(m, l.real); err != nil {
		return nil, err
	}
	f := m.Packed()
	if o.Flat {
		f = m.EdgeFrame()
	}
	if !p.parts {
		return f, nil
	}
	whole := video.NewFrame(w, f.H+h)
	copy(whole.Pix[copy(whole.Pix, f.Pix):], m.PartFrame().Pix)
	return whole, nil
}

// around adds the edges of what is around the face in a frame.
func (o *FaceData) around(m *pose.Maps, real *video.Frame) error {
	if o.Edges == nil {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	edges := video.NewFrame(real.W, real.H)
	if err := o.Edges(edges, real); err != nil {
		return errors.Join(errors.New("edges around the face"), err)
	}
	m.AddBackground(edges)
	return nil
}
