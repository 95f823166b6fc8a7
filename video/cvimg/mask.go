//go:build cgo

package cvimg

import (
	"errors"
	"image"

	"github.com/v2v/v2v/video"
	"gocv.io/x/gocv"
)

// shadow is how MOG2 marks shadows; only what is brighter is foreground.
const shadow = 127

// mask is the moving foreground by MOG2 (Zivkovic, "Improved adaptive Gaussian
// mixture model for background subtraction", ICPR 2004): white where a pixel
// differs from what it has mostly been. Shadows are told apart and dropped,
// specks are opened away and holes closed.
type mask struct {
	opts       MaskOptions
	model      gocv.BackgroundSubtractorMOG2
	rgb, fg    gocv.Mat
	open, shut gocv.Mat    // kernels for frames of size
	size       image.Point // zero until the first frame
	seen       int
}

func newMask(o MaskOptions) (*mask, error) {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return nil, err
	}
	return &mask{
		opts:  o,
		model: gocv.NewBackgroundSubtractorMOG2WithParams(o.History, o.VarThreshold, true),
		rgb:   gocv.NewMat(), fg: gocv.NewMat(), open: gocv.NewMat(), shut: gocv.NewMat(),
	}, nil
}

func (m *mask) warmUp() int { return m.opts.WarmUp }

// learn updates the background and leaves MOG2's raw marks in fg.
func (m *mask) learn(src *video.Frame) error {
	if size := image.Pt(src.W, src.H); size != m.size {
		if err := m.resized(size); err != nil {
			return err
		}
	}
	if err := copyIn(&m.rgb, src); err != nil {
		return err
	}
	m.model.Apply(m.rgb, &m.fg)
	m.seen++
	return nil
}

// resized makes the kernels for a new frame size, and forgets what was seen,
// as MOG2 does. Specks are small in every picture, so a 3x3 opening does, and
// none below 240 lines, where it would take arms and legs; holes (a shirt of
// the ground's colour) grow with the picture.
func (m *mask) resized(size image.Point) error {
	if err := errors.Join(m.open.Close(), m.shut.Close()); err != nil {
		return err
	}
	lines := min(size.X, size.Y)
	open := 1
	if lines >= 240 {
		open = 3
	}
	shut := 2*(lines/128) + 3
	m.open = gocv.GetStructuringElement(gocv.MorphEllipse, image.Pt(open, open))
	m.shut = gocv.GetStructuringElement(gocv.MorphEllipse, image.Pt(shut, shut))
	m.size, m.seen = size, 0
	return nil
}

// apply is black until the warm-up is over: before, MOG2 calls everything
// foreground.
func (m *mask) apply(dst, src *video.Frame) error {
	if err := m.learn(src); err != nil {
		return err
	}
	if m.seen <= m.opts.WarmUp {
		clear(dst.Pix)
		return nil
	}
	gocv.Threshold(m.fg, &m.fg, shadow, 255, gocv.ThresholdBinary)
	gocv.MorphologyEx(m.fg, &m.fg, gocv.MorphOpen, m.open)
	gocv.MorphologyEx(m.fg, &m.fg, gocv.MorphClose, m.shut)
	return copyOut(dst, &m.fg)
}

func (m *mask) close() error {
	return errors.Join(m.model.Close(), m.rgb.Close(), m.fg.Close(), m.open.Close(), m.shut.Close())
}
