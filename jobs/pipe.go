package jobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/v2v/v2v/flow"
	"github.com/v2v/v2v/video"
)

const (
	// depth is how many frames may wait between two stages: enough to hide the
	// jitter of a decoder, small enough that a 4K clip holds few frames.
	depth = 4
	// progressEvery bounds the progress events of a clip: ten a second look
	// smooth on a terminal and do not flood a log.
	progressEvery = 100 * time.Millisecond
)

// packet is an owned source frame with its backward flow, where measured.
type packet struct {
	frame *video.Frame
	back  *flow.Field
}

// pipe is one run of a Clip. Each field of res is written by one stage.
type pipe struct {
	clip   *Clip
	events func(Event)
	began  time.Time

	info   video.Info
	writer video.Writer
	pool   *video.Pool // output frames: one generated, depth waiting, one encoded

	decoded   chan packet
	measured  chan packet // the same channel as decoded where no flow is wanted
	generated chan *video.Frame

	res      Result
	reported time.Time
	whole    bool // the reader has said io.EOF
	closed   bool // so has its Close been called
}

// convert is Clip.Run.
func (p *pipe) convert(ctx context.Context) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	p.began = time.Now()
	err := guard("start", func() error { return p.run(ctx) })
	cerr := p.closeReader()
	if err == nil {
		err = cerr
	}
	p.res.Wall = time.Since(p.began).Seconds()
	return err
}

// run opens the output, moves every frame through the stages, and commits.
func (p *pipe) run(ctx context.Context) (err error) {
	c := p.clip
	if _, ok := c.Generator.(FlowGenerator); c.Flow != nil && !ok {
		return &StageError{"start", -1, errNoFlow}
	}
	p.info = trim(c.Reader.Info(), c.Start, c.Frames)
	w, h, err := c.Generator.Start(ctx, p.info)
	if err != nil {
		return &StageError{"start", -1, fmt.Errorf("generator for %dx%d: %w", p.info.Width, p.info.Height, err)}
	}
	defer p.finish()
	p.writer, err = c.NewWriter(ctx, p.info, w, h)
	if err != nil {
		return &StageError{"encode", -1, err}
	}
	defer func() {
		if cerr := p.writer.Close(); err == nil && cerr != nil {
			err = &StageError{"encode", -1, fmt.Errorf("close writer: %w", cerr)}
		}
	}()
	p.res.Width, p.res.Height = w, h
	p.pool = video.NewPool(w, h, depth+2)
	p.emit(KindClipStarted)
	if err := p.stages(ctx); err != nil {
		return err
	}
	if p.res.FramesOut != p.res.FramesIn {
		return &StageError{"commit", -1, fmt.Errorf("%d frames in but %d out", p.res.FramesIn, p.res.FramesOut)}
	}
	if err := p.closeReader(); err != nil {
		return err
	}
	defer clock(&p.res.Stages.Encode)()
	if err := p.writer.Commit(ctx); err != nil {
		return &StageError{"commit", -1, err}
	}
	return nil
}

// closeReader closes the reader the first time it is called. A decoder that
// complains at the end of a clip it called sound is believed, and that before
// anything is committed; one that was stopped early may well complain.
func (p *pipe) closeReader() error {
	if p.closed {
		return nil
	}
	p.closed = true
	if err := p.clip.Reader.Close(); err != nil && p.whole {
		return &StageError{"decode", -1, fmt.Errorf("close reader: %w", err)}
	}
	return nil
}

// stages runs all stages and returns the first error, after every one of them
// has returned and every frame has gone back to its pool.
func (p *pipe) stages(ctx context.Context) error {
	group, within := errgroup.WithContext(ctx)
	stage := func(name string, f func(context.Context) error) func() error {
		return func() error { return guard(name, func() error { return f(within) }) }
	}
	p.decoded = make(chan packet, depth)
	p.measured = p.decoded
	p.generated = make(chan *video.Frame, depth)
	if p.clip.Flow != nil {
		p.measured = make(chan packet, depth)
		group.Go(stage("flow", p.measure))
	}
	group.Go(stage("decode", p.decode))
	group.Go(stage("encode", p.encode))
	// The generator stays on the caller's locked thread; its error joins those
	// of the other stages and stops them.
	generated := stage("generate", p.generate)()
	group.Go(func() error { return generated })
	err := group.Wait()
	if err == nil {
		err = context.Cause(ctx)
	}
	for pk := range p.decoded {
		pk.frame.Release()
	}
	for pk := range p.measured {
		pk.frame.Release()
	}
	for f := range p.generated {
		f.Release()
	}
	return err
}

// decode reads the frames asked for. A stage closes the channel it sends on
// when it returns, for whatever reason, so the one below needs no ctx to stop.
func (p *pipe) decode(ctx context.Context) error {
	defer close(p.decoded)
	c := p.clip
	var damage error
	n := 0
	for ; c.Frames == 0 || n < c.Start+c.Frames; n++ {
		f, err := p.next(ctx)
		if err == io.EOF {
			p.whole = true
			break
		}
		if errors.Is(err, video.ErrDamaged) && c.OnDamage == DamageKeep {
			damage = err
			break
		}
		if err != nil {
			return &StageError{"decode", n, err}
		}
		if n < c.Start {
			f.Release()
			continue
		}
		if err := send(ctx, p.decoded, packet{frame: f}); err != nil {
			f.Release()
			return err
		}
		p.res.FramesIn++
	}
	switch {
	case p.res.FramesIn > 0 && damage != nil:
		p.res.Damaged = damage.Error()
	case p.res.FramesIn > 0:
	case damage != nil:
		return &StageError{"decode", n, damage}
	case n > 0:
		return &StageError{"decode", -1, fmt.Errorf("the clip ends after %d frames, before the first one asked for (%d)", n, c.Start)}
	default:
		return &StageError{"decode", -1, video.ErrNoFrames}
	}
	return nil
}

func (p *pipe) next(ctx context.Context) (*video.Frame, error) {
	defer clock(&p.res.Stages.Decode)()
	return p.clip.Reader.Next(ctx)
}

// measure adds to each frame the flow from it to the one before.
func (p *pipe) measure(ctx context.Context) error {
	defer close(p.measured)
	var prev *video.Frame // our own copy: the frame itself has moved on
	n := 0
	for pk := range p.decoded {
		if err := p.measureOne(ctx, n, &pk, prev); err != nil {
			return err
		}
		if prev == nil {
			prev = video.NewFrame(pk.frame.W, pk.frame.H)
		}
		copy(prev.Pix, pk.frame.Pix)
		if err := send(ctx, p.measured, pk); err != nil {
			pk.frame.Release()
			return err
		}
		n++
	}
	return nil
}

func (p *pipe) measureOne(ctx context.Context, n int, pk *packet, prev *video.Frame) (err error) {
	if prev == nil {
		return nil
	}
	done := false
	defer func() {
		if !done {
			pk.frame.Release()
		}
	}()
	defer clock(&p.res.Stages.Flow)()
	pk.back, err = p.clip.Flow.Estimate(ctx, pk.frame, prev)
	if err != nil {
		return &StageError{"flow", n, err}
	}
	done = true
	return nil
}

// generate is the stage that owns the device.
func (p *pipe) generate(ctx context.Context) error {
	defer close(p.generated)
	defer p.finish() // while the last frames are still being encoded
	n := 0
	for pk := range p.measured {
		f, err := p.generateOne(ctx, n, pk)
		if err != nil {
			return err
		}
		if err := send(ctx, p.generated, f); err != nil {
			f.Release()
			return err
		}
		n++
	}
	return nil
}

func (p *pipe) finish() {
	if f, ok := p.clip.Generator.(Finisher); ok {
		f.Finish()
	}
}

func (p *pipe) generateOne(ctx context.Context, n int, pk packet) (*video.Frame, error) {
	defer pk.frame.Release()
	dst, err := p.pool.Get(ctx)
	if err != nil {
		return nil, err
	}
	done := false
	defer func() {
		if !done {
			dst.Release()
		}
	}()
	defer clock(&p.res.Stages.Generate)()
	dst.PTS = pk.frame.PTS
	if p.clip.Flow == nil {
		err = p.clip.Generator.Generate(ctx, pk.frame, dst)
	} else {
		err = p.clip.Generator.(FlowGenerator).GenerateFlow(ctx, pk.frame, dst, pk.back)
	}
	if err != nil {
		return nil, &StageError{"generate", n, err}
	}
	done = true
	return dst, nil
}

func (p *pipe) encode(ctx context.Context) error {
	for f := range p.generated {
		if err := p.encodeOne(ctx, f); err != nil {
			return err
		}
		p.res.FramesOut++
		if time.Since(p.reported) >= progressEvery || p.res.FramesOut == p.info.Frames() {
			p.reported = time.Now()
			p.emit(KindProgress)
		}
	}
	return nil
}

func (p *pipe) encodeOne(ctx context.Context, f *video.Frame) error {
	defer f.Release()
	defer clock(&p.res.Stages.Encode)()
	if err := p.writer.Write(ctx, f); err != nil {
		return &StageError{"encode", p.res.FramesOut, err}
	}
	return nil
}

// emit reports how far the clip is. It is called before the encode stage
// starts and then by that stage alone.
func (p *pipe) emit(k Kind) {
	e := newEvent(k)
	done, total := p.res.FramesOut, p.info.Frames()
	fps := perSecond(done, time.Since(p.began).Seconds())
	e.Clip = &ClipState{Input: p.clip.Input, Output: p.clip.Output, Width: p.res.Width, Height: p.res.Height,
		Frames: done, Total: total, FPS: fps, ETA: remaining(done, total, fps)}
	p.events(e)
}

// send hands v on, or gives up with the reason why ctx ended.
func send[T any](ctx context.Context, ch chan<- T, v T) error {
	select {
	case ch <- v:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// clock adds the time until the returned function is called to seconds.
func clock(seconds *float64) func() {
	t := time.Now()
	return func() { *seconds += time.Since(t).Seconds() }
}
