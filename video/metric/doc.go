// Package metric measures how close a picture is to another: PSNR, whole or
// inside a mask, and SSIM as defined by Wang et al. 2004. Frames come in and
// stay the caller's; numbers go out. Pure Go.
package metric

import (
	"fmt"

	"github.com/v2v/v2v/video"
)

// checkPair refuses frames that are broken or differ in size.
func checkPair(what string, a, b *video.Frame) error {
	if a.W != b.W || a.H != b.H {
		return fmt.Errorf("%s: %dx%d against %dx%d: sizes differ", what, a.W, a.H, b.W, b.H)
	}
	if a.W < 1 || a.H < 1 || len(a.Pix) != 3*a.W*a.H || len(b.Pix) != len(a.Pix) {
		return fmt.Errorf("%s: %dx%d frames of %d and %d bytes", what, a.W, a.H, len(a.Pix), len(b.Pix))
	}
	return nil
}
