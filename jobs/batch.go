package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/v2v/v2v/flow"
	"github.com/v2v/v2v/video"
)

// Options are what a batch works with. The three factories must be given; the
// rest is ready as zero.
type Options struct {
	OpenReader func(ctx context.Context, path string) (video.Reader, error)
	// NewWriter opens the output path; its Commit replaces what stands there.
	// Everything unfinished belongs into partDir, an empty folder on the same
	// file system that is removed when the clip ends, however it ends, or when
	// the next run starts.
	NewWriter func(ctx context.Context, path, partDir string, info video.Info, w, h int) (video.Writer, error)
	// NewGenerator makes a worker's own generator, on the worker's locked
	// thread. It is called before the worker's first clip, and again after a
	// clip that failed in the generator.
	NewGenerator func(ctx context.Context, worker int) (Generator, error)
	// Flow measures flow for networks that want it; used by all workers at once.
	Flow flow.Estimator

	Workers  int // clips at a time; 1 where zero, for a device is fed by one clip
	FailFast bool
	OnDamage OnDamage
	Start    int // of every clip, see Clip
	Frames   int
	// Together names what a clip has in common with those that are best run at
	// the same time: they are queued one after another. Nil keeps the plan's order.
	Together func(Item) string

	Queue  Queue       // NewQueue() where nil
	Events func(Event) // called one at a time
	Log    *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.Workers < 1 {
		o.Workers = 1
	}
	if o.Queue == nil {
		o.Queue = NewQueue()
	}
	if o.Events == nil {
		o.Events = func(Event) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Status is what became of a clip.
type Status string

const (
	StatusPending Status = "pending" // not reached, or stopped half way: nothing was written
	StatusSkipped Status = "skipped"
	StatusDone    Status = "done" // also where the input is damaged
	StatusFailed  Status = "failed"
)

// Row is one clip in the summary.
type Row struct {
	Input, Output string
	Status        Status
	Reason        string // why it was skipped or done again
	Damaged       string // what is wrong with the input of a clip that is done or skipped
	Err           error  // of a failed clip
	Unreadable    bool   // it failed because of its input
	Result        Result
}

// Summary is what became of a batch.
type Summary struct {
	Rows        []Row // in the plan's order
	Done        int   // converted by this run, damaged ones included
	Skipped     int
	Failed      int
	Damaged     int // clips done or skipped whose input is damaged
	Pending     int // clips not reached
	Frames      int // written
	Seconds     float64
	Interrupted bool // ctx ended before the batch did
}

var errFailFast = errors.New("another clip failed")

// Run works through a plan. The error is about the batch as a whole: the output
// folder, the lock (ErrLocked), a generator that cannot be made. A clip's
// failure is a row of the summary, and the others go on. Run returns when
// everything it started has ended. Where ctx ends first, clips in work leave
// nothing, and the summary says Interrupted.
func Run(ctx context.Context, plan *Plan, o Options) (sum Summary, err error) {
	o = o.withDefaults()
	began := time.Now()
	b := &batch{plan: plan.Options, o: o, rows: map[string]*Row{}}
	b.track = newTracker(plan.Items, o.Events)
	if len(plan.Items) > 0 {
		b.state, err = openState(plan.Options.OutDir)
		if err != nil {
			return sum, err
		}
		defer func() { err = errors.Join(err, b.state.close()) }()
	}
	sum.Rows = make([]Row, len(plan.Items))
	for i, it := range plan.Items {
		sum.Rows[i] = Row{Input: it.Input, Output: it.Output, Status: StatusPending, Reason: it.Reason}
		b.rows[clipID(it.Rel)] = &sum.Rows[i]
	}
	b.track.plan(plan.Items)
	err = b.run(ctx, plan.Items)
	for i, it := range plan.Items {
		sum.count(sum.Rows[i])
		if s := sum.Rows[i].Status; s == StatusFailed || s == StatusPending {
			b.state.prune(it.Rel)
		}
	}
	sum.Seconds = time.Since(began).Seconds()
	sum.Interrupted = ctx.Err() != nil && sum.Pending > 0
	b.track.finish(sum.Interrupted)
	return sum, err
}

func (s *Summary) count(r Row) {
	switch r.Status {
	case StatusDone:
		s.Done++
	case StatusSkipped:
		s.Skipped++
	case StatusFailed:
		s.Failed++
	case StatusPending:
		s.Pending++
	}
	if r.Damaged != "" {
		s.Damaged++
	}
	s.Frames += r.Result.FramesOut
}

// batch is one Run.
type batch struct {
	plan  PlanOptions
	o     Options
	state *state
	track *tracker
	rows  map[string]*Row // by job; a row is written by the worker that has the job
}

// run settles what needs no work, queues the rest and lets the workers at it.
func (b *batch) run(ctx context.Context, items []Item) error {
	work := 0
	for _, it := range b.o.queued(items) {
		switch it.Action {
		case ActionSkip:
			b.skip(b.rows[clipID(it.Rel)], it)
		case ActionFail:
			b.settle(b.rows[clipID(it.Rel)], it, 0, Result{}, &StageError{"open", -1, errors.New(it.Reason)})
		default:
			work++
			if err := b.o.Queue.Put(ctx, Job{ID: clipID(it.Rel), Item: it}); err != nil {
				return fmt.Errorf("queue %s: %w", it.Input, err)
			}
		}
	}
	if err := b.o.Queue.Close(); err != nil {
		return fmt.Errorf("close queue: %w", err)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if b.o.FailFast && b.anyFailed() {
		stop(errFailFast)
	}
	errs := make([]error, min(b.o.Workers, work))
	var wg sync.WaitGroup
	for n := range errs {
		wg.Go(func() { errs[n] = b.worker(ctx, n, stop) })
	}
	wg.Wait()
	left := slices.ContainsFunc(items, func(it Item) bool { return b.rows[clipID(it.Rel)].Status == StatusPending })
	if !left || ctx.Err() != nil {
		return nil // a worker that could not start matters only where its share was left
	}
	return cmp.Or(errs...)
}

// queued is the plan's items in the order in which they are taken: by what they
// have in common, in the order in which that comes first.
func (o Options) queued(items []Item) []Item {
	if o.Together == nil {
		return items
	}
	first, key := map[string]int{}, make(map[string]int, len(items))
	for i, it := range items {
		name := o.Together(it)
		if _, ok := first[name]; !ok {
			first[name] = i
		}
		key[it.Rel] = first[name]
	}
	items = slices.Clone(items)
	slices.SortStableFunc(items, func(a, b Item) int { return cmp.Compare(key[a.Rel], key[b.Rel]) })
	return items
}

func (b *batch) anyFailed() bool {
	for _, r := range b.rows {
		if r.Status == StatusFailed {
			return true
		}
	}
	return false
}

// worker takes jobs until there are none. It stays on one thread, so that a
// generator is made, used and closed on the same.
func (b *batch) worker(ctx context.Context, n int, stop context.CancelCauseFunc) (err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var gen Generator
	drop := func() {
		if gen == nil {
			return
		}
		if cerr := guard("close", gen.Close); cerr != nil {
			b.o.Log.Warn("close generator", "worker", n, "err", cerr)
		}
		gen = nil
	}
	defer drop()
	for {
		l, err := b.o.Queue.Next(ctx)
		if err == io.EOF || ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("worker %d: next job: %w", n, err)
		}
		if gen == nil {
			err := guard("start", func() (err error) { gen, err = b.o.NewGenerator(ctx, n); return err })
			if err != nil {
				gen = nil
				b.o.Log.Warn("worker cannot start", "worker", n, "err", err)
				return errors.Join(fmt.Errorf("worker %d: make generator: %w", n, err), l.Retry(ctx))
			}
		}
		row := b.rows[l.Job().ID]
		if b.clip(ctx, n, gen, row, l.Job().Item) {
			drop()
		}
		if row.Status == StatusPending {
			return l.Retry(ctx)
		}
		if err := l.Done(ctx); err != nil {
			return fmt.Errorf("worker %d: settle job: %w", n, err)
		}
		if row.Status == StatusFailed && b.o.FailFast {
			stop(errFailFast)
		}
	}
}

// clip does one job and says whether its generator is to be replaced.
func (b *batch) clip(ctx context.Context, n int, gen Generator, row *Row, it Item) (broken bool) {
	b.plan.decide(ctx, &it) // the plan may be hours old
	if it.Action == ActionSkip {
		b.skip(row, it)
		return false
	}
	row.Reason = it.Reason
	var res Result
	err := guard("open", func() (err error) {
		res, err = b.convert(ctx, n, gen, it)
		return err
	})
	if err != nil && ctx.Err() != nil {
		b.track.stopped(it.Rel)
		return false // stopped, not failed; the row stays pending
	}
	b.settle(row, it, n, res, err)
	var at *StageError
	return errors.As(err, &at) && (at.Stage == "start" || at.Stage == "generate")
}

// convert makes one output and then its sidecar: the order that lets a run be
// killed in between.
func (b *batch) convert(ctx context.Context, n int, gen Generator, it Item) (Result, error) {
	input, err := b.plan.printer().take(ctx, it.Input)
	if err != nil {
		return Result{}, &StageError{"open", -1, err}
	}
	id := clipID(it.Rel)
	part := filepath.Join(b.state.parts(), id)
	for _, dir := range []string{part, filepath.Dir(it.Output)} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return Result{}, &StageError{"encode", -1, fmt.Errorf("prepare output: %w", err)}
		}
	}
	defer os.RemoveAll(part)
	r, err := b.o.OpenReader(ctx, it.Input)
	if err != nil {
		return Result{}, &StageError{"open", -1, err}
	}
	c := &Clip{
		Input: it.Input, Output: it.Output, Reader: r, Generator: gen, Flow: b.o.Flow,
		NewWriter: func(ctx context.Context, info video.Info, w, h int) (video.Writer, error) {
			return b.o.NewWriter(ctx, it.Output, part, info, w, h)
		},
		OnDamage: b.o.OnDamage, Start: b.o.Start, Frames: b.o.Frames,
	}
	res, err := c.Run(ctx, func(e Event) { b.track.clip(it.Rel, n, e) })
	if err != nil {
		return res, err
	}
	// The output stands: from here on an ending ctx must not keep its record.
	made, err := printOutput(context.WithoutCancel(ctx), it.Output)
	if err != nil {
		return res, &StageError{"commit", -1, fmt.Errorf("the writer left no readable output: %w", err)}
	}
	s := sidecar{Schema: sidecarSchema, Output: it.Rel, Input: input, Model: b.plan.Model, Options: b.plan.Options,
		Made: made, Result: res, Written: time.Now()}
	if err := s.write(sidecarPath(b.plan.OutDir, id), part); err != nil {
		return res, &StageError{"commit", -1, err}
	}
	return res, nil
}

// skip records a clip that needs no work.
func (b *batch) skip(row *Row, it Item) {
	row.Status, row.Reason, row.Damaged = StatusSkipped, it.Reason, it.Damaged
	e := newEvent(KindClipSkipped)
	e.Clip = &ClipState{Input: it.Input, Output: it.Output, Reason: it.Reason, Damaged: it.Damaged}
	b.track.row(it.Rel, *row, e)
}

// settle records how a clip ended.
func (b *batch) settle(row *Row, it Item, worker int, res Result, err error) {
	row.Status, row.Result, row.Damaged, row.Err = StatusDone, res, res.Damaged, err
	if err != nil {
		row.Status, row.Damaged, row.Result = StatusFailed, "", Result{}
		var at *StageError
		row.Unreadable = errors.As(err, &at) && (at.Stage == "open" || at.Stage == "decode")
		var p *PanicError
		if errors.As(err, &p) {
			b.o.Log.Error("clip panicked", "input", it.Input, "panic", p.Value, "stack", string(p.Stack))
		}
	}
	e := ClipEvent(&Clip{Input: it.Input, Output: it.Output}, res, err)
	e.Clip.Worker, e.Clip.Reason = worker, row.Reason
	b.track.row(it.Rel, *row, e)
}
