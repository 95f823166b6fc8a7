// Package cvio reads and writes video files through OpenCV (gocv). It is a leaf:
// without cgo its constructors say so.
//
// OpenCV's silence is turned into errors here: a failed open, a clip that breaks
// off, a writer that never opened or wrote another number of frames. What OpenCV
// gets wrong beyond repair, Right knows: it reads BT.709 by the BT.601 matrix,
// knows no times and no high dynamic range. And it does not tell a clip with
// damaged frames from a sound one as long as none is missing: ffio.Watch does.
//
// Frames are copied into Go memory at the wall; no Mat leaves this package.
package cvio

import (
	"fmt"
	"log/slog"
	"slices"

	"github.com/v2v/v2v/video"
)

// ReadOptions say how a clip is decoded. The zero value works.
type ReadOptions struct {
	InFlight int // most frames lent out at a time; unbounded when zero
}

// WriteOptions say how a clip is encoded. The zero value needs a Source, or
// Width and Height.
type WriteOptions struct {
	Source *video.Info    // gives size and rate; neither its sound nor its times can be kept
	Rate   video.Rational // frames a second where there is no Source; 25 when zero
	Width  int            // of the frames to come; Source's when zero
	Height int

	Overwrite bool
	PartDir   string       // where the unfinished file grows; the output's folder when empty
	Logger    *slog.Logger // notes go here at level Info; nil is silent
}

// exact are the pixel formats whose conversion by OpenCV was measured to be
// within 2 levels.
var exact = []string{
	"yuv420p", "yuv422p", "yuv444p", "yuvj420p", "yuvj422p", "yuvj444p", "gray", "rgb24", "bgr24", "bgr0", "bgra", "rgba", "gbrp",
}

// hdHeight is the height from which an untagged clip is taken for BT.709.
const hdHeight = 720

// Right reports whether OpenCV decodes the clip within 2 levels of the truth and
// at the right times, or else the reason why not.
func Right(i video.Info) (ok bool, reason string) {
	c := i.Color
	rgb := !slices.Contains([]string{"yuv", "gra"}, i.PixFmt[:min(3, len(i.PixFmt))])
	full := rgb || i.PixFmt == "gray" || len(i.PixFmt) > 3 && i.PixFmt[3] == 'j'
	switch {
	case i.Stills:
		reason = "it is a folder of pictures"
	case c.HDR():
		reason = "it has high dynamic range"
	case i.BitDepth > 8:
		reason = fmt.Sprintf("it has %d bits a sample", i.BitDepth)
	case !slices.Contains(exact, i.PixFmt):
		reason = fmt.Sprintf("its pixel format %s was not measured", i.PixFmt)
	case i.Variable:
		reason = "its frame rate varies"
	case i.Rotation != 0:
		reason = "it is rotated"
	case rgb || i.PixFmt == "gray":
	case c.Range == "pc" && !full:
		reason = "OpenCV misses that its range is full"
	case c.Matrix == "" && i.Height >= hdHeight:
		reason = fmt.Sprintf("no matrix is tagged, and a height of %d means BT.709", i.Height)
	case c.Matrix != "" && c.Matrix != "smpte170m" && c.Matrix != "bt470bg":
		reason = fmt.Sprintf("OpenCV reads the matrix %s as BT.601", c.Matrix)
	}
	return reason == "", reason
}
