//go:build !cgo

package cvflow

import (
	"strings"
	"testing"
)

func TestConstructorNamesWhatIsMissing(t *testing.T) {
	if _, err := NewFarneback(Options{}); err == nil || !strings.Contains(err.Error(), "CGO_ENABLED=1") {
		t.Errorf("error %v does not say how to get cgo", err)
	}
}
