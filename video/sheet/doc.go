// Package sheet lays frames out as one picture: film strips, side by side
// comparisons and sample sheets of a training run. Frames come in and stay the
// caller's; the sheet is a new frame. Pure Go.
package sheet
