package video

import (
	"fmt"
	"time"
)

// Rational is an exact fraction, as containers write frame rates (30000/1001)
// and time bases (1/90000). The zero value means unknown.
type Rational struct{ Num, Den int64 }

// Float returns the value, or 0 where it is unknown.
func (r Rational) Float() float64 {
	if r.Den == 0 {
		return 0
	}
	return float64(r.Num) / float64(r.Den)
}

// String prints "30000/1001", or "25" where the denominator is one.
func (r Rational) String() string {
	if r.Den == 1 {
		return fmt.Sprint(r.Num)
	}
	return fmt.Sprintf("%d/%d", r.Num, r.Den)
}

// Color says how a clip's samples map to light, in ffmpeg's names. Empty
// strings are tags that the file does not carry.
type Color struct {
	Matrix    string // bt709, smpte170m, bt470bg, bt2020nc
	Range     string // tv, pc
	Primaries string // bt709, bt2020, ...
	Transfer  string // bt709, smpte2084, arib-std-b67, ...
}

// HDR reports whether the transfer curve is PQ or HLG.
func (c Color) HDR() bool { return c.Transfer == "smpte2084" || c.Transfer == "arib-std-b67" }

// Info is what is known of a clip before its first frame is decoded.
type Info struct {
	Path     string
	Stills   bool   // a folder of pictures rather than a container
	Codec    string // h264, mjpeg, png, ...
	PixFmt   string // yuv420p, gray10le, ...
	BitDepth int    // bits a sample

	Width, Height int      // as shown: after rotation, before the sample aspect
	Rotation      int      // degrees clockwise that the reader has applied: 0, 90, 180 or 270
	SampleAspect  Rational // width of a pixel over its height; 1/1 when square
	Color         Color

	Rate     Rational // average frames a second
	TimeBase Rational // seconds a tick
	Times    []int64  // presentation time of every frame in ticks, ascending; may be longer than what decodes
	Counted  bool     // the container keeps no such times (AVI): they are those of frame numbers
	Variable bool     // the gaps between Times differ by more than rounding
	Duration time.Duration

	Start time.Duration // where the earliest stream begins: sound and picture share this clock

	Audio          int      // number of audio streams
	Subtitles      int      // number of subtitle streams
	AudioCodecs    []string // their codecs, in order: aac, opus, ...
	SubtitleCodecs []string // subrip, mov_text, ...
}

// Frames is the number of frames that the container announces by its packets.
func (i Info) Frames() int { return len(i.Times) }
