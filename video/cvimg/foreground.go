package cvimg

import "github.com/v2v/v2v/video"

// Foreground is the moving foreground that eval measures inside of: the same
// extraction as kind "mask", under its own name because its warm-up is the
// caller's: feed every frame of the real clip in order, to Learn those that
// are not measured (what came before the held-out part, or the clip's start)
// and to Apply the rest. White is inside.
type Foreground struct{ e *Extractor }

// NewForeground makes one for one clip. Close frees it.
func NewForeground(o MaskOptions) (*Foreground, error) {
	e, err := NewExtractor("mask", Options{Mask: o})
	if err != nil {
		return nil, err
	}
	return &Foreground{e}, nil
}

// WarmUp is how many frames must be seen before anything is foreground.
func (f *Foreground) WarmUp() int { return f.e.WarmUp() }

// Learn takes a frame into the background.
func (f *Foreground) Learn(src *video.Frame) error { return f.e.Learn(src) }

// Apply takes a frame into the background and draws its foreground into dst.
func (f *Foreground) Apply(dst, src *video.Frame) error { return f.e.Apply(dst, src) }

// Close frees native memory. Closing twice is harmless.
func (f *Foreground) Close() error { return f.e.Close() }
