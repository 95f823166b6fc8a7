//go:build !cgo

package cvimg

import (
	"strings"
	"testing"

	"github.com/v2v/v2v/video"
)

func TestErrorsNameWhatIsMissing(t *testing.T) {
	f := video.NewFrame(4, 4)
	_, edges := NewExtractor("edges", Options{})
	_, fg := NewForeground(MaskOptions{})
	for name, err := range map[string]error{
		"edges": edges, "foreground": fg, "resize": Resize(f, f), "label": Label(f, "x", 0, 0),
	} {
		if err == nil || !strings.Contains(err.Error(), "CGO_ENABLED=1") {
			t.Errorf("%s: error %v does not say how to get cgo", name, err)
		}
	}
}
