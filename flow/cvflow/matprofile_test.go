//go:build cgo && matprofile

package cvflow

import (
	"context"
	"testing"

	"gocv.io/x/gocv"
)

// TestMatsAreCounted asks gocv itself for the Mats that are still open. It
// needs -tags matprofile, which compiles gocv a second time.
func TestMatsAreCounted(t *testing.T) {
	before := gocv.MatProfile.Count()
	f, err := NewFarneback(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []int{64, 96, 64} {
		a := newTexture(1).frame(w, 48, 0, 0)
		if _, err := f.Estimate(context.Background(), a, a); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if left := gocv.MatProfile.Count() - before; left != 0 {
		t.Errorf("%d Mats are open after Close", left)
	}
}
