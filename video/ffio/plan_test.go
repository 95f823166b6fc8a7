package ffio

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/v2v/v2v/video"
)

func TestPlan(t *testing.T) {
	zero := 0
	src := &video.Info{
		Path: "in.mkv", Width: 640, Height: 480, Rate: video.Rational{Num: 25, Den: 1}, TimeBase: video.Rational{Num: 1, Den: 12800},
		Times: []int64{0, 512, 1024}, AudioCodecs: []string{"aac", "pcm_s16le"}, SubtitleCodecs: []string{"subrip", "hdmv_pgs_subtitle"},
	}
	tests := []struct {
		name, path string
		o          WriteOptions
		want       string // "codec pixfmt WxH matrix" of the plan
		args       string // must stand in the command line
		note       string
	}{
		{"default", "o.mp4", WriteOptions{Width: 64, Height: 48}, "h264 yuv420p 64x48 smpte170m", "-crf:v 16", ""},
		{"high", "o.mkv", WriteOptions{Width: 1280, Height: 720}, "h264 yuv420p 1280x720 bt709", "-f matroska", ""},
		{"webm", "o.webm", WriteOptions{Width: 64, Height: 48}, "vp9 yuv420p 64x48 smpte170m", "-crf:v 24", ""},
		{"crf 0", "o.MP4", WriteOptions{Width: 64, Height: 48, CRF: &zero, Codec: "hevc"}, "hevc yuv420p 64x48 smpte170m", "-crf:v 0 -tag:v hvc1", ""},
		{"odd kept", "o.mp4", WriteOptions{Width: 321, Height: 241}, "h264 yuv444p 321x241 smpte170m", "", "kept by yuv444p"},
		{"odd padded", "o.mp4", WriteOptions{Width: 321, Height: 241, PadOdd: true}, "h264 yuv420p 322x242 smpte170m", "", "padded to 322x242"},
		{"odd vp9", "o.webm", WriteOptions{Width: 321, Height: 241, PadOdd: true}, "vp9 yuv420p 321x241 smpte170m", "", ""},
		{"lossless", "o.mkv", WriteOptions{Width: 321, Height: 240, Codec: "ffv1"}, "ffv1 bgr0 321x240 ", "", ""},
		{"settings last", "o.mp4", WriteOptions{Width: 64, Height: 48, Enc: []string{"preset=slow", "x264-params=a=1:b=2"}}, "h264 yuv420p 64x48 smpte170m",
			"-crf:v 16 -preset:v slow -x264-params:v a=1:b=2", ""},
		{"source", "o.mp4", WriteOptions{Source: src}, "h264 yuv420p 640x480 smpte170m",
			"-map 1:a:0 -c:a:0 copy -map 1:a:1 -c:a:1 aac -map 1:s:0 -c:s:0 mov_text -movflags", "subtitle stream 1: hdmv_pgs_subtitle does not go into .mp4 and is dropped"},
		{"variable to milliseconds", "o.mkv", WriteOptions{Source: &video.Info{Width: 64, Height: 48, Variable: true, Rate: src.Rate, TimeBase: src.TimeBase, Times: []int64{0, 512, 9999}}},
			"h264 yuv420p 64x48 smpte170m", "-enc_time_base 1/12800", "to the millisecond"},
		{"metadata", "o.mp4", WriteOptions{Width: 64, Height: 48, ExtraMetadata: map[string]string{"b": "2", "a": "1"}}, "h264 yuv420p 64x48 smpte170m",
			"-metadata a=1 -metadata b=2 -movflags +faststart+use_metadata_tags", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := NewPlan(tt.path, tt.o)
			if err != nil {
				t.Fatal(err)
			}
			got := fmt.Sprintf("%s %s %dx%d %s", p.Codec, p.PixFmt, p.Width, p.Height, p.Matrix)
			if got != tt.want {
				t.Errorf("plan is %q, want %q", got, tt.want)
			}
			if args := strings.Join(p.args, " "); !strings.Contains(args, tt.args) {
				t.Errorf("%q is not in %q", tt.args, args)
			}
			if !strings.Contains(strings.Join(p.Notes, "\n"), tt.note) || tt.note == "" && len(p.Notes) > 0 {
				t.Errorf("notes %q", p.Notes)
			}
		})
	}
}

func TestPlanRefuses(t *testing.T) {
	crf, big := 20, 64
	vfr := &video.Info{Width: 64, Height: 48, Rate: video.Rational{Num: 25, Den: 1}, TimeBase: video.Rational{Num: 1, Den: 1000}, Times: []int64{0, 9, 70}, Variable: true}
	tests := []struct {
		name, path string
		o          WriteOptions
		want       string
	}{
		{"extension", "o.gif", WriteOptions{Width: 64, Height: 48}, ".mp4, .mov, .mkv, .webm, .avi"},
		{"no extension", "o", WriteOptions{Width: 64, Height: 48}, ".mp4"},
		{"codec", "o.mp4", WriteOptions{Width: 64, Height: 48, Codec: "mpeg2"}, "h264, hevc, vp9, ffv1, prores"},
		{"codec in container", "o.webm", WriteOptions{Width: 64, Height: 48, Codec: "h264"}, "choose .mp4, .mov, .mkv, .avi"},
		{"crf of lossless", "o.mkv", WriteOptions{Width: 64, Height: 48, Codec: "ffv1", CRF: &crf}, "no crf"},
		{"crf range", "o.mkv", WriteOptions{Width: 64, Height: 48, CRF: &big}, "between 0 and 63"},
		{"no size", "o.mkv", WriteOptions{}, "0x0"},
		{"setting", "o.mkv", WriteOptions{Width: 64, Height: 48, Enc: []string{"fast"}}, "key=value"},
		{"setting name", "o.mkv", WriteOptions{Width: 64, Height: 48, Enc: []string{"-i x=y"}}, "key=value"},
		{"variable rate", "o.avi", WriteOptions{Source: vfr}, "choose .mp4 or .mkv"},
		{"rate", "o.mkv", WriteOptions{Width: 64, Height: 48, Rate: video.Rational{Num: -1, Den: 1}}, "frame rate"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := NewPlan(tt.path, tt.o)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), tt.path) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestClock(t *testing.T) {
	r := func(n, d int64) video.Rational { return video.Rational{Num: n, Den: d} }
	tests := []struct {
		name      string
		source    *video.Info
		container string
		pts       []int64
		nanos     []int64 // on the pipe
		lead      time.Duration
	}{
		{"no source", nil, "mp4", []int64{9, 9, 9}, []int64{0, 40000000, 80000000}, 0},
		{"ticks kept", &video.Info{Rate: r(30, 1), TimeBase: r(1, 90000), Times: []int64{0, 1}, Variable: true}, "mp4",
			[]int64{0, 3001, 9007}, []int64{0, 33344444, 100077778}, 0},
		{"milliseconds go on the grid", &video.Info{Rate: r(30000, 1001), TimeBase: r(1, 1000), Times: []int64{0, 33}}, "mp4",
			[]int64{0, 33, 100}, []int64{0, 33366667, 100100000}, 0},
		{"negative start", &video.Info{Rate: r(25, 1), TimeBase: r(1, 1000), Times: []int64{-80, -40}}, "mp4",
			[]int64{-80, -40, 0}, []int64{920000000, 960000000, 1000000000}, time.Second},
		{"broadcast start", &video.Info{Rate: r(25, 1), TimeBase: r(1, 90000), Times: []int64{126000, 129600}, Start: 1380 * time.Millisecond}, "mp4",
			[]int64{126000, 129600}, []int64{20000000, 60000000}, 0},
		{"avi begins at zero", &video.Info{Rate: r(25, 1), TimeBase: r(1, 1000), Times: []int64{80, 120}}, "avi",
			[]int64{80, 120}, []int64{0, 40000000}, 0},
		{"ten hours do not overflow", &video.Info{Rate: r(30, 1), TimeBase: r(1, 1000000000), Times: []int64{0, 1}, Variable: true}, "mp4",
			[]int64{0, 36_000_000_000_001}, []int64{0, 36_000_000_000_001}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := newClock(WriteOptions{Source: tt.source}, tt.container)
			if err != nil {
				t.Fatal(err)
			}
			var got []int64
			for i, pts := range tt.pts {
				got = append(got, c.nanos(c.ticks(i, pts)))
			}
			if !slices.Equal(got, tt.nanos) || c.lead != tt.lead {
				t.Errorf("on the pipe at %v, lead %v, want %v, %v", got, c.lead, tt.nanos, tt.lead)
			}
		})
	}
}
