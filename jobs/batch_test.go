package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/v2v/v2v/video"
)

// bench is an input folder, an output folder and a batch of fakes.
type bench struct {
	t      *testing.T
	plan   PlanOptions
	o      Options
	mu     sync.Mutex
	gens   []*fakeGenerator
	setGen func(worker, n int, g *fakeGenerator) error
	events []Event
	log    strings.Builder
}

// newBench works in a folder of its own; files is "name=content" words.
func newBench(t *testing.T, files string) *bench {
	t.Chdir(t.TempDir())
	must(t, os.Mkdir("in", 0o755))
	b := &bench{t: t, plan: PlanOptions{Inputs: []string{"in"}, OutDir: "out", Model: "m1", Options: "o1"}}
	b.write(files)
	b.o = Options{OpenReader: openFake, NewWriter: newFileWriter, Events: func(e Event) { b.events = append(b.events, e) },
		Log: slog.New(slog.NewTextHandler(&b.log, nil))}
	b.o.NewGenerator = func(_ context.Context, worker int) (Generator, error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		g := newFakeGenerator()
		b.gens = append(b.gens, g)
		if b.setGen != nil {
			if err := b.setGen(worker, len(b.gens), g); err != nil {
				return nil, err
			}
		}
		return g, nil
	}
	return b
}

func (b *bench) write(files string) {
	b.t.Helper()
	for _, f := range strings.Fields(files) {
		name, content, _ := strings.Cut(f, "=")
		tree(b.t, "in", name)
		must(b.t, os.WriteFile(filepath.Join("in", name), []byte(strings.ReplaceAll(content, "+", " ")), 0o644))
	}
}

// run plans and runs and checks what holds for every batch.
func (b *bench) run(ctx context.Context) (Summary, error) {
	b.t.Helper()
	p, err := MakePlan(context.Background(), b.plan)
	must(b.t, err)
	return b.runPlan(ctx, p)
}

func (b *bench) runPlan(ctx context.Context, p *Plan) (Summary, error) {
	b.t.Helper()
	b.events, b.gens = nil, nil
	o := b.o
	sum, err := Run(ctx, p, o)
	for i, g := range b.gens {
		if g.closed.Load() != 1 && (b.setGen == nil || g.started > 0) {
			b.t.Errorf("generator %d was closed %d times", i, g.closed.Load())
		}
		if g.wrongThread {
			b.t.Errorf("generator %d was used from two threads", i)
		}
	}
	if _, serr := os.Stat("out/.v2v/parts"); serr == nil && !errors.Is(err, ErrLocked) {
		b.t.Error("parts are left")
	}
	if last := b.events; len(last) > 0 && last[len(last)-1].Kind != KindBatchDone {
		b.t.Error("the last event is not batch_done")
	}
	return sum, err
}

// outputs is what stands in out, .v2v left out.
func outputs(t *testing.T, dir string) map[string]string {
	t.Helper()
	got := map[string]string{}
	for _, name := range list(t, dir) {
		if !strings.HasPrefix(name, stateDir+"/") {
			data, err := os.ReadFile(filepath.Join(dir, name))
			must(t, err)
			got[name] = string(data)
		}
	}
	return got
}

func statuses(s Summary) string {
	var words []string
	for _, r := range s.Rows {
		w := strings.TrimPrefix(filepath.ToSlash(r.Output), "out/") + ":" + string(r.Status)
		if r.Damaged != "" {
			w += "+damaged"
		}
		words = append(words, w)
	}
	return strings.Join(words, " ")
}

func kinds(events []Event) string {
	var words []string
	for _, e := range events {
		if e.Kind != KindProgress {
			words = append(words, string(e.Kind))
		}
	}
	return strings.Join(words, " ")
}

func TestBatch(t *testing.T) {
	b := newBench(t, "a.mp4=5 s/b.avi=30 s/t/c10.mkv=1 s/t/c9.mkv=2 still/1.png=x still/2.png=x")
	sum, err := b.run(context.Background())
	must(t, err)
	want := map[string]string{"a.mp4": fakeOutput(5), "s/b.mp4": fakeOutput(30), "s/t/c10.mp4": fakeOutput(1),
		"s/t/c9.mp4": fakeOutput(2), "still.mp4": fakeOutput(2)}
	if diff := cmp.Diff(want, outputs(t, "out")); diff != "" {
		t.Error(diff)
	}
	if sum.Done != 5 || sum.Frames != 40 || ExitCode(sum, err) != ExitDone {
		t.Errorf("%+v", sum)
	}
	if got, want := kinds(b.events), "plan"+strings.Repeat(" clip_started clip_done", 5)+" batch_done"; got != want {
		t.Errorf("events %s\nwant   %s", got, want)
	}
	end := b.events[len(b.events)-1].Batch
	if end.Frames != 40 || end.Total != 40 || end.Done != 5 || end.ETA != 0 {
		t.Errorf("the batch ends as %+v", end)
	}
	var ran []string
	for _, e := range b.events {
		if e.Kind == KindClipStarted {
			ran = append(ran, e.Clip.Input)
		}
	}
	if diff := cmp.Diff([]string{"in/a.mp4", "in/s/b.avi", "in/s/t/c9.mkv", "in/s/t/c10.mkv", "in/still"}, ran); diff != "" {
		t.Error(diff)
	}

	sum, err = b.run(context.Background())
	must(t, err)
	if sum.Skipped != 5 || len(b.gens) != 0 || ExitCode(sum, err) != ExitDone {
		t.Errorf("second run: %s, %d generators", statuses(sum), len(b.gens))
	}
}

// TestBatchRedo changes one thing after a run and looks at what the next does.
func TestBatchRedo(t *testing.T) {
	side := func(rel string) string { return sidecarPath("out", clipID(rel)) }
	future := time.Now().Add(time.Hour)
	cases := []struct {
		name   string
		edit   func(b *bench)
		want   string // statuses of a.mp4 and b.mp4 after the second run
		reason string // of a.mp4
	}{
		{"nothing", func(*bench) {}, "skipped skipped", "done"},
		{"input edited", func(b *bench) { b.write("a.mp4=04") }, "done skipped", "input changed: 2 bytes, were 1"},
		{"input touched", func(b *bench) { must(b.t, os.Chtimes("in/a.mp4", future, future)) }, "done skipped", "input changed: modified"},
		{"input touched, first checksum run", func(b *bench) {
			b.plan.Checksum = true
			must(b.t, os.Chtimes("in/a.mp4", future, future))
		}, "done skipped", "input changed: modified"},
		{"model", func(b *bench) { b.plan.Model = "m2" }, "done done", "model changed"},
		{"options", func(b *bench) { b.plan.Options = "o2" }, "done done", "options changed"},
		{"output deleted", func(b *bench) { must(b.t, os.Remove("out/a.mp4")) }, "done skipped", "output is gone"},
		{"output cut", func(b *bench) { must(b.t, os.Truncate("out/a.mp4", 10)) }, "done skipped", "output changed: 10 bytes, were"},
		{"output edited", func(b *bench) {
			must(b.t, os.WriteFile("out/a.mp4", []byte(strings.Repeat("x", len(fakeOutput(3)))), 0o644))
		},
			"done skipped", "output changed: content differs"},
		{"output touched", func(b *bench) { must(b.t, os.Chtimes("out/a.mp4", future, future)) }, "skipped skipped", "done"},
		{"sidecar deleted", func(b *bench) { must(b.t, os.Remove(side("a.mp4"))) }, "done skipped", "output has no record"},
		{"sidecar torn", func(b *bench) { must(b.t, os.Truncate(side("a.mp4"), 100)) }, "done skipped", "output has no record"},
		{"sidecar of another clip", func(b *bench) { must(b.t, os.Rename(side("b.mp4"), side("a.mp4"))) }, "done done", "output changed"},
		{"overwrite always", func(b *bench) { b.plan.Overwrite = OverwriteAlways }, "done done", "overwriting was asked for"},
		{"overwrite never, model", func(b *bench) { b.plan.Overwrite, b.plan.Model = OverwriteNever, "m2" }, "skipped skipped", "output exists"},
		{"overwrite never, output deleted", func(b *bench) {
			b.plan.Overwrite = OverwriteNever
			must(b.t, os.Remove("out/a.mp4"))
		}, "done skipped", "output is gone"},
		{"state folder deleted", func(b *bench) { must(b.t, os.RemoveAll("out/.v2v")) }, "done done", "output has no record"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, "a.mp4=3 b.mp4=5")
			_, err := b.run(context.Background())
			must(t, err)
			c.edit(b)
			sum, err := b.run(context.Background())
			must(t, err)
			got := fmt.Sprintf("%s %s", sum.Rows[0].Status, sum.Rows[1].Status)
			if got != c.want || !strings.HasPrefix(sum.Rows[0].Reason, c.reason) {
				t.Errorf("got %s (%s), want %s (%s)", got, sum.Rows[0].Reason, c.want, c.reason)
			}
			sum, err = b.run(context.Background())
			must(t, err)
			if b.plan.Overwrite != OverwriteAlways && sum.Skipped != 2 {
				t.Errorf("third run: %s", statuses(sum))
			}
		})
	}
}

func TestBatchChecksum(t *testing.T) {
	b := newBench(t, "a.mp4=3")
	b.plan.Checksum = true
	_, err := b.run(context.Background())
	must(t, err)
	must(t, os.Chtimes("in/a.mp4", time.Now(), time.Now().Add(time.Hour)))
	sum, err := b.run(context.Background())
	must(t, err)
	if sum.Skipped != 1 {
		t.Errorf("a touched file was taken for a changed one: %s", statuses(sum))
	}
}

var failureCases = []struct {
	name  string
	files string
	set   func(b *bench)
	want  string
	code  int
	text  string // in the first failed row's error
}{
	{"garbage", "a.mp4=3 b.mp4=no c.mp4=4", nil, "a.mp4:done b.mp4:failed c.mp4:done", ExitSome, "open: in/b.mp4: not a clip"},
	{"panic in the reader", "a.mp4=3 b.mp4=9+panic c.mp4=4", nil, "a.mp4:done b.mp4:failed c.mp4:done", ExitSome, "decode: panic: reader has a bug"},
	{"damaged", "a.mp4=3 b.mp4=9+damaged", nil, "a.mp4:done b.mp4:done+damaged", ExitSome, ""},
	{"damaged, to fail", "a.mp4=3 b.mp4=9+damaged", func(b *bench) { b.o.OnDamage = DamageFail }, "a.mp4:done b.mp4:failed", ExitSome, "decode frame 9: broke off"},
	{"only unreadable ones", "a.mp4=no b.mp4=0+damaged c.mp4=0", nil, "a.mp4:failed b.mp4:failed c.mp4:failed", ExitUnreadable, "not a clip"},
	{"missing argument", "a.mp4=3", func(b *bench) { b.plan.Inputs = []string{"in", "nope.mp4"} }, "a.mp4:done nope.mp4:failed", ExitSome, "nope.mp4: no such file"},
	{"only a missing argument", "", func(b *bench) { b.plan.Inputs = []string{"nope.mp4"} }, "nope.mp4:failed", ExitUnreadable, "nope.mp4: no such file"},
	{"nothing", "", nil, "", ExitDone, ""},
	{"generator fails on the second clip and is replaced", "a.mp4=3 b.mp4=9 c.mp4=9", func(b *bench) {
		b.setGen = func(_, n int, g *fakeGenerator) error {
			if n == 1 {
				g.failAt = 5
			}
			return nil
		}
	}, "a.mp4:done b.mp4:failed c.mp4:done", ExitSome, "generate frame 5: fake trouble"},
	{"generator panics on every clip", "a.mp4=3 b.mp4=9", func(b *bench) {
		b.setGen = func(_, _ int, g *fakeGenerator) error { g.panicAt = 2; return nil }
	}, "a.mp4:failed b.mp4:failed", ExitSome, "generate: panic"},
	{"writer panics", "a.mp4=3 b.mp4=9", func(b *bench) {
		b.o.NewWriter = func(context.Context, string, string, video.Info, int, int) (video.Writer, error) { panic("no writer") }
	}, "a.mp4:failed b.mp4:failed", ExitSome, "start: panic: no writer"},
	{"writer loses its output", "a.mp4=3", func(b *bench) {
		b.o.NewWriter = func(context.Context, string, string, video.Info, int, int) (video.Writer, error) {
			return newFakeWriter(), nil
		}
	}, "a.mp4:failed", ExitSome, "commit: the writer left no readable output"},
	{"fail fast", "a.mp4=3 b.mp4=no c.mp4=4", func(b *bench) { b.o.FailFast = true }, "a.mp4:done b.mp4:failed c.mp4:pending", ExitSome, "not a clip"},
	{"fail fast before the first", "a.mp4=3", func(b *bench) {
		b.plan.Inputs, b.o.FailFast = []string{"nope.mp4", "in"}, true
	}, "a.mp4:pending nope.mp4:failed", ExitUnreadable, "no such file"},
	{"in a folder that stays empty", "s/t/a.mp4=no b.mp4=3", nil, "b.mp4:done s/t/a.mp4:failed", ExitSome, "not a clip"},
}

// TestBatchFailures covers the exit codes and that a clip fails alone.
func TestBatchFailures(t *testing.T) {
	for _, c := range failureCases {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, c.files)
			if c.set != nil {
				c.set(b)
			}
			sum, err := b.run(context.Background())
			if got := statuses(sum); got != c.want || ExitCode(sum, err) != c.code || err != nil {
				t.Errorf("%s, exit %d, %v\nwant %s, exit %d", got, ExitCode(sum, err), err, c.want, c.code)
			}
			i := slices.IndexFunc(sum.Rows, func(r Row) bool { return r.Err != nil })
			if i < 0 && c.text != "" || i >= 0 && !strings.Contains(sum.Rows[i].Err.Error(), c.text) {
				t.Errorf("error of row %d is not %q: %+v", i, c.text, sum.Rows)
			}
			if strings.Contains(c.name, "panic") && !strings.Contains(b.log.String(), "goroutine") {
				t.Error("the stack of the panic was not logged")
			}
			must(t, os.MkdirAll("out", 0o755)) // an empty plan makes none
			if n := len(outputs(t, "out")); n != sum.Done {
				t.Errorf("%d outputs, %d clips done", n, sum.Done)
			}
			if _, err := os.Stat("out/s"); err == nil {
				t.Error("an empty folder is left")
			}
			again, err := b.run(context.Background())
			if again.Skipped != sum.Done || ExitCode(again, err) != c.code && c.name[:4] != "fail" {
				t.Errorf("second run: %s, exit %d, %v", statuses(again), ExitCode(again, err), err)
			}
		})
	}
}

func TestBatchWorkers(t *testing.T) {
	files := ""
	for i := range 12 {
		files += fmt.Sprintf("c%d.mp4=10 ", i)
	}
	slow := func(_, _ int, g *fakeGenerator) error { g.slow = time.Millisecond; return nil }
	t.Run("share the clips", func(t *testing.T) {
		b := newBench(t, files)
		b.o.Workers, b.setGen = 3, slow
		sum, err := b.run(context.Background())
		must(t, err)
		clips := 0
		for _, g := range b.gens {
			clips += g.started
			if g.started == 0 {
				t.Error("a worker had no clip")
			}
		}
		if sum.Done != 12 || len(b.gens) != 3 || clips != 12 {
			t.Errorf("%s; %d generators, %d clips", statuses(sum), len(b.gens), clips)
		}
	})
	t.Run("one that cannot start leaves its clips to the others", func(t *testing.T) {
		b := newBench(t, files)
		b.o.Workers = 3
		b.setGen = func(worker, _ int, g *fakeGenerator) error {
			if worker != 1 {
				return errFake
			}
			return nil
		}
		sum, err := b.run(context.Background())
		if err != nil || sum.Done != 12 || !strings.Contains(b.log.String(), "worker cannot start") {
			t.Errorf("%s, %v", statuses(sum), err)
		}
	})
	t.Run("none can start", func(t *testing.T) {
		b := newBench(t, files)
		b.o.Workers = 2
		b.setGen = func(int, int, *fakeGenerator) error { return errFake }
		sum, err := b.run(context.Background())
		if !errors.Is(err, errFake) || strings.Contains(err.Error(), "\n") || sum.Pending != 12 || ExitCode(sum, err) != ExitError {
			t.Errorf("%s, %v", statuses(sum), err)
		}
	})
}
