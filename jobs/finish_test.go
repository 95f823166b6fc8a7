package jobs

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// finisher counts how often a clip is said to have ended.
type finisher struct {
	*fakeGenerator
	finished int
	at       int // frames generated when that was said first
}

func (f *finisher) Finish() {
	f.check()
	if f.finished++; f.finished == 1 {
		f.at = f.n
	}
}

// TestFinish: a generator that was started hears that its clip has no more
// frames, on its own thread, however the clip ends.
func TestFinish(t *testing.T) {
	for _, c := range clipCases {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(c.n)
			if c.set != nil {
				c.set(r)
			}
			f := &finisher{fakeGenerator: r.gen}
			r.clip.Generator = f
			r.run(context.Background())
			r.clean(t)
			if started := r.gen.started > 0 && r.gen.startErr == nil; started != (f.finished > 0) {
				t.Errorf("started: %v, finished %d times", started, f.finished)
			}
			if f.at != r.gen.n {
				t.Errorf("finished after frame %d of %d", f.at, r.gen.n)
			}
		})
	}
}

// TestTogether: clips that have something in common are run one after another.
func TestTogether(t *testing.T) {
	b := newBench(t, "a.mp4=5 b.avi=3 c.mkv=5 d.mkv=3 e.mkv=1")
	kind := map[string]string{"a.mp4": "x", "b.mp4": "y", "c.mp4": "x", "d.mp4": "y", "e.mp4": "x"}
	b.o.Together = func(it Item) string { return kind[it.Rel] }
	sum, err := b.run(context.Background())
	must(t, err)
	var ran []string
	for _, e := range b.events {
		if e.Kind == KindClipStarted {
			ran = append(ran, e.Clip.Output)
		}
	}
	if diff := cmp.Diff("out/a.mp4 out/c.mp4 out/e.mp4 out/b.mp4 out/d.mp4", strings.Join(ran, " ")); diff != "" {
		t.Error(diff)
	}
	if got := statuses(sum); got != "a.mp4:done b.mp4:done c.mp4:done d.mp4:done e.mp4:done" {
		t.Errorf("the summary is in another order: %s", got)
	}
}
