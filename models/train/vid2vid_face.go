package train

import (
	"fmt"
	"image"
	"slices"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models/nn"
	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/labelmap"
)

// The face discriminator of vid2vid (add_face_disc of the published options):
// one more image discriminator, two scales smaller, that sees of each frame a
// square about the face. Where the face is, the control picture tells. The
// square moves: a constant motion brings it into the corner, where it is cut out,
// so that one program serves every place.

// The ways by which a face is found (DConfig.Face).
const (
	faceOfDensePose = "densepose" // its parts 23 and 24, the head
	faceOfOpenPose  = "openpose"  // the limb from neck to nose
	faceOfLabels    = "labels"    // ids that the configuration lists
)

// facePrefix is that of the discriminator's parameters, and has its losses' name.
const facePrefix = "D_f."

// neckLimb are the colours in which OpenPose draws the limb from neck to nose,
// over black and blended by 0.6 as it was published, and how far a video's
// coding may take them.
var neckLimb = [...][3]byte{{255, 0, 85}, {153, 0, 51}}

const neckTolerance = 24

// faceSide is the side of the square in pixels, as published.
func (c Vid2VidConfig) faceSide() int {
	side := c.D.FaceSize
	orElse(&side, min(c.Height/32*8, c.Width))
	return side
}

// faces is the face discriminator, if there is one.
func (c Vid2VidConfig) faces() (discriminator, bool) {
	net := c.D.net()
	net.NumD = max(1, net.NumD-2)
	return discriminator{facePrefix, net}, c.D.Face != ""
}

// checkFace checks what concerns the face discriminator.
func (c Vid2VidConfig) checkFace() error {
	d, labels := c.D, c.Generator.Needs().Labels
	switch {
	case !slices.Contains([]string{"", faceOfDensePose, faceOfOpenPose, faceOfLabels}, d.Face):
		return fmt.Errorf("discriminator: face is %q; give densepose, openpose or labels", d.Face)
	case !(c.Weights.Face >= 0):
		return fmt.Errorf("weights: face is %g; give at least 0", c.Weights.Face)
	case d.Face == "" && (len(d.FaceLabels) > 0 || d.FaceSize != 0):
		return fmt.Errorf("discriminator: face_labels and face_size are for a discriminator of faces: give face too")
	case d.Face == "":
		return nil
	case !newGraphs(c).adversarial():
		return fmt.Errorf("discriminator: face is %q, but no loss is of discriminators: give weights.gan or weights.features a value", d.Face)
	case (d.Face == faceOfLabels) != (labels > 0):
		return fmt.Errorf("discriminator: face is %q: give labels where control pictures are ids (generator.label_nc), densepose or openpose where they are not", d.Face)
	case (d.Face == faceOfLabels) != (len(d.FaceLabels) > 0):
		return fmt.Errorf("discriminator: face_labels has %d ids; give those of a face, with face = \"labels\" alone", len(d.FaceLabels))
	case d.FaceSize < 0 || c.faceSide() < 8 || c.faceSide() > min(c.Height, c.Width):
		return fmt.Errorf("discriminator: a face of %dx%d pixels in samples of %dx%d; give a face_size of at least 8 that fits", c.faceSide(), c.faceSide(), c.Height, c.Width)
	}
	for _, id := range d.FaceLabels {
		if id < 0 || id >= labels {
			return fmt.Errorf("discriminator: face_labels has %d; ids go from 0 to %d", id, labels-1)
		}
	}
	return nil
}

// faceWeight is the published 2 where none is given.
func (w Weights) faceWeight() float32 {
	orElse(&w.Face, 2)
	return w.Face
}

// isFace tells whether a pixel of a control picture is of the face.
func (d DConfig) isFace(p []byte) bool {
	switch d.Face {
	case faceOfLabels:
		return slices.Contains(d.FaceLabels, int(p[0]))
	case faceOfDensePose:
		return labelmap.PartAt(p[2]) >= labelmap.FirstHeadPart
	}
	for _, c := range neckLimb {
		if near(p[0], c[0]) && near(p[1], c[1]) && near(p[2], c[2]) {
			return true
		}
	}
	return false
}

func near(a, b byte) bool { return max(a, b)-min(a, b) <= neckTolerance }

// findFace is the top left corner of the square about the middle of all that is
// of the face, moved into the picture.
func (d DConfig) findFace(f *video.Frame, side int) (corner image.Point, found bool) {
	box := image.Rectangle{Min: image.Pt(f.W, f.H)}
	for i := 0; i < len(f.Pix); i += 3 {
		if !d.isFace(f.Pix[i : i+3]) {
			continue
		}
		x, y := i/3%f.W, i/3/f.W
		box.Min = image.Pt(min(box.Min.X, x), min(box.Min.Y, y))
		box.Max = image.Pt(max(box.Max.X, x), max(box.Max.Y, y))
		found = true
	}
	if !found {
		return image.Point{}, false
	}
	middle := box.Min.Add(box.Max).Div(2)
	into := func(at, n int) int { return min(max(at-side/2, 0), n-side) }
	return image.Pt(into(middle.X, f.W), into(middle.Y, f.H)), true
}

// The inputs that a frame brings for its face: the motion to the square, and 1
// all over the square where there is one.
const (
	faceAt   = "face.at"
	faceSeen = "face.seen"
)

// uploadFace says where the faces of frame t are, for place j of a chunk.
func (v *Vid2Vid) uploadFace(batch []*Sample, t, j int) error {
	if _, on := v.c.faces(); !on {
		return nil
	}
	size, side := v.c.Height*v.c.Width, v.c.faceSide()
	at, seen := make([]float32, len(batch)*2*size), make([]float32, len(batch)*side*side)
	present := make([]bool, len(batch))
	for i, s := range batch {
		corner, found := v.c.D.findFace(v.faceTile(s.A[t]), side)
		present[i] = found
		if !found {
			continue
		}
		fill(at[2*i*size:][:size], float32(corner.X))
		fill(at[(2*i+1)*size:][:size], float32(corner.Y))
		fill(seen[i*side*side:][:side*side], 1)
	}
	v.present[j] = present
	if err := v.in[nth(faceAt, j)].Write(at); err != nil {
		return err
	}
	return v.in[nth(faceSeen, j)].Write(seen)
}

// faceTile is the picture that shows where faces are: of several OpenPose's is
// the last but for instances, as published, DensePose's the first.
func (v *Vid2Vid) faceTile(f *video.Frame) *video.Frame {
	k, size := 0, 3*v.c.Height*v.c.Width
	if v.c.D.Face == faceOfOpenPose {
		k = max(0, v.c.Generator.InputNC/3-1)
	}
	return &video.Frame{W: v.c.Width, H: v.c.Height, Pix: f.Pix[k*size:][:size]}
}

func fill(xs []float32, x float32) {
	for i := range xs {
		xs[i] = x
	}
}

// face is what the discriminator is shown of a frame that is now, with the
// control picture's square before it, and where there is something to see.
type face struct {
	d         discriminator
	at, seen  *G.Node
	now, real *G.Node
	b         *nn.Builder
	side      int
}

// faceOf are the inputs of a frame's face.
func (g vid2vidGraphs) faceOf(b *nn.Builder, f frame) face {
	d, _ := g.c.faces()
	n, side := g.c.Batch, g.c.faceSide()
	a := face{d: d, b: b, side: side,
		at: b.Input(nth(faceAt, f.at), n, 2, g.c.Height, g.c.Width), seen: b.Input(nth(faceSeen, f.at), n, 1, side, side)}
	a.now, a.real = a.cut(f.labels[len(f.labels)-1]), a.cut(f.real)
	return a
}

// cut is the square (N,C,side,side) of a picture (N,C,H,W).
func (a face) cut(x *G.Node) *G.Node {
	return a.b.Slice(a.b.Slice(a.b.Warp(x, a.at), 2, 0, a.side), 3, 0, a.side)
}

// where is x (N,C,h,w) where there is a face, and otherwise instead.
func (a face) where(x *G.Node, instead float32) *G.Node {
	if a.b.Err() != nil {
		return nil
	}
	s := x.Shape()
	seen := a.b.ResizeNearest(a.seen, s[2], s[3])
	x = a.b.Mul(x, seen)
	if instead == 0 {
		return x
	}
	return a.b.Add(x, a.b.Scale(seen, -instead, instead))
}

// verdict is the last layer of every scale, where there is no face what costs
// nothing.
func (a face) verdict(scales [][]*G.Node, instead float32) (all [][]*G.Node) {
	for _, layers := range scales {
		all = append(all, []*G.Node{a.where(layers[len(layers)-1], instead)})
	}
	return all
}

// features are all layers, where there is no face nothing.
func (a face) features(scales [][]*G.Node) (all [][]*G.Node) {
	for _, layers := range scales {
		var own []*G.Node
		for _, x := range layers {
			own = append(own, a.where(x, 0))
		}
		all = append(all, own)
	}
	return all
}

// certain is a verdict that no loss can find better, the generator's if fooled.
func (t *terms) certain(real, fooled bool) float32 {
	const sure = 60 // of which the cross entropy is 0 in single precision
	switch {
	case t.loss == "hinge" && fooled:
		return 0 // which is the loss itself
	case t.loss != "hinge" && t.loss != "vanilla":
		if real {
			return 1
		}
		return 0
	case real:
		return sure
	}
	return -sure
}

// face adds the generator's terms of the face in a frame that it made.
func (g vid2vidGraphs) face(t *terms, f frame, made *G.Node) {
	if _, on := g.c.faces(); !on || t.b.Err() != nil {
		return
	}
	a, weight := g.faceOf(t.b, f), g.c.Weights.faceWeight()
	fake, real := a.d.on(t.b, a.now, a.cut(made)), a.d.on(t.b, a.now, a.real)
	if t.b.Err() != nil {
		return
	}
	t.fool("G_f_GAN", weight*g.c.Weights.GAN, a.verdict(fake, t.certain(true, true)))
	t.features("G_f_FM", weight*g.c.Weights.Features, a.features(fake), a.features(real))
}

// judgeFace adds the discriminator's.
func (g vid2vidGraphs) judgeFace(t *terms, f frame, seen *verdicts) {
	if _, on := g.c.faces(); !on || t.b.Err() != nil {
		return
	}
	a := g.faceOf(t.b, f)
	fake, real := t.learns(a.d, a.now, a.cut(f.made)), t.learns(a.d, a.now, a.real)
	if t.b.Err() != nil {
		return
	}
	from := len(seen.all)
	seen.add("D_f", true, real)
	seen.add("D_f", false, fake)
	for i := range seen.all[from:] {
		seen.all[from+i].face, seen.all[from+i].frame = true, f.at
	}
	t.gan("D_f_fake", 0.5, a.verdict(fake, t.certain(false, false)), false)
	t.gan("D_f_real", 0.5, a.verdict(real, t.certain(true, false)), true)
}

// facesUntilWarned is after how many frames without any face one is told.
const facesUntilWarned = 300

// missFaces counts the n frames of a step that had no face, and says once that
// none is ever found.
func (v *Vid2Vid) missFaces(step, n int) {
	if _, on := v.c.faces(); !on || v.faceless < 0 {
		return
	}
	for _, present := range v.present[:n] {
		if slices.Contains(present, true) {
			v.faceless = -1
			return
		}
		v.faceless += len(present)
	}
	if v.faceless < facesUntilWarned {
		return
	}
	v.faceless = -1
	shows := map[string]string{faceOfDensePose: "the head of DensePose, parts 23 and 24 in the blue channel", faceOfOpenPose: "OpenPose's limb from neck to nose",
		faceOfLabels: fmt.Sprintf("an id of %v", v.c.D.FaceLabels)}[v.c.D.Face]
	v.say([]Warning{{step, fmt.Sprintf("the first %d control pictures show no face, so the face discriminator learns nothing: discriminator.face = %q looks for %s",
		facesUntilWarned, v.c.D.Face, shows)}})
}
