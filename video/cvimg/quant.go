//go:build cgo

package cvimg

import (
	"errors"

	"github.com/v2v/v2v/video"
	"gocv.io/x/gocv"
)

// The bilateral filter flattens texture and keeps outlines. A diameter of 9 is
// the largest that OpenCV calls usable for offline work; 40 levels are more
// than texture and noise, less than a coat against a wall.
const (
	smoothDiameter = 9
	smoothLevels   = 40
	smoothReach    = 5
)

// quant paints regions of one colour: smoothed frames in a palette that is
// made from the first frames and fixed ever after.
type quant struct {
	opts        QuantOptions
	rgb, smooth gocv.Mat
	counts      *histogram // nil once the palette stands
	learnt      int
	labels      *labeler // nil until the palette stands
}

func newQuant(o QuantOptions) (*quant, error) {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return nil, err
	}
	return &quant{opts: o, rgb: gocv.NewMat(), smooth: gocv.NewMat(), counts: new(histogram)}, nil
}

func (q *quant) warmUp() int { return q.opts.WarmUp }

// learn counts a frame's colours. Frames beyond the warm-up, and any after
// the palette stands, teach nothing.
func (q *quant) learn(src *video.Frame) error {
	if q.counts == nil || q.learnt >= q.opts.WarmUp {
		return nil
	}
	pix, err := q.smoothed(src)
	if err != nil {
		return err
	}
	q.counts.add(pix)
	q.learnt++
	return nil
}

// smoothed returns OpenCV's memory, good until the next call.
func (q *quant) smoothed(src *video.Frame) ([]byte, error) {
	if err := copyIn(&q.rgb, src); err != nil {
		return nil, err
	}
	gocv.BilateralFilter(q.rgb, &q.smooth, smoothDiameter, smoothLevels, smoothReach)
	return q.smooth.DataPtrUint8()
}

func (q *quant) apply(dst, src *video.Frame) error {
	pix, err := q.smoothed(src)
	if err != nil {
		return err
	}
	if q.labels == nil {
		if q.learnt == 0 {
			q.counts.add(pix)
		}
		q.labels = newLabeler(q.counts.palette(q.opts.Colors))
		q.counts = nil
	}
	q.labels.draw(dst.Pix, pix)
	return nil
}

func (q *quant) close() error {
	return errors.Join(q.rgb.Close(), q.smooth.Close())
}
