//go:build !cgo

package cvimg

import (
	"errors"

	"github.com/v2v/v2v/video"
)

var errNoCgo = errors.New("this v2v was built without cgo and has no OpenCV; build with CGO_ENABLED=1 and libopencv-dev")

func newStage(string, Options) (stage, error) { return nil, errNoCgo }

// Resize returns an error that names what is missing.
func Resize(dst, src *video.Frame) error { return errNoCgo }

// Label returns an error that names what is missing.
func Label(f *video.Frame, text string, x, y int) error { return errNoCgo }
