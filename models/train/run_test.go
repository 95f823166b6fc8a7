package train

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/v2v/v2v/models/weights"
	"github.com/v2v/v2v/video"
)

// curve reads metrics.jsonl as lines without their times.
func curve(t *testing.T, dir string) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, metricsFile))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(data)) {
		var r map[string]any
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		delete(r, "spent")
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(b))
	}
	return lines
}

// tensors reads every number of a checkpoint or a model.
func tensors(t *testing.T, path string) map[string][]float32 {
	t.Helper()
	f, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all := map[string][]float32{}
	for _, name := range f.Names() {
		info, _ := f.Info(name)
		x := make([]float32, info.Elements())
		if err := f.Float32(name, x); err != nil {
			t.Fatal(err)
		}
		all[name] = x
	}
	return all
}

// names lists a folder.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestRunFillsItsFolder(t *testing.T) {
	dir := t.TempDir()
	o := fakeRun(dir, fakeData(t, dir))
	var events []Event
	o.Events = func(e Event) { events = append(events, e) }
	o.Env = map[string]string{"device": "fake"}
	sum, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	// 3 steps a batch of 2 samples: 67 batches are the first to reach 200.
	if sum.Step != 201 || sum.Samples != 134 {
		t.Errorf("ended at step %d, sample %d", sum.Step, sum.Samples)
	}
	if got := names(t, o.Dir); !slices.Contains(got, configFile) || len(got) != 9 {
		t.Errorf("the folder holds %q", got)
	}
	if diff := cmp.Diff([]string{"step-000162.safetensors", "step-000180.safetensors", "step-000201.safetensors"},
		names(t, filepath.Join(o.Dir, ckptDir))); diff != "" {
		t.Errorf("checkpoints: %s", diff)
	}
	if diff := cmp.Diff([]string{"step-000051.png", "step-000102.png", "step-000150.png", "step-000201.png"},
		names(t, filepath.Join(o.Dir, sampleDir))); diff != "" {
		t.Errorf("sheets: %s", diff)
	}
	lines := curve(t, o.Dir)
	if len(lines) != 201 || !strings.HasPrefix(lines[200], `{"losses":{"A":`) {
		t.Errorf("%d lines of metrics, the last %s", len(lines), lines[len(lines)-1])
	}
	if want := map[string][]float32{"g.weight": o.Trainer.(*fakeTrainer).w.data}; !cmp.Equal(tensors(t, sum.Model), want) {
		t.Error("the model file is not the generator's state")
	}
	checkEvents(t, events, sum)
	config, err := os.ReadFile(filepath.Join(o.Dir, configFile))
	if err != nil || string(config) != "size = 8\n\n[loss]\ngan = 1.5\nused = ['gan', 'l1']\n" {
		t.Errorf("config.toml: %q %v", config, err)
	}
	var starts []start
	env, _ := os.ReadFile(filepath.Join(o.Dir, envFile))
	if err := json.Unmarshal(env, &starts); err != nil || len(starts) != 1 || starts[0].Env["device"] != "fake" {
		t.Errorf("env.json: %s %v", env, err)
	}
}

func checkEvents(t *testing.T, events []Event, sum Summary) {
	t.Helper()
	count := map[string]int{}
	for _, e := range events {
		count[e.Kind()]++
		if _, err := json.Marshal(e); err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff(map[string]int{"started": 1, "step": 201, "sheet": 4, "checkpoint": 10, "finished": 1}, count); diff != "" {
		t.Errorf("events: %s", diff)
	}
	if s, ok := events[0].(Started); !ok || s.Clips != 2 || s.Frames != 16 || s.Parameters != 6 || s.Steps != 200 {
		t.Errorf("first event: %+v", events[0])
	}
	if f, ok := events[len(events)-1].(Finished); !ok || f.Model != sum.Model || f.Step != 201 {
		t.Errorf("last event: %+v", events[len(events)-1])
	}
	for _, e := range events {
		if s, ok := e.(Stepped); ok && s.Step == 100 {
			if s.Rate <= 0 || s.Left <= 0 || s.DataWait < 0 || s.DataWait > 1 || len(s.Smooth) != 2 || s.LR != 0.02 {
				t.Errorf("step 100: %+v", s)
			}
		}
	}
}

func TestScheduleFallsToZero(t *testing.T) {
	o := Options{Data: new(Data), Steps: 100, Schedule: Schedule{LR: 1, Constant: 60}}
	p := o.plan()
	for step, want := range map[int]float64{0: 1, 59: 1, 60: 1, 80: 0.5, 99: 0.025, 100: 0, 105: 0} {
		if got := p.at(step); math.Abs(got-want) > 1e-12 {
			t.Errorf("rate after %d steps is %g, want %g", step, got, want)
		}
	}
	o.Schedule.Constant = 100
	if got := o.plan().at(100); got != 1 {
		t.Errorf("constant to the end: %g", got)
	}
}

func TestDivergenceStops(t *testing.T) {
	for _, k := range []struct {
		name   string
		terms  func(step int, losses []Loss) []Loss
		breaks func(step int, w []float32) error
		want   string
	}{
		{"not a number", func(step int, l []Loss) []Loss {
			if step == 61 {
				l[1].Value = math.NaN()
			}
			return l
		}, nil, "step 61: training diverged: loss B is NaN"},
		{"infinite", func(step int, l []Loss) []Loss { return append(l, Loss{"G_GAN", math.Exp(float64(step * 12))}) },
			nil, "step 2: training diverged: loss G_GAN is 2.648912212984347e+10"},
		{"jumps", func(step int, l []Loss) []Loss {
			if step == 61 {
				l[0].Value = 1e5
			}
			return l
		}, nil, "step 61: training diverged: loss A jumped to 100000 from a mean of "},
		{"weights", nil, func(step int, w []float32) error {
			if step == 60 {
				w[0] = float32(math.Inf(1))
			}
			return nil
		}, "training diverged"},
	} {
		t.Run(k.name, func(t *testing.T) {
			dir := t.TempDir()
			o := fakeRun(dir, fakeData(t, dir))
			f := o.Trainer.(*fakeTrainer)
			f.terms, f.before = k.terms, k.breaks
			sum, err := Run(t.Context(), o)
			if !errors.Is(err, ErrDiverged) || !strings.Contains(err.Error(), k.want) {
				t.Fatalf("got %v, want %q", err, k.want)
			}
			for _, n := range names(t, filepath.Join(o.Dir, ckptDir)) {
				for name, x := range tensors(t, filepath.Join(o.Dir, ckptDir, n)) {
					if err := finite(x); err != nil {
						t.Errorf("%s: %s: %v", n, name, err)
					}
				}
			}
			if sum.Step > 10 && filepath.Base(sum.Checkpoint) != "step-000042.safetensors" && filepath.Base(sum.Checkpoint) != "step-000060.safetensors" {
				t.Errorf("last checkpoint: %q", sum.Checkpoint)
			}
		})
	}
}

func TestSmallLossesMayRise(t *testing.T) {
	var ms lossMeans
	for i := range 100 {
		if err := ms.add([]Loss{{"G", 1e-9}, {"D", 5 * float64(i%2)}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := ms.add([]Loss{{"G", 3}, {"D", 80}}); err != nil {
		t.Error(err)
	}
}

func TestRunRefuses(t *testing.T) {
	dir := t.TempDir()
	d := fakeData(t, dir)
	first := fakeRun(dir, d)
	first.Steps, first.Schedule.Constant = 30, 30
	if _, err := Run(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	other := t.TempDir()
	writeData(t, other, "A", "B", 8, 6, 7, 9, 4)
	more := openData(t, other, DataOptions{})
	for _, k := range []struct {
		name   string
		change func(o *Options)
		is     error
		want   []string
	}{
		{"a second run", func(o *Options) { o.Resume = false }, ErrExists, []string{"resume it or give another folder"}},
		{"another configuration", func(o *Options) { o.Config = fakeConfig{9, lossMix{1.5, []string{"gan"}}} }, ErrConfig,
			[]string{"loss.used = [gan], was [gan l1]", "size = 9, was 8"}},
		{"no configuration", func(o *Options) { o.Config = nil }, ErrConfig, []string{"size = 8 is gone"}},
		{"another plan", func(o *Options) { o.Seed, o.Schedule.LR = 12, 0.1 }, ErrConfig, []string{"lr = 0.1, was 0.02", "seed = 12, was 11"}},
		{"another network", func(o *Options) {
			f := newFakeTrainer()
			f.w, f.m = newBuffer(3, 2), newBuffer(7)
			o.Trainer = f
		}, nil, []string{"of another network", "g.weight ([2 3] there, [3 2] here)", "adam.m/g.weight ([2 3] there, [7] here)"}},
		{"other data", func(o *Options) { o.Data = more }, ErrConfig, []string{
			"data = 3 clips, 20 frames, samples of 8x6, ", ", was 2 clips, 16 frames, samples of 8x6, flipped, "}},
		{"no steps", func(o *Options) { o.Steps = 0 }, nil, []string{"a run of 0 steps does nothing"}},
		{"too long samples", func(o *Options) { o.Frames = 10 }, nil, []string{"no clip of the data has the 10 frames"}},
	} {
		t.Run(k.name, func(t *testing.T) {
			o := first
			o.Resume, o.Trainer = true, newFakeTrainer()
			k.change(&o)
			_, err := Run(t.Context(), o)
			if err == nil || k.is != nil && !errors.Is(err, k.is) {
				t.Fatalf("got %v", err)
			}
			for _, w := range k.want {
				if !strings.Contains(err.Error(), w) || strings.Contains(err.Error(), "\n") {
					t.Errorf("got %q, want %q", err, w)
				}
			}
		})
	}
}

func TestOneRunAFolder(t *testing.T) {
	dir := t.TempDir()
	d := fakeData(t, dir)
	o := fakeRun(dir, d)
	o.Steps = 20
	o.Events = func(e Event) {
		if _, ok := e.(Started); ok {
			second := o
			second.Resume = true
			if _, err := Run(t.Context(), second); !errors.Is(err, ErrLocked) {
				t.Errorf("second run: %v", err)
			}
		}
	}
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

func TestValidationPicksTheBest(t *testing.T) {
	dir := t.TempDir()
	o := fakeRun(dir, fakeData(t, dir))
	scores := []float64{1, 7, 3, 7, math.NaN(), 2, 1, 1, 1, 1}
	n := 0
	o.Validate = func(context.Context) (float64, error) { n++; return scores[n-1], nil }
	var best []int
	o.Events = func(e Event) {
		if c, ok := e.(CheckpointWritten); ok && c.Best {
			best = append(best, c.Step)
		}
	}
	sum, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{21, 42, 81}, best); diff != "" {
		t.Error(diff)
	}
	want := []string{"step-000081.safetensors", "step-000162.safetensors", "step-000180.safetensors", "step-000201.safetensors"}
	if diff := cmp.Diff(want, names(t, filepath.Join(o.Dir, ckptDir))); diff != "" || filepath.Base(sum.Best) != want[0] {
		t.Errorf("best %q: %s", sum.Best, diff)
	}
}

func TestSheetShowsEachPictureOnce(t *testing.T) {
	dir := t.TempDir()
	d := fakeData(t, dir)
	samples, err := d.Spread(t.Context(), 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	f, err := renderSheet(t.Context(), newFakeTrainer(), samples)
	if err != nil {
		t.Fatal(err)
	}
	if f.W != 3*8+2*sheetGap || f.H != labelHeight+2*(sheetGap+6) {
		t.Fatalf("sheet of %dx%d", f.W, f.H)
	}
	for row, s := range samples {
		for col, want := range []*video.Frame{s.A[2], video.NewFrame(8, 6), s.B[2]} {
			for y := range 6 {
				at := 3 * ((labelHeight+sheetGap+row*(6+sheetGap)+y)*f.W + col*(8+sheetGap))
				if !bytes.Equal(f.Pix[at:at+24], want.Pix[24*y:][:24]) {
					t.Errorf("row %d column %d is not its picture", row, col)
				}
			}
		}
	}
	a, b := label("input", 40), label("fake", 40)
	if bytes.Equal(a.Pix, b.Pix) || !bytes.Contains(a.Pix, []byte{255, 255, 255}) || a.W != 40 {
		t.Error("labels cannot be read")
	}
}
