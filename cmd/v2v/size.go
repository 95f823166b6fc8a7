package main

import (
	"fmt"
	"strconv"
	"strings"
)

// size is the value of --size: height before width, as the networks' shapes
// are written. The zero value is "as it is".
type size struct{ H, W int }

const maxSide = 16384 // what an H.264 or HEVC stream can at most hold

// String implements pflag.Value.
func (s *size) String() string {
	if *s == (size{}) {
		return ""
	}
	return fmt.Sprintf("%dx%d", s.H, s.W)
}

// Type implements pflag.Value.
func (s *size) Type() string { return "HxW" }

// Set implements pflag.Value.
func (s *size) Set(text string) error {
	h, w, ok := strings.Cut(text, "x")
	if !ok {
		return fmt.Errorf("%q is no size; give height x width, like 256x512", text)
	}
	for _, side := range []struct {
		text string
		to   *int
	}{{h, &s.H}, {w, &s.W}} {
		n, err := strconv.Atoi(side.text)
		if err != nil || n < 1 || n > maxSide {
			return fmt.Errorf("%q is no size; give height x width, each 1 to %d, like 256x512", text, maxSide)
		}
		*side.to = n
	}
	return nil
}
