// Package flow holds dense optical flow: the Field, its file format, backward
// warping, occlusion, the colour wheel, and the contract of an Estimator.
// Fields come in as measurements between two frames and go out as training
// targets, metrics and pictures; whoever made a Field owns it.
package flow

import (
	"context"

	"github.com/v2v/v2v/video"
)

// Field is a dense displacement in pixels: the point (x,y) of the first frame
// is found at (x+U, y+V) of the second.
type Field struct {
	W, H int
	U, V []float32 // (H,W), x to the right, y down
}

// NewField makes a field of zeros.
func NewField(w, h int) *Field {
	return &Field{W: w, H: h, U: make([]float32, w*h), V: make([]float32, w*h)}
}

// Estimator measures the flow between two frames of one size. Training uses
// backward flow: from is the current frame and to the previous one, so that
// warping the previous frame by the result predicts the current one.
type Estimator interface {
	Estimate(ctx context.Context, from, to *video.Frame) (*Field, error)
}
