//go:build cgo

package cvflow

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/v2v/v2v/flow"
	"github.com/v2v/v2v/video"
)

// vtest is Debian's opencv-doc clip of people crossing a yard.
const vtest = "/usr/share/doc/opencv-doc/examples/data/vtest.avi"

// texture is a smooth random surface that can be sampled anywhere, so that a
// shift of any fraction of a pixel is exact.
type texture struct{ fx, fy, phase, amp [48]float64 }

func newTexture(seed uint64) *texture {
	r := rand.New(rand.NewPCG(seed, 1))
	t := new(texture)
	for i := range t.fx {
		wavelength := 6 + 40*r.Float64()
		angle := 2 * math.Pi * r.Float64()
		t.fx[i] = 2 * math.Pi * math.Cos(angle) / wavelength
		t.fy[i] = 2 * math.Pi * math.Sin(angle) / wavelength
		t.phase[i] = 2 * math.Pi * r.Float64()
		t.amp[i] = 127 / math.Sqrt(float64(len(t.fx))) / 2
	}
	return t
}

// frame renders the texture moved by (dx,dy).
func (t *texture) frame(w, h int, dx, dy float64) *video.Frame {
	f := video.NewFrame(w, h)
	for y := 0; y < h; y++ {
		for x := 0; x < w; x++ {
			v := 127.5
			for i := range t.fx {
				v += t.amp[i] * math.Sin(t.fx[i]*(float64(x)-dx)+t.fy[i]*(float64(y)-dy)+t.phase[i])
			}
			b := byte(min(max(v+0.5, 0), 255))
			copy(f.Pix[3*(y*w+x):], []byte{b, b, b})
		}
	}
	return f
}

func newEstimator(t testing.TB, o Options) *Farneback {
	t.Helper()
	f, err := NewFarneback(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func median(v []float32) float64 {
	s := slices.Clone(v)
	slices.Sort(s)
	return float64(s[len(s)/2])
}

// TestKnownTranslation also pins how far the defaults reach: the largest shift
// needs a larger frame, or PolyN 7.
func TestKnownTranslation(t *testing.T) {
	for _, c := range []struct {
		dx, dy float64
		w, h   int
		opts   Options
	}{
		{0, 0, 192, 144, Options{}},
		{1, 0, 192, 144, Options{}},
		{0, -1, 192, 144, Options{}},
		{2.5, 1.25, 192, 144, Options{}},
		{-7, 4, 192, 144, Options{}},
		{10, -5, 192, 144, Options{}},
		{12.5, -9, 192, 144, Options{PolyN: 7}},
		{12.5, -9, 768, 576, Options{}},
	} {
		t.Run(fmt.Sprintf("%g,%g at %dx%d poly %d", c.dx, c.dy, c.w, c.h, c.opts.PolyN), func(t *testing.T) {
			f := newEstimator(t, c.opts)
			for seed := uint64(5); seed < 7; seed++ {
				tx := newTexture(seed)
				from, to := tx.frame(c.w, c.h, 0, 0), tx.frame(c.w, c.h, c.dx, c.dy)
				got, err := f.Estimate(context.Background(), from, to)
				if err != nil {
					t.Fatal(err)
				}
				if u, v := median(got.U), median(got.V); math.Abs(u-c.dx) > 0.2 || math.Abs(v-c.dy) > 0.2 {
					t.Errorf("texture %d: median flow %.3f,%.3f", seed, u, v)
				}
			}
		})
	}
}

// TestBackwardWarpPredictsRealFrame is the use the flow is put to: the
// previous frame warped by the backward flow comes closer to the current one.
func TestBackwardWarpPredictsRealFrame(t *testing.T) {
	frames := clip(t, 20, 3, 768, 576)
	prev, cur := frames[0], frames[2]
	f := newEstimator(t, Options{})
	back, err := f.Estimate(context.Background(), cur, prev)
	if err != nil {
		t.Fatal(err)
	}
	warped := video.NewFrame(cur.W, cur.H)
	flow.Warp(warped, prev, back)
	before, after := psnr(prev, cur), psnr(warped, cur)
	t.Logf("psnr to the current frame: %.2f dB unwarped, %.2f dB warped", before, after)
	if after < before+2 {
		t.Errorf("warping took psnr from %.2f to %.2f dB, want 2 dB more", before, after)
	}
}

// TestWarpErrorOfRealClip: measured on a real clip, the clip itself scores far
// lower than a copy of it that flickers by 12 levels, and the copy's error is
// the flicker's own on top.
func TestWarpErrorOfRealClip(t *testing.T) {
	m := flow.NewWarpErrorMeter(newEstimator(t, Options{}))
	for i, real := range clip(t, 20, 8, 192, 144) {
		flickering := video.NewFrame(real.W, real.H)
		for k, v := range real.Pix {
			flickering.Pix[k] = byte(24 + int(v)*4/5 + 12*(i%2))
		}
		if err := m.Add(context.Background(), real, real, flickering); err != nil {
			t.Fatal(err)
		}
	}
	real, flickering := m.Result(0), m.Result(1)
	t.Logf("real %.6f, flickering %.6f, visible %.3f", real.Mean, flickering.Mean, real.Visible)
	if want := real.Mean*16/25 + 12.*12/(255*255); math.Abs(flickering.Mean-want) > 0.1*want {
		t.Errorf("the flickering copy's error is %.6f, want about %.6f", flickering.Mean, want)
	}
	if real.Mean > 0.001 || real.Visible < 0.9 {
		t.Errorf("the clip's own error is %.6f with %.3f visible, want below 0.001 and above 0.9", real.Mean, real.Visible)
	}
}

func psnr(a, b *video.Frame) float64 {
	var sum float64
	for i, v := range a.Pix {
		d := float64(v) - float64(b.Pix[i])
		sum += d * d
	}
	return 10 * math.Log10(255*255*float64(len(a.Pix))/sum)
}

// clip decodes n frames of vtest.avi from the first-th on, by ffmpeg.
func clip(t testing.TB, first, n, w, h int) []*video.Frame {
	t.Helper()
	if _, err := os.Stat(vtest); err != nil {
		t.Skip("opencv-doc is missing: ", err)
	}
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is missing: ", err)
	}
	cmd := exec.Command("ffmpeg", "-v", "error", "-i", vtest, "-vf",
		fmt.Sprintf("select=gte(n\\,%d),scale=%d:%d", first, w, h), "-frames:v", fmt.Sprint(n), "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if len(out) != n*3*w*h {
		t.Fatalf("ffmpeg gave %d bytes, want %d", len(out), n*3*w*h)
	}
	frames := make([]*video.Frame, n)
	for i := range frames {
		frames[i] = video.NewFrame(w, h)
		copy(frames[i].Pix, out[i*3*w*h:])
	}
	return frames
}

func TestEstimateRefuses(t *testing.T) {
	f := newEstimator(t, Options{})
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	for _, c := range []struct {
		name     string
		ctx      context.Context
		from, to *video.Frame
		want     string
	}{
		{"other size", context.Background(), video.NewFrame(64, 48), video.NewFrame(48, 64), "sizes differ"},
		{"tiny", context.Background(), video.NewFrame(8, 8), video.NewFrame(8, 8), "too small"},
		{"cancelled", cancelled, video.NewFrame(64, 48), video.NewFrame(64, 48), "context canceled"},
		{"hollow", context.Background(), &video.Frame{W: 64, H: 48}, video.NewFrame(64, 48), "holds 0 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := f.Estimate(c.ctx, c.from, c.to); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
	if _, err := NewFarneback(Options{PolyN: 6}); err == nil {
		t.Error("poly 6 was accepted")
	}
}

func TestCloseEndsIt(t *testing.T) {
	f := newEstimator(t, Options{})
	a := newTexture(1).frame(64, 48, 0, 0)
	if _, err := f.Estimate(context.Background(), a, a); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Estimate(context.Background(), a, a); err == nil {
		t.Error("a closed estimator measured")
	}
}

// TestConcurrentUse mixes sizes, so a workspace shared by mistake shows.
func TestConcurrentUse(t *testing.T) {
	f := newEstimator(t, Options{})
	tx := newTexture(3)
	var wg sync.WaitGroup
	for g := 0; g < 4; g++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			w, h, d := 96+16*g, 80, float64(g)
			a, b := tx.frame(w, h, 0, 0), tx.frame(w, h, d, 0)
			for i := 0; i < 5; i++ {
				got, err := f.Estimate(context.Background(), a, b)
				if err != nil {
					t.Error(err)
					return
				}
				if u := median(got.U); math.Abs(u-d) > 0.2 {
					t.Errorf("goroutine %d: median flow %.2f", g, u)
				}
			}
		}()
	}
	wg.Wait()
}

// TestNoMatLeaks watches the process grow: the smallest Mat of an estimate is
// 77 KB here, so one leaked a round is 23 MB. One thread means one malloc
// arena. (-tags matprofile counts exactly.)
func TestNoMatLeaks(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	a := newTexture(1).frame(320, 240, 0, 0)
	cycle := func() {
		f, err := NewFarneback(Options{Iterations: 1, Levels: 1, Window: 5, PolyN: 5})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Estimate(context.Background(), a, a); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		cycle()
	}
	debug.FreeOSMemory()
	before := rss(t)
	for range 300 {
		cycle()
	}
	debug.FreeOSMemory()
	if grown := rss(t) - before; grown > 11<<20 {
		t.Errorf("300 estimates left %d KiB behind", grown>>10)
	}
}

// rss is the resident memory of this process in bytes.
func rss(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip("/proc/self/statm is missing: ", err)
	}
	var size, resident int
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		t.Fatal(err)
	}
	return resident * os.Getpagesize()
}

func BenchmarkFarneback(b *testing.B) {
	for _, s := range []struct{ w, h int }{{192, 144}, {256, 256}, {768, 576}} {
		b.Run(fmt.Sprintf("%dx%d", s.w, s.h), func(b *testing.B) {
			f := newEstimator(b, Options{})
			tx := newTexture(1)
			x, y := tx.frame(s.w, s.h, 0, 0), tx.frame(s.w, s.h, 2, 1)
			for b.Loop() {
				if _, err := f.Estimate(context.Background(), x, y); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
