//go:build cgo

package cvimg

import (
	"fmt"

	"github.com/v2v/v2v/video"
	"gocv.io/x/gocv"
)

// copyIn copies a frame's pixels into m, which is made anew where its size
// differs. (gocv.NewMatFromBytes would leave C++ holding Go memory.)
func copyIn(m *gocv.Mat, f *video.Frame) error {
	if m.Rows() != f.H || m.Cols() != f.W {
		if err := m.Close(); err != nil {
			return err
		}
		*m = gocv.NewMatWithSize(f.H, f.W, gocv.MatTypeCV8UC3)
	}
	pix, err := m.DataPtrUint8()
	if err != nil {
		return err
	}
	if n := copy(pix, f.Pix); n != len(f.Pix) || n != len(pix) {
		return fmt.Errorf("copy %d bytes into opencv's %d", len(f.Pix), len(pix))
	}
	return nil
}

// copyOut copies an 8-bit picture of one or three channels into f; one channel
// is spread over three.
func copyOut(f *video.Frame, m *gocv.Mat) error {
	pix, err := m.DataPtrUint8()
	if err != nil {
		return err
	}
	switch len(pix) {
	case 3 * f.W * f.H:
		copy(f.Pix, pix)
	case f.W * f.H:
		for i, v := range pix {
			f.Pix[3*i], f.Pix[3*i+1], f.Pix[3*i+2] = v, v, v
		}
	default:
		return fmt.Errorf("opencv returned %d bytes for %dx%d", len(pix), f.W, f.H)
	}
	return nil
}
