package models_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/video"
)

// counted is a device that counts the runs of programs of several rows, and of
// others.
type counted struct {
	engine.Device
	together, alone atomic.Int64
	full            bool // it refuses programs of one row
}

type countedRun struct {
	engine.Executable
	runs *atomic.Int64
}

func (d *counted) Compile(p *engine.Program, o engine.Options) (engine.Executable, error) {
	runs := &d.alone
	if p.Find("label0@1") >= 0 {
		runs = &d.together
	} else if d.full {
		return nil, errors.New("no room")
	}
	e, err := d.Device.Compile(p, o)
	return countedRun{e, runs}, err
}

func (e countedRun) Run() error {
	e.runs.Add(1)
	return e.Executable.Run()
}

// made is what a clip has become: its frames in numbers.
type made [][]float32

var errStopped = errors.New("stopped by the test")

// act is one clip of a test: what happens before a frame may end it.
type act struct {
	frames []*video.Frame
	before func(t int) error
}

// perform runs a clip, frame by frame, on a runner of its own.
func perform(ctx context.Context, d engine.Device, m *models.Model, o models.RunOptions, a act) (out made, err error) {
	r := models.NewRunner(d, m, o)
	defer func() { err = errors.Join(err, r.Close()) }()
	w, h := a.frames[0].W, a.frames[0].H
	if w, h, err = r.Start(ctx, video.Info{Width: w, Height: h}); err != nil {
		return nil, err
	}
	defer r.Finish()
	dst := video.NewFrame(w, h)
	for t, src := range a.frames {
		if a.before != nil {
			if err := a.before(t); err != nil {
				return out, err
			}
		}
		if err := r.Generate(ctx, src, dst); err != nil {
			return out, err
		}
		last := models.LastFrame(r)
		x := make([]float32, last.Shape().TotalSize())
		if err := last.Read(x); err != nil {
			return out, err
		}
		out = append(out, x)
	}
	return out, nil
}

// sameAsAlone fails unless a clip is what it is alone, as far as it got.
func sameAsAlone(t *testing.T, name string, got, alone made) {
	t.Helper()
	for k := range got {
		for i, v := range got[k] {
			if d := math.Abs(float64(v - alone[k][i])); !(d <= 1e-5) {
				t.Errorf("%s: frame %d is %g off at %d", name, k, d, i)
				return
			}
		}
	}
}

func openTest(t *testing.T, path string) *models.Model {
	t.Helper()
	m, err := models.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// striped is a clip of n frames that begins at a place of its own.
func striped(w, h, from, n int) act {
	var a act
	for i := range n {
		a.frames = append(a.frames, control(w, h, from+i))
	}
	return a
}

// TestLockstepEqualsAlone: whatever the network and its normalisation, three
// clips of different contents and lengths are each what they are alone.
func TestLockstepEqualsAlone(t *testing.T) {
	small := models.Vid2Vid{InputNC: 3, NGF: 4, Downs: 1, Blocks: 2, Frames: 2, Norm: "batch"}
	instance, running, scales, flat, cars := small, small, small, small, small
	instance.Norm, running.Stats, scales.Scales, flat.NoFlow = "instance", "running", 2, true
	cars.LabelNC, cars.Edges, cars.FG, cars.FGLabels = 256, true, true, []int{3}
	global := models.Global{LabelNC: 256, Edges: true, OutputNC: 3, NGF: 2, Downs: 2, Blocks: 1, Norm: "instance", FeatNC: 2, NEF: 2, DownsE: 1}
	for i, c := range []struct {
		network string
		net     models.Network
	}{
		{"vid2vid", &small}, {"vid2vid", &instance}, {"vid2vid", &running}, {"vid2vid", &scales}, {"vid2vid", &flat}, {"vid2vid", &cars},
		{"pix2pixHD_global", &global},
		{"pix2pixHD_local", &models.Local{Global: models.Global{InputNC: 3, OutputNC: 3, NGF: 2, Downs: 1, Blocks: 1, Norm: "batch"}, LocalEnhancers: 1, LocalBlocks: 1}},
		{"pix2pixHD_z", &models.GlobalZ{InputNC: 3, OutputNC: 3, Z: 2, NGF: 2, Downs: 1, Blocks: 1, Norm: "batch"}},
		{"unet", &models.UNet{InputNC: 3, OutputNC: 3, NGF: 2, Levels: 5, Norm: "instance"}},
		{"resnet", &models.ResNet{InputNC: 3, OutputNC: 3, NGF: 2, Blocks: 1, Norm: "batch"}},
	} {
		m := openTest(t, random(t, c.network, c.net, false))
		for _, d := range open(t) {
			t.Run(fmt.Sprintf("%s%d/%s", c.network, i, d.Name()), func(t *testing.T) {
				lockstepEqualsAlone(t, &counted{Device: d}, m)
			})
		}
	}
}

// meeting makes n clips wait for one another before their first frames: on a busy
// machine one may otherwise be over before another has begun.
func meeting(n int) func(t int) error {
	var here atomic.Int64
	all := make(chan struct{})
	return func(t int) error {
		if t > 0 {
			return nil
		}
		if here.Add(1) == int64(n) {
			close(all)
		}
		select {
		case <-all:
			return nil
		case <-time.After(5 * time.Minute):
			return errors.New("the other clips do not begin")
		}
	}
}

func lockstepEqualsAlone(t *testing.T, d *counted, m *models.Model) {
	acts := []act{striped(20, 16, 0, 4), striped(20, 16, 50, 2), striped(20, 16, 90, 3)}
	var alone []made
	styled := func(i int) models.RunOptions { return models.RunOptions{Style: models.Style{Seed: uint64(i)}} }
	for i, a := range acts {
		one, err := perform(t.Context(), d, m, styled(i), a)
		if err != nil {
			t.Fatal(err)
		}
		alone = append(alone, one)
	}
	if d.together.Load() != 0 {
		t.Error("a clip alone took a program of several rows")
	}
	l := models.NewLockstep(3)
	got := make([]made, len(acts))
	var g errgroup.Group
	begun := meeting(len(acts))
	for i, a := range acts {
		g.Go(func() (err error) {
			a.before = begun
			o := styled(i)
			o.Lockstep = l
			got[i], err = perform(t.Context(), d, m, o, a)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for i := range acts {
		if len(got[i]) != len(acts[i].frames) {
			t.Errorf("clip %d has %d frames", i, len(got[i]))
		}
		sameAsAlone(t, fmt.Sprint("clip ", i), got[i], alone[i])
	}
	if d.together.Load() == 0 {
		t.Error("nothing ran together: the test says nothing")
	}
}

// TestLockstepGoesOnWithoutOthers: a clip that fails, is stopped, has to wait
// for its frames or begins anew does so for itself.
func TestLockstepGoesOnWithoutOthers(t *testing.T) {
	m := openTest(t, tiny(t, tinyNet(), false))
	for _, dev := range open(t) {
		t.Run(dev.Name(), func(t *testing.T) {
			leaks := goleak.IgnoreCurrent()
			d := &counted{Device: dev}
			stopped, stop := context.WithCancelCause(t.Context())
			defer stop(nil)
			othersDone := make(chan struct{})
			cut := striped(16, 16, 0, 5)
			for i := range cut.frames {
				cut.frames[i] = control(16, 16, 0)
				if i >= 3 {
					clear(cut.frames[i].Pix)
				}
			}
			acts := []act{striped(16, 16, 0, 6), cut, striped(16, 16, 20, 5), striped(16, 16, 30, 5), striped(16, 16, 40, 4)}
			acts[2].frames[2] = control(8, 16, 0)                                         // is refused
			acts[3].before = func(n int) error { stopIf(n == 2, stop); return nil }       // is stopped
			acts[4].before = func(n int) error { waitIf(n == 2, othersDone); return nil } // decodes slowly
			ctxs := []context.Context{t.Context(), t.Context(), t.Context(), stopped, t.Context()}
			o := models.RunOptions{Steady: models.Steady{Cuts: true}, Lockstep: models.NewLockstep(5)}
			got, errs := make([]made, len(acts)), make([]error, len(acts))
			var fast, slow errgroup.Group
			for i, a := range acts {
				g := &fast
				if i == 4 {
					g = &slow
				}
				g.Go(func() error { got[i], errs[i] = perform(ctxs[i], d, m, o, a); return nil })
			}
			fast.Wait()
			close(othersDone)
			slow.Wait()
			for i, want := range []string{"", "", "frame of 8x16", context.Canceled.Error(), ""} {
				if want == "" && errs[i] != nil || want != "" && (errs[i] == nil || !strings.Contains(errs[i].Error(), want)) {
					t.Errorf("clip %d ends with %v, want %q", i, errs[i], want)
				}
			}
			for i, n := range []int{6, 5, 2, 2, 4} {
				if len(got[i]) != n {
					t.Errorf("clip %d got to frame %d, want %d", i, len(got[i]), n)
				}
				acts[i].before, acts[i].frames = nil, acts[i].frames[:n]
				alone, err := perform(t.Context(), dev, m, models.RunOptions{Steady: o.Steady}, acts[i])
				if err != nil {
					t.Fatal(err)
				}
				sameAsAlone(t, fmt.Sprint("clip ", i), got[i], alone)
			}
			if d.together.Load() == 0 || d.alone.Load() < 2 {
				t.Errorf("%d steps together and %d alone: the test says nothing", d.together.Load(), d.alone.Load())
			}
			if err := goleak.Find(leaks); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestLockstepWaiterIsStopped: a clip that waits for another one's frame ends
// when it is told to, and the other goes on.
func TestLockstepWaiterIsStopped(t *testing.T) {
	m := openTest(t, tiny(t, tinyNet(), false))
	d := open(t)[0]
	o := models.RunOptions{Lockstep: models.NewLockstep(2)}
	ctx, stop := context.WithCancelCause(t.Context())
	info := video.Info{Width: 16, Height: 16}
	var rs [2]*models.Runner
	for i := range rs {
		rs[i] = models.NewRunner(d, m, o)
		defer rs[i].Close()
		if _, _, err := rs[i].Start(t.Context(), info); err != nil {
			t.Fatal(err)
		}
	}
	models.SetPatience(rs[0], time.Hour)
	time.AfterFunc(20*time.Millisecond, func() { stop(errStopped) })
	dst := video.NewFrame(16, 16)
	if err := rs[0].Generate(ctx, control(16, 16, 0), dst); !errors.Is(err, errStopped) {
		t.Errorf("the clip that waits ends with %v", err)
	}
	rs[0].Finish()
	if err := rs[1].Generate(t.Context(), control(16, 16, 0), dst); err != nil {
		t.Error(err)
	}
	alone, err := perform(t.Context(), d, m, models.RunOptions{}, striped(16, 16, 0, 1))
	if err != nil {
		t.Fatal(err)
	}
	got := make([]float32, len(alone[0]))
	if err := models.LastFrame(rs[1]).Read(got); err != nil {
		t.Fatal(err)
	}
	sameAsAlone(t, "the other clip", made{got}, alone)
}

// TestLockstepWithoutRoom: where the program of one row cannot be made the last
// clip goes on in the others'.
func TestLockstepWithoutRoom(t *testing.T) {
	m := openTest(t, tiny(t, tinyNet(), false))
	dev := open(t)[0]
	a := striped(16, 16, 0, 3)
	alone, err := perform(t.Context(), dev, m, models.RunOptions{}, a)
	if err != nil {
		t.Fatal(err)
	}
	d := &counted{Device: dev, full: true}
	got, err := perform(t.Context(), d, m, models.RunOptions{Lockstep: models.NewLockstep(2)}, a)
	if err != nil || len(got) != 3 || d.together.Load() != 3 {
		t.Errorf("%d frames in %d steps, %v", len(got), d.together.Load(), err)
	}
	sameAsAlone(t, "the clip", got, alone)
}

func stopIf(now bool, stop context.CancelCauseFunc) {
	if now {
		stop(errStopped)
	}
}

func waitIf(now bool, until <-chan struct{}) {
	if now {
		<-until
	}
}
