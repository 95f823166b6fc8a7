package conformance

import (
	"encoding/json"
	"io"
	"math"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/ffio"
)

// convert reads a clip and writes every frame of it, unchanged, to a new file.
func convert(t *testing.T, in, name string, o ffio.WriteOptions) (out string, i video.Info, w *ffio.Writer) {
	t.Helper()
	i = probe(t, in)
	r, err := ffio.OpenProbed(t.Context(), i, ffio.ReadOptions{InFlight: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer closeReader(t, r)
	out = filepath.Join(t.TempDir(), name)
	o.Source = &i
	w, err = ffio.Create(t.Context(), out, o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}()
	for {
		f, err := r.Next(t.Context())
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		f.Release()
	}
	if err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	return out, i, w
}

var sine = []string{"-f", "lavfi", "-i", "sine=d=0.8"}

// outputs are ways from clip to clip. Ffprobe is asked what became of the times,
// the rate and the sound.
var outputs = []struct {
	name, in  string
	args      []string
	out       string
	o         ffio.WriteOptions
	frames    int
	rate      string // avg_frame_rate of the output, unless empty
	copied    bool   // the sound is the same to the bit
	tolerance float64
}{
	{"mp4", "a.mp4", join(sine, ramp("64x48", "25", 20)), "o.mp4", ffio.WriteOptions{}, 20, "25/1", true, 0},
	{"ntsc", "a.mp4", ramp("64x48", "30000/1001", 20), "o.mp4", ffio.WriteOptions{}, 20, "30000/1001", true, 0},
	{"ntsc from milliseconds", "a.mkv", ramp("64x48", "30000/1001", 20), "o.mp4", ffio.WriteOptions{}, 20, "30000/1001", true, 0.0006},
	{"variable mp4", "a.mp4", join(sine, ramp("64x48", "25", 20), variable), "o.mp4", ffio.WriteOptions{}, 20, "", true, 0},
	{"variable mkv to mp4", "a.mkv", join(sine, ramp("64x48", "25", 20), variable), "o.mp4", ffio.WriteOptions{}, 20, "", true, 0},
	{"one frame", "a.mp4", ramp("64x48", "25", 1), "o.mp4", ffio.WriteOptions{}, 1, "25/1", true, 0},
	{"late sound", "a.mp4", join([]string{"-itsoffset", "0.3"}, sine, ramp("64x48", "25", 20)), "o.mp4", ffio.WriteOptions{}, 20, "25/1", true, 0},
	{"late picture", "a.mkv", join(sine, []string{"-itsoffset", "0.3"}, ramp("64x48", "25", 20)), "o.mkv", ffio.WriteOptions{}, 20, "", true, 0},
	{"transport stream", "a.ts", join(sine, ramp("64x48", "25", 20)), "o.mp4", ffio.WriteOptions{}, 20, "25/1", false, 0},
	{"avi", "a.avi", join(sine, ramp("64x48", "25", 20), []string{"-c:v", "mpeg4", "-bf", "2"}), "o.avi", ffio.WriteOptions{}, 20, "25/1", true, 0},
	{"opus in mov", "a.webm", join(sine, ramp("64x48", "25", 5)), "o.mov", ffio.WriteOptions{}, 5, "25/1", false, 0.008},
	{"odd kept", "a.webm", ramp("65x49", "25", 5), "o.mp4", ffio.WriteOptions{}, 5, "25/1", true, 0},
	{"odd padded", "a.webm", ramp("65x49", "25", 5), "o.mp4", ffio.WriteOptions{PadOdd: true}, 5, "25/1", true, 0},
	{"crf 0", "a.mp4", ramp("64x48", "25", 5), "o.mp4", ffio.WriteOptions{CRF: new(int), Enc: []string{"preset=ultrafast"}}, 5, "25/1", true, 0},
}

var variable = []string{"-vf", "settb=1/1000,setpts=(2*N+mod(N\\,2))/(50*TB)", "-fps_mode", "passthrough", "-enc_time_base:v", "1/100"}

func TestOutputs(t *testing.T) {
	needTools(t)
	for _, tt := range outputs {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := clip(t, tt.in, tt.args...)
			out, source, w := convert(t, in, tt.out, tt.o)
			was, is := ask(t, in), ask(t, out)
			if tt.rate != "" && is.video.Avg_Frame_Rate != tt.rate {
				t.Errorf("rate %s, want %s", is.video.Avg_Frame_Rate, tt.rate)
			}
			checkTimes(t, was, is, tt.frames, tt.tolerance)
			if d := is.duration - source.Duration.Seconds(); math.Abs(d) > 0.5/source.Rate.Float() && is.video.Duration != "" {
				t.Errorf("lasts %v s, not %v", is.duration, source.Duration)
			}
			checkPicture(t, is, w.Plan())
			if tt.copied && was.hash != is.hash || (was.audio == "") != (is.audio == "") {
				t.Errorf("the sound was %s and is %s", was.audio, is.audio)
			}
			checkGrey(t, out, tt.frames, 4)
		})
	}
}

// facts are what ffprobe says of a file, in one run.
type facts struct {
	picture  []float64 // when each frame is shown, in order
	sound    []float64 // when each packet of sound begins
	hash     string    // of the packets of sound
	audio    string    // codec
	duration float64   // of the picture
	video    videoFacts
}

type videoFacts struct {
	Codec_Name, Avg_Frame_Rate, Pix_Fmt, Color_Space, Color_Range, Color_Primaries, Color_Transfer, Duration string

	Width, Height int
}

func ask(t *testing.T, path string) facts {
	t.Helper()
	b, err := exec.Command("ffprobe", "-v", "error", "-of", "json", "-show_data_hash", "md5",
		"-show_entries", "packet=codec_type,pts_time,dts_time,data_hash:stream", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	var j struct {
		Packets []struct{ Codec_Type, PTS_Time, DTS_Time, Data_Hash string }
		Streams []struct {
			Codec_Type string
			videoFacts
		}
	}
	if err := json.Unmarshal(b, &j); err != nil {
		t.Fatal(err)
	}
	var f facts
	for _, s := range j.Streams {
		switch s.Codec_Type {
		case "video":
			f.video = s.videoFacts
		case "audio":
			f.audio = s.Codec_Name
		}
	}
	for _, p := range j.Packets {
		if p.PTS_Time == "" {
			p.PTS_Time = p.DTS_Time // AVI
		}
		v, err := strconv.ParseFloat(p.PTS_Time, 64)
		if err != nil {
			t.Fatalf("ffprobe says %+v", p)
		}
		switch p.Codec_Type {
		case "video":
			f.picture = append(f.picture, v)
		case "audio":
			f.sound = append(f.sound, v)
			f.hash += p.Data_Hash
		}
	}
	slices.Sort(f.picture)
	f.duration, _ = strconv.ParseFloat(f.video.Duration, 64) // Matroska says none
	return f
}

// checkPicture holds the file against the plan made before it, and its tags
// against what the picture was converted to.
func checkPicture(t *testing.T, f facts, p ffio.Plan) {
	t.Helper()
	v := f.video
	if v.Width != p.Width || v.Height != p.Height || v.Pix_Fmt != p.PixFmt || v.Codec_Name != p.Codec {
		t.Errorf("planned %s %s %dx%d, got %s %s %dx%d", p.Codec, p.PixFmt, p.Width, p.Height, v.Codec_Name, v.Pix_Fmt, v.Width, v.Height)
	}
	matrix, rng := p.Matrix, "tv"
	if matrix == "" {
		matrix, rng = "gbr", "pc"
	}
	if v.Color_Space != matrix || v.Color_Range != rng || v.Color_Primaries != "bt709" || v.Color_Transfer != "bt709" {
		t.Errorf("tagged %s %s %s %s, want %s %s", v.Color_Space, v.Color_Range, v.Color_Primaries, v.Color_Transfer, matrix, rng)
	}
}

// checkTimes compares the gaps between frames, and when the sound begins against
// the picture. Two microseconds are ffprobe's rounding.
func checkTimes(t *testing.T, a, b facts, frames int, tolerance float64) {
	t.Helper()
	tolerance += 2e-6
	if len(a.picture) != frames || len(b.picture) != frames {
		t.Fatalf("%d frames in, %d out, want %d", len(a.picture), len(b.picture), frames)
	}
	for n := range frames {
		if d := (b.picture[n] - b.picture[0]) - (a.picture[n] - a.picture[0]); math.Abs(d) > tolerance {
			t.Errorf("frame %d is shown %v s off", n, d)
		}
	}
	if len(a.sound) == 0 {
		return
	}
	if a.audio != b.audio {
		tolerance += 1024. / 44100 // which an encoder puts before the sound, and a player drops
	}
	if d := (b.sound[0] - b.picture[0]) - (a.sound[0] - a.picture[0]); math.Abs(d) > tolerance+0.0011 {
		t.Errorf("sound is %v s off", d)
	}
}

// checkGrey has ffmpeg decode a ramp, with room for what the encoder loses.
func checkGrey(t *testing.T, path string, frames, room int) {
	t.Helper()
	b, err := exec.Command("ffmpeg", "-nostdin", "-v", "error", "-i", path, "-map", "0:v", "-fps_mode", "passthrough", "-pix_fmt", "rgb24", "-f", "rawvideo", "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	if len(b) == 0 || len(b)%(3*frames) != 0 {
		t.Fatalf("%d bytes are not %d frames", len(b), frames)
	}
	for n := range frames {
		f := b[n*len(b)/frames:][:len(b)/frames]
		for _, at := range []int{0, len(f) / 2, len(f) - 1} {
			if d := int(f[at]) - rampLevel(n); d < -room || d > room {
				t.Fatalf("frame %d is %d at byte %d, want %d", n, f[at], at, rampLevel(n))
			}
		}
	}
}

// TestEncodedColours: the patches survive a round trip through each codec.
func TestEncodedColours(t *testing.T) {
	needTools(t)
	in := clip(t, "a.mkv", join(patchSource(), []string{"-c:v", "ffv1"})...)
	for _, tt := range []struct {
		codec, name string
		limit       int
	}{{"h264", "o.mp4", 2}, {"hevc", "o.mp4", 3}, {"vp9", "o.webm", 3}, {"ffv1", "o.mkv", 0}, {"prores", "o.mov", 2}} {
		t.Run(tt.codec, func(t *testing.T) {
			t.Parallel()
			out, _, w := convert(t, in, tt.name, ffio.WriteOptions{Codec: tt.codec})
			checkPicture(t, ask(t, out), w.Plan())
			if e := worst(first(t, readers[0], probe(t, out))); e > tt.limit {
				t.Errorf("worst error %d levels", e)
			}
		})
	}
}

// TestKept: what else of the source the output has.
func TestKept(t *testing.T) {
	needTools(t)
	dir := t.TempDir()
	srt := filepath.Join(dir, "s.srt")
	write(t, srt, "1\n00:00:00,100 --> 00:00:00,700\nhello\n")
	chapters := filepath.Join(dir, "c.txt")
	write(t, chapters, ";FFMETADATA1\ntitle=my film\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=400\ntitle=one\n")
	in := clip(t, "a.mkv", join(ramp("48x48", "25", 20)[:4], sine, []string{"-i", srt, "-i", chapters, "-map", "0", "-map", "1", "-map", "1", "-map", "2", "-map_metadata", "3",
		"-map_chapters", "3", "-vf", "setsar=4/3", "-c:s", "srt", "-c:a:0", "aac", "-c:a:1", "pcm_s16le", "-frames:v", "20"})...)
	for _, tt := range []struct{ name, audio, subtitle string }{
		{"o.mkv", "aac,pcm_s16le", "subrip"}, {"o.mp4", "aac,aac", "mov_text"}, {"o.webm", "opus,opus", "webvtt"}, {"o.mov", "aac,pcm_s16le", "mov_text"}, {"o.avi", "aac,pcm_s16le", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			out, _, w := convert(t, in, tt.name, ffio.WriteOptions{ExtraMetadata: map[string]string{"v2v_model": "a=b; c"}})
			i := probe(t, out)
			if got := strings.Join(i.AudioCodecs, ","); got != tt.audio {
				t.Errorf("sound %s, want %s", got, tt.audio)
			}
			if got := strings.Join(i.SubtitleCodecs, ","); got != tt.subtitle {
				t.Errorf("subtitles %q, want %q", got, tt.subtitle)
			}
			for n, track := range append(w.Plan().Audio, w.Plan().Subtitles...) {
				if track.Action != "copy" && !strings.Contains(strings.Join(w.Notes(), "\n"), track.Codec+" does not go into") {
					t.Errorf("track %d: %s is not said in %q", n, track.Action, w.Notes())
				}
			}
			if i.SampleAspect != (video.Rational{Num: 4, Den: 3}) {
				t.Errorf("sample aspect %s", i.SampleAspect)
			}
			if tt.name == "o.avi" {
				return // holds neither chapters nor free metadata
			}
			if c := ffprobe(t, out, "-show_entries", "chapter=end_time"); len(c) != 1 || !strings.HasPrefix(c[0], "0.4") {
				t.Errorf("chapters %q", c)
			}
			tags := strings.Join(ffprobe(t, out, "-show_entries", "format_tags"), "\n")
			if !strings.Contains(tags, "my film") || !strings.Contains(tags, "a=b; c") {
				t.Errorf("tags %q", tags)
			}
		})
	}
}

// TestRotatedSource: turned once, on reading, and not again by a player.
func TestRotatedSource(t *testing.T) {
	needTools(t)
	flat := clip(t, "flat.mp4", "-f", "lavfi", "-i", "color=black:s=32x48,pad=64:48:0:0:white", "-frames:v", "3")
	in := clip(t, "a.mp4", "-i", flat, "-c", "copy", "-metadata:s:v", "rotate=270")
	out, _, _ := convert(t, in, "o.mp4", ffio.WriteOptions{})
	i := probe(t, out)
	if i.Width != 48 || i.Height != 64 || i.Rotation != 0 {
		t.Errorf("%dx%d turned by %d", i.Width, i.Height, i.Rotation)
	}
}
