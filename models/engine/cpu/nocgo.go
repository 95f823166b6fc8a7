//go:build !cgo

package cpu

import (
	"fmt"

	"github.com/v2v/v2v/models/engine"
)

// Options for Open.
type Options struct{ Threads int }

// Open reports that this build has no CPU device.
func Open(Options) (engine.Device, error) {
	return nil, fmt.Errorf("open cpu: this build has no cgo, so no oneDNN; build with CGO_ENABLED=1 or use --device ref: %w", engine.ErrUnsupported)
}
