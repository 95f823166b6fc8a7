package flow

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/v2v/v2v/video"
)

// panning is an Estimator that knows its scene: everything moves by one
// number of pixels a frame, told by the frames' times.
type panning struct {
	perFrame float32
	err      error
}

func (p panning) Estimate(_ context.Context, from, to *video.Frame) (*Field, error) {
	f := NewField(from.W, from.H)
	for i := range f.U {
		f.U[i] = p.perFrame * float32(to.PTS-from.PTS)
	}
	return f, p.err
}

// pan shows a wide noise picture through a window that moves left, so the
// content moves right by step pixels a frame; bright is added to every value.
func pan(w, h, step, n int, bright func(t int) int) []*video.Frame {
	wide := noise(w+step*n, h, 5)
	frames := make([]*video.Frame, n)
	for t := range frames {
		frames[t] = video.NewFrame(w, h)
		frames[t].PTS = int64(t)
		for y := 0; y < h; y++ {
			for x := 0; x < 3*w; x++ {
				v := int(wide.Pix[3*(y*wide.W+step*(n-1-t))+x])/2 + bright(t)
				frames[t].Pix[3*w*y+x] = byte(v)
			}
		}
	}
	return frames
}

func TestWarpErrorOfKnownScenes(t *testing.T) {
	steady := func(int) int { return 0 }
	real := pan(32, 16, 2, 5, steady)
	for _, c := range []struct {
		name string
		fake []*video.Frame
		want float64
	}{
		{"moves as the guide does", real, 0},
		{"flickers by 10 levels", pan(32, 16, 2, 5, func(t int) int { return 10 * (t % 2) }), 100. / (255 * 255)},
		{"brightens by 3 a frame", pan(32, 16, 2, 5, func(t int) int { return 3 * t }), 9. / (255 * 255)},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := NewWarpErrorMeter(panning{perFrame: 2})
			for i := range real {
				if err := m.Add(context.Background(), real[i], c.fake[i], real[i]); err != nil {
					t.Fatal(err)
				}
			}
			got := m.Result(0)
			if math.Abs(got.Mean-c.want) > 1e-9 {
				t.Errorf("error %.8f, want %.8f", got.Mean, c.want)
			}
			if len(got.Pairs) != 4 || math.Abs(got.Pairs[2]-c.want) > 1e-9 {
				t.Errorf("pairs %v, want 4 of %v", got.Pairs, c.want)
			}
			// Two of 32 columns come from outside the previous frame.
			if want := 30. / 32; math.Abs(got.Visible-want) > 1e-9 {
				t.Errorf("visible %.4f, want %.4f", got.Visible, want)
			}
			if own := m.Result(1); own.Mean != 0 {
				t.Errorf("the guide's own error is %v, want 0", own.Mean)
			}
		})
	}
}

// TestWarpErrorSeesMissingMotion: a clip that stands still where its guide moves
// is wrong, although it does not flicker.
func TestWarpErrorSeesMissingMotion(t *testing.T) {
	real := pan(32, 16, 2, 4, func(int) int { return 0 })
	m := NewWarpErrorMeter(panning{perFrame: 2})
	for _, f := range real {
		if err := m.Add(context.Background(), f, real[0]); err != nil {
			t.Fatal(err)
		}
	}
	if got := m.Result(0).Mean; got < 0.01 {
		t.Errorf("error %v of a still clip, want more than 0.01", got)
	}
}

func TestWarpErrorRefuses(t *testing.T) {
	ctx := context.Background()
	a, other := noise(8, 6, 1), noise(6, 8, 1)
	lost := errors.New("estimator broke")
	m := NewWarpErrorMeter(panning{err: lost})
	if err := m.Add(ctx, a, other); err == nil || !strings.Contains(err.Error(), "clip 0 is 6x8") {
		t.Errorf("a clip of another size: %v", err)
	}
	if got := m.Result(0); got.Pairs != nil {
		t.Errorf("result %v of nothing", got)
	}
	if err := m.Add(ctx, a, a); err != nil {
		t.Fatal(err)
	}
	if err := m.Add(ctx, other, other); err == nil {
		t.Error("frames changed size and nothing was said")
	}
	if err := m.Add(ctx, a, a, a); err == nil {
		t.Error("a clip joined late and nothing was said")
	}
	if err := m.Add(ctx, a, a); !errors.Is(err, lost) {
		t.Errorf("error %v, want the estimator's", err)
	}
}

func TestPairErrorWithoutVisiblePixels(t *testing.T) {
	a, b := noise(8, 6, 1), noise(8, 6, 2)
	if got := PairError(a, b, NewField(8, 6), make([]float32, 48)); got != 0 {
		t.Errorf("error %v, want 0", got)
	}
}

func BenchmarkPairError(b *testing.B) {
	x, y, f := noise(768, 576, 1), noise(768, 576, 2), swirl(768, 576)
	mask := Occlusion(f, NewField(768, 576))
	for b.Loop() {
		PairError(x, y, f, mask)
	}
}
