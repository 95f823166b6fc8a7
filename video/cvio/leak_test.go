//go:build cgo && matprofile

package cvio

import (
	"bytes"
	"path/filepath"
	"testing"

	"gocv.io/x/gocv"

	"github.com/v2v/v2v/video"
)

// TestMatsAreClosed runs writer and reader through their ends, good and bad, and
// counts the Mats left. Run it with -tags matprofile.
func TestMatsAreClosed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.avi")
	for _, commit := range []bool{false, true} {
		w, err := Create(t.Context(), path, WriteOptions{Width: 64, Height: 48})
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if err := w.Write(t.Context(), video.NewFrame(64, 48)); err != nil {
				t.Fatal(err)
			}
		}
		if commit {
			if err := w.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, width := range []int{64, 66} { // the second is refused at its first frame
		r, err := Open(t.Context(), video.Info{Path: path, Width: width, Height: 48, Times: []int64{0, 1, 2, 3, 4}}, ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			_, err = r.Next(t.Context())
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if n := gocv.MatProfile.Count(); n != 0 {
		var b bytes.Buffer
		gocv.MatProfile.WriteTo(&b, 1)
		t.Errorf("%d Mats are open:\n%s", n, &b)
	}
}
