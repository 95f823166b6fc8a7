package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestEventSchema pins the field names that programs read.
func TestEventSchema(t *testing.T) {
	at := time.Date(2024, 2, 3, 4, 5, 6, 0, time.UTC)
	batch := &BatchState{Clips: 3, Done: 1, Damaged: 1, Skipped: 1, Failed: 1, Frames: 40, Total: 80, FPS: 4, ETA: 10, Seconds: 12, Interrupted: true}
	done := ClipEvent(&Clip{Input: "i", Output: "o"}, Result{FramesIn: 4, FramesOut: 4, Wall: 2, Damaged: "d",
		Stages: Stages{Decode: 1, Flow: 2, Generate: 3, Encode: 4}}, nil)
	failed := ClipEvent(&Clip{Input: "i", Output: "o"}, Result{}, errors.New("e"))
	done.Time, failed.Time = at, at
	cases := []struct {
		e    Event
		want string
	}{
		{Event{Version: EventVersion, Kind: KindPlan, Time: at, Items: []Item{{Input: "i", Output: "o/r", Rel: "r", Size: 5, Action: ActionRedo, Reason: "w"}}},
			`{"v":1,"event":"plan","time":"2024-02-03T04:05:06Z","items":[{"input":"i","output":"o/r","rel":"r","size":5,"action":"redo","reason":"w"}]}`},
		{Event{Version: EventVersion, Kind: KindProgress, Time: at, Clip: &ClipState{Input: "i", Output: "o", Worker: 1, Width: 4, Height: 2, Frames: 3, Total: 6, FPS: 2, ETA: 1.5}, Batch: batch},
			`{"v":1,"event":"progress","time":"2024-02-03T04:05:06Z","clip":{"input":"i","output":"o","worker":1,"width":4,"height":2,"frames":3,"total":6,"fps":2,"eta_seconds":1.5},` +
				`"batch":{"clips":3,"done":1,"damaged":1,"skipped":1,"failed":1,"frames":40,"total":80,"fps":4,"eta_seconds":10,"seconds":12,"interrupted":true}}`},
		{done, `{"v":1,"event":"clip_done","time":"2024-02-03T04:05:06Z","clip":{"input":"i","output":"o","worker":0,"frames":4,"total":4,"fps":2,"damaged":"d",` +
			`"result":{"frames_in":4,"frames_out":4,"width":0,"height":0,"stages":{"decode":1,"flow":2,"generate":3,"encode":4},"wall":2,"damaged":"d"}}}`},
		{failed, `{"v":1,"event":"clip_failed","time":"2024-02-03T04:05:06Z","clip":{"input":"i","output":"o","worker":0,"frames":0,"error":"e"}}`},
	}
	for _, c := range cases {
		got, err := json.Marshal(c.e)
		must(t, err)
		if diff := cmp.Diff(c.want, string(got)); diff != "" {
			t.Error(diff)
		}
		var back Event
		must(t, json.Unmarshal(got, &back))
		if diff := cmp.Diff(c.e, back); diff != "" {
			t.Error(diff)
		}
	}
}

// TestBatchProgress checks the arithmetic over a batch: what is written never
// goes back, totals are corrected, and the end is exact.
func TestBatchProgress(t *testing.T) {
	b := newBench(t, "a.mp4=30 b.mp4=30+damaged c.mp4=no d.mp4=30")
	b.setGen = func(_, _ int, g *fakeGenerator) error { g.slow = 5 * time.Millisecond; return nil }
	p, err := MakePlan(context.Background(), b.plan)
	must(t, err)
	p.Items[1].Frames = 100 // what the header says
	_, err = b.runPlan(context.Background(), p)
	must(t, err)
	if !slices.IsSortedFunc(b.events, func(x, y Event) int { return x.Batch.Frames - y.Batch.Frames }) {
		t.Error("progress went back")
	}
	etas := 0
	for _, e := range b.events {
		if _, err := json.Marshal(e); err != nil {
			t.Errorf("%+v: %v", e, err)
		}
		if e.Batch.ETA > 0 {
			etas++
			if want := float64(e.Batch.Total-e.Batch.Frames) / e.Batch.FPS; math.Abs(e.Batch.ETA-want) > 1e-9 {
				t.Errorf("%d of %d frames at %v a second: %v s left", e.Batch.Frames, e.Batch.Total, e.Batch.FPS, e.Batch.ETA)
			}
		}
	}
	end := b.events[len(b.events)-1].Batch
	if etas == 0 || end.Frames != 90 || end.Total != 90 || end.Done != 3 || end.Failed != 1 || end.Damaged != 1 {
		t.Errorf("%d estimates; the batch ends as %+v", etas, end)
	}
}

// TestTrackerEstimates has clips of which only one is known.
func TestTrackerEstimates(t *testing.T) {
	var last Event
	items := []Item{{Rel: "a", Size: 100, Action: ActionRun}, {Rel: "b", Size: 300, Action: ActionRun}, {Rel: "c", Size: 1000, Action: ActionSkip}}
	k := newTracker(items, func(e Event) { last = e })
	k.plan(items)
	if last.Batch.Total != 0 || last.Batch.Clips != 3 {
		t.Errorf("nothing is known, but %+v", last.Batch)
	}
	k.clip("a", 0, Event{Clip: &ClipState{Frames: 10, Total: 50}})
	if last.Batch.Total != 200 || last.Batch.Frames != 10 {
		t.Errorf("50 frames in 100 bytes, 300 bytes unknown: %+v", last.Batch)
	}
	k.row("a", Row{Status: StatusFailed}, Event{Clip: &ClipState{}})
	if last.Batch.Total != 10+30 {
		t.Errorf("10 frames in 100 bytes, 300 bytes unknown: %+v", last.Batch)
	}
	k.clip("b", 0, Event{Clip: &ClipState{Frames: 0, Total: 90}})
	k.stopped("b")
	k.finish(true)
	if !last.Batch.Interrupted || last.Batch.Frames != 10 || strings.Contains(string(last.Kind), "clip") {
		t.Errorf("%+v", last.Batch)
	}
}
