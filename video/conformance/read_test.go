package conformance

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/v2v/v2v/video"
)

// readClips are ways to keep a ramp. Count, rate and levels are known from how
// they are made; other times are asked of ffprobe's decoder (frames, not packets).
var readClips = []struct {
	name     string
	file     string
	args     []string
	frames   int
	rate     video.Rational
	variable bool
	cv       bool // OpenCV must be trusted with it
}{
	{"b-frames", "a.mp4", join(ramp("64x48", "25", 20), []string{"-c:v", "libx264", "-bf", "3", "-qp", "4"}), 20, video.Rational{Num: 25, Den: 1}, false, true},
	{"ntsc mkv", "a.mkv", join(ramp("64x48", "30000/1001", 20), []string{"-c:v", "libx264", "-qp", "4"}), 20, video.Rational{Num: 30000, Den: 1001}, false, true},
	{"one frame", "a.mp4", join(ramp("64x48", "25", 1), []string{"-c:v", "libx264", "-qp", "4"}), 1, video.Rational{Num: 25, Den: 1}, false, true},
	{"variable mp4", "a.mp4", join(ramp("64x48", "25", 20), []string{"-vf", "settb=1/1000,setpts=(2*N+mod(N\\,2))/(50*TB)", "-fps_mode", "passthrough", "-enc_time_base", "1/100", "-c:v", "libx264", "-qp", "4"}),
		20, video.Rational{Num: 950, Den: 39}, true, false},
	{"variable mkv", "a.mkv", join(ramp("64x48", "25", 20), []string{"-vf", "settb=1/1000,setpts=(2*N+mod(N\\,2))/(50*TB)", "-fps_mode", "passthrough", "-enc_time_base", "1/100", "-c:v", "libx264", "-qp", "4"}),
		20, video.Rational{Num: 950, Den: 39}, true, false},
	{"avi", "a.avi", join(ramp("64x48", "25", 20), []string{"-c:v", "mpeg4", "-q:v", "1"}), 20, video.Rational{Num: 25, Den: 1}, false, true},
	{"avi with b-frames", "a.avi", join(ramp("64x48", "25", 20), []string{"-c:v", "mpeg4", "-q:v", "1", "-bf", "2"}), 20, video.Rational{Num: 25, Den: 1}, false, true},
	{"webm", "a.webm", join(ramp("64x48", "25", 20), []string{"-c:v", "libvpx-vp9", "-lossless", "1", "-cpu-used", "8"}), 20, video.Rational{Num: 25, Den: 1}, false, true},
	{"transport stream", "a.ts", join(ramp("64x48", "25", 20), []string{"-c:v", "mpeg2video", "-q:v", "1"}), 20, video.Rational{Num: 25, Den: 1}, false, true},
	{"odd size", "a.mp4", join(ramp("321x241", "25", 20), []string{"-vf", "format=yuv444p", "-c:v", "libx264", "-qp", "4"}), 20, video.Rational{Num: 25, Den: 1}, false, true},
	{"odd size 4:2:0", "a.webm", join(ramp("321x241", "25", 5), []string{"-c:v", "libvpx-vp9", "-lossless", "1", "-cpu-used", "8"}), 5, video.Rational{Num: 25, Den: 1}, false, true},
	{"grey", "a.mkv", join(ramp("64x48", "25", 20), []string{"-vf", "format=gray", "-c:v", "ffv1"}), 20, video.Rational{Num: 25, Den: 1}, false, true},
	{"16 bit grey", "a.mkv", join(ramp("64x48", "25", 20), []string{"-vf", "format=gray16le", "-c:v", "ffv1"}), 20, video.Rational{Num: 25, Den: 1}, false, false},
	{"bgra", "a.mkv", join(ramp("64x48", "25", 20), []string{"-vf", "format=bgra", "-c:v", "ffv1"}), 20, video.Rational{Num: 25, Den: 1}, false, true},
	{"16 bit colour", "a.mkv", join(ramp("64x48", "25", 20), []string{"-vf", "format=rgb48be", "-c:v", "png"}), 20, video.Rational{Num: 25, Den: 1}, false, false},
	{"10 bit", "a.mkv", join(ramp("64x48", "25", 20), []string{"-vf", "format=yuv420p10le", "-c:v", "libx265", "-x265-params", "log-level=error:lossless=1"}), 20, video.Rational{Num: 25, Den: 1}, false, false},
	{"palette", "a.mkv", join(ramp("64x48", "25", 5), []string{"-vf", "split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1,format=pal8", "-c:v", "png"}), 5, video.Rational{Num: 25, Den: 1}, false, false},
}

func TestReadClips(t *testing.T) {
	needTools(t)
	for _, c := range readClips {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := clip(t, c.file, c.args...)
			i := probe(t, path)
			if i.Frames() != c.frames || i.Rate != c.rate || i.Variable != c.variable {
				t.Errorf("probed %d frames at %s, variable %v", i.Frames(), i.Rate, i.Variable)
			}
			if c.variable || c.name == "b-frames" { // the others are checked by their rate
				if want := shown(t, path); !slices.Equal(i.Times, want) {
					t.Errorf("probed times %v, ffprobe shows %v", i.Times, want)
				}
			}
			if ok, reason := readers[len(readers)-1].right(i); len(readers) > 1 && ok != c.cv {
				t.Errorf("OpenCV trusted: %v %s", ok, reason)
			}
			eachReader(t, i, func(t *testing.T, r reader) {
				checkRamp(t, r, i, c.frames)
			})
		})
	}
}

// shown are the times at which ffprobe's decoder would show the frames.
func shown(t *testing.T, path string) []int64 {
	t.Helper()
	var times []int64
	for _, l := range ffprobe(t, path, "-select_streams", "V:0", "-show_entries", "frame=best_effort_timestamp") {
		v, err := strconv.ParseInt(strings.Split(l, ",")[0], 10, 64)
		if err != nil {
			t.Fatalf("ffprobe says %q", l)
		}
		times = append(times, v)
	}
	return times
}

// checkRamp reads a ramp to its end: count, times, and each frame's own colour.
func checkRamp(t *testing.T, r reader, i video.Info, frames int) {
	t.Helper()
	rd, err := r.open(t.Context(), i)
	if err != nil {
		t.Fatal(err)
	}
	defer closeReader(t, rd)
	for n := 0; ; n++ {
		f, err := rd.Next(t.Context())
		if err == io.EOF && n == frames {
			return
		}
		if err != nil {
			t.Fatalf("frame %d of %d: %v", n, frames, err)
		}
		if f.W != i.Width || f.H != i.Height || f.PTS != i.Times[n] {
			t.Fatalf("frame %d is %dx%d at %d, want %dx%d at %d", n, f.W, f.H, f.PTS, i.Width, i.Height, i.Times[n])
		}
		for _, p := range [][2]int{{0, 0}, {f.W - 1, f.H - 1}, {f.W / 2, f.H / 2}} {
			red, green, blue := f.At(p[0], p[1])
			if w := rampLevel(n); !near(int(red), w) || !near(int(green), w) || !near(int(blue), w) {
				t.Fatalf("frame %d at %v is %d,%d,%d, want %d", n, p, red, green, blue, w)
			}
		}
		f.Release()
	}
}

func closeReader(t *testing.T, r video.Reader) {
	t.Helper()
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func TestRotation(t *testing.T) {
	needTools(t)
	// The left half is black, the right half white.
	flat := clip(t, "flat.mp4", "-f", "lavfi", "-i", "color=black:s=32x48,pad=64:48:0:0:white", "-frames:v", "3", "-c:v", "libx264", "-qp", "0", "-pix_fmt", "yuv420p")
	tests := []struct {
		turn, w, h   int
		black, white [2]int // a place that must have that colour
	}{
		{90, 48, 64, [2]int{24, 8}, [2]int{24, 56}},
		{180, 64, 48, [2]int{56, 24}, [2]int{8, 24}},
		{270, 48, 64, [2]int{24, 56}, [2]int{24, 8}},
	}
	for _, tt := range tests {
		t.Run(strconv.Itoa(tt.turn), func(t *testing.T) {
			t.Parallel()
			i := probe(t, clip(t, "a.mp4", "-i", flat, "-c", "copy", "-metadata:s:v", "rotate="+strconv.Itoa(360-tt.turn))) // ffmpeg 5.1 counts against the clock
			if i.Rotation != tt.turn || i.Width != tt.w || i.Height != tt.h {
				t.Fatalf("probed %dx%d turned by %d", i.Width, i.Height, i.Rotation)
			}
			eachReader(t, i, func(t *testing.T, r reader) {
				f := first(t, r, i)
				if b, _, _ := f.At(tt.black[0], tt.black[1]); !near(int(b), 0) {
					t.Errorf("%v is %d, want black", tt.black, b)
				}
				if w, _, _ := f.At(tt.white[0], tt.white[1]); !near(int(w), 255) {
					t.Errorf("%v is %d, want white", tt.white, w)
				}
			})
		})
	}
}

// first returns the first frame of a clip.
func first(t *testing.T, r reader, i video.Info) *video.Frame {
	t.Helper()
	rd, err := r.open(t.Context(), i)
	if err != nil {
		t.Fatal(err)
	}
	defer closeReader(t, rd)
	f, err := rd.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestNames(t *testing.T) {
	needTools(t)
	src := clip(t, "a.mkv", join(ramp("32x32", "25", 2), []string{"-c:v", "ffv1"})...)
	b, err := os.ReadFile(src)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	names := []string{"with space.mkv", `quote'".mkv`, "-dash.mkv", "ünï-日本.mkv", "new\nline.mkv", "http:x.mkv", "a%03d.mkv", "#?&;$(x).mkv",
		strings.Repeat("n", 251) + ".mkv"}
	for _, name := range names {
		t.Run(strconv.Quote(name[:min(20, len(name))]), func(t *testing.T) {
			if err := os.WriteFile(name, b, 0o644); err != nil {
				t.Fatal(err)
			}
			i := probe(t, name)
			eachReader(t, i, func(t *testing.T, r reader) { checkRamp(t, r, i, 2) })
		})
	}
}

// TestDebianClips reads whole films that nobody here made.
func TestDebianClips(t *testing.T) {
	needTools(t)
	const dir = "/usr/share/doc/opencv-doc/examples/data/"
	for name, frames := range map[string]int{"Megamind_bugy.avi": 270, "tree.avi": 68} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := os.Stat(dir + name); err != nil {
				t.Skip("install Debian's package opencv-doc:", err)
			}
			i := probe(t, dir+name)
			if i.Frames() != frames {
				t.Errorf("probed %d frames, want %d", i.Frames(), frames)
			}
			eachReader(t, i, func(t *testing.T, r reader) {
				if n, err := countFrames(t, r, i); n != frames || err != io.EOF {
					t.Errorf("read %d frames, then %v", n, err)
				}
			})
		})
	}
}

func countFrames(t *testing.T, r reader, i video.Info) (int, error) {
	t.Helper()
	rd, err := r.open(t.Context(), i)
	if err != nil {
		t.Fatal(err)
	}
	defer closeReader(t, rd)
	last := int64(-1 << 62)
	for n := 0; ; n++ {
		f, err := rd.Next(t.Context())
		if err != nil {
			return n, err
		}
		if f.PTS <= last {
			t.Fatalf("frame %d at %d does not come after %d", n, f.PTS, last)
		}
		last = f.PTS
		f.Release()
	}
}

func TestCancelReading(t *testing.T) {
	needTools(t)
	i := probe(t, clip(t, "a.mp4", join(ramp("64x48", "25", 20), []string{"-c:v", "libx264"})...))
	eachReader(t, i, func(t *testing.T, r reader) {
		ctx, cancel := context.WithCancelCause(t.Context())
		rd, err := r.open(ctx, i)
		if err != nil {
			t.Fatal(err)
		}
		defer closeReader(t, rd)
		if _, err := rd.Next(ctx); err != nil {
			t.Fatal(err)
		}
		why := errors.New("enough")
		cancel(why)
		if _, err := rd.Next(ctx); !errors.Is(err, why) {
			t.Errorf("after cancelling: %v", err)
		}
		if _, err := r.open(ctx, i); !errors.Is(err, why) {
			t.Errorf("opened after cancelling: %v", err)
		}
	})
}
