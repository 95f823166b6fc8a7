//go:build cgo

package cuda_test

import (
	"fmt"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/enginetest"
	"github.com/v2v/v2v/models/engine/ref"
)

// TestWorkers: the workers of a batch share a card, each with a program and
// buffers of its own, and get what ref gives them.
func TestWorkers(t *testing.T) {
	d := open(t)
	var g errgroup.Group
	for i, c := range enginetest.Cases()[:24] {
		if large(c) {
			continue
		}
		g.Go(func() error {
			want, err := enginetest.Execute(ref.Open(), c, false, engine.Float32)
			if err != nil {
				return err
			}
			for range 3 {
				got, err := enginetest.Execute(d, c, false, engine.Float32)
				if err != nil {
					return fmt.Errorf("worker %d: %w", i, err)
				}
				if diff := enginetest.Difference(got, want); !(diff <= 1e-4) {
					return fmt.Errorf("worker %d: %s: relative difference %g", i, c.Name, diff)
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
}
