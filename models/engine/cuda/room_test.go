//go:build cgo

package cuda_test

import (
	"testing"

	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/engine"
)

// TestFreeMemory: what is taken is no longer free.
func TestFreeMemory(t *testing.T) {
	needFake(t)
	d := open(t)
	card := d.(interface{ FreeMemory() (int64, error) })
	before, err := card.FreeMemory()
	if err != nil || before <= 0 || before > 1<<30 {
		t.Fatalf("%d bytes free, %v", before, err)
	}
	b, err := d.Alloc(tensor.Shape{1, 4, 512, 512}, engine.F32)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if after, err := card.FreeMemory(); err != nil || before-after < 4<<20 {
		t.Errorf("of %d bytes %d are left, %v", before, after, err)
	}
}
