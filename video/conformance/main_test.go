package conformance

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/ffio"
)

func TestMain(m *testing.M) {
	if out := os.Getenv(orphanEnv); out != "" {
		feedForever(out) // this process is the victim of TestKilledParent
	}
	goleak.VerifyTestMain(m)
}

// reader is one implementation under test.
type reader struct {
	name  string
	open  func(ctx context.Context, i video.Info) (video.Reader, error)
	right func(i video.Info) (bool, string) // whether it claims to be exact
}

// readers grows by cvio where cgo is.
var readers = []reader{{
	name: "ffio",
	open: func(ctx context.Context, i video.Info) (video.Reader, error) {
		return ffio.OpenProbed(ctx, i, ffio.ReadOptions{InFlight: 2})
	},
	right: func(video.Info) (bool, string) { return true, "" },
}}

// eachReader runs a test on all readers that claim to be right about the clip.
func eachReader(t *testing.T, i video.Info, f func(t *testing.T, r reader)) {
	t.Helper()
	for _, r := range readers {
		ok, _ := r.right(i)
		if ok {
			t.Run(r.name, func(t *testing.T) { f(t, r) })
		}
	}
}

// needTools skips where ffmpeg is missing and checks, when the test and its parts
// have ended, that no child process is left.
func needTools(t *testing.T) {
	t.Helper()
	if err := ffio.Available(); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() {
		if c := children(t); len(c) > 0 {
			t.Errorf("children left behind: %q", c)
		}
	})
}

func children(t *testing.T) []string {
	t.Helper()
	lists, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil || len(lists) == 0 {
		t.Fatal("no /proc to look for children in", err)
	}
	var names []string
	for _, l := range lists {
		b, _ := os.ReadFile(l) // a thread may have ended meanwhile
		for _, pid := range strings.Fields(string(b)) {
			cmd, _ := os.ReadFile("/proc/" + pid + "/cmdline")
			names = append(names, pid+" "+strings.ReplaceAll(string(cmd), "\x00", " "))
		}
	}
	return names
}

// clip runs ffmpeg on the arguments and returns the new file's path in a folder
// of its own.
func clip(t *testing.T, name string, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	ffmpeg(t, append(args, path)...)
	return path
}

func ffmpeg(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.Command("ffmpeg", append([]string{"-nostdin", "-v", "error", "-y"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg %q: %v\n%s", args, err, out)
	}
}

// ffprobe returns the lines of one CSV section.
func ffprobe(t *testing.T, path string, args ...string) []string {
	t.Helper()
	args = append([]string{"-v", "error", "-of", "csv=p=0"}, append(args, "file:"+path)...)
	out, err := exec.Command("ffprobe", args...).Output()
	if err != nil {
		t.Fatalf("ffprobe %q: %v", args, err)
	}
	var lines []string
	for _, l := range strings.Split(string(out), "\n") {
		if l = strings.Trim(l, ",\r "); l != "" {
			lines = append(lines, l)
		}
	}
	return lines
}

// ramp is a source of grey frames, each 8 levels of limited-range luma above the
// one before, so that a frame's colour is its number.
func ramp(size, rate string, n int) []string {
	return []string{"-f", "lavfi", "-i", fmt.Sprintf("nullsrc=s=%s:r=%s,geq=lum=16+8*N:cb=128:cr=128,format=yuv420p", size, rate),
		"-frames:v", fmt.Sprint(n)}
}

// rampLevel is the RGB grey of frame n of a ramp.
func rampLevel(n int) int { return (8*n*255 + 109) / 219 }

func join(parts ...[]string) []string {
	var all []string
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func probe(t *testing.T, path string) video.Info {
	t.Helper()
	i, err := ffio.Probe(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// near reports whether two levels differ by 2 at most.
func near(a, b int) bool { return a-b <= 2 && b-a <= 2 }
