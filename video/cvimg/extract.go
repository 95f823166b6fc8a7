package cvimg

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/v2v/v2v/video"
)

// Kinds lists what NewExtractor makes.
var Kinds = []string{"edges", "mask", "gray", "quant"}

// Options tune the extractors. The zero value is right for ordinary video.
type Options struct {
	Edges EdgeOptions
	Mask  MaskOptions
	Quant QuantOptions
}

// Extractor turns frames of real video into frames that drive a generator,
// white (or coloured) on black, three channels. It sees one clip's frames in
// order: some kinds carry state from frame to frame. Not for concurrent use.
type Extractor struct {
	kind  string
	stage stage
}

// stage is what the kinds have in common.
type stage interface {
	warmUp() int
	learn(src *video.Frame) error
	apply(dst, src *video.Frame) error
	close() error
}

// NewExtractor makes an extractor of one of Kinds. Close frees it.
func NewExtractor(kind string, o Options) (*Extractor, error) {
	if !slices.Contains(Kinds, kind) {
		return nil, fmt.Errorf("extract %q: unknown kind, want one of %s", kind, strings.Join(Kinds, ", "))
	}
	var s stage
	var err error
	if kind == "gray" {
		s = gray{}
	} else {
		s, err = newStage(kind, o)
	}
	if err != nil {
		return nil, fmt.Errorf("extract %s: %w", kind, err)
	}
	return &Extractor{kind: kind, stage: s}, nil
}

var errClosed = errors.New("extractor is closed")

// WarmUp is how many of the clip's first frames the extractor wants to Learn
// before it sees them again by Apply; 0 where it needs none.
func (e *Extractor) WarmUp() int {
	if e.stage == nil {
		return 0
	}
	return e.stage.warmUp()
}

// Learn shows the extractor a frame without asking for a result: the mask
// learns its background, quant the colours of its palette. Without it the
// mask is black for the first WarmUp frames, and the palette is the first
// frame's. src stays the caller's.
func (e *Extractor) Learn(src *video.Frame) error {
	if e.stage == nil {
		return fmt.Errorf("learn %s: %w", e.kind, errClosed)
	}
	what := "learn " + e.kind
	if err := checkFrame(what, src); err != nil {
		return err
	}
	if err := e.stage.learn(src); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// Apply extracts src into dst, which has src's size and takes its PTS. Both
// stay the caller's.
func (e *Extractor) Apply(dst, src *video.Frame) error {
	if e.stage == nil {
		return fmt.Errorf("extract %s: %w", e.kind, errClosed)
	}
	what := "extract " + e.kind
	if err := checkPair(what, dst, src); err != nil {
		return err
	}
	if err := e.stage.apply(dst, src); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	dst.PTS = src.PTS
	return nil
}

// Close frees native memory. Closing twice is harmless.
func (e *Extractor) Close() error {
	if e.stage == nil {
		return nil
	}
	s := e.stage
	e.stage = nil
	return s.close()
}

// gray is luminance, the same in all three channels.
type gray struct{}

func (gray) warmUp() int              { return 0 }
func (gray) learn(*video.Frame) error { return nil }
func (gray) close() error             { return nil }

func (gray) apply(dst, src *video.Frame) error {
	for i := 0; i < len(src.Pix); i += 3 {
		y := luma(src.Pix[i], src.Pix[i+1], src.Pix[i+2])
		dst.Pix[i], dst.Pix[i+1], dst.Pix[i+2] = y, y, y
	}
	return nil
}

// luma is BT.601 luminance (0.299, 0.587, 0.114) in 16-bit fixed point, the
// weights adding up to one so that white stays white.
func luma(r, g, b byte) byte {
	return byte((19595*uint32(r) + 38470*uint32(g) + 7471*uint32(b) + 1<<15) >> 16)
}
