package metric

import (
	"errors"
	"fmt"
	"math"

	"github.com/v2v/v2v/video"
)

// ErrEmptyMask is wrapped when a mask has no pixel inside, so there is nothing
// to measure; a frame in which nothing moves has such a mask.
var ErrEmptyMask = errors.New("empty mask")

// inside is the least red value of a mask's pixel that counts.
const inside = 128

// PSNR is the peak signal to noise ratio in decibels, 10 log10(255^2 / MSE),
// the squared error averaged over pixels and the three RGB channels (as
// ffmpeg's psnr filter does on RGB). With a mask, a picture of the same size, only
// its white pixels count. Equal frames give +Inf, which JSON cannot hold.
func PSNR(a, b, mask *video.Frame) (float64, error) {
	mse, err := MSE(a, b, mask)
	if err != nil {
		return 0, fmt.Errorf("measure psnr: %w", err)
	}
	return Decibels(mse), nil
}

// Decibels turns a mean squared error of 8-bit values into a PSNR. The mean
// PSNR of a clip is the mean of its frames' PSNR; the PSNR of a clip's mean MSE
// is another number, always lower.
func Decibels(mse float64) float64 { return 10 * math.Log10(255*255/mse) }

// MSE is the mean squared error over pixels and channels, of the pixels that
// are white in the mask, or of all where mask is nil.
func MSE(a, b, mask *video.Frame) (float64, error) {
	if err := checkPair("mean squared error", a, b); err != nil {
		return 0, err
	}
	if mask == nil {
		return float64(squared(a.Pix, b.Pix)) / float64(len(a.Pix)), nil
	}
	if err := checkPair("mask", mask, a); err != nil {
		return 0, err
	}
	var sum uint64
	n := 0
	for i := 0; i < len(mask.Pix); i += 3 {
		if mask.Pix[i] >= inside {
			sum += squared(a.Pix[i:i+3], b.Pix[i:i+3])
			n += 3
		}
	}
	if n == 0 {
		return 0, fmt.Errorf("mean squared error: %w", ErrEmptyMask)
	}
	return float64(sum) / float64(n), nil
}

func squared(a, b []byte) (sum uint64) {
	b = b[:len(a)]
	for i, v := range a {
		d := int32(v) - int32(b[i])
		sum += uint64(d * d)
	}
	return sum
}
