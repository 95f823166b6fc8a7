package published

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/v2v/v2v/models"
)

// anonKB is the memory of the process that no file backs.
func anonKB(t *testing.T) (kb int) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skipf("Linux's /proc is missing: %v", err)
	}
	_, rest, ok := strings.Cut(string(status), "RssAnon:")
	if _, err := fmt.Sscan(rest, &kb); err != nil || !ok {
		t.Fatalf("no RssAnon in /proc/self/status: %v", err)
	}
	return kb
}

// peak is how far the process's own memory rises while do runs.
func peak(t *testing.T, do func()) (kb int) {
	t.Helper()
	runtime.GC()
	before := anonKB(t)
	most, stop := before, make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
				most = max(most, anonKB(t))
			}
		}
	})
	do()
	close(stop)
	wait.Wait()
	return most - before
}

// TestImportHoldsNoTensor: a checkpoint of 100 MB, with tensors of 26 MB, comes
// in and goes out again within less than one of them. The largest that was
// published, label2city_2048 of 1.66 GB, takes 26 MB.
func TestImportHoldsNoTensor(t *testing.T) {
	dir := t.TempDir()
	in, model := filepath.Join(dir, "in.pth"), filepath.Join(dir, "m.safetensors")
	s := shapesOf(t, &models.UNet{InputNC: 3, OutputNC: 3, NGF: 80, Levels: 5, Norm: "batch"})
	zeros(t, in, "", s)
	st, err := os.Stat(in)
	if err != nil {
		t.Fatal(err)
	}
	const most = 20 << 10
	var failed error
	check := func(what string) {
		if kb := peak(t, func() {
			if what == "import" {
				_, failed = Import(t.Context(), in, model, Options{})
			} else {
				_, failed = Export(t.Context(), model, filepath.Join(dir, "out.pth"))
			}
		}); kb > most {
			t.Errorf("%s of %d MB took %d MB", what, st.Size()>>20, kb>>10)
		} else {
			t.Logf("%s of %d MB took %d MB", what, st.Size()>>20, kb>>10)
		}
		if failed != nil {
			t.Fatal(failed)
		}
	}
	check("import")
	check("export")
}
