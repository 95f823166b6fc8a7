package ffio

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/v2v/v2v/video"
)

// Plan is what Create would write, decided before any work.
type Plan struct {
	Path          string
	Container     string // ffmpeg's muxer: mp4, mov, matroska, webm, avi
	Codec         string
	Encoder       string // libx264, ...
	PixFmt        string
	Width, Height int    // in the file: a pixel more than the frames where padded
	Matrix        string // bt709 or smpte170m; empty for RGB
	Rate          video.Rational
	TimeBase      video.Rational // of the frames in the file
	Audio         []Track
	Subtitles     []Track
	Notes         []string // one line for everything that is not kept as it was

	frameW, frameH int
	source         *video.Info // nil where there is nothing to copy from
	clock          clock
	args           []string
}

// Track is one sound or subtitle stream of the source and what becomes of it.
type Track struct {
	Codec  string // in the source
	Action string // "copy", "drop", or the codec that it is turned into
}

// NewPlan decides how the clip at path will be written, or why it cannot be.
func NewPlan(path string, o WriteOptions) (Plan, error) {
	p := Plan{Path: path}
	if err := p.fill(o); err != nil {
		return Plan{}, fmt.Errorf("plan %q: %w", path, err)
	}
	return p, nil
}

func (p *Plan) fill(o WriteOptions) (err error) {
	if p.Container, err = container(p.Path); err != nil {
		return err
	}
	c, err := o.codec(p.Container)
	if err != nil {
		return err
	}
	p.Codec, p.Encoder = c.name, c.encoder
	if o.Source != nil && !o.Source.Stills {
		p.source = o.Source
	}
	if err := p.size(o, c); err != nil {
		return err
	}
	if p.clock, err = newClock(o, p.Container); err != nil {
		return err
	}
	p.Rate, p.TimeBase = p.clock.rate, p.clock.out
	if p.Container == "matroska" || p.Container == "webm" {
		p.TimeBase = video.Rational{Num: 1, Den: 1000}
		if o.Source != nil && o.Source.Variable && 1000%p.clock.out.Den != 0 {
			p.note("%s keeps the varying frame times to the millisecond", extension(p.Container))
		}
	}
	p.tracks()
	encoder, err := o.encoderArgs(c, p.Container)
	if err != nil {
		return err
	}
	p.args = p.arguments(o, encoder)
	return nil
}

// size settles the picture's size and with it the pixel format: an odd one does
// not fit 4:2:0 colour in most codecs.
func (p *Plan) size(o WriteOptions, c codec) error {
	p.frameW, p.frameH = o.Width, o.Height
	if o.Width == 0 && o.Height == 0 && o.Source != nil {
		p.frameW, p.frameH = o.Source.Width, o.Source.Height
	}
	if p.frameW <= 0 || p.frameH <= 0 || p.frameW > maxSide || p.frameH > maxSide {
		return fmt.Errorf("size %dx%d cannot be written", p.frameW, p.frameH)
	}
	p.Width, p.Height, p.PixFmt = p.frameW, p.frameH, c.pixFmt
	if p.Width%2+p.Height%2 > 0 && c.oddPixFmt != c.pixFmt {
		if o.PadOdd {
			p.Width, p.Height = p.Width+p.Width%2, p.Height+p.Height%2
			p.note("odd size %dx%d is padded to %dx%d", p.frameW, p.frameH, p.Width, p.Height)
		} else {
			p.PixFmt = c.oddPixFmt
			p.note("odd size %dx%d is kept by %s, which some players cannot show", p.frameW, p.frameH, p.PixFmt)
		}
	}
	p.Matrix = pickOutColor(p.PixFmt, p.Height).matrix
	return nil
}

func (p *Plan) note(format string, a ...any) { p.Notes = append(p.Notes, fmt.Sprintf(format, a...)) }

// tracks decides what becomes of sound and subtitles.
func (p *Plan) tracks() {
	if p.source == nil {
		return
	}
	rules := trackRules[p.Container]
	if p.Container == "avi" && len(p.source.AudioCodecs) > 0 {
		p.note(".avi keeps no times: the sound begins with the picture, also where it did not")
	}
	for i, codec := range p.source.AudioCodecs {
		t := Track{codec, "copy"}
		if !slices.ContainsFunc(rules.audio, func(a string) bool { return matches(a, codec) }) {
			t.Action = rules.audioCodec
			p.note("audio stream %d: %s does not go into %s, it becomes %s", i, codec, extension(p.Container), t.Action)
		}
		p.Audio = append(p.Audio, t)
	}
	for i, codec := range p.source.SubtitleCodecs {
		t := Track{codec, "copy"}
		switch {
		case slices.Contains(rules.subtitles, codec):
		case rules.subtitleCodec != "" && slices.Contains(textSubtitles, codec):
			t.Action = rules.subtitleCodec
			p.note("subtitle stream %d: %s does not go into %s, it becomes %s", i, codec, extension(p.Container), t.Action)
		default:
			t.Action = "drop"
			p.note("subtitle stream %d: %s does not go into %s and is dropped", i, codec, extension(p.Container))
		}
		p.Subtitles = append(p.Subtitles, t)
	}
}

// trackRule says which codecs a container takes by copy, and what the others
// become. A name that ends in "*" stands for all that begin so.
type trackRule struct {
	audio         []string
	audioCodec    string
	subtitles     []string
	subtitleCodec string
}

var textSubtitles = []string{"subrip", "srt", "ass", "ssa", "webvtt", "mov_text", "text"}

var trackRules = map[string]trackRule{
	"mp4": {[]string{"aac", "mp3", "mp2", "ac3", "eac3", "alac", "opus", "flac", "dts", "vorbis"}, "aac", []string{"mov_text"}, "mov_text"},
	"mov": {[]string{"aac", "mp3", "mp2", "ac3", "eac3", "alac", "pcm_s*", "pcm_f*", "pcm_mulaw", "pcm_alaw"}, "aac", []string{"mov_text"}, "mov_text"},
	"matroska": {[]string{"aac", "mp3", "mp2", "ac3", "eac3", "alac", "opus", "flac", "dts", "vorbis", "truehd", "tta", "wavpack", "wmav2", "amr_*",
		"pcm_u8", "pcm_s16*", "pcm_s24*", "pcm_s32*", "pcm_f32le", "pcm_f64le", "pcm_mulaw", "pcm_alaw", "adpcm_ms", "adpcm_ima_wav"}, "flac",
		[]string{"subrip", "ass", "ssa", "webvtt", "hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle"}, "subrip"},
	"webm": {[]string{"opus", "vorbis"}, "libopus", []string{"webvtt"}, "webvtt"},
	"avi":  {[]string{"mp3", "mp2", "ac3", "aac", "pcm_s16le", "pcm_s24le", "pcm_u8", "pcm_mulaw", "pcm_alaw", "adpcm_ms", "adpcm_ima_wav", "wmav2"}, "libmp3lame", nil, ""},
}

func matches(pattern, name string) bool {
	stem, wild := strings.CutSuffix(pattern, "*")
	return wild && strings.HasPrefix(name, stem) || pattern == name
}

// arguments is the whole command line but for the output file.
func (p *Plan) arguments(o WriteOptions, encoder []string) []string {
	a := []string{"-nostdin", "-hide_banner", "-loglevel", "level+error", "-y", "-copyts",
		"-protocol_whitelist", "pipe", "-itsoffset", seconds(-p.clock.lead), "-f", "matroska", "-i", "pipe:0"}
	if p.source != nil {
		a = append(a, "-protocol_whitelist", "file,pipe", "-itsoffset", seconds(-p.clock.shift), "-i", fileURL(p.source.Path),
			"-map_metadata", "1", "-map_chapters", "1")
	}
	a = append(a, "-map", "0:v:0", "-fps_mode", "passthrough", "-enc_time_base", p.clock.encoder(p.Container))
	color := pickOutColor(p.PixFmt, p.Height)
	filter := color.filter(p.PixFmt)
	if p.Matrix != "" { // prores takes its tags from the frames
		filter += ",setparams=color_primaries=bt709:color_trc=bt709:colorspace=" + p.Matrix + ":range=tv"
	}
	if o.Source != nil && o.Source.SampleAspect.Num > 0 {
		filter += fmt.Sprintf(",setsar=%d/%d", o.Source.SampleAspect.Num, o.Source.SampleAspect.Den)
	}
	a = append(append(append(a, "-vf", filter), encoder...), color.tags()...)
	a = append(a, trackArgs("a", p.Audio)...)
	a = append(a, trackArgs("s", p.Subtitles)...)
	for _, k := range slices.Sorted(maps.Keys(o.ExtraMetadata)) {
		a = append(a, "-metadata", k+"="+o.ExtraMetadata[k])
	}
	if p.Container == "mp4" || p.Container == "mov" {
		flags := "+faststart"
		if len(o.ExtraMetadata) > 0 {
			flags += "+use_metadata_tags" // else keys that Apple has not named are lost
		}
		a = append(a, "-movflags", flags, "-video_track_timescale", strconv.FormatInt(p.clock.timescale(), 10))
	}
	if p.Container == "avi" {
		a = append(a, "-avoid_negative_ts", "disabled") // would move the picture, see newClock
	}
	return append(a, "-f", p.Container)
}

// trackArgs maps the kept streams of one kind and names each one's codec.
func trackArgs(kind string, tracks []Track) []string {
	var a []string
	n := 0
	for i, t := range tracks {
		if t.Action == "drop" {
			continue
		}
		a = append(a, "-map", fmt.Sprintf("1:%s:%d", kind, i), fmt.Sprintf("-c:%s:%d", kind, n), t.Action)
		n++
	}
	return a
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 6, 64) }
