package ffio

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/v2v/v2v/video"
)

// maxSide bounds a picture's sides: what H.264, HEVC and VP9 can carry.
const maxSide = 1 << 16

// probeJSON is the part of ffprobe's answer that matters here.
type probeJSON struct {
	Streams []streamJSON `json:"streams"`
	Format  struct {
		Name     string `json:"format_name"`
		Start    string `json:"start_time"`
		Duration string `json:"duration"`
	} `json:"format"`
}

type streamJSON struct {
	Type        string         `json:"codec_type"`
	Codec       string         `json:"codec_name"`
	PixFmt      string         `json:"pix_fmt"`
	Width       int            `json:"width"`
	Height      int            `json:"height"`
	Aspect      string         `json:"sample_aspect_ratio"`
	RawBits     string         `json:"bits_per_raw_sample"`
	Matrix      string         `json:"color_space"`
	Range       string         `json:"color_range"`
	Primaries   string         `json:"color_primaries"`
	Transfer    string         `json:"color_transfer"`
	RRate       string         `json:"r_frame_rate"`
	AvgRate     string         `json:"avg_frame_rate"`
	TimeBase    string         `json:"time_base"`
	Duration    string         `json:"duration"`
	Frames      string         `json:"nb_frames"`
	Disposition map[string]int `json:"disposition"`
	SideData    []struct {
		Rotation *float64 `json:"rotation"`
	} `json:"side_data_list"`
}

// parseStreams reads ffprobe's JSON: all of Info but the path and the times.
// Rate and Duration are what the file claims until the times confirm it.
func parseStreams(b []byte) (video.Info, claim, error) {
	var p probeJSON
	if err := json.Unmarshal(b, &p); err != nil {
		return video.Info{}, claim{}, fmt.Errorf("read ffprobe's answer: %w", err)
	}
	if p.Format.Name == "tty" { // ffmpeg draws any .txt as a picture
		return video.Info{}, claim{}, errors.New("is a text file, not a video")
	}
	var info video.Info
	var v *streamJSON
	for i := range p.Streams {
		switch s := &p.Streams[i]; {
		case s.Type == "video" && s.Disposition["attached_pic"] == 0 && v == nil:
			v = s
		case s.Type == "audio":
			info.AudioCodecs = append(info.AudioCodecs, s.Codec)
		case s.Type == "subtitle":
			info.SubtitleCodecs = append(info.SubtitleCodecs, s.Codec)
		}
	}
	info.Audio, info.Subtitles = len(info.AudioCodecs), len(info.SubtitleCodecs)
	if v == nil {
		return video.Info{}, claim{}, fmt.Errorf("%w: the file has no video stream (%d audio)", video.ErrNoFrames, info.Audio)
	}
	if start, err := strconv.ParseFloat(p.Format.Start, 64); err == nil && math.Abs(start) < 1e9 {
		info.Start = time.Duration(math.Round(start*1e6)) * time.Microsecond
	}
	err := addVideo(&info, v)
	c := claim{duration: positive(v.Duration), frames: int(positive(v.Frames)), rate: info.Rate}
	if c.duration == 0 {
		c.duration = positive(p.Format.Duration)
	}
	return info, c, err
}

// positive reads a number of modest size; anything else is 0.
func positive(s string) float64 {
	if v, err := strconv.ParseFloat(s, 64); err == nil && v > 0 && v < 1e9 {
		return v
	}
	return 0
}

func addVideo(info *video.Info, v *streamJSON) error {
	if v.Width <= 0 || v.Height <= 0 || v.Width > maxSide || v.Height > maxSide {
		return fmt.Errorf("the picture's size, %dx%d, is not usable", v.Width, v.Height)
	}
	info.Codec, info.PixFmt = v.Codec, v.PixFmt
	info.Duration = time.Duration(positive(v.Duration) * float64(time.Second))
	info.Width, info.Height = v.Width, v.Height
	info.BitDepth = bitDepth(v)
	for _, d := range v.SideData {
		if d.Rotation != nil {
			info.Rotation = quarterTurns(*d.Rotation)
		}
	}
	info.SampleAspect = fraction(v.Aspect, ":")
	if info.SampleAspect.Num == 0 {
		info.SampleAspect = video.Rational{Num: 1, Den: 1}
	}
	if info.Rotation%180 != 0 {
		info.Width, info.Height = info.Height, info.Width
		info.SampleAspect.Num, info.SampleAspect.Den = info.SampleAspect.Den, info.SampleAspect.Num
	}
	info.Color = video.Color{Matrix: known(v.Matrix), Range: known(v.Range), Primaries: known(v.Primaries), Transfer: known(v.Transfer)}
	info.TimeBase = fraction(v.TimeBase, "/")
	if info.TimeBase.Num == 0 {
		return fmt.Errorf("the video stream has no clock (time base %q)", v.TimeBase)
	}
	// The guess that is the same in both fields, or the only one.
	info.Rate = fraction(v.RRate, "/")
	if avg := fraction(v.AvgRate, "/"); info.Rate.Num == 0 {
		info.Rate = avg
	}
	return nil
}

// quarterTurns reads a display matrix's angle, counted against the clock by
// ffprobe, as 0, 90, 180 or 270 degrees with the clock. Other angles are not
// applied by Reader and count as 0.
func quarterTurns(deg float64) int {
	turn := math.Mod(-deg, 360)
	if turn < 0 {
		turn += 360
	}
	for _, q := range []int{0, 90, 180, 270} {
		if math.Abs(turn-float64(q)) <= 1 {
			return q
		}
	}
	return 0
}

var depthInName = regexp.MustCompile(`(?:p|p0|p2|p4|gray|rgb|bgr|rgba|bgra|ya)(9|10|12|14|16|24|32|48|64)(?:le|be)?$`)

// bitDepth is the number of bits a sample: as the codec says, or as the name of
// the pixel format ends.
func bitDepth(v *streamJSON) int {
	if n, err := strconv.Atoi(v.RawBits); err == nil && n > 0 && n <= 32 {
		return n
	}
	switch m := depthInName.FindStringSubmatch(v.PixFmt); {
	case m == nil, m[1] == "24", m[1] == "32":
		return 8
	case m[1] == "48", m[1] == "64":
		return 16
	default:
		n, _ := strconv.Atoi(m[1])
		return n
	}
}

func known(s string) string {
	if s == "unknown" || s == "reserved" || s == "unspecified" {
		return ""
	}
	return s
}

// fraction reads "30000/1001" or "4:3"; anything that is not a positive
// fraction is the zero Rational.
func fraction(s, sep string) video.Rational {
	a, b, ok := strings.Cut(s, sep)
	num, err1 := strconv.ParseInt(a, 10, 64)
	den, err2 := strconv.ParseInt(b, 10, 64)
	if !ok || err1 != nil || err2 != nil || num <= 0 || den <= 0 || num > math.MaxInt32 || den > math.MaxInt32 {
		return video.Rational{}
	}
	return reduce(num, den)
}

func reduce(num, den int64) video.Rational {
	a, b := num, den
	for b != 0 {
		a, b = b, a%b
	}
	return video.Rational{Num: num / a, Den: den / a}
}
