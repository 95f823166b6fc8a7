package main

import (
	"testing"

	"github.com/v2v/v2v/video"
)

// TestResizedLabels: a resized label map has the labels of the map and no other.
func TestResizedLabels(t *testing.T) {
	f := video.NewFrame(6, 6)
	for i := range f.Pix {
		f.Pix[i] = byte(i / 3 % 2 * 40)
	}
	s := &pairSession{p: &PairTOML{Data: PairData{Load: "9x13"}}}
	out, err := s.changed(fittedLabels, nil)(f)
	if err != nil || out.W != 13 || out.H != 9 {
		t.Fatalf("%+v, %v", out, err)
	}
	seen := map[byte]bool{}
	for _, v := range out.Pix {
		seen[v] = true
	}
	if len(seen) != 2 || !seen[0] || !seen[40] {
		t.Errorf("labels %v, want 0 and 40", seen)
	}
}
