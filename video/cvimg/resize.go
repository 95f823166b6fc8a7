//go:build cgo

package cvimg

import (
	"errors"
	"fmt"
	"image"
	"image/color"

	"github.com/v2v/v2v/video"
	"gocv.io/x/gocv"
)

// Resize scales src to dst's size and carries its PTS over. Shrinking averages
// areas, so nothing aliases and thin strokes become soft ones; growing is
// cubic; where one side grows and the other shrinks it is linear. Both frames
// stay the caller's.
func Resize(dst, src *video.Frame) (err error) {
	what := fmt.Sprintf("resize %dx%d to %dx%d", src.W, src.H, dst.W, dst.H)
	if err := errors.Join(checkFrame(what, src), checkFrame(what, dst)); err != nil {
		return err
	}
	dst.PTS = src.PTS
	if dst.W == src.W && dst.H == src.H {
		copy(dst.Pix, src.Pix)
		return nil
	}
	how := gocv.InterpolationLinear
	switch {
	case dst.W <= src.W && dst.H <= src.H:
		how = gocv.InterpolationArea
	case dst.W >= src.W && dst.H >= src.H:
		how = gocv.InterpolationCubic
	}
	in, out := gocv.NewMat(), gocv.NewMat()
	defer func() { err = errors.Join(err, in.Close(), out.Close()) }()
	if err := copyIn(&in, src); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	gocv.Resize(in, &out, image.Pt(dst.W, dst.H), 0, 0, how)
	if err := copyOut(dst, &out); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

const (
	labelFont  = gocv.FontHersheySimplex
	labelScale = 0.45 // about 10 pixels high, readable on a 128 pixel tile
)

// Label writes one line of ASCII text with its top left corner at (x,y), white
// with a dark outline so that it reads on any picture. What does not fit is
// cut off at the frame's border; other characters than ASCII show as '?'.
func Label(f *video.Frame, text string, x, y int) (err error) {
	if err := checkFrame("label", f); err != nil {
		return err
	}
	m := gocv.NewMat()
	defer func() { err = errors.Join(err, m.Close()) }()
	if err := copyIn(&m, f); err != nil {
		return fmt.Errorf("label: %w", err)
	}
	height := gocv.GetTextSize(text, labelFont, labelScale, 1).Y
	at := image.Pt(x+1, y+height+1)
	for _, pass := range []struct {
		ink   color.RGBA
		width int
	}{{color.RGBA{A: 255}, 3}, {color.RGBA{R: 255, G: 255, B: 255, A: 255}, 1}} {
		gocv.PutTextWithParams(&m, text, at, labelFont, labelScale, pass.ink, pass.width, gocv.LineAA, false)
	}
	if err := copyOut(f, &m); err != nil {
		return fmt.Errorf("label: %w", err)
	}
	return nil
}
