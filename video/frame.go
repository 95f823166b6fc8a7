package video

import (
	"fmt"
	"sync/atomic"
)

// Frame is one picture: 8-bit RGB, interleaved, rows tightly packed, so that
// len(Pix) == 3*W*H. PTS is the presentation time in ticks of the clip's
// Info.TimeBase.
type Frame struct {
	Pix  []byte // (H,W,3)
	W, H int
	PTS  int64

	pool     *Pool
	released atomic.Bool
}

// NewFrame makes a frame that belongs to no pool; its Release does nothing.
func NewFrame(w, h int) *Frame {
	return &Frame{Pix: make([]byte, 3*w*h), W: w, H: h}
}

// Release gives the frame back to its pool. The caller must not touch it
// afterwards. Releasing the same frame twice is a programmer's bug and panics.
func (f *Frame) Release() {
	if f == nil || f.pool == nil {
		return
	}
	if f.released.Swap(true) {
		panic(fmt.Sprintf("video: frame %dx%d released twice", f.W, f.H))
	}
	f.pool.put(f)
}

// At returns the red, green and blue of one pixel.
func (f *Frame) At(x, y int) (r, g, b byte) {
	i := 3 * (y*f.W + x)
	return f.Pix[i], f.Pix[i+1], f.Pix[i+2]
}
