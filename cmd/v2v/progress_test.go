package main

import (
	"strings"
	"testing"
)

func TestCuts(t *testing.T) {
	tests := []struct {
		name      string
		cut       func(string) string
		text, out string
	}{
		{"short name", keepEnd, "a.mp4", "a.mp4"},
		{"long name", keepEnd, "a very long name of a clip 17.mp4", "…me of a clip 17.mp4"},
		{"wide letters", keepEnd, strings.Repeat("日", 30), "…" + strings.Repeat("日", 19)},
		{"few losses", keepStart, "G_L1 7.19 G_GAN 1.59", "G_L1 7.19 G_GAN 1.59"},
		{"cut in a value", keepStart, "G_L1 7.19 G_GAN 1.59 G_FM 22.12345", "G_L1 7.19 G_GAN 1.59"},
		{"cut in a name", keepStart, "G_L1 7.19 G_GAN 1.59 G_FEATURES 22.1", "G_L1 7.19 G_GAN 1.59"},
		{"cut between", keepStart, "G_L1 7.19 G_GAN 1.59 G_FM 22.1 D_fake 0.305", "G_L1 7.19 G_GAN 1.59 G_FM 22.1"},
	}
	for _, tt := range tests {
		if got := tt.cut(tt.text); got != tt.out {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.out)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		in   []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{5, 1, 3}, 3}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := median(tt.in); got != tt.want {
			t.Errorf("median of %v is %v, want %v", tt.in, got, tt.want)
		}
	}
}
