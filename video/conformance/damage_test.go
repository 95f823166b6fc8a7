package conformance

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/ffio"
)

// rewrite makes a damaged copy of a clip.
func rewrite(t *testing.T, path string, change func([]byte) []byte) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), filepath.Base(path))
	if err := os.WriteFile(out, change(b), 0o644); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestTruncated cuts a clip at 60%. Each reader hands out the frames that are
// there, and then says that the clip is damaged, and of how many.
func TestTruncated(t *testing.T) {
	needTools(t)
	for _, name := range []string{"a.mp4", "a.mkv", "a.avi", "a.webm"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			whole := clip(t, name, "-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=4", "-f", "lavfi", "-i", "sine=d=4", "-movflags", "+faststart", "-g", "10")
			i := probe(t, rewrite(t, whole, func(b []byte) []byte { return b[:len(b)*6/10] }))
			if i.Frames() < 98 || i.Frames() > 102 {
				t.Errorf("probed %d frames, the header promises 100", i.Frames())
			}
			eachReader(t, i, func(t *testing.T, r reader) {
				n, err := countFrames(t, r, i)
				if n < 40 || n > 75 || !errors.Is(err, video.ErrDamaged) {
					t.Errorf("read %d frames, then %v", n, err)
				}
				if want := fmt.Sprintf("kept %d of %d frames", n, i.Frames()); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
					t.Errorf("%v does not say %q in one line", err, want)
				}
			})
		})
	}
}

// TestFlippedBits: the frames that survive keep their own times, and each reader
// says that the clip is damaged though hardly a frame, or none, may be missing.
func TestFlippedBits(t *testing.T) {
	needTools(t)
	whole := clip(t, "a.mp4", "-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=4", "-g", "10")
	for _, flips := range []int{2, 40} {
		path := rewrite(t, whole, func(b []byte) []byte {
			r := rand.New(rand.NewPCG(1, 2))
			for range flips { // in the middle of the pictures, not in the header behind
				b[len(b)/4+r.IntN(len(b)/3)] ^= 1 << r.IntN(8)
			}
			return b
		})
		i := probe(t, path)
		eachReader(t, i, func(t *testing.T, r reader) {
			n, err := countFrames(t, r, i)
			if !errors.Is(err, video.ErrDamaged) || n < 60 || n > 100 {
				t.Errorf("%d flips: read %d frames, then %v", flips, n, err)
			}
			t.Logf("%d flips: %d frames, %v", flips, n, err)
		})
	}
}

// TestUnreadable: each bad input is one clear line that names the file.
func TestUnreadable(t *testing.T) {
	needTools(t)
	dir := t.TempDir()
	put := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	whole := clip(t, "a.mp4", "-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=1")
	tests := []struct{ name, path, want string }{
		{"text named mp4", put("notes.mp4", strings.Repeat("dear diary\n", 100)), "not a video"},
		{"text", put("notes.txt", strings.Repeat("dear diary\n", 100)), "text file"},
		{"subtitles named mp4", put("subs.mp4", "1\n00:00:01,000 --> 00:00:02,000\nhello\n"), "no video stream"},
		{"missing", filepath.Join(dir, "nowhere.mp4"), "no such file"},
		{"folder", dir, "is a folder"},
		{"empty", put("empty.mp4", ""), "empty"},
		{"no index", rewrite(t, whole, func(b []byte) []byte { return b[:len(b)/2] }), "moov atom not found"},
		{"sound only", clip(t, "a.m4a", "-f", "lavfi", "-i", "sine=d=0.1"), "no video stream (1 audio)"},
		{"no frames", clip(t, "a.mkv", "-f", "lavfi", "-i", "testsrc2=s=64x48:d=1", "-frames:v", "0", "-c:v", "ffv1"), "not a video"},
		{"playlist", put("list.m3u8", "#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:1/x.ts\n"), "not a video"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, err := ffio.Open(t.Context(), tt.path, ffio.ReadOptions{})
			if err == nil {
				closeReader(t, r)
				t.Fatal("opened")
			}
			if s := err.Error(); !strings.Contains(s, tt.want) || !strings.Contains(s, filepath.Base(tt.path)) || strings.Contains(s, "\n") {
				t.Errorf("error %q", s)
			}
		})
	}
}

func TestFFmpegMissing(t *testing.T) {
	needTools(t)
	path := clip(t, "a.mp4", "-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=0.2")
	i := probe(t, path)
	out := filepath.Join(t.TempDir(), "o.mp4")
	t.Setenv("PATH", t.TempDir())
	if _, err := ffio.Open(t.Context(), path, ffio.ReadOptions{}); !errors.Is(err, ffio.ErrMissing) {
		t.Errorf("open: %v", err)
	}
	if _, err := ffio.OpenProbed(t.Context(), i, ffio.ReadOptions{}); !errors.Is(err, ffio.ErrMissing) {
		t.Errorf("open probed: %v", err)
	}
	if _, err := ffio.Create(t.Context(), out, ffio.WriteOptions{Width: 64, Height: 48}); !errors.Is(err, ffio.ErrMissing) {
		t.Errorf("create: %v", err)
	}
	empty(t, filepath.Dir(out))
	if err := ffio.Available(); !errors.Is(err, ffio.ErrMissing) {
		t.Errorf("available: %v", err)
	}
}

// empty checks that nothing, hidden or not, is left in a folder.
func empty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Errorf("%q is left behind", e.Name())
	}
}
