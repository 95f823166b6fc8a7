package ffio

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/v2v/v2v/video"
)

// WriteOptions say how a clip is encoded. The zero value needs a Source, or
// Width and Height, and takes the defaults named here.
type WriteOptions struct {
	Codec string   // h264, hevc, vp9, ffv1 or prores; empty: h264, vp9 in .webm
	CRF   *int     // quality, lower is better; nil: 16 (h264, hevc) or 24 (vp9)
	Enc   []string // more settings of the encoder, "key=value", as ffmpeg names them

	// Source is the clip that the frames were made from. Sound, subtitles,
	// chapters and metadata are taken from it, and its clock: a frame's PTS then
	// counts in Source.TimeBase. Without it frames follow each other at Rate.
	Source *video.Info
	Rate   video.Rational // frames a second where there is no Source; 25 when zero
	Width  int            // of the frames to come; Source's when zero
	Height int
	PadOdd bool // odd sizes get a pixel more rather than 4:4:4 colour

	Overwrite     bool
	ExtraMetadata map[string]string // written into the container
	PartDir       string            // where the unfinished file grows; the output's folder when empty
	Logger        *slog.Logger      // the plan's notes go here at level Info; nil is silent
}

// codec is one row of what can be written.
type codec struct {
	name, encoder string
	crf           int      // default quality; -1: it has none
	args          []string // each number is explained in codecs
	pixFmt        string
	oddPixFmt     string // for odd sizes; the same where the codec takes them
	containers    []string
}

// codecs are the video codecs by name. Medium is x264's and x265's own balance
// of speed and size; crf 16 is what an eye cannot tell from the frames; ffv1 with
// short slices and their checksums survives damage; prores profile 3 is HQ.
var codecs = []codec{
	{"h264", "libx264", 16, []string{"-preset:v", "medium"}, "yuv420p", "yuv444p", []string{"mp4", "mov", "matroska", "avi"}},
	{"hevc", "libx265", 16, []string{"-preset:v", "medium", "-x265-params:v", "log-level=error"}, "yuv420p", "yuv444p", []string{"mp4", "mov", "matroska"}},
	{"vp9", "libvpx-vp9", 24, []string{"-b:v", "0", "-row-mt:v", "1", "-cpu-used:v", "2"}, "yuv420p", "yuv420p", []string{"webm", "mp4", "matroska"}},
	{"ffv1", "ffv1", -1, []string{"-level:v", "3", "-slices:v", "4", "-slicecrc:v", "1"}, "bgr0", "bgr0", []string{"matroska", "avi"}},
	{"prores", "prores_ks", -1, []string{"-profile:v", "3", "-vendor:v", "apl0"}, "yuv422p10le", "yuv422p10le", []string{"mov", "matroska"}},
}

// containers are ffmpeg's muxers by file extension.
var containers = map[string]string{".mp4": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm", ".avi": "avi"}

// Extensions lists the file extensions that can be written.
func Extensions() []string { return []string{".mp4", ".mov", ".mkv", ".webm", ".avi"} }

// Codecs lists the names that WriteOptions.Codec takes.
func Codecs() []string {
	var names []string
	for _, c := range codecs {
		names = append(names, c.name)
	}
	return names
}

// maxCRF is the end of the scale of the encoders that have one.
const maxCRF = 63

func (o WriteOptions) codec(container string) (codec, error) {
	name := o.Codec
	if name == "" {
		name = "h264"
		if container == "webm" {
			name = "vp9"
		}
	}
	i := slices.IndexFunc(codecs, func(c codec) bool { return c.name == name })
	if i < 0 {
		return codec{}, fmt.Errorf("unknown codec %q: choose one of %s", name, strings.Join(Codecs(), ", "))
	}
	c := codecs[i]
	if !slices.Contains(c.containers, container) {
		return codec{}, fmt.Errorf("codec %s does not go into a %s file: choose %s", name, extension(container), extensions(c.containers))
	}
	switch {
	case o.CRF == nil:
	case c.crf < 0:
		return codec{}, fmt.Errorf("codec %s has no crf setting", name)
	case *o.CRF < 0 || *o.CRF > maxCRF:
		return codec{}, fmt.Errorf("crf %d is not between 0 and %d", *o.CRF, maxCRF)
	default:
		c.crf = *o.CRF
	}
	return c, nil
}

func container(path string) (string, error) {
	ext := strings.ToLower(filepath.Ext(path))
	if c, ok := containers[ext]; ok {
		return c, nil
	}
	return "", fmt.Errorf("unknown video file extension %q: choose one of %s", ext, strings.Join(Extensions(), ", "))
}

func extension(container string) string {
	for ext, c := range containers {
		if c == container {
			return ext
		}
	}
	return container
}

func extensions(containers []string) string {
	var list []string
	for _, c := range containers {
		list = append(list, extension(c))
	}
	return strings.Join(list, ", ")
}

// encoderArgs are the codec's own arguments: defaults first, then the quality,
// then what the user asked for, which therefore wins.
func (o WriteOptions) encoderArgs(c codec, container string) ([]string, error) {
	args := append([]string{"-c:v", c.encoder}, c.args...)
	if c.crf >= 0 {
		args = append(args, "-crf:v", strconv.Itoa(c.crf))
	}
	if c.name == "hevc" && container != "matroska" {
		args = append(args, "-tag:v", "hvc1") // Apple's players know no other
	}
	if c.name == "h264" && container == "avi" {
		args = append(args, "-bf:v", "0") // AVI keeps no order but that of decoding
	}
	for _, kv := range o.Enc {
		k, v, ok := strings.Cut(kv, "=")
		if !ok || !optionName.MatchString(k) {
			return nil, fmt.Errorf("encoder setting %q is not key=value", kv)
		}
		args = append(args, "-"+k+":v", v)
	}
	return args, nil
}

var optionName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)
