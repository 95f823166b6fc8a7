// Package cvimg does image work on frames with OpenCV: resizing, the
// extractors that turn real video into what a generator is driven by (edges,
// moving foreground, luminance, colour regions), and labels on picture sheets.
//
// Frames come in and go out as Go memory and stay the caller's; no Mat leaves
// the package. OpenCV's bindings abort the process on sizes they cannot take,
// so every size is checked here first and becomes an error.
//
// Without cgo the package builds; luminance works, the rest returns an error.
package cvimg

import (
	"fmt"

	"github.com/v2v/v2v/video"
)

// checkFrame refuses a frame whose pixels do not fit its size, which OpenCV
// would read past or crash on.
func checkFrame(what string, f *video.Frame) error {
	if f.W < 1 || f.H < 1 || len(f.Pix) != 3*f.W*f.H {
		return fmt.Errorf("%s: a %dx%d frame of %d bytes", what, f.W, f.H, len(f.Pix))
	}
	return nil
}

// checkPair refuses two frames that are broken or differ in size.
func checkPair(what string, dst, src *video.Frame) error {
	if err := checkFrame(what, src); err != nil {
		return err
	}
	if err := checkFrame(what, dst); err != nil {
		return err
	}
	if dst.W != src.W || dst.H != src.H {
		return fmt.Errorf("%s: from %dx%d into %dx%d: sizes differ", what, src.W, src.H, dst.W, dst.H)
	}
	return nil
}
