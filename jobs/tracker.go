package jobs

import (
	"sync"
	"time"
)

// tracker keeps the batch's counts and hands events out one at a time.
type tracker struct {
	mu     sync.Mutex
	events func(Event)
	began  time.Time
	first  time.Time // when the first clip started
	batch  BatchState
	clips  map[string]*clipCount

	// Frames known and bytes they stand for, bytes of clips nobody has opened.
	knownFrames         int
	knownBytes, unknown int64
}

type clipCount struct {
	bytes        int64
	known        bool
	frames, done int
}

func newTracker(items []Item, events func(Event)) *tracker {
	t := &tracker{events: events, began: time.Now(), clips: map[string]*clipCount{}}
	t.batch.Clips = len(items)
	for _, it := range items {
		if it.Action != ActionRun && it.Action != ActionRedo {
			continue
		}
		t.clips[it.Rel] = &clipCount{bytes: it.Size}
		t.unknown += it.Size
		if it.Frames > 0 {
			t.total(t.clips[it.Rel], it.Frames)
		}
	}
	return t
}

// total sets how many frames a clip has.
func (t *tracker) total(c *clipCount, frames int) {
	if !c.known {
		c.known = true
		t.unknown -= c.bytes
		t.knownBytes += c.bytes
	}
	t.knownFrames += frames - c.frames
	c.frames = frames
}

// plan announces the items.
func (t *tracker) plan(items []Item) {
	t.emit(newEvent(KindPlan), func(e *Event) { e.Items = items })
}

// clip passes on an event of a running clip, with the batch beside it.
func (t *tracker) clip(rel string, worker int, e Event) {
	t.emit(e, func(e *Event) {
		e.Clip.Worker = worker
		if t.first.IsZero() {
			t.first = time.Now()
		}
		c := t.clips[rel]
		if e.Clip.Total > 0 {
			t.total(c, max(e.Clip.Total, e.Clip.Frames))
		}
		t.batch.Frames += e.Clip.Frames - c.done
		c.done = e.Clip.Frames
	})
}

// row counts a clip's outcome and announces it. What a clip did not deliver is
// no longer expected of it.
func (t *tracker) row(rel string, r Row, e Event) {
	t.emit(e, func(e *Event) {
		switch r.Status {
		case StatusDone:
			t.batch.Done++
		case StatusSkipped:
			t.batch.Skipped++
		case StatusFailed:
			t.batch.Failed++
		}
		if r.Damaged != "" {
			t.batch.Damaged++
		}
		c, ok := t.clips[rel]
		if !ok {
			return
		}
		t.total(c, c.done)
	})
}

// stopped takes back the frames of a clip that was stopped half way.
func (t *tracker) stopped(rel string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c, ok := t.clips[rel]; ok {
		t.batch.Frames -= c.done
		c.done = 0
	}
}

// finish announces the end.
func (t *tracker) finish(interrupted bool) {
	t.emit(newEvent(KindBatchDone), func(*Event) { t.batch.Interrupted = interrupted })
}

// emit completes an event under the lock and hands it out.
func (t *tracker) emit(e Event, complete func(*Event)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	complete(&e)
	b := &t.batch
	b.Seconds = time.Since(t.began).Seconds()
	b.Total = t.knownFrames
	if t.knownBytes > 0 {
		b.Total += int(float64(t.unknown) * float64(t.knownFrames) / float64(t.knownBytes))
	} else if t.unknown > 0 {
		b.Total = 0
	}
	if !t.first.IsZero() {
		b.FPS = perSecond(b.Frames, time.Since(t.first).Seconds())
	}
	b.ETA = remaining(b.Frames, b.Total, b.FPS)
	state := *b
	e.Batch = &state
	t.events(e)
}
