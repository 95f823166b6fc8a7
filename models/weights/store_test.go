package weights

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestOpenAny: what a file holds decides, not its name.
func TestOpenAny(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weights.pth")
	load := func(dst []float32) error { dst[0], dst[1] = 3, 4; return nil }
	if err := Write(path, []Tensor{{Name: "a", Shape: []int{2}, Load: load}}, nil); err != nil {
		t.Fatal(err)
	}
	s, err := OpenAny(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var x [2]float32
	if err := s.Float32("a", x[:]); err != nil || x != [2]float32{3, 4} {
		t.Errorf("read %v, %v", x, err)
	}
	if _, err := OpenAny(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("a missing file: %v", err)
	}
}
