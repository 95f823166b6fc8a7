//go:build !cgo

package cvflow

import (
	"context"
	"errors"

	"github.com/v2v/v2v/flow"
	"github.com/v2v/v2v/video"
)

var errNoCgo = errors.New("farneback flow: this v2v was built without cgo and has no OpenCV; build with CGO_ENABLED=1 and libopencv-dev")

// Farneback stands in for the estimator where OpenCV is not built in.
type Farneback struct{}

// NewFarneback returns an error that names what is missing.
func NewFarneback(Options) (*Farneback, error) { return nil, errNoCgo }

// Estimate returns an error that names what is missing.
func (*Farneback) Estimate(context.Context, *video.Frame, *video.Frame) (*flow.Field, error) {
	return nil, errNoCgo
}

// Close does nothing.
func (*Farneback) Close() error { return nil }
