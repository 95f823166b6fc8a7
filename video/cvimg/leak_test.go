//go:build cgo

package cvimg

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/v2v/v2v/video"
)

// natives lists what holds native memory, each to be used once and freed.
func natives(t testing.TB) map[string]func() {
	src, odd, small := noisy(256, 192), noisy(64, 64), video.NewFrame(128, 96)
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	uses := map[string]func(){
		"resize": func() { must(Resize(small, src)) },
		"label":  func() { must(Label(src, "x", 1, 1)) },
	}
	out, oddOut := video.NewFrame(256, 192), video.NewFrame(64, 64)
	for _, kind := range Kinds {
		uses[kind] = func() {
			e, err := NewExtractor(kind, Options{Mask: MaskOptions{WarmUp: 1}})
			must(err)
			must(e.Learn(odd))
			must(e.Apply(oddOut, odd))
			must(e.Learn(src))
			must(e.Apply(out, src))
			must(e.Close())
			must(e.Close())
		}
	}
	return uses
}

func noisy(w, h int) *video.Frame {
	return shaken(scene(w, h, func(x, y int) (int, int, int) { return x % 200, y % 200, 90 }), 4, 1)
}

// TestNoMatLeaks watches the process grow: the smallest Mat that holds a
// picture is 36 KB here, so one leaked a round is 14 MB. One thread means one
// malloc arena: moving between threads alone makes the process 5 MB larger now
// and then. (-tags matprofile counts exactly, kernels included.)
func TestNoMatLeaks(t *testing.T) {
	for name, use := range natives(t) {
		t.Run(name, func(t *testing.T) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			for range 50 {
				use()
			}
			debug.FreeOSMemory()
			before := rss(t)
			for range 400 {
				use()
			}
			debug.FreeOSMemory()
			if grown := rss(t) - before; grown > 7<<20 {
				t.Errorf("400 rounds left %d KiB behind", grown>>10)
			}
		})
	}
}

// rss is the resident memory of this process in bytes.
func rss(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip("no /proc/self/statm: ", err)
	}
	var size, resident int
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		t.Fatal(err)
	}
	return resident * os.Getpagesize()
}
