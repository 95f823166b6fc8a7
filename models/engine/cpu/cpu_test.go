//go:build cgo

package cpu_test

import (
	"testing"

	"github.com/v2v/v2v/models/engine/cpu"
	"github.com/v2v/v2v/models/engine/enginetest"
)

func TestOperators(t *testing.T) {
	d, err := cpu.Open(cpu.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	enginetest.Run(t, d, 2e-5)
}
