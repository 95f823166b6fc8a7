package video

import (
	"context"
	"sync/atomic"
)

// Pool lends frames of one size and bounds how many exist at a time. The zero
// Pool is not usable; make one with NewPool.
type Pool struct {
	w, h  int
	slots chan *Frame // nil entries are frames not allocated yet
	live  atomic.Int64
}

// NewPool makes a pool of at most n frames of w x h pixels. Frames are
// allocated on first use.
func NewPool(w, h, n int) *Pool {
	p := &Pool{w: w, h: h, slots: make(chan *Frame, n)}
	for i := 0; i < n; i++ {
		p.slots <- nil
	}
	return p
}

// Get lends a frame, waiting until one is released or ctx ends. The pixels
// hold whatever the last user left in them.
func (p *Pool) Get(ctx context.Context) (*Frame, error) {
	select {
	case f := <-p.slots:
		if f == nil {
			f = NewFrame(p.w, p.h)
			f.pool = p
		}
		f.released.Store(false)
		f.PTS = 0
		p.live.Add(1)
		return f, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Live counts the frames lent out and not yet released. It is zero when every
// owner kept its word; tests check that.
func (p *Pool) Live() int { return int(p.live.Load()) }

func (p *Pool) put(f *Frame) {
	p.live.Add(-1)
	p.slots <- f
}
