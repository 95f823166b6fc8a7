package train

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// threeClips are of 6, 7 and 9 frames.
func threeClips(t *testing.T, dir string) *Data {
	t.Helper()
	writeData(t, filepath.Join(dir, "data"), "train_A", "train_B", 8, 6, 6, 7, 9)
	return openData(t, filepath.Join(dir, "data"), DataOptions{Flip: true})
}

func TestTimetable(t *testing.T) {
	d := threeClips(t, t.TempDir())
	for name, c := range map[string]struct {
		e       Epochs
		batch   int
		lengths []int // of samples of each epoch, in order of size
		factors []float64
		frames  int
	}{
		"constant": {Epochs{Constant: 2}, 1, []int{4, 4, 4, 4, 4, 4}, []float64{1, 1}, 24},
		"decay":    {Epochs{Constant: 1, Decay: 2, Samples: 1}, 1, []int{4, 4, 4}, []float64{1, 1, 0.5}, 12},
		"growing": {Epochs{Constant: 1, Decay: 2, Grow: 1, Spare: 1}, 1, []int{4, 4, 4, 6, 7, 8, 6, 7, 8},
			[]float64{1, 1, 0.5}, 12 + 21 + 21},
		"capped":           {Epochs{Constant: 2, Grow: 1, Longest: 7, Spare: 2, Samples: 2}, 1, []int{4, 4, 5, 5}, []float64{1, 1}, 18},
		"in batches":       {Epochs{Constant: 1}, 2, []int{4, 4, 4, 4}, []float64{1}, 8},
		"samples in pairs": {Epochs{Constant: 2, Grow: 1, Samples: 3}, 2, []int{4, 4, 4, 4, 8, 8, 8, 8}, []float64{1, 1}, 24},
	} {
		t.Run(name, func(t *testing.T) {
			table := NewTimetable(c.e, d, 5, c.batch, 4)
			epochs := c.e.Constant + c.e.Decay
			if n := table.Steps(epochs, func(n int) int { return n }); n != c.frames {
				t.Errorf("%d frames in all, want %d", n, c.frames)
			}
			each, at := len(c.lengths)/epochs, uint64(0)
			for e := range epochs {
				var lengths []int
				clips := map[string]int{}
				for range each / c.batch {
					samples, err := table.draw(t.Context(), at)
					if err != nil {
						t.Fatal(err)
					}
					if got := table.epoch(at); got != e {
						t.Errorf("sample %d is of epoch %d, want %d", at, got, e)
					}
					at += uint64(len(samples))
					for _, s := range samples {
						lengths = append(lengths, len(s.A))
						clips[s.Clip]++
					}
				}
				slices.Sort(lengths)
				if want := c.lengths[e*each:][:each]; !slices.Equal(lengths, want) {
					t.Errorf("epoch %d has samples of %v, want %v", e, lengths, want)
				}
				if c.e.Samples == 0 && len(clips) != 3 {
					t.Errorf("epoch %d takes %v", e, clips)
				}
				if f := c.e.factor(e); f != c.factors[e] {
					t.Errorf("epoch %d learns at %g, want %g", e, f, c.factors[e])
				}
			}
		})
	}
}

// TestEpochsResume: a run by epochs that was stopped goes on as if it had not
// been, and its rate falls epoch by epoch.
func TestEpochsResume(t *testing.T) {
	dir := t.TempDir()
	d := threeClips(t, dir)
	options := func(name string) Options {
		o := fakeRun(filepath.Join(dir, name), d)
		o.Steps, o.Batch = 0, 1
		o.Epochs = Epochs{Constant: 2, Decay: 2, Grow: 2, Spare: 1}
		return o
	}
	whole, err := Run(t.Context(), options("whole"))
	if err != nil || whole.Step != 9+9+18+18 || whole.Samples != 12 {
		t.Fatalf("%+v %v", whole, err)
	}
	o := options("broken")
	for _, stop := range []int{5, 20, 40} {
		why := errors.New("stopped")
		ctx, cancel := context.WithCancelCause(t.Context())
		o.Events = func(e Event) {
			if s, ok := e.(Stepped); ok && s.Step == stop {
				cancel(why)
			}
		}
		if _, err := Run(ctx, o); !errors.Is(err, why) {
			t.Fatal(err)
		}
		o.Resume, o.Trainer = true, newFakeTrainer()
	}
	o.Events = nil
	broken, err := Run(t.Context(), o)
	if err != nil || !cmp.Equal(tensors(t, whole.Checkpoint), tensors(t, broken.Checkpoint)) {
		t.Errorf("the broken run ends elsewhere: %+v %v", broken, err)
	}
	text, err := os.ReadFile(filepath.Join(o.Dir, metricsFile))
	if err != nil {
		t.Fatal(err)
	}
	rates := map[float64]int{}
	for line := range bytes.Lines(text) {
		var r struct{ LR float64 }
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		rates[r.LR]++
	}
	if want := map[float64]int{0.02: 36, 0.01: 18}; !cmp.Equal(rates, want) {
		t.Errorf("rates %v, want %v", rates, want)
	}
	o.Trainer, o.Epochs.Grow = newFakeTrainer(), 1
	if _, err := Run(t.Context(), o); !errors.Is(err, ErrConfig) {
		t.Errorf("another schedule goes on: %v", err)
	}
}

// TestRunsBeginFromOthers: a new run takes over the weights that fit, the means
// of weights for the weights, and no optimiser's state; those of its model that do
// not fit it tells.
func TestRunsBeginFromOthers(t *testing.T) {
	dir := t.TempDir()
	d := fakeData(t, dir)
	o := fakeRun(dir, d)
	o.Steps = 20
	o.Trainer = &namedTrainer{newFakeTrainer(), []State{
		{"w", false, full(2, 1)}, {"ema.w", true, full(2, 2)}, {"D.x", false, full(3, 3)}, {"D.y", false, full(3, 4)},
		{"D.x.dadam_m", false, full(3, 5)}, {"DT1.steps", false, full(1, 6)}, {"v", true, full(2, 7)}}}
	first, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	next := o
	next.Dir, next.From = filepath.Join(dir, "next"), first.Checkpoint
	states := []State{{"w", false, full(2, 0)}, {"ema.w", true, full(2, 0)}, {"D.x", false, full(3, 0)}, {"D.y", false, full(4, 0)},
		{"D.new", false, full(1, 0)}, {"D.x.dadam_m", false, full(3, 0)}, {"DT1.steps", false, full(1, 0)}, {"v", true, full(3, 0)}}
	next.Trainer = &namedTrainer{newFakeTrainer(), states}
	if _, err := Run(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	for i, want := range []float32{2, 2, 3, 0, 0, 0, 0, 0} {
		if got := states[i].Buffer.(*hostBuffer).data; got[0] != want {
			t.Errorf("%s begins as %v, want %v", states[i].Name, got, want)
		}
	}
	log, err := os.ReadFile(filepath.Join(next.Dir, logFile))
	if err != nil || !strings.Contains(string(log), `level=WARN msg="weights had another shape in the run before and begin afresh`) || !strings.Contains(string(log), "weights=1 first=v") {
		t.Errorf("the log says %s (%v)", log, err)
	}
	none := &namedTrainer{newFakeTrainer(), []State{{"other", true, full(2, 0)}}}
	next.Dir, next.Trainer = filepath.Join(dir, "none"), none
	if _, err := Run(t.Context(), next); err == nil {
		t.Error("a network that shares no weight begins from another")
	}
}

// namedTrainer has other states than its own.
type namedTrainer struct {
	*fakeTrainer
	states []State
}

func (n *namedTrainer) State() []State { return n.states }

func full(n int, v float32) *hostBuffer {
	b := newBuffer(n)
	for i := range b.data {
		b.data[i] = v
	}
	return b
}
