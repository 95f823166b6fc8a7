//go:build cgo

package cuda

import (
	"math"
	"math/bits"
)

// few is how many lines of four numbers are on their way to a thread at once, as
// in common.cu.
const few = 4

// lines is a launch over n elements, four of them a line: a thread has few lines.
func lines(kernel string, n int, args ...arg) step {
	return step{kernel: kernel, grid: [3]int{max(1, ceil(n, 4*few*threads)), 1, 1}, block: threads, args: args}
}

// elements is a launch over n elements: a thread has few of them.
func elements(kernel string, n int, args ...arg) step {
	return step{kernel: kernel, grid: [3]int{max(1, ceil(n, few*threads)), 1, 1}, block: threads, args: args}
}

// divisor is the kernels' struct of that name: of what is below 2^31 the product
// with factor, shifted, is the quotient by d.
func divisor(d int) arg {
	shift := 31 + bits.Len(uint(d-1))
	return structArg(intArg(d), intArg(int(int32(uint32(1<<shift/uint64(d)+1)))), intArg(shift))
}

// all divides everything to 0.
func all() arg { return divisor(math.MaxInt32) }

// span is how the kernels that go through (groups,pixels,channels) share it out:
// a block's threads stand wide side by side, at four channels each, and go through
// `each` pixels, high of them at once.
type span struct {
	pixels, channels, groups  int
	wide, high, across, parts int
	each                      int
}

// spanOf leaves as few threads idle as it can without reading less than whole
// sectors of 32 bytes. channels are a multiple of 4.
func spanOf(pixels, channels, groups int) span {
	units := channels / 4
	s := span{pixels: pixels, channels: channels, groups: groups, wide: 32}
	for s.wide > 8 && ceil(units, s.wide/2)*(s.wide/2) < ceil(units, s.wide)*s.wide {
		s.wide /= 2
	}
	for s.wide/2 >= units {
		s.wide /= 2
	}
	s.high, s.across = threads/s.wide, ceil(units, s.wide)
	return s
}

// share gives a block a number of pixels, in whole steps of high.
func (s *span) share(each int) {
	const most = 1 << 15 // of a grid's layers
	s.each = max(1, ceil(max(each, ceil(s.pixels, most)), s.high)) * s.high
	s.parts = ceil(s.pixels, s.each)
}

func (s span) grid() [3]int { return [3]int{s.across, s.groups, s.parts} }

func (s span) arg() arg {
	return structArg(intArg(s.pixels), intArg(s.channels), intArg(s.each), intArg(bits.Len(uint(s.wide))-1))
}

// walked is a span for kernels that read and write every pixel: blocks of some
// steps, fewer where there were not enough blocks for a card of so many units.
func walked(pixels, channels, groups, units int) span {
	s := spanOf(pixels, channels, groups)
	steps := s.across * groups * ceil(pixels, s.high)
	if steps < few*units {
		s.share(s.high)
	} else {
		s.share(min(max(steps/few/(8*units), 1), 4) * few * s.high)
	}
	return s
}

// summed is a span for sums over a group: as many blocks as a card of so many
// units has room for at once, whatever the number of groups, so that a group's
// sum does not depend on it. All sweep side by side.
func summed(pixels, channels, groups, units int) span {
	s := spanOf(pixels, channels, groups)
	s.each, s.parts = s.high, max(1, min(3*units/s.across, ceil(pixels, 8*s.high)))
	return s
}
