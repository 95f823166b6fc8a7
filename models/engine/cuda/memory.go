package cuda

import (
	"fmt"
	"math"
)

// memoryError is a card that is too small for what was asked.
type memoryError struct {
	device, what      string
	need, free, total uint64
}

func (e *memoryError) Error() string {
	fit := "close other programs on the card, or run fewer workers"
	if e.need > e.free {
		fit = fmt.Sprintf("a picture of %.0f%% the width and height would fit, or fewer workers, or a card with more memory",
			math.Floor(100*math.Sqrt(float64(e.free)/float64(e.need))))
	}
	return fmt.Sprintf("%s takes %s, %s has %s free of %s: %s", e.what, size(e.need), e.device, size(e.free), size(e.total), fit)
}

// size writes a number of bytes.
func size(n uint64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d bytes", n)
}
