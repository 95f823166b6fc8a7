package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStretches(t *testing.T) {
	frames := []frameScore{{n: 0, psnr: 10}, {n: 2, psnr: 20, paired: true, warp: 4, realWarp: 2}, {n: 3, psnr: 60, paired: true, warp: 6, realWarp: 4},
		{n: 9, psnr: 7}}
	want := []stretch{{0, 2, 15, 4, 2}, {3, 3, 60, 6, 4}, {9, 9, 7, 0, 0}}
	if d := cmp.Diff(want, stretches(frames, 3)); d != "" {
		t.Error(d)
	}
}

func TestShortNames(t *testing.T) {
	for name, want := range map[string]string{"a": "a", "0123456789abcde": "0123456789abcde", "x0123456789äbcde": "…123456789äbcde"} {
		if got := short(name); got != want {
			t.Errorf("%s becomes %s, not %s", name, got, want)
		}
	}
}
