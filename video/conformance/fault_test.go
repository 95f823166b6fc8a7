package conformance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/ffio"
)

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// noise is a frame that no encoder makes small.
func noise(w, h, n int) *video.Frame {
	f := video.NewFrame(w, h)
	s := uint32(n + 1)
	for i := range f.Pix {
		s = s*1664525 + 1013904223
		f.Pix[i] = byte(s >> 24)
	}
	return f
}

// feed writes frames until an error and then commits.
func feed(ctx context.Context, w video.Writer, width, height, n int) error {
	for i := range n {
		if err := w.Write(ctx, noise(width, height, i)); err != nil {
			return err
		}
	}
	return w.Commit(ctx)
}

func TestCreateRefuses(t *testing.T) {
	needTools(t)
	dir := t.TempDir()
	taken := filepath.Join(dir, "taken.mp4")
	write(t, taken, "precious")
	file := filepath.Join(dir, "file")
	write(t, file, "")
	folder := filepath.Join(dir, "folder.mp4")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	src := probe(t, clip(t, "a.mp4", ramp("64x48", "25", 2)...))
	readOnly := mountTmpfs(t, "size=1m,ro")
	other := mountTmpfs(t, "size=1m")
	tests := []struct {
		name, path string
		o          ffio.WriteOptions
		want       string
	}{
		{"taken", taken, ffio.WriteOptions{}, "allow overwriting"},
		{"folder", folder, ffio.WriteOptions{Overwrite: true}, "is a folder"},
		{"missing folder", filepath.Join(dir, "no", "o.mp4"), ffio.WriteOptions{}, "no such file"},
		{"file for a folder", filepath.Join(file, "o.mp4"), ffio.WriteOptions{}, "not a directory"},
		{"read-only folder", filepath.Join(readOnly, "o.mp4"), ffio.WriteOptions{}, "read-only"},
		{"the source itself", src.Path, ffio.WriteOptions{Source: &src, Overwrite: true}, "the source itself"},
		{"part folder on another disk", filepath.Join(dir, "o.mp4"), ffio.WriteOptions{PartDir: other}, "cross-device"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.Width, tt.o.Height = 64, 48
			w, err := ffio.Create(t.Context(), tt.path, tt.o)
			if err == nil {
				w.Close()
				t.Fatal("created")
			}
			if s := err.Error(); !strings.Contains(s, tt.want) || strings.Contains(s, "\n") {
				t.Errorf("error %q", s)
			}
		})
	}
	empty(t, other)
	if b, err := os.ReadFile(taken); err != nil || string(b) != "precious" {
		t.Errorf("the file in the way now holds %q, %v", b, err)
	}
}

// mountTmpfs mounts a small file system for this test alone.
func mountTmpfs(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", mountFlags(options), strings.TrimSuffix(options, ",ro")); err != nil {
		t.Skip("needs the right to mount a tmpfs (CAP_SYS_ADMIN):", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func mountFlags(options string) uintptr {
	if strings.HasSuffix(options, ",ro") {
		return syscall.MS_RDONLY
	}
	return 0
}

// writers are the implementations that must leave nothing half done.
var writers = map[string]func(ctx context.Context, path string, width, height int) (video.Writer, error){
	"ffio": func(ctx context.Context, path string, width, height int) (video.Writer, error) {
		return ffio.Create(ctx, path, ffio.WriteOptions{Width: width, Height: height, Enc: []string{"preset=ultrafast"}})
	},
}

// TestFullDisk: one clear line, and nothing is left, neither under the final name
// nor under a hidden one.
func TestFullDisk(t *testing.T) {
	needTools(t)
	for name, create := range writers {
		for _, ext := range []string{".mp4", ".mkv", ".avi"} {
			t.Run(name+ext, func(t *testing.T) {
				t.Parallel()
				dir := mountTmpfs(t, "size=200k")
				w, err := create(t.Context(), filepath.Join(dir, "o"+ext), 160, 120)
				if err != nil {
					t.Fatal(err)
				}
				err = feed(t.Context(), w, 160, 120, 100)
				if err == nil {
					t.Error("100 noisy frames fit into 200 kB")
				} else if s := err.Error(); !strings.Contains(s, "o"+ext) || strings.Contains(s, "\n") {
					t.Errorf("error %q", s)
				}
				if name == "ffio" && !errors.Is(err, syscall.ENOSPC) {
					t.Errorf("%v is not ENOSPC", err)
				}
				if err := w.Close(); err != nil {
					t.Error(err)
				}
				empty(t, dir)
			})
		}
	}
}

func TestAbandoned(t *testing.T) {
	needTools(t)
	for name, create := range writers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for _, frames := range []int{0, 1, 30} {
				w, err := create(t.Context(), filepath.Join(dir, "o.mp4"), 64, 48)
				if err != nil {
					t.Fatal(err)
				}
				for n := range frames {
					if err := w.Write(t.Context(), noise(64, 48, n)); err != nil {
						t.Fatal(err)
					}
				}
				if frames == 0 {
					if err := w.Commit(t.Context()); !errors.Is(err, video.ErrNoFrames) {
						t.Errorf("commit of nothing: %v", err)
					}
				}
				if err := w.Write(t.Context(), noise(64, 50, 0)); err == nil {
					t.Error("took a frame of another size")
				}
				if err := w.Close(); err != nil {
					t.Error(err)
				}
				empty(t, dir)
			}
		})
	}
}

func TestCancelWriting(t *testing.T) {
	needTools(t)
	for name, create := range writers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			w, err := create(t.Context(), filepath.Join(dir, "o.mp4"), 64, 48)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			if err := w.Write(ctx, noise(64, 48, 0)); err != nil {
				t.Fatal(err)
			}
			why := errors.New("enough")
			cancel(why)
			if err := w.Write(ctx, noise(64, 48, 1)); !errors.Is(err, why) {
				t.Errorf("write: %v", err)
			}
			if err := w.Commit(ctx); !errors.Is(err, why) {
				t.Errorf("commit: %v", err)
			}
			if err := w.Close(); err != nil {
				t.Error(err)
			}
			empty(t, dir)
		})
	}
}

func TestBadSetting(t *testing.T) {
	needTools(t)
	for _, tt := range []struct{ enc, want string }{{"nonsense=1", "nonsense"}, {"preset=lightspeed", "lightspeed"}} {
		dir := t.TempDir()
		w, err := ffio.Create(t.Context(), filepath.Join(dir, "o.mp4"), ffio.WriteOptions{Width: 64, Height: 48, Enc: []string{tt.enc}})
		if err != nil {
			t.Fatal(err)
		}
		err = feed(t.Context(), w, 64, 48, 100)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", tt.enc, err)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		empty(t, dir)
	}
}

func TestTimesMustAscend(t *testing.T) {
	needTools(t)
	src := video.Info{Stills: true, Width: 64, Height: 48, Rate: video.Rational{Num: 25, Den: 1}, TimeBase: video.Rational{Num: 1, Den: 25}, Times: []int64{0, 1}}
	w, err := ffio.Create(t.Context(), filepath.Join(t.TempDir(), "o.mp4"), ffio.WriteOptions{Source: &src})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for n, ok := range []bool{true, false} {
		if err := w.Write(t.Context(), noise(64, 48, n)); (err == nil) != ok { // both at time 0
			t.Errorf("frame %d: %v", n, err)
		}
	}
}

// TestOverwrite: the old file stands until the new one is whole.
func TestOverwrite(t *testing.T) {
	needTools(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "o.mp4")
	write(t, path, "old")
	w, err := ffio.Create(t.Context(), path, ffio.WriteOptions{Width: 64, Height: 48, Overwrite: true, Rate: video.Rational{Num: 30000, Den: 1001}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(t.Context(), noise(64, 48, 0)); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(path); string(b) != "old" {
		t.Errorf("before Commit the file holds %q", b)
	}
	if err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(t.Context()); err == nil {
		t.Error("committed twice")
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if i := probe(t, path); i.Frames() != 1 || i.Rate != (video.Rational{Num: 30000, Den: 1001}) {
		t.Errorf("%d frames at %s", i.Frames(), i.Rate)
	}
	if err := os.Remove(path); err != nil {
		t.Error(err)
	}
	empty(t, dir)
}

const orphanEnv = "V2V_CONFORMANCE_ORPHAN"

// feedForever is the life of a process that will be killed.
func feedForever(path string) {
	ctx := context.Background()
	w, err := ffio.Create(ctx, path, ffio.WriteOptions{Width: 64, Height: 48})
	for n := 0; err == nil; n++ {
		err = w.Write(ctx, noise(64, 48, n))
		if n == 60 {
			fmt.Println("going")
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// TestKilledParent: an orphaned ffmpeg would end with a short and valid file. It
// must die with its parent, and nothing may stand under the final name.
func TestKilledParent(t *testing.T) {
	needTools(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "o.mp4")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), orphanEnv+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Errorf("the victim did not get going: %v", err)
	}
	cmd.Process.Kill()
	cmd.Wait() // killed: the error says so
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !video.IsPart(e.Name()) {
			t.Errorf("%q stands under a final name", e.Name())
		}
	}
	for range 3000 { // a minute: the machine may be busy
		if users(t, dir) == 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("ffmpeg outlives its parent")
}

// users counts the processes whose command line names a folder.
func users(t *testing.T, dir string) int {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(all) == 0 {
		t.Fatal("no /proc to look in", err)
	}
	n := 0
	for _, f := range all {
		if b, _ := os.ReadFile(f); strings.Contains(string(b), dir) { // a process may have ended meanwhile
			n++
		}
	}
	return n
}
