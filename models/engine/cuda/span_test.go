//go:build cgo

package cuda

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
)

// TestDivisor: the kernels' product divides exactly.
func TestDivisor(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	check := func(n, d uint64) {
		b := divisor(int(d)).bytes
		by, factor, shift := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[8:])
		if q := n * uint64(factor) >> shift; q != n/d || uint64(by) != d {
			t.Fatalf("%d / %d = %d", n, d, q)
		}
	}
	for d := uint64(1); d < 3000; d++ {
		for range 20 {
			check(rng.Uint64N(1<<31), d)
		}
		for _, k := range []uint64{1, 2, (1<<31 - 1) / d} {
			check(k*d, d)
			check(k*d-1, d)
		}
		check(1<<31-1, d)
	}
	for range 100000 {
		d := 1 + rng.Uint64N(1<<31-1)
		check(rng.Uint64N(1<<31), d)
		check(1<<31-1, d)
		check((1<<31-1)/d*d-1, d)
	}
	check(1<<30, math.MaxInt32)
}

// TestSpan: a block's threads cover every channel, and where they walk every pixel,
// once, whatever the shape, within a grid's limits; an idle block there is not.
func TestSpan(t *testing.T) {
	for _, channels := range []int{4, 8, 12, 20, 64, 128, 192, 512, 1024, 1028} {
		for _, pixels := range []int{1, 7, 63, 2048, 524288, largest / channels} {
			for _, groups := range []int{1, 8} {
				for name, s := range map[string]span{"walked": walked(pixels, channels, groups, 132), "summed": summed(pixels, channels, groups, 132)} {
					if s.wide*s.high != threads || s.wide*s.across*4 < channels || name == "walked" && s.parts*s.each < pixels || (s.parts-1)*s.each >= pixels || s.each%s.high != 0 {
						t.Errorf("%s %d x %d: %+v", name, pixels, channels, s)
					}
					if g := s.grid(); g[2] > 65535 || g[1] != groups {
						t.Errorf("%s %d x %d: a grid of %v", name, pixels, channels, g)
					}
					if s.wide < 2 && channels > 4 || s.wide*(s.across-1)*4 >= channels {
						t.Errorf("%s %d x %d: %d threads side by side", name, pixels, channels, s.wide)
					}
				}
				if a, b := summed(pixels, channels, groups, 132), summed(pixels, channels, 1, 132); a.parts != b.parts {
					t.Errorf("%d x %d: %d parts in %d groups, %d alone", pixels, channels, a.parts, groups, b.parts)
				}
			}
		}
	}
}
