package jobs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/v2v/v2v/video"
)

// TestBatchInterrupted stops a batch at many moments; the next run ends it.
func TestBatchInterrupted(t *testing.T) {
	b := newBench(t, "a.mp4=10 s/b.mp4=10 s/c.mp4=10 t/d.mp4=10")
	b.o.Workers = 2
	b.setGen = func(_, _ int, g *fakeGenerator) error { g.slow = time.Millisecond; return nil }
	want := map[string]string{}
	for _, n := range []string{"a.mp4", "s/b.mp4", "s/c.mp4", "t/d.mp4"} {
		want[n] = fakeOutput(10)
	}
	interrupted := 0
	for i := range 12 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i)*3*time.Millisecond)
		sum, err := b.run(ctx)
		cancel()
		if sum.Interrupted {
			interrupted++
			if ExitCode(sum, err) != ExitInterrupted || err != nil {
				t.Errorf("exit %d, %v", ExitCode(sum, err), err)
			}
		}
		if sum.Failed != 0 || sum.Done+sum.Skipped+sum.Pending != 4 || sum.Interrupted != (sum.Pending > 0) {
			t.Errorf("stopped: %s, %+v", statuses(sum), sum)
		}
		for name, text := range outputs(t, "out") {
			if text != want[name] {
				t.Errorf("%s is half a file: %q", name, text)
			}
		}
	}
	if interrupted == 0 {
		t.Error("no run was stopped half way")
	}
	_, err := b.run(context.Background())
	must(t, err)
	if diff := cmp.Diff(want, outputs(t, "out")); diff != "" {
		t.Error(diff)
	}
}

func TestBatchLocked(t *testing.T) {
	b := newBench(t, "a.mp4=3")
	s, err := openState("out")
	must(t, err)
	sum, err := b.run(context.Background())
	if !errors.Is(err, ErrLocked) || ExitCode(sum, err) != ExitLocked || !strings.Contains(err.Error(), fmt.Sprintf("out (process %d)", os.Getpid())) {
		t.Errorf("%v, exit %d", err, ExitCode(sum, err))
	}
	must(t, s.close())
	_, err = b.run(context.Background())
	must(t, err)
}

// TestBatchLeftovers meets what a killed run leaves, and what is not ours.
func TestBatchLeftovers(t *testing.T) {
	b := newBench(t, "a.mp4=3")
	tree(t, "out", ".v2v/parts/x/part.mp4", ".v2v/parts/.a.mp4.part", "notes.txt", ".a.mp4.part", "b.mp4")
	_, err := b.run(context.Background())
	must(t, err)
	want := []string{".a.mp4.part", ".v2v/clips/" + clipID("a.mp4") + ".json", ".v2v/lock", "a.mp4", "b.mp4", "notes.txt"}
	if diff := cmp.Diff(want, list(t, "out")); diff != "" {
		t.Error(diff)
	}
}

// TestBatchOldPlan runs a plan that another run has carried out meanwhile.
func TestBatchOldPlan(t *testing.T) {
	b := newBench(t, "a.mp4=3 b.mp4=3")
	p, err := MakePlan(context.Background(), b.plan)
	must(t, err)
	_, err = b.run(context.Background())
	must(t, err)
	b.write("b.mp4=7")
	sum, err := b.runPlan(context.Background(), p)
	must(t, err)
	if got := statuses(sum); got != "a.mp4:skipped b.mp4:done" {
		t.Error(got)
	}
	if outputs(t, "out")["b.mp4"] != fakeOutput(7) {
		t.Error("the sidecar of an input that changed after planning is not that of the input converted")
	}
}

// TestBatchInputChangesMeanwhile edits an input while it is converted: the next
// run must see that the output is of the former.
func TestBatchInputChangesMeanwhile(t *testing.T) {
	b := newBench(t, "a.mp4=3")
	open := b.o.OpenReader
	b.o.OpenReader = func(ctx context.Context, path string) (video.Reader, error) {
		r, err := open(ctx, path)
		b.write("a.mp4=12")
		return r, err
	}
	_, err := b.run(context.Background())
	must(t, err)
	b.o.OpenReader = open
	sum, err := b.run(context.Background())
	must(t, err)
	if sum.Done != 1 || outputs(t, "out")["a.mp4"] != fakeOutput(12) {
		t.Errorf("%s: %s", statuses(sum), sum.Rows[0].Reason)
	}
}

// TestBatchParts looks into the folder of unfinished files at each clip's start.
func TestBatchParts(t *testing.T) {
	b := newBench(t, "a.mp4=3 b.mp4=9+panic c.mp4=9+damaged d.mp4=3")
	b.o.OnDamage = DamageFail
	b.o.NewWriter = func(ctx context.Context, path, partDir string, info video.Info, w, h int) (video.Writer, error) {
		if entries, err := os.ReadDir(filepath.Dir(partDir)); err != nil || len(entries) != 1 {
			t.Errorf("at the start of %s: %v, %v", path, entries, err)
		}
		return newFileWriter(ctx, path, partDir, info, w, h)
	}
	sum, err := b.run(context.Background())
	if err != nil || sum.Done != 2 {
		t.Errorf("%s, %v", statuses(sum), err)
	}
}

// stoppingWriter makes a folder, and its context ends the moment that stands.
type stoppingWriter struct {
	*fakeWriter
	path string
	stop func()
}

func (w stoppingWriter) Commit(context.Context) error {
	defer w.stop()
	return errors.Join(os.Mkdir(w.path, 0o755), os.WriteFile(filepath.Join(w.path, "0.png"), nil, 0o644))
}

// TestBatchStoppedAfterCommit ends the context when the output stands: its
// sidecar is still written, and it is not made again.
func TestBatchStoppedAfterCommit(t *testing.T) {
	b := newBench(t, "a.mp4=3 b.mp4=3")
	b.plan.Folders = true
	ctx, cancel := context.WithCancel(context.Background())
	b.o.NewWriter = func(_ context.Context, path, _ string, _ video.Info, _, _ int) (video.Writer, error) {
		return stoppingWriter{newFakeWriter(), path, cancel}, nil
	}
	sum, err := b.run(ctx)
	if got := statuses(sum); err != nil || got != "a:done b:pending" || !sum.Interrupted {
		t.Errorf("%s, %v", got, err)
	}
	sum, err = b.run(context.Background())
	if got := statuses(sum); err != nil || got != "a:skipped b:done" {
		t.Errorf("%s, %v", got, err)
	}
}

func TestPlanStopped(t *testing.T) {
	b := newBench(t, "a.mp4=3")
	_, err := b.run(context.Background())
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, b.plan.Checksum = range []bool{false, true} {
		if p, err := MakePlan(ctx, b.plan); ExitCode(Summary{}, err) != ExitInterrupted {
			t.Errorf("%v, %v", p, err)
		}
	}
}

func TestBatchUnwritable(t *testing.T) {
	b := newBench(t, "a.mp4=3")
	must(t, os.WriteFile("file", nil, 0o644))
	b.plan.OutDir = "file/out"
	sum, err := b.run(context.Background())
	if err == nil || !strings.Contains(err.Error(), "prepare output folder: mkdir file") || ExitCode(sum, err) != ExitError {
		t.Errorf("%v, exit %d", err, ExitCode(sum, err))
	}
}
