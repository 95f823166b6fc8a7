package train

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestKilledRunsContinueTheCurve is the promise: a run killed anywhere and
// resumed ends with the numbers of one that was left alone, bit for bit.
func TestKilledRunsContinueTheCurve(t *testing.T) {
	dir := t.TempDir()
	d := fakeData(t, dir)
	whole := fakeRun(filepath.Join(dir, "whole"), d)
	sum, err := Run(t.Context(), whole)
	if err != nil {
		t.Fatal(err)
	}
	want, wantCurve := tensors(t, sum.Checkpoint), curve(t, whole.Dir)
	kills := []string{"step 2", "step 99", "checkpoint 102", "model 102", "step 201"}
	for range 2 {
		kills = append(kills, fmt.Sprint("step ", 80+rand.IntN(40)))
	}
	for _, k := range kills {
		t.Run(k, func(t *testing.T) {
			home := t.TempDir()
			if err := os.Symlink(filepath.Join(dir, "data"), filepath.Join(home, "data")); err != nil {
				t.Fatal(err)
			}
			if out, err := runHelper(t, home, k); err == nil || err.Error() != "signal: killed" {
				t.Fatalf("the run was not killed: %v\n%s", err, out)
			}
			if out, err := runHelper(t, home, ""); err != nil {
				t.Fatalf("resume: %v\n%s", err, out)
			}
			run := filepath.Join(home, "run")
			if !cmp.Equal(tensors(t, filepath.Join(run, ckptDir, filepath.Base(sum.Checkpoint))), want) {
				t.Error("the last checkpoint differs")
			}
			if diff := cmp.Diff(wantCurve, curve(t, run)); diff != "" {
				t.Errorf("the curve differs:\n%s", diff)
			}
			if got := names(t, filepath.Join(run, ckptDir)); len(got) != 3 {
				t.Errorf("checkpoints: %q", got)
			}
		})
	}
}

func runHelper(t *testing.T, dir, kill string) ([]byte, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), helperEnv+"="+dir, killEnv+"="+kill)
	return cmd.CombinedOutput()
}

// TestKilledByTheClock kills from outside, wherever the process happens to be.
func TestKilledByTheClock(t *testing.T) {
	home := t.TempDir()
	fakeData(t, home)
	for range 4 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), helperEnv+"="+home)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rand.IntN(150)) * time.Millisecond)
		cmd.Process.Kill()
		cmd.Wait()
	}
	if out, err := runHelper(t, home, ""); err != nil {
		t.Fatalf("resume: %v\n%s", err, out)
	}
	if lines := curve(t, filepath.Join(home, "run")); len(lines) != 201 {
		t.Errorf("%d lines of metrics", len(lines))
	}
	for _, d := range []string{"", ckptDir, sampleDir} {
		for _, n := range names(t, filepath.Join(home, "run", d)) {
			if strings.HasPrefix(n, ".") && n != lockFile {
				t.Errorf("%s is left in %q", n, d)
			}
		}
	}
}

func TestCancelledRunsCheckpoint(t *testing.T) {
	dir := t.TempDir()
	d := fakeData(t, dir)
	whole := fakeRun(filepath.Join(dir, "whole"), d)
	sum, err := Run(t.Context(), whole)
	if err != nil {
		t.Fatal(err)
	}
	o := fakeRun(dir, d)
	o.CheckpointSteps = 1000
	why := errors.New("terminated")
	ctx, cancel := context.WithCancelCause(t.Context())
	o.Events = func(e Event) {
		if s, ok := e.(Stepped); ok && s.Step == 61 {
			cancel(why)
		}
	}
	stopped, err := Run(ctx, o)
	if !errors.Is(err, why) || stopped.Step != 63 || filepath.Base(stopped.Checkpoint) != "step-000063.safetensors" {
		t.Fatalf("stopped with %v at step %d, checkpoint %q", err, stopped.Step, stopped.Checkpoint)
	}
	o.Resume, o.Events, o.Trainer = true, nil, newFakeTrainer()
	if stopped, err = Run(ctx, o); !errors.Is(err, why) || stopped.Step != 63 {
		t.Fatalf("stopped at once: %v at step %d", err, stopped.Step)
	}
	resumed, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if !cmp.Equal(tensors(t, resumed.Checkpoint), tensors(t, sum.Checkpoint)) {
		t.Error("the resumed run ends elsewhere")
	}
	if diff := cmp.Diff(sum.Losses, resumed.Losses); diff != "" {
		t.Error(diff)
	}
	again, err := Run(t.Context(), o) // nothing is left to do
	if err != nil || again.Step != 201 || again.Model == "" {
		t.Errorf("a finished run resumed: %+v %v", again, err)
	}
}
