// Package video is the frame contract of v2v: what a clip is, and how its
// frames travel from a decoder to an encoder.
//
// A Reader hands out one Frame after another; a Writer takes them. Frames are
// 8-bit RGB in Go memory. Whoever holds a Frame owns it: it is passed on, or
// released to the Pool it came from, exactly once, so the memory a clip needs
// is a formula that does not contain the clip's length.
//
// This package is pure Go and holds no codec but still pictures (PNG, JPEG).
// Real containers are read and written by the leaves video/cvio (OpenCV) and
// video/ffio (ffmpeg as a child process).
package video
