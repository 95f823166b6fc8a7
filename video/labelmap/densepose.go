package labelmap

import (
	"errors"
	"fmt"

	"github.com/v2v/v2v/video"
)

// BodyParts is the number of DensePose's parts; part 0 is the background.
const BodyParts = 24

// ErrDensePose is wrapped where a picture is not one of DensePose.
var ErrDensePose = errors.New("not a DensePose picture")

// DensePose makes dst what a network sees of the DensePose picture src, which
// has the part's number in blue and the place on the part in red and green, as
// DensePose's IUV pictures have when they are read as RGB: the part is spread
// over 0 to 255. Pictures with other parts than 0 to 24 are refused, and those
// with places on the background, which lossy encodings leave there. dst may
// be src.
func DensePose(dst, src *video.Frame) error {
	if dst.W != src.W || dst.H != src.H || len(dst.Pix) != len(src.Pix) {
		return fmt.Errorf("%w: frames differ in size", ErrDensePose)
	}
	beyond, nowhere, highest := 0, 0, byte(0)
	for i := 0; i+2 < len(src.Pix); i += 3 {
		part := src.Pix[i+2]
		switch {
		case part > BodyParts:
			beyond++
			highest = max(highest, part)
		case part == 0 && (src.Pix[i] != 0 || src.Pix[i+1] != 0):
			nowhere++
		}
	}
	pixels := src.W * src.H
	switch {
	case beyond > 0:
		return fmt.Errorf("%w: %d of %d pixels have parts above %d in the blue channel, up to %d: give the IUV pictures as DensePose wrote them, as PNG",
			ErrDensePose, beyond, pixels, BodyParts, highest)
	case float64(nowhere) > MaxUnknown*float64(pixels):
		return fmt.Errorf("%w: %d of %d pixels are background and yet have a place on a body: give the IUV pictures as DensePose wrote them, as PNG",
			ErrDensePose, nowhere, pixels)
	}
	dst.PTS = src.PTS
	for i := 0; i+2 < len(src.Pix); i += 3 {
		dst.Pix[i], dst.Pix[i+1] = src.Pix[i], src.Pix[i+1]
		dst.Pix[i+2] = byte((int(src.Pix[i+2])*255 + BodyParts/2) / BodyParts)
	}
	return nil
}

// FirstHeadPart is the first of the two parts that are a head; the other, the last
// of all, follows.
const FirstHeadPart = BodyParts - 1

// PartAt is the part that a byte of DensePose's result stands for.
func PartAt(b byte) int { return (int(b)*BodyParts + 127) / 255 }

// Behead blackens the head in what DensePose has made.
func Behead(f *video.Frame) {
	for i := 0; i+2 < len(f.Pix); i += 3 {
		if PartAt(f.Pix[i+2]) >= FirstHeadPart {
			f.Pix[i], f.Pix[i+1], f.Pix[i+2] = 0, 0, 0
		}
	}
}
