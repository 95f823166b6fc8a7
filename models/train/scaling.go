package train

import (
	"fmt"
	"image"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/labelmap"
)

// Scaling is how clips become samples of one size as vid2vid was published
// (base_dataset.py, --resize_or_crop). The zero value changes nothing.
//
// Sides are resized to Load pixels, or in training to as many as are drawn for a
// sample, Fine to Load+1; what follows from the clip's shape is rounded down, and
// then all to multiples of 4, halves to the even one. Without a crop sides are
// rounded to multiples of 32 again; so are those of a crop.
type Scaling struct {
	// Mode is one of ScalingModes, or two of them joined by _and_, the second
	// crop or scaledCrop.
	Mode string
	Load int  // loadSize
	Fine int  // fineSize: side of a crop, and the least that is drawn
	Ids  bool // A holds numbers that no resizing may mix
}

// ScalingModes are the published ones. Those without a crop give clips of
// different shapes samples of different sizes, which OpenData refuses, but for
// resize, which makes squares.
var ScalingModes = []string{
	"scaleWidth", "scaleHeight", "resize", "randomScaleWidth", "randomScaleHeight", "crop", "scaledCrop", "none",
}

// mostPixels bounds the sides that are asked for.
const mostPixels = 8192

func (s Scaling) on() bool       { return s.Mode != "" }
func (s Scaling) random() bool   { return strings.HasPrefix(s.Mode, "random") }
func (s Scaling) crops() bool    { return s.square() || s.shaped() }
func (s Scaling) square() bool   { return strings.HasSuffix(s.Mode, "crop") } // scaledCrop has a capital C
func (s Scaling) shaped() bool   { return strings.HasSuffix(s.Mode, "scaledCrop") }
func (s Scaling) scales() string { first, _, _ := strings.Cut(s.Mode, "_and_"); return first }

// Validate reports a mode or a size that is none.
func (s Scaling) Validate() error {
	first, second, two := strings.Cut(s.Mode, "_and_")
	cut := []string{"crop", "scaledCrop"}
	switch {
	case !s.on():
		return nil
	case !slices.Contains(ScalingModes, first), two && (slices.Contains(cut, first) || !slices.Contains(cut, second)):
		return fmt.Errorf("resize_or_crop is %q; give one of %s, or two joined by _and_, the second crop or scaledCrop", s.Mode, strings.Join(ScalingModes, ", "))
	case s.random() && !two:
		return fmt.Errorf("resize_or_crop %s gives samples of no one size: give %s_and_scaledCrop or %s_and_crop", s.Mode, s.Mode, s.Mode)
	case min(s.Load, s.Fine) < 32 || max(s.Load, s.Fine) > mostPixels:
		return fmt.Errorf("loadSize is %d and fineSize %d; give 32 to %d", s.Load, s.Fine, mostPixels)
	case s.random() && s.Fine > s.Load+1:
		return fmt.Errorf("fineSize is %d, above loadSize %d, up to which sizes are drawn; give at most that", s.Fine, s.Load)
	}
	return nil
}

// multiple rounds to a multiple, halves to the even one as Python does.
func multiple(n, of int) int {
	return int(math.RoundToEven(float64(n)/float64(of))) * of
}

// size is what pictures are resized to whose drawn or given side has n pixels.
func (s Scaling) size(from image.Point, n int) image.Point {
	to := from
	switch s.scales() {
	case "resize":
		to = image.Pt(n, n)
	case "scaleWidth", "randomScaleWidth":
		to = image.Pt(n, n*from.Y/from.X)
	case "scaleHeight", "randomScaleHeight":
		to = image.Pt(n*from.X/from.Y, n)
	}
	to = image.Pt(multiple(to.X, 4), multiple(to.Y, 4))
	if !s.crops() {
		to = image.Pt(multiple(to.X, 32), multiple(to.Y, 32))
	}
	return to
}

// sample is what samples of pictures measure.
func (s Scaling) sample(from image.Point) image.Point {
	to := image.Pt(s.Fine, s.Fine)
	switch {
	case !s.crops():
		return s.size(from, s.Load)
	case s.shaped() && strings.Contains(s.Mode, "Width"):
		to.Y = s.Fine * from.Y / from.X
	case s.shaped():
		to.X = s.Fine * from.X / from.Y
	}
	return image.Pt(multiple(to.X, 32), multiple(to.Y, 32))
}

// least is the smallest size that samples are cut out of.
func (s Scaling) least(from image.Point) image.Point {
	if s.random() {
		return s.size(from, s.Fine)
	}
	return s.size(from, s.Load)
}

// whole draws what pictures are resized to for a sample. A crop of the clip's
// shape is rounded to multiples of 32 where they are to 4, and may so come out
// larger: then they become as large, where the published system leaves a black
// rim.
func (s Scaling) whole(r *rand.Rand, from image.Point) image.Point {
	n := s.Load
	if r != nil && s.random() {
		n = s.Fine + r.IntN(s.Load+2-s.Fine)
	}
	to := s.size(from, n)
	if s.shaped() {
		cut := s.sample(from)
		to = image.Pt(max(to.X, cut.X), max(to.Y, cut.Y))
	}
	return to
}

// scaled is a frame in another size: bicubic, wider where it becomes smaller,
// as Pillow does; of numbers the one under the centre of each pixel.
func (s Scaling) scaled(f *video.Frame, to image.Point, ids bool) *video.Frame {
	if f.W == to.X && f.H == to.Y {
		return f
	}
	if ids {
		out := video.NewFrame(to.X, to.Y)
		out.PTS = f.PTS
		labelmap.ResizeFrame(out, f)
		return out
	}
	out := resample(f, to.X, to.Y)
	out.PTS = f.PTS
	return out
}

// change is what becomes of the frames of a side when they are read, after
// change: what is drawn for each sample anew leaves them as they are. Ids are not
// mixed. from is told what the frames measured.
func (s Scaling) change(ids bool, change changeFrame, from *image.Point) changeFrame {
	if !s.on() {
		return change
	}
	return func(f *video.Frame) (*video.Frame, error) {
		if change != nil {
			var err error
			if f, err = change(f); err != nil {
				return nil, err
			}
		}
		*from = image.Pt(f.W, f.H)
		to := s.whole(nil, *from)
		if s.random() {
			return f, nil
		}
		if to.X == 0 || to.Y == 0 {
			return nil, fmt.Errorf("frames of %s become %s: give a larger loadSize", dims(*from), dims(to))
		}
		return s.scaled(f, to, ids), nil
	}
}

// view draws how a sample is cut out of a clip, without r in its middle.
func (s Scaling) view(r *rand.Rand, c *clip, size image.Point) view {
	v := view{step: 1, size: size, full: c.size}
	if s.random() {
		v.full = s.whole(r, c.from)
	}
	v.at = v.full.Sub(size).Div(2)
	if r != nil && s.crops() {
		v.at = central(r, v.full, size)
	}
	return v
}

// checkScaling settles the size of samples, and refuses clips that have none in
// common.
func (l *dataLoader) checkScaling() {
	s, fits := l.d.o.Scaling, true
	square := Scaling{Mode: s.scales() + "_and_crop", Load: s.Load, Fine: s.Fine}
	for _, c := range l.d.clips {
		least := square.least(c.from)
		fits = fits && min(least.X, least.Y) >= multiple(s.Fine, 32)
	}
	mode := "resize"
	if cut := s.scales(); fits && !strings.HasSuffix(strings.ToLower(cut), "crop") {
		mode = square.Mode
	} else if fits {
		mode = "crop"
	}
	for i, c := range l.d.clips {
		size, least := s.sample(c.from), s.least(c.from)
		switch {
		case min(size.X, size.Y) < 32:
			l.problem("%s: frames of %s make samples of %s: give a larger loadSize and fineSize, or resize_or_crop=resize", c.name, dims(c.from), dims(size))
		case s.square() && (least.X < size.X || least.Y < size.Y):
			l.problem("%s: frames of %s become %s, samples of %s are to be cut out: give a smaller fineSize, or resize_or_crop=resize_and_crop",
				c.name, dims(c.from), dims(least), dims(size))
		case i == 0:
			l.d.size = size
		case size != l.d.size:
			l.problem("%s: resize_or_crop=%s makes samples of %s of its frames of %s, and of %s of those of %s: %s fits both",
				c.name, s.Mode, dims(size), dims(c.from), dims(l.d.size), l.d.clips[0].name, mode)
		}
	}
}
