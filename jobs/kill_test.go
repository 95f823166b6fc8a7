package jobs

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/v2v/v2v/video"
)

// The tests here run batches in processes of their own, which are this test
// binary started again: TestMain calls helper where helperEnv names a folder.
const (
	helperEnv = "V2V_JOBS_HELPER" // holds in/, gets out/ and a log of clips done
	dieEnv    = "V2V_JOBS_DIE"    // at "rename" or "sidecar": kill yourself there, the first time
	heldEnv   = "V2V_JOBS_HELD"   // names a clip: it is not moved into place before the file goFile is in the folder
	goFile    = "go"
)

// helper is one slow run over dir/in; it returns the exit code.
func helper(dir string) int {
	if err := os.Chdir(dir); err != nil {
		return 99
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	log, err := os.OpenFile("log", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return 98
	}
	o := Options{OpenReader: openFake, NewWriter: newDyingWriter, Workers: 2,
		NewGenerator: func(context.Context, int) (Generator, error) {
			g := newFakeGenerator()
			g.slow = time.Millisecond
			return g, nil
		},
		Events: func(e Event) {
			if e.Kind == KindClipDone {
				fmt.Fprintln(log, "done", e.Clip.Input)
				die("sidecar")
			}
		},
	}
	if os.Getenv(dieEnv) != "" {
		o.Workers = 1 // so that no second clip is between rename and sidecar
	}
	p, err := MakePlan(ctx, PlanOptions{Inputs: []string{"in"}, OutDir: "out"})
	var sum Summary
	if err == nil {
		sum, err = Run(ctx, p, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return ExitCode(sum, err)
}

// die kills the process at the place it was told to, unless it has once before.
func die(place string) {
	if os.Getenv(dieEnv) != place {
		return
	}
	if err := os.Mkdir("died", 0o755); err == nil {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

// dyingWriter may be told to die when its clip stands, and to wait before it does.
type dyingWriter struct {
	video.Writer
	held bool
}

func newDyingWriter(ctx context.Context, path, partDir string, info video.Info, w, h int) (video.Writer, error) {
	inner, err := newFileWriter(ctx, path, partDir, info, w, h)
	return dyingWriter{inner, filepath.Base(path) == os.Getenv(heldEnv)}, err
}

func (w dyingWriter) Commit(ctx context.Context) error {
	if w.held {
		if err := await(ctx, goFile); err != nil {
			return err
		}
	}
	err := w.Writer.Commit(ctx)
	die("rename")
	return err
}

func helperCommand(t *testing.T, dir string, env ...string) *exec.Cmd {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(append(os.Environ(), helperEnv+"="+dir), env...)
	c.Stderr = os.Stderr
	return c
}

func exitCode(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if err == nil {
		return 0
	}
	return exit.ExitCode() // -1 where a signal ended it
}

// killDir is a folder with clips and what must come of them.
func killDir(t *testing.T, clips int) (dir string, want map[string]string) {
	t.Helper()
	dir, want = t.TempDir(), map[string]string{}
	tree(t, dir, "out/") // a run may be killed before it gets to make it
	for i := range clips {
		name := fmt.Sprintf("s%d/c%d.mp4", i%3, i)
		tree(t, dir, "in/"+name)
		must(t, os.WriteFile(dir+"/in/"+name, []byte(fmt.Sprint(10+i)), 0o644))
		want[name] = fakeOutput(10 + i)
	}
	return dir, want
}

// settled checks the end of a story of kills: every output right, nothing else
// in the output folder, and no clip done after its sidecar was there.
func settled(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, outputs(t, dir+"/out")); diff != "" {
		t.Error(diff)
	}
	if n := len(list(t, dir+"/out/.v2v")); n != len(want)+1 {
		t.Errorf("%d files of ours for %d clips and a lock: %v", n, len(want), list(t, dir+"/out/.v2v"))
	}
	log, err := os.ReadFile(dir + "/log")
	must(t, err)
	seen := map[string]bool{}
	for line := range strings.Lines(string(log)) {
		if seen[line] {
			t.Errorf("twice: %s", line)
		}
		seen[line] = true
	}
}

// TestKill kills runs at random moments, some while they start; none can end
// before, for its last clip is held. Then one comes through.
func TestKill(t *testing.T) {
	dir, want := killDir(t, 12)
	const kills = 6
	for round := range kills + 1 {
		c := helperCommand(t, dir, heldEnv+"=c11.mp4")
		if round == kills {
			tree(t, dir, goFile)
		}
		must(t, c.Start())
		code := 0
		if round < kills {
			time.Sleep(time.Duration(10+rand.IntN(60)) * time.Millisecond)
			must(t, c.Process.Kill())
			code = -1
		}
		if got := exitCode(t, c.Wait()); got != code {
			t.Fatalf("exit %d after %d kills, want %d", got, round, code)
		}
		for name, text := range outputs(t, dir+"/out") {
			if text != want[name] {
				t.Fatalf("in round %d %s is %q", round, name, text)
			}
		}
	}
	settled(t, dir, want)
}

// TestKillBetween kills a run at the two moments that matter most.
func TestKillBetween(t *testing.T) {
	for place, redone := range map[string]int{"rename": 1, "sidecar": 0} {
		t.Run(place, func(t *testing.T) {
			dir, want := killDir(t, 4)
			c := helperCommand(t, dir, dieEnv+"="+place)
			if code := exitCode(t, c.Run()); code != -1 {
				t.Fatalf("exit %d", code)
			}
			p, err := MakePlan(context.Background(), PlanOptions{Inputs: []string{dir + "/in"}, OutDir: dir + "/out"})
			must(t, err)
			stands := outputs(t, dir+"/out")
			n := 0
			for _, it := range p.Items {
				if _, ok := stands[it.Rel]; ok && it.Action == ActionRedo {
					n++
				}
			}
			if n != redone || len(stands) == 0 {
				t.Errorf("%d of %d outputs are to be made again, want %d", n, len(stands), redone)
			}
			c = helperCommand(t, dir, dieEnv+"="+place)
			if code := exitCode(t, c.Run()); code != 0 {
				t.Fatalf("exit %d", code)
			}
			settled(t, dir, want)
		})
	}
}

// TestInterruptProcess is Ctrl-C on a real process, which cannot end before.
func TestInterruptProcess(t *testing.T) {
	dir, want := killDir(t, 12)
	c := helperCommand(t, dir, heldEnv+"=c11.mp4")
	must(t, c.Start())
	must(t, await(t.Context(), dir+"/out/.v2v/parts"))
	must(t, c.Process.Signal(os.Interrupt))
	if code := exitCode(t, c.Wait()); code != ExitInterrupted {
		t.Errorf("exit %d", code)
	}
	if _, err := os.Stat(dir + "/out/.v2v/parts"); err == nil {
		t.Error("parts are left")
	}
	must(t, helperCommand(t, dir).Run())
	settled(t, dir, want)
}

// TestTwoProcesses runs two batches on one output folder; the first goes on when
// the second has given up.
func TestTwoProcesses(t *testing.T) {
	dir, want := killDir(t, 12)
	first := helperCommand(t, dir, heldEnv+"=c11.mp4")
	must(t, first.Start())
	must(t, await(t.Context(), dir+"/out/.v2v/parts"))
	second := helperCommand(t, dir)
	var said strings.Builder
	second.Stderr = &said
	if code := exitCode(t, second.Run()); code != ExitLocked {
		t.Errorf("exit %d", code)
	}
	if text := said.String(); !strings.Contains(text, fmt.Sprintf("process %d", first.Process.Pid)) || strings.Count(text, "\n") != 1 {
		t.Errorf("the second says %q", text)
	}
	tree(t, dir, goFile)
	if code := exitCode(t, first.Wait()); code != 0 {
		t.Errorf("exit %d", code)
	}
	settled(t, dir, want)
}

// await waits until a path exists, two minutes at most.
func await(ctx context.Context, path string) error {
	for range 24000 {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
	return fmt.Errorf("%s does not appear", path)
}
