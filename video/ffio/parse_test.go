package ffio

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/v2v/v2v/video"
)

// head is ffprobe's answer about one video stream with the given extra fields.
func head(fields string) string {
	if fields != "" {
		fields = "," + fields
	}
	return `{"streams":[{"codec_type":"audio","codec_name":"aac"},
	{"codec_type":"video","codec_name":"png","width":600,"height":600,"time_base":"1/90000","disposition":{"attached_pic":1}},
	{"codec_type":"video","codec_name":"h264","pix_fmt":"yuv420p","width":64,"height":48,"time_base":"1/12800","r_frame_rate":"25/1"` +
		fields + `},{"codec_type":"subtitle","codec_name":"subrip"}],"format":{"format_name":"mov","start_time":"-0.021000"}}`
}

func TestParseStreams(t *testing.T) {
	base := video.Info{
		Codec: "h264", PixFmt: "yuv420p", BitDepth: 8, Width: 64, Height: 48,
		SampleAspect: video.Rational{Num: 1, Den: 1}, Rate: video.Rational{Num: 25, Den: 1}, TimeBase: video.Rational{Num: 1, Den: 12800},
		Start: -21 * time.Millisecond, Audio: 1, Subtitles: 1, AudioCodecs: []string{"aac"}, SubtitleCodecs: []string{"subrip"},
	}
	tests := []struct {
		name, fields string
		change       func(*video.Info)
	}{
		{"plain", "", func(*video.Info) {}},
		{"tags", `"color_space":"bt709","color_range":"tv","color_primaries":"unknown","color_transfer":"smpte2084"`,
			func(i *video.Info) { i.Color = video.Color{Matrix: "bt709", Range: "tv", Transfer: "smpte2084"} }},
		{"raw bits", `"bits_per_raw_sample":"10"`, func(i *video.Info) { i.BitDepth = 10 }},
		{"clockwise", `"sample_aspect_ratio":"4:3","side_data_list":[{"side_data_type":"Display Matrix","rotation":-90}]`,
			func(i *video.Info) {
				i.Rotation, i.Width, i.Height, i.SampleAspect = 90, 48, 64, video.Rational{Num: 3, Den: 4}
			}},
		{"upside down", `"side_data_list":[{"rotation":-180}]`, func(i *video.Info) { i.Rotation = 180 }},
		{"odd angle", `"side_data_list":[{"rotation":45}]`, func(*video.Info) {}},
		{"no aspect", `"sample_aspect_ratio":"0:1"`, func(*video.Info) {}},
		{"average rate", `"r_frame_rate":"0/0","avg_frame_rate":"30000/1001"`,
			func(i *video.Info) { i.Rate = video.Rational{Num: 30000, Den: 1001} }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := base
			tt.change(&want)
			got, _, err := parseStreams([]byte(head(tt.fields)))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestParseStreamsRefuses(t *testing.T) {
	for _, tt := range []struct{ name, json, want string }{
		{"no json", "hello", "answer"},
		{"audio only", `{"streams":[{"codec_type":"audio"}]}`, "no video stream (1 audio)"},
		{"text", `{"format":{"format_name":"tty"},"streams":[{"codec_type":"video","width":640,"height":400}]}`, "text file"},
		{"no size", strings.Replace(head(""), `"width":64`, `"width":0`, 1), "0x48"},
		{"huge", strings.Replace(head(""), `"width":64`, `"width":9999999`, 1), "9999999"},
		{"no clock", strings.Replace(head(""), "1/12800", "0/0", 1), "clock"},
	} {
		if _, _, err := parseStreams([]byte(tt.json)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v", tt.name, err)
		}
	}
	if _, _, err := parseStreams([]byte(`{"streams":[]}`)); !errors.Is(err, video.ErrNoFrames) {
		t.Errorf("nothing inside: %v", err)
	}
}

func TestBitDepth(t *testing.T) {
	for fmt, want := range map[string]int{
		"yuv420p": 8, "yuv420p10le": 10, "yuv444p12be": 12, "gray": 8, "gray16le": 16, "gray10le": 10, "rgb24": 8, "rgb48be": 16,
		"rgba64le": 16, "bgra": 8, "p010le": 10, "gbrp14le": 14, "nv12": 8, "ya16be": 16, "x2rgb10le": 10, "yuv411p": 8, "bgr0": 8,
	} {
		if got := bitDepth(&streamJSON{PixFmt: fmt}); got != want {
			t.Errorf("%s: %d bits, want %d", fmt, got, want)
		}
	}
}

func TestTimes(t *testing.T) {
	ms := video.Rational{Num: 1, Den: 1000}
	tests := []struct {
		name     string
		tb, rate video.Rational
		claimed  time.Duration
		packets  string
		times    []int64
		wantRate video.Rational
		variable bool
		counted  bool
		duration time.Duration
	}{
		{"b-frames", video.Rational{Num: 1, Den: 12800}, video.Rational{Num: 25, Den: 1}, 0,
			"0,-1024,512,10,K_\n2048,-512,512,9,__\n1024,0,512,8,__\n512,512,512,8,__\n\n1536,1024,512,7,__",
			[]int64{0, 512, 1024, 1536, 2048}, video.Rational{Num: 25, Den: 1}, false, false, 200 * time.Millisecond},
		{"ntsc in milliseconds", ms, video.Rational{}, time.Hour, "0,0,33,9,K\n33,33,33,9,_\n67,67,33,9,_\n100,100,33,9,_\n133,133,34,9,_\n167,167,33,9,_",
			[]int64{0, 33, 67, 100, 133, 167}, video.Rational{Num: 30000, Den: 1001}, false, false, 200 * time.Millisecond},
		{"variable", ms, video.Rational{Num: 30, Den: 1}, 190 * time.Millisecond, "0,0,N/A,9,K\n33,33,N/A,9,_\n100,100,N/A,9,_\n133,133,50,9,_",
			[]int64{0, 33, 100, 133}, video.Rational{Num: 3000, Den: 133}, true, false, 190 * time.Millisecond},
		{"cut by an edit list, empty packets", ms, video.Rational{Num: 50, Den: 1}, 0, "-40,-40,20,9,KD\n-20,-20,20,9,_D\n0,0,20,9,_\n20,20,20,0,_\n40,40,20,9,_",
			[]int64{0, 40}, video.Rational{Num: 25, Den: 1}, false, false, 60 * time.Millisecond},
		{"avi", video.Rational{Num: 1, Den: 25}, video.Rational{Num: 25, Den: 1}, 0, "N/A,0,1,9,K\nN/A,1,1,9,_\nN/A,2,1,9,_",
			[]int64{0, 1, 2}, video.Rational{Num: 25, Den: 1}, false, true, 120 * time.Millisecond},
		{"no times at all", video.Rational{Num: 1, Den: 1200000}, video.Rational{Num: 24, Den: 1}, 0, "N/A,N/A,N/A,9,K\nN/A,N/A,N/A,9,_",
			[]int64{0, 50000}, video.Rational{Num: 24, Den: 1}, false, true, 83333333},
		{"one frame", ms, video.Rational{Num: 25, Den: 1}, 0, "7,7,N/A,9,K", []int64{7}, video.Rational{Num: 25, Den: 1}, false, false, 40 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			i := video.Info{TimeBase: tt.tb, Rate: tt.rate, Duration: tt.claimed}
			if _, err := addTimes(&i, []byte(tt.packets)); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(i.Times, tt.times) || i.Rate != tt.wantRate || i.Variable != tt.variable || i.Counted != tt.counted {
				t.Errorf("got %v at %s, variable %v, counted %v", i.Times, i.Rate, i.Variable, i.Counted)
			}
			if d := i.Duration - tt.duration; d < -time.Microsecond || d > time.Microsecond {
				t.Errorf("duration %v, want %v", i.Duration, tt.duration)
			}
		})
	}
}

func TestTimesRefuses(t *testing.T) {
	for _, packets := range []string{"", "\n\n", "0,0,20,0,K_", "0,0,20,9,KD"} {
		if _, err := addTimes(&video.Info{}, []byte(packets)); !errors.Is(err, video.ErrNoFrames) {
			t.Errorf("%q: %v", packets, err)
		}
	}
	if _, err := addTimes(&video.Info{}, []byte("1,2,3")); err == nil || errors.Is(err, video.ErrNoFrames) {
		t.Errorf("half a line: %v", err)
	}
}

func TestMissing(t *testing.T) {
	clip := func() video.Info {
		return video.Info{TimeBase: video.Rational{Num: 1, Den: 100}, Rate: video.Rational{Num: 25, Den: 1}, Times: []int64{0, 4, 8, 12}}
	}
	for _, tt := range []struct {
		name   string
		c      claim
		hidden int
		want   int
	}{
		{"whole", claim{frames: 4, duration: 0.16}, 0, 4},
		{"cut mp4", claim{frames: 6, duration: 0.24, broken: true}, 0, 6},
		{"cut matroska", claim{duration: 0.4, broken: true}, 0, 10},
		{"AVI repeats frames", claim{frames: 40, duration: 0.16}, 36, 4},
		{"cut avi", claim{frames: 6, duration: 0.16}, 0, 6},
		{"long sound", claim{duration: 0.4}, 0, 4},
		{"an edit list hides two", claim{frames: 6, duration: 0.16}, 2, 4},
		{"a lying header", claim{duration: 9e8, broken: true}, 0, 4},
	} {
		i := clip()
		tt.c.rate = i.Rate
		tt.c.addMissing(&i, tt.hidden)
		if i.Frames() != tt.want || !slices.IsSorted(i.Times) {
			t.Errorf("%s: %d frames, want %d", tt.name, i.Frames(), tt.want)
		}
	}
}

// FuzzProbe feeds what ffprobe might say about a hostile file. Whatever is
// accepted must be usable: a size, a clock, a rate, ascending times.
func FuzzProbe(f *testing.F) {
	f.Add(head(""), "0,0,512,10,K_\n512,512,512,9,__")
	f.Add(head(`"side_data_list":[{"rotation":-90}],"sample_aspect_ratio":"4:3"`), "N/A,0,1,9,K\nN/A,1,1,9,_")
	f.Add(head(`"avg_frame_rate":"0/0"`), "9223372036854775807,-9223372036854775808,9223372036854775807,1,K\n-1,N/A,-5,1,_")
	if out, err := realProbe(f.TempDir()); err == nil {
		f.Add(out, "0,0,512,10,K_")
	}
	f.Fuzz(func(t *testing.T, json, csv string) {
		i, c, err := parseStreams([]byte(json))
		if err != nil {
			return
		}
		hidden, err := addTimes(&i, []byte(csv))
		if err != nil {
			return
		}
		c.broken = len(csv)%2 == 0
		c.frames = min(c.frames, 1000) // a promise of millions is kept, slowly
		c.duration = min(c.duration, 1000)
		c.addMissing(&i, hidden)
		if i.Width <= 0 || i.Height <= 0 || i.TimeBase.Num <= 0 || i.TimeBase.Den <= 0 || i.Rate.Num <= 0 || i.Rate.Den <= 0 ||
			i.Frames() == 0 || !slices.IsSorted(i.Times) || i.SampleAspect.Num <= 0 || i.BitDepth <= 0 {
			t.Errorf("accepted %+v", i)
		}
		for _, name := range []string{"o.mp4", "o.mkv", "o.avi"} {
			NewPlan(name, WriteOptions{Source: &i}) // may refuse, must not panic
		}
	})
}

func realProbe(dir string) (string, error) {
	clip := filepath.Join(dir, "a.mp4")
	if err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=d=0.1", clip).Run(); err != nil {
		return "", err
	}
	out, err := exec.Command("ffprobe", "-v", "error", "-of", "json", "-show_streams", "-show_format", clip).Output()
	os.Remove(clip)
	return string(out), err
}
