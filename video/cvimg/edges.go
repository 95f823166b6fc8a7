//go:build cgo

package cvimg

import (
	"errors"
	"image"

	"github.com/v2v/v2v/video"
	"gocv.io/x/gocv"
)

// edges draws Canny's edges at the source's own resolution, one pixel wide,
// white on black. Shrunk by area afterwards they become soft strokes, whose
// position is finer than a pixel of the small picture.
type edges struct {
	opts         EdgeOptions
	rgb, y, line gocv.Mat
}

func newEdges(o EdgeOptions) (*edges, error) {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return nil, err
	}
	return &edges{opts: o, rgb: gocv.NewMat(), y: gocv.NewMat(), line: gocv.NewMat()}, nil
}

func (e *edges) warmUp() int              { return 0 }
func (e *edges) learn(*video.Frame) error { return nil }

func (e *edges) apply(dst, src *video.Frame) error {
	if err := copyIn(&e.rgb, src); err != nil {
		return err
	}
	gocv.CvtColor(e.rgb, &e.y, gocv.ColorRGBToGray)
	gocv.GaussianBlur(e.y, &e.y, image.Point{}, e.opts.Sigma, e.opts.Sigma, gocv.BorderReflect101)
	gocv.Canny(e.y, &e.line, float32(e.opts.Low), float32(e.opts.High))
	return copyOut(dst, &e.line)
}

func (e *edges) close() error {
	return errors.Join(e.rgb.Close(), e.y.Close(), e.line.Close())
}
