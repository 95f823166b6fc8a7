package train

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/v2v/v2v/flow"
	"github.com/v2v/v2v/video"
)

// picture is frame t of a clip, of a colour that tells the clip, the frame and
// the pixel.
func picture(w, h, clip, t int) *video.Frame {
	f := video.NewFrame(w, h)
	for y := range h {
		for x := range w {
			p := f.Pix[3*(y*w+x):]
			p[0], p[1], p[2] = byte(10*clip+x), byte(t), byte(y)
		}
	}
	return f
}

// writeClip makes a folder of n stills.
func writeClip(t *testing.T, dir string, w, h, clip, n int) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err := video.WritePNG(filepath.Join(dir, fmt.Sprintf("%04d.png", i)), picture(w, h, clip, i)); err != nil {
			t.Fatal(err)
		}
	}
}

// writeData makes paired clips of those lengths, A's colours 100 above B's.
func writeData(t *testing.T, dir, a, b string, w, h int, lengths ...int) {
	t.Helper()
	for i, n := range lengths {
		name := string(rune('a' + i))
		writeClip(t, filepath.Join(dir, a, name), w, h, 10+i, n)
		writeClip(t, filepath.Join(dir, b, name), w, h, i, n)
	}
}

func openData(t *testing.T, dir string, o DataOptions) *Data {
	t.Helper()
	d, err := OpenData(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// shiftFlow claims that everything moved by (u,v) from the first frame to the
// second, plus a little that depends on where, and counts its calls.
type shiftFlow struct {
	u, v  float32
	calls int
}

func (e *shiftFlow) Estimate(_ context.Context, from, to *video.Frame) (*flow.Field, error) {
	e.calls++
	f := flow.NewField(from.W, from.H)
	sign := float32(1) // backward: from is later
	if from.PTS < to.PTS {
		sign = -1
	}
	for i := range f.U {
		f.U[i], f.V[i] = sign*e.u, sign*e.v
		if sign > 0 {
			f.U[i] += float32(i%from.W) / 64
			f.V[i] += float32(i/from.W) / 64
		}
	}
	return f, nil
}

func TestSampleIsPure(t *testing.T) {
	dir := t.TempDir()
	writeData(t, dir, "A", "B", 8, 6, 4, 9)
	o := DataOptions{Crop: image.Pt(5, 4), Flip: true, Flow: &shiftFlow{u: 1, v: 0.5}}
	d, again := openData(t, dir, o), openData(t, dir, o)
	for i := uint64(0); i < 20; i++ {
		a, err := d.Sample(t.Context(), i, 7, 3)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := again.Sample(t.Context(), 100-i, 7, 3); err != nil { // in another order
			t.Fatal(err)
		}
		b, err := again.Sample(t.Context(), i, 7, 3)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(a, b, cmpopts.IgnoreUnexported(video.Frame{})); diff != "" {
			t.Fatalf("sample %d differs:\n%s", i, diff)
		}
	}
}

// TestSampleIsFair: every window is as likely as any other, every crop and
// both sides come up. Five sigma of a binomial is what chance may do.
func TestSampleIsFair(t *testing.T) {
	dir := t.TempDir()
	writeData(t, dir, "A", "B", 5, 4, 3, 8)
	d := openData(t, dir, DataOptions{Crop: image.Pt(4, 4), Flip: true})
	count := map[string]int{}
	const n = 8000
	for i := range uint64(n) {
		s, err := d.Sample(t.Context(), i, 3, 2)
		if err != nil {
			t.Fatal(err)
		}
		l, r := s.B[0].Pix[0], s.B[0].Pix[9]
		count[fmt.Sprintf("window %s%d", s.Clip, s.Start)]++
		count[fmt.Sprintf("flip %v", l > r)]++
		count[fmt.Sprintf("left %d", min(l, r)%10)]++
	}
	want := map[string]float64{"flip true": 0.5, "flip false": 0.5, "left 0": 0.5, "left 1": 0.5}
	for _, w := range []string{"a0", "a1", "b0", "b1", "b2", "b3", "b4", "b5", "b6"} {
		want["window "+w] = 1. / 9
	}
	for k, p := range want {
		if dev := math.Abs(float64(count[k]) - n*p); dev > 5*math.Sqrt(n*p*(1-p)) {
			t.Errorf("%s came up %d times of %d, want %.0f", k, count[k], n, n*p)
		}
	}
	if len(count) != len(want) {
		t.Errorf("came up: %v", count)
	}
}

func TestSampleShowsItsFrames(t *testing.T) {
	dir := t.TempDir()
	writeData(t, dir, "A", "B", 8, 6, 4, 9)
	for _, k := range []struct {
		name string
		o    DataOptions
	}{
		{"in memory", DataOptions{Crop: image.Pt(5, 4), Flip: true}},
		{"spooled from the start", DataOptions{Crop: image.Pt(5, 4), Flip: true, Memory: 1, TempDir: t.TempDir()}},
		{"spooled half way", DataOptions{Crop: image.Pt(5, 4), Flip: true, Memory: 10 * 3 * 8 * 6, TempDir: t.TempDir()}},
	} {
		t.Run(k.name, func(t *testing.T) {
			d := openData(t, dir, k.o)
			if d.Spooled() != (k.o.Memory > 0) {
				t.Errorf("spooled: %v", d.Spooled())
			}
			if k.o.TempDir != "" {
				if left, err := os.ReadDir(k.o.TempDir); err != nil || len(left) > 0 {
					t.Errorf("the temporary file has a name: %v %v", left, err)
				}
			}
			for i := range uint64(50) {
				s, err := d.Sample(t.Context(), i, 1, 3)
				if err != nil {
					t.Fatal(err)
				}
				checkFrames(t, s)
			}
		})
	}
}

// checkFrames compares a sample of 5x4 with the pictures of 8x6 it was cut from.
func checkFrames(t *testing.T, s *Sample) {
	t.Helper()
	clip := int(s.Clip[0] - 'a')
	x0, y0 := int(min(s.B[0].Pix[0], s.B[0].Pix[12]))-10*clip, int(s.B[0].Pix[2])
	flip := s.B[0].Pix[0] > s.B[0].Pix[12]
	for t2 := range s.B {
		for side, got := range []*video.Frame{s.B[t2], s.A[t2]} {
			whole := picture(8, 6, clip+10*side, s.Start+t2)
			want := video.NewFrame(5, 4)
			for y := range 4 {
				for x := range 5 {
					from := x
					if flip {
						from = 4 - x
					}
					copy(want.Pix[3*(5*y+x):][:3], whole.Pix[3*(8*(y0+y)+x0+from):])
				}
			}
			if !bytes.Equal(got.Pix, want.Pix) || got.W != 5 || got.H != 4 || got.PTS != int64(s.Start+t2) {
				t.Fatalf("clip %s frame %d side %d: not the picture that was written", s.Clip, s.Start+t2, side)
			}
		}
	}
}

// TestFlowFollowsTheView: cropped and flipped flow still leads from a pixel of
// B to the pixel it led to before, and pixels that come from outside of the
// view are hidden.
func TestFlowFollowsTheView(t *testing.T) {
	dir := t.TempDir()
	writeData(t, dir, "A", "B", 12, 10, 5)
	e := &shiftFlow{u: 1.5, v: -0.75}
	d := openData(t, dir, DataOptions{Crop: image.Pt(6, 5), Flip: true, Flow: e, Memory: 1500})
	flips := map[bool]int{}
	for i := range uint64(40) {
		s, err := d.Sample(t.Context(), i, 5, 3)
		if err != nil {
			t.Fatal(err)
		}
		if s.Flow[0] != nil || s.Visible[0] != nil {
			t.Fatal("the first frame has motion")
		}
		flip := s.B[0].Pix[0] > s.B[0].Pix[15]
		flips[flip]++
		for f := 1; f < 3; f++ {
			for p := range s.Visible[f] {
				x, y := p%6, p/6
				wx, wy := float32(s.B[f].Pix[3*p]), float32(s.B[f].Pix[3*p+2]) // where the pixel is in the whole frame
				u, v := s.Flow[f].U[p], s.Flow[f].V[p]
				wu := 1.5 + wx/64
				if flip {
					wu = -wu
				}
				if u != wu || v != -0.75+wy/64 {
					t.Fatalf("flow at %d,%d is %g,%g, want %g,%g", x, y, u, v, wu, -0.75+wy/64)
				}
				px, py := float32(x)+u, float32(y)+v
				inside := px >= 0 && px <= 5 && py >= 0 && py <= 4
				if got := s.Visible[f][p] == 1; got != inside {
					t.Fatalf("visible at %d,%d: %v, it leads to %g,%g", x, y, got, px, py)
				}
			}
		}
	}
	if flips[true] == 0 || flips[false] == 0 {
		t.Errorf("flipped: %v", flips)
	}
	if e.calls != 2*4 {
		t.Errorf("%d estimates for 4 pairs, want one each way", e.calls)
	}
	if d.flows.file == nil {
		t.Error("motion beyond the limit is still in memory")
	}
}

// TestConfidence: motion that cancels there and back, from where the picture looks
// different, is right by the one and wrong by the other, which asks for no flow
// forth; and a run by the one is not gone on with by the other.
func TestConfidence(t *testing.T) {
	dir := t.TempDir()
	writeData(t, dir, "A", "B", 64, 4, 2)
	said := map[string]bool{}
	for _, c := range []struct {
		u          float32
		confidence Confidence
		want       float32
		calls      int
	}{{20, "", 1, 2}, {20, Consistency, 1, 2}, {20, Photometric, 0, 1}, {10, Photometric, 1, 1}} { // 20 pixels are 20 levels
		e := &shiftFlow{u: c.u}
		d := openData(t, dir, DataOptions{Flow: e, Confidence: c.confidence})
		s, err := d.Sample(t.Context(), 0, 1, 2)
		if err != nil {
			t.Fatal(err)
		}
		said[d.describe()] = true
		if got := s.Visible[1][5]; got != c.want || e.calls != c.calls || s.Visible[1][60] != 0 {
			t.Errorf("%q, %g pixels: visible is %g, want %g, after %d estimates, want %d; and from beyond the border %g",
				c.confidence, c.u, got, c.want, e.calls, c.calls, s.Visible[1][60])
		}
	}
	if len(said) != 2 {
		t.Errorf("described as %v", said)
	}
	if err := Confidence("sure").Validate(); err == nil || !strings.Contains(err.Error(), "give consistency or photometric") {
		t.Error(err)
	}
}

func TestEncodeMotionHidesTheImpossible(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	f := &flow.Field{W: 5, H: 1, U: []float32{511, 0, nan, 0.26, 600}, V: []float32{-511, inf, 0, 0, 0}}
	got, visible := view{size: image.Pt(5, 1)}.motion(encodeMotion(f, []float32{1, 1, 1, 1, 1}), image.Pt(5, 1))
	want := &flow.Field{W: 5, H: 1, U: []float32{511, 0, 0, 17. / 64, 0}, V: []float32{-511, 0, 0, 0, 0}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]float32{0, 0, 0, 1, 0}, visible); diff != "" {
		t.Error(diff)
	}
}

func TestEstimatorErrorsAreTold(t *testing.T) {
	dir := t.TempDir()
	writeData(t, dir, "A", "B", 4, 4, 3)
	d := openData(t, dir, DataOptions{Flow: badFlow{}})
	if _, err := d.Sample(t.Context(), 0, 0, 2); err == nil || !strings.Contains(err.Error(), "clip a frame") || !strings.Contains(err.Error(), "1x1") {
		t.Error(err)
	}
	if _, err := d.Sample(t.Context(), 0, 0, 4); err == nil || !strings.Contains(err.Error(), "no clip of the data has 4 frames") {
		t.Error(err)
	}
}

type badFlow struct{}

func (badFlow) Estimate(context.Context, *video.Frame, *video.Frame) (*flow.Field, error) {
	return flow.NewField(1, 1), nil
}

func TestHeldOutIsNotAugmented(t *testing.T) {
	dir := t.TempDir()
	writeData(t, dir, "test_A", "test_B", 8, 6, 5)
	d := openData(t, dir, DataOptions{Split: TestSplit, Crop: image.Pt(4, 4), Flip: true})
	for i := range uint64(10) {
		s, err := d.Sample(t.Context(), i, 1, 2)
		if err != nil {
			t.Fatal(err)
		}
		if p := s.B[0].Pix; p[0] != 2 || p[2] != 1 || p[9] != 5 {
			t.Fatalf("sample %d begins at %d,%d", i, p[0], p[2])
		}
	}
	spread, err := d.Spread(t.Context(), 2, 2)
	if err != nil || len(spread) != 2 || spread[0].Start != 1 || spread[1].Start != 3 {
		t.Errorf("spread: %v %v", spread, err)
	}
	if all, err := d.Spread(t.Context(), 9, 2); err != nil || len(all) != 4 {
		t.Errorf("spread more than there are: %d %v", len(all), err)
	}
}
