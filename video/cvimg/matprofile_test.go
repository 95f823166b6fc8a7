//go:build cgo && matprofile

package cvimg

import (
	"testing"

	"gocv.io/x/gocv"
)

// TestMatsAreCounted asks gocv itself for the Mats that are still open. It
// needs -tags matprofile, which compiles gocv a second time.
func TestMatsAreCounted(t *testing.T) {
	for name, use := range natives(t) {
		before := gocv.MatProfile.Count()
		use()
		if left := gocv.MatProfile.Count() - before; left != 0 {
			t.Errorf("%s: %d Mats are open after Close", name, left)
		}
	}
}
