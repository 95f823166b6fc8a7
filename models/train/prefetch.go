package train

import (
	"context"
	"fmt"
)

// ahead is how many batches are made before they are asked for: one ready, one
// growing. More would only be memory, the device takes them one at a time.
const ahead = 1

// drawing says which samples a run draws: batch k holds samples k*batch on.
type drawing struct {
	seed          uint64
	batch, frames int
	table         *Timetable // what decides instead of frames, where there is one
}

func (w drawing) draw(ctx context.Context, d *Data, first uint64) ([]*Sample, error) {
	if w.table != nil {
		return w.table.draw(ctx, first)
	}
	samples := make([]*Sample, w.batch)
	for i := range samples {
		s, err := d.Sample(ctx, first+uint64(i), w.seed, w.frames)
		if err != nil {
			return nil, err
		}
		samples[i] = s
	}
	return samples, nil
}

// prefetcher makes the next batches while the device works on one.
type prefetcher struct {
	batches chan batch
	stop    context.CancelFunc
}

type batch struct {
	samples []*Sample
	err     error
}

// startPrefetch begins with sample number first. The caller must close it.
func startPrefetch(ctx context.Context, d *Data, w drawing, first uint64) *prefetcher {
	ctx, stop := context.WithCancel(ctx)
	p := &prefetcher{batches: make(chan batch, ahead), stop: stop}
	go func() {
		defer close(p.batches)
		for n := first; ; n += uint64(w.batch) {
			var b batch
			b.samples, b.err = w.draw(ctx, d, n)
			select {
			case p.batches <- b:
			case <-ctx.Done():
				return
			}
			if b.err != nil {
				return
			}
		}
	}()
	return p
}

func (p *prefetcher) next(ctx context.Context) ([]*Sample, error) {
	select {
	case b, ok := <-p.batches:
		if !ok {
			return nil, fmt.Errorf("load samples: %w", context.Canceled)
		}
		return b.samples, b.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// close ends the goroutine and waits for it.
func (p *prefetcher) close() {
	p.stop()
	for range p.batches {
	}
}
