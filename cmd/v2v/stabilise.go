package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/v2v/v2v/models"
)

// stabilise is the value of --stabilise.
type stabilise models.Steady

// String implements pflag.Value.
func (s *stabilise) String() string {
	var parts []string
	if s.Every > 0 {
		parts = append(parts, fmt.Sprintf("every=%d", s.Every))
	}
	if s.Cuts {
		parts = append(parts, "cuts")
	}
	if s.Floor > 0 {
		parts = append(parts, fmt.Sprintf("floor=%g", s.Floor))
	}
	return strings.Join(parts, ",")
}

// Type implements pflag.Value.
func (s *stabilise) Type() string { return "HOW" }

// Set implements pflag.Value.
func (s *stabilise) Set(text string) error {
	*s = stabilise{}
	for part := range strings.SplitSeq(text, ",") {
		key, value, _ := strings.Cut(part, "=")
		ok := false
		switch key {
		case "every":
			n, err := strconv.ParseUint(value, 10, 31)
			s.Every, ok = int(n), err == nil && n > 0
		case "cuts":
			s.Cuts, ok = true, part == "cuts"
		case "floor":
			x, err := strconv.ParseFloat(value, 32)
			s.Floor, ok = float32(x), err == nil && x > 0 && x <= 1
		}
		if !ok {
			return fmt.Errorf("%q: give every=N, cuts, or floor=X with X above 0 and at most 1, with commas between", part)
		}
	}
	return nil
}
