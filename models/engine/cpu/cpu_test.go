//go:build cgo

package cpu_test

import (
	"fmt"
	"testing"

	"github.com/v2v/v2v/models/engine/cpu"
	"github.com/v2v/v2v/models/engine/enginetest"
)

// TestOperators: work is shared out differently with one thread, two, and more
// than there are blocks of channels.
func TestOperators(t *testing.T) {
	for _, threads := range []int{1, 2, 7} {
		t.Run(fmt.Sprintf("threads=%d", threads), func(t *testing.T) {
			d, err := cpu.Open(cpu.Options{Threads: threads})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			enginetest.Run(t, d, 2e-5)
		})
	}
}
