// Package cvflow measures dense optical flow with OpenCV. Frames come in as Go
// memory and are copied across, fields go out as Go memory and belong to the
// caller; no Mat leaves the package. OpenCV's bindings (gocv v0.31.0) offer
// Farneback's algorithm alone; its DIS flow is not among them.
//
// Without cgo the package builds, and its constructor returns an error.
package cvflow

import "fmt"

// Options tune Farneback's algorithm. The zero value is right for video from
// 160x120 to HD.
type Options struct {
	Levels     int // of the pyramid, each half the size of the one before
	Window     int // side of the neighbourhood that moves together, in pixels
	Iterations int // at each level
	PolyN      int // neighbourhood of the polynomial fit: 5 or 7
}

// withDefaults fills in what is zero. The numbers were picked on vtest.avi at
// 768x576 and 192x144, by the PSNR of the warped frame over steps of one and
// of four frames.
func (o Options) withDefaults() Options {
	if o.Levels == 0 {
		o.Levels = 5 // OpenCV stops by itself at 32 pixels; three lose 1.6 dB on fast motion at 768x576
	}
	if o.Window == 0 {
		o.Window = 15 // 21 gains under 1 dB on fast motion and smears outlines: 1.5 times the warping error
	}
	if o.Iterations == 0 {
		o.Iterations = 3 // five cost a third more time and gain nothing
	}
	if o.PolyN == 0 {
		// 7 loses 0.5 to 2 dB on people. Its merit is reach: on 192x144, where
		// the pyramid ends after three levels, 5 is lost beyond about 11 pixels
		// a frame and 7 still finds 15; at four times the size both do.
		o.PolyN = 5
	}
	return o
}

// polySigma goes with PolyN as OpenCV's manual pairs them.
func (o Options) polySigma() float64 {
	if o.PolyN >= 7 {
		return 1.5
	}
	return 1.1
}

func (o Options) check() error {
	if o.Levels < 1 || o.Window < 3 || o.Iterations < 1 || (o.PolyN != 5 && o.PolyN != 7) {
		return fmt.Errorf("farneback flow: levels %d, window %d, iterations %d, poly %d: want at least 1, 3, 1 and one of 5, 7",
			o.Levels, o.Window, o.Iterations, o.PolyN)
	}
	return nil
}
