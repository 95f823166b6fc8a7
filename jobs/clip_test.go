package jobs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/v2v/v2v/video"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperEnv); dir != "" {
		os.Exit(helper(dir))
	}
	goleak.VerifyTestMain(m)
}

// rig is a clip made of fakes.
type rig struct {
	clip   *Clip
	reader *fakeReader
	gen    *fakeGenerator
	writer *fakeWriter
	openW  error
	pipe   *pipe
	events []Event
}

func newRig(n int) *rig {
	r := &rig{reader: newFakeReader(n), gen: newFakeGenerator(), writer: newFakeWriter()}
	r.clip = &Clip{Input: "in.mp4", Output: "out.mp4", Reader: r.reader, Generator: r.gen}
	r.clip.NewWriter = func(_ context.Context, _ video.Info, w, h int) (video.Writer, error) {
		if r.openW != nil {
			return nil, r.openW
		}
		return r.writer, nil
	}
	return r
}

func (r *rig) run(ctx context.Context) (Result, error) {
	r.pipe = &pipe{clip: r.clip, events: func(e Event) { r.events = append(r.events, e) }}
	err := r.pipe.convert(ctx)
	return r.pipe.res, err
}

// clean checks what holds after every run, good or bad.
func (r *rig) clean(t *testing.T) {
	t.Helper()
	if n := r.reader.pool.Live(); n != 0 {
		t.Errorf("%d source frames leaked", n)
	}
	if r.pipe.pool != nil && r.pipe.pool.Live() != 0 {
		t.Errorf("%d output frames leaked", r.pipe.pool.Live())
	}
	if r.reader.closed != 1 {
		t.Errorf("the reader was closed %d times", r.reader.closed)
	}
	if opened := r.pipe.writer != nil; opened && r.writer.closed != 1 {
		t.Errorf("the writer was closed %d times", r.writer.closed)
	}
	if r.gen.wrongThread {
		t.Error("the generator was called from two threads")
	}
	if err := goleak.Find(); err != nil {
		t.Error(err)
	}
}

var errBroken = fmt.Errorf("broke off: %w", video.ErrDamaged)

var clipCases = []struct {
	name    string
	n       int
	set     func(r *rig)
	out     int    // frames out
	first   int64  // PTS of the first
	err     string // "" for a committed output
	damaged string
}{
	{name: "sound", n: 40, out: 40},
	{name: "one frame", n: 1, out: 1},
	{name: "no frames", n: 0, err: "decode: no frames"},
	{name: "damaged, kept", n: 20, set: func(r *rig) { r.reader.end = errBroken }, out: 20, damaged: "broke off: damaged clip"},
	{name: "damaged, kept, close complains", n: 20, out: 20, damaged: "broke off: damaged clip",
		set: func(r *rig) { r.reader.end, r.reader.closeErr = errBroken, errFake }},
	{name: "damaged, failed", n: 20, err: "decode frame 20: broke off: damaged clip",
		set: func(r *rig) { r.reader.end, r.clip.OnDamage = errBroken, DamageFail }},
	{name: "damaged from the start", n: 0, set: func(r *rig) { r.reader.end = errBroken }, err: "decode frame 0: broke off"},
	{name: "decode fails", n: 3, set: func(r *rig) { r.reader.end = errFake }, err: "decode frame 3: fake trouble"},
	{name: "decode panics", n: 30, set: func(r *rig) { r.reader.panicAt = 17 }, err: "decode: panic: reader has a bug"},
	{name: "reader fails at its close", n: 30, set: func(r *rig) { r.reader.closeErr = errFake }, err: "decode: close reader: fake trouble"},
	{name: "start fails", n: 3, set: func(r *rig) { r.gen.startErr = errFake }, err: "start: generator for 6x4: fake trouble"},
	{name: "generate fails", n: 30, set: func(r *rig) { r.gen.failAt = 11 }, err: "generate frame 11: fake trouble"},
	{name: "generate panics", n: 30, set: func(r *rig) { r.gen.panicAt = 11 }, err: "generate: panic: generator has a bug"},
	{name: "output cannot be opened", n: 30, set: func(r *rig) { r.openW = errFake }, err: "encode: fake trouble"},
	{name: "encode fails", n: 30, set: func(r *rig) { r.writer.failAt = 5 }, err: "encode frame 5: fake trouble"},
	{name: "encode panics", n: 30, set: func(r *rig) { r.writer.panicAt = 5 }, err: "encode: panic: writer has a bug"},
	{name: "commit fails", n: 30, set: func(r *rig) { r.writer.commitErr = errFake }, err: "commit: fake trouble"},
	{name: "range", n: 30, set: func(r *rig) { r.clip.Start, r.clip.Frames = 10, 7 }, out: 7, first: 100},
	{name: "range past the end", n: 30, set: func(r *rig) { r.clip.Start, r.clip.Frames = 25, 7 }, out: 5, first: 250},
	{name: "range stops before the damage", n: 20, out: 20, set: func(r *rig) { r.reader.end, r.clip.Frames = errBroken, 20 }},
	{name: "range stops a decoder that then complains", n: 20, out: 5,
		set: func(r *rig) { r.reader.closeErr, r.clip.Frames = errFake, 5 }},
	{name: "range beyond the clip", n: 30, set: func(r *rig) { r.clip.Start = 31 },
		err: "decode: the clip ends after 30 frames, before the first one asked for (31)"},
	{name: "flow for a network that takes none", n: 3, set: func(r *rig) { r.clip.Flow = &fakeFlow{} }, err: "start: flow is measured"},
}

func TestClip(t *testing.T) {
	for _, c := range clipCases {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(c.n)
			if c.set != nil {
				c.set(r)
			}
			res, err := r.run(context.Background())
			r.clean(t)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("error %v, want %q", err, c.err)
				}
				var at *StageError
				if !errors.As(err, &at) {
					t.Errorf("%T is no StageError", err)
				}
				if r.writer.committed {
					t.Error("a failed clip was committed")
				}
				return
			}
			if err != nil || !r.writer.committed {
				t.Fatalf("committed: %v, error: %v", r.writer.committed, err)
			}
			if res.FramesIn != c.out || res.FramesOut != c.out || len(r.writer.pts) != c.out || res.Damaged != c.damaged {
				t.Errorf("result %+v and %d frames written, want %d, damaged %q", res, len(r.writer.pts), c.out, c.damaged)
			}
			for i, pts := range r.writer.pts {
				if want := c.first + int64(10*i); pts != want {
					t.Fatalf("frame %d has time %d, want %d", i, pts, want)
				}
			}
		})
	}
}

// TestClipStopped ends the context at every stage of a clip's life.
func TestClipStopped(t *testing.T) {
	for _, at := range []time.Duration{0, time.Millisecond, 5 * time.Millisecond, 20 * time.Millisecond} {
		r := newRig(30)
		r.reader.block = true
		r.gen.slow = time.Millisecond
		ctx, cancel := context.WithTimeoutCause(context.Background(), at, errFake)
		_, err := r.run(ctx)
		cancel()
		r.clean(t)
		if !errors.Is(err, errFake) && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("stopped after %v: got %v, want the cause", at, err)
		}
		if r.writer.committed {
			t.Errorf("stopped after %v: committed", at)
		}
	}
}

// TestClipMemory runs a long clip with a slow end and counts frames.
func TestClipMemory(t *testing.T) {
	r := newRig(2000)
	if _, err := r.run(context.Background()); err != nil {
		t.Fatal(err)
	}
	r.clean(t)
	if n := len(r.writer.frames); n > depth+2 {
		t.Errorf("%d output frames were allocated, want at most %d", n, depth+2)
	}
	if most := depth + 2; r.reader.most > most {
		t.Errorf("%d source frames were lent at once, want at most %d", r.reader.most, most)
	}
}

func TestClipStartForgets(t *testing.T) {
	first := newRig(20)
	if _, err := first.run(context.Background()); err != nil {
		t.Fatal(err)
	}
	second := newRig(20)
	second.clip.Generator = first.gen
	first.gen.thread = 0 // the thread may differ from clip to clip where no worker holds it
	if _, err := second.run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first.writer.values, second.writer.values); diff != "" {
		t.Error(diff)
	}
}

func TestClipFlow(t *testing.T) {
	r := newRig(30)
	g := &fakeFlowGenerator{fakeGenerator: r.gen}
	r.clip.Generator, r.clip.Flow = g, &fakeFlow{}
	res, err := r.run(context.Background())
	r.clean(t)
	if err != nil || res.FramesOut != 30 {
		t.Fatal(res, err)
	}
	for i, f := range g.flows {
		if i == 0 && f != nil || i > 0 && f.U[0] != 1 {
			t.Errorf("flow %d is %v, want one step to the frame before", i, f)
		}
	}
	r = newRig(30)
	r.clip.Generator, r.clip.Flow = &fakeFlowGenerator{fakeGenerator: r.gen}, &fakeFlow{failAt: 9}
	_, err = r.run(context.Background())
	r.clean(t)
	if err == nil || err.Error() != "flow frame 9: fake trouble" {
		t.Errorf("got %v", err)
	}
}

func TestClipEvents(t *testing.T) {
	r := newRig(50)
	r.gen.slow = 5 * time.Millisecond
	res, err := r.run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	first, last := r.events[0], r.events[len(r.events)-1]
	if first.Kind != KindClipStarted || first.Clip.Frames != 0 || first.Clip.Total != 50 || first.Clip.Width != 2*fakeW {
		t.Errorf("first event %+v", first.Clip)
	}
	if last.Kind != KindProgress || last.Clip.Frames != 50 || last.Clip.FPS <= 0 || last.Clip.ETA != 0 {
		t.Errorf("last event %+v", last.Clip)
	}
	if n, most := len(r.events), int(res.Wall/progressEvery.Seconds())+3; n < 3 || n > most {
		t.Errorf("%d events in %v seconds, want at most %d", n, res.Wall, most)
	}
	if !slices.IsSortedFunc(r.events, func(a, b Event) int { return a.Clip.Frames - b.Clip.Frames }) {
		t.Error("progress went back")
	}
	s := res.Stages
	if s.Generate < 0.25 || max(s.Generate, s.Decode, s.Encode) > res.Wall {
		t.Errorf("stages %+v of %v seconds", s, res.Wall)
	}
}

func TestTrim(t *testing.T) {
	info := newFakeReader(10).Info() // 0, 10 .. 90, 40 ms each
	cases := []struct {
		start, n int
		times    []int64
		ms       int
	}{
		{0, 0, info.Times, 400},
		{2, 0, info.Times[2:], 320},
		{2, 3, []int64{20, 30, 40}, 120},
		{0, 10, info.Times, 400},
		{8, 5, []int64{80, 90}, 80},
		{10, 5, []int64{}, 0},
		{99, 1, []int64{}, 0},
	}
	for _, c := range cases {
		got := trim(info, c.start, c.n)
		if diff := cmp.Diff(c.times, got.Times); diff != "" || got.Duration != time.Duration(c.ms)*time.Millisecond {
			t.Errorf("trim %d, %d: %v %s", c.start, c.n, got.Duration, diff)
		}
	}
}
