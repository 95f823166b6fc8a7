//go:build !cgo

package cuda

import (
	"fmt"

	"github.com/v2v/v2v/models/engine"
)

// Open reports that this build cannot open libraries.
func Open(Options) (engine.Device, error) { return nil, noCgo() }

// Probe reports the same.
func Probe() ([]Card, error) { return nil, noCgo() }

func noCgo() error {
	return fmt.Errorf("open cuda: this build has no cgo, so it cannot open libcuda; build with CGO_ENABLED=1: %w", engine.ErrUnsupported)
}
