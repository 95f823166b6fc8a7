package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Run trains until o.Steps steps are done, in the run folder o.Dir. It returns
// after the last checkpoint and the model are written.
//
// When ctx ends, the samples in work are finished, a checkpoint is made and
// its cause returned. A loss that is no number, or beyond all bounds, ends the
// run with ErrDiverged; the checkpoints are then from before it. The Summary
// holds in every case.
func Run(ctx context.Context, o Options) (Summary, error) {
	o, err := o.resolved()
	if err != nil {
		return Summary{}, fmt.Errorf("train: %w", err)
	}
	dir, err := openFolder(o)
	if err != nil {
		return Summary{}, fmt.Errorf("train: %w", err)
	}
	r := &run{o: o, dir: dir, states: o.Trainer.State(),
		ckpt: checkpoints{dir: filepath.Join(o.Dir, ckptDir), keep: o.Keep, log: dir.log}}
	err = r.start()
	if err == nil {
		err = r.train(ctx)
	}
	if err != nil {
		dir.log.Error("stopped", "step", r.Step, "err", err)
		err = fmt.Errorf("train: %w", err)
	}
	return r.summary(), errors.Join(err, r.close())
}

// run is a run at work. One goroutine, that of Run, has it.
type run struct {
	progress
	o       Options
	dir     *folder
	ckpt    checkpoints
	states  []State
	metrics *metrics
	board   *tfEvents

	sheetSamples []*Sample
	videoSample  *Sample
	pace         pace
	drawn        []*Sample // the batch in work
	lr           float64   // of it
	epoch        int       // of it, from 1, where there are some
	started      time.Time
	spentBefore  float64 // seconds of earlier runs
	saved        int     // step of the newest checkpoint
	savedAt      time.Time
	lastPath     string
	bestPath     string
	modelPath    string
}

// start resumes what there is to resume and opens the files.
func (r *run) start() error {
	r.Config, r.Plan = r.dir.config, r.o.plan()
	last, err := r.ckpt.last()
	if err != nil {
		return err
	}
	if last != nil {
		if err := r.resume(last); err != nil {
			return err
		}
	} else if r.o.From != "" {
		n, unfit, err := adopt(r.o.From, r.states)
		if err != nil {
			return err
		}
		if len(unfit) > 0 {
			r.dir.log.Warn("weights had another shape in the run before and begin afresh: its network differs in more than its scales", "step", 0, "weights", len(unfit), "first", unfit[0])
		}
		r.dir.log.Info("begun from another run", "checkpoint", r.o.From, "weights", n)
	}
	r.saved, r.started, r.savedAt = r.Step, time.Now(), time.Now()
	if r.metrics, err = openMetrics(filepath.Join(r.o.Dir, metricsFile), r.Step); err != nil {
		return err
	}
	if r.board, err = createEvents(r.o.Dir, r.Step, time.Now); err != nil {
		return err
	}
	if err := r.dir.noteStart(r.Step, r.o.Env); err != nil {
		return err
	}
	e := Started{Dir: r.o.Dir, Step: r.Step, Steps: r.o.Steps,
		Clips: r.o.Data.Clips(), Frames: r.o.Data.Frames(), Spooled: r.o.Data.Spooled()}
	for _, s := range modelStates(r.states) {
		e.Parameters += s.Buffer.Shape().TotalSize()
	}
	if w, ok := r.o.Trainer.(warner); ok { // whoever calls is told by the trainer itself
		log := slog.New(slog.NewTextHandler(r.dir.file, nil))
		w.Warn(func(w Warning) { log.Warn(w.Text, "step", w.Step) })
	}
	r.dir.log.Info("started", "step", e.Step, "steps", e.Steps, "clips", e.Clips, "frames", e.Frames, "parameters", e.Parameters)
	r.o.Events(e)
	return nil
}

// resume takes over a checkpoint, if it is of this run.
func (r *run) resume(c *found) error {
	if c.Config != r.Config {
		return fmt.Errorf("checkpoint %s and %s disagree: %w", c.path, filepath.Join(r.o.Dir, configFile), ErrConfig)
	}
	d, err := planChanges(c.Plan, r.Plan)
	if err != nil {
		return err
	}
	if len(d) > 0 {
		return fmt.Errorf("run folder %s was begun otherwise: %s: %w", r.o.Dir, strings.Join(d, "; "), ErrConfig)
	}
	if err := restore(c.path, r.states); err != nil {
		return err
	}
	r.progress = c.progress
	r.spentBefore, r.lastPath = c.Spent, c.path
	all, _, err := r.ckpt.list()
	if b := best(all); err == nil && b != nil {
		r.bestPath = b.path
	}
	return err
}

func planChanges(was, now plan) ([]string, error) {
	var flat [2]map[string]any
	for i, p := range []plan{was, now} {
		b, err := json.Marshal(p)
		if err == nil {
			err = json.Unmarshal(b, &flat[i])
		}
		if err != nil {
			return nil, fmt.Errorf("compare plans: %w", err)
		}
	}
	return changed(flat[0], flat[1]), nil
}

// train takes the steps that are left.
func (r *run) train(ctx context.Context) error {
	if r.Step < r.o.Steps {
		if err := r.steps(ctx); err != nil {
			return err
		}
	}
	if err := r.saveModel(); err != nil {
		return err
	}
	s := r.summary()
	r.dir.log.Info("finished", "step", s.Step, "trained", s.Trained.Round(time.Second))
	r.o.Events(Finished{s})
	return nil
}

// steps draws batch after batch. What is written between two of them depends
// on the steps that were crossed, since a sample may take several.
func (r *run) steps(ctx context.Context) error {
	batches := startPrefetch(ctx, r.o.Data, drawing{r.o.Seed, r.o.Batch, r.o.Frames, r.o.table}, r.Sample)
	defer batches.close()
	for r.Step < r.o.Steps && ctx.Err() == nil {
		asked := time.Now()
		samples, err := batches.next(ctx)
		if err != nil && ctx.Err() != nil {
			break
		}
		before, sample := r.Step, r.Sample
		r.pace.wait += time.Since(asked)
		if err == nil {
			err = r.batch(ctx, samples)
		}
		if err != nil {
			return fmt.Errorf("step %d: %w", r.Step+1, err)
		}
		began := time.Now()
		end := r.Step >= r.o.Steps
		if n := r.o.SheetSteps; n > 0 && ctx.Err() == nil && (end || before/n != r.Step/n || r.epochEnds(sample)) {
			if err := errors.Join(r.writeSheet(ctx), r.writeVideo(ctx)); err != nil && ctx.Err() == nil {
				return fmt.Errorf("step %d: %w", r.Step, err)
			}
		}
		n := r.o.CheckpointSteps
		if end || before/n != r.Step/n || time.Since(r.savedAt) >= r.o.CheckpointEvery {
			if err := r.checkpoint(ctx); err != nil {
				return fmt.Errorf("step %d: %w", r.Step, err)
			}
		}
		r.pace.pause(time.Since(began))
	}
	if r.saved != r.Step {
		if err := r.checkpoint(ctx); err != nil {
			return fmt.Errorf("step %d: %w", r.Step, err)
		}
	}
	if r.Step >= r.o.Steps {
		return nil
	}
	return context.Cause(ctx)
}

// batch trains on one batch, to its end even when ctx ends meanwhile.
func (r *run) batch(ctx context.Context, samples []*Sample) error {
	r.drawn, r.lr = samples, r.rate()
	before := r.Step
	err := r.o.Trainer.Train(context.WithoutCancel(ctx), samples, Rates{LR: r.lr, Step: r.Step}, r.report)
	if err != nil {
		return err
	}
	if n := r.o.Trainer.Steps(len(samples[0].A)); r.Step-before != n {
		return fmt.Errorf("the trainer took %d steps on a sample that is worth %d", r.Step-before, n)
	}
	r.Sample += uint64(len(samples))
	return nil
}

// rate is the learning rate of the batch in work.
func (r *run) rate() float64 {
	if r.o.table == nil {
		return r.Plan.at(r.Step)
	}
	epoch := r.o.table.epoch(r.Sample)
	if r.epoch != epoch+1 {
		r.epoch = epoch + 1
		r.dir.log.Info("epoch", "step", r.Step, "number", r.epoch, "of", r.o.Epochs.count(), "frames", r.o.table.length(epoch))
	}
	return r.Plan.LR * r.o.Epochs.factor(epoch)
}

// epochEnds says whether the batch that began with a sample was an epoch's last.
func (r *run) epochEnds(sample uint64) bool {
	return r.o.table != nil && r.o.table.epoch(sample) != r.o.table.epoch(r.Sample)
}

// report is told the losses of every step.
func (r *run) report(losses []Loss) error {
	if err := r.Means.add(losses); err != nil {
		for _, s := range r.drawn {
			r.dir.log.Error("diverged on", "clip", s.Clip, "frame", s.Start)
		}
		return err
	}
	r.Step++
	r.pace.ran(time.Now())
	if r.Step%r.o.MetricSteps == 0 {
		rec := record{Step: r.Step, Sample: r.Sample, LR: r.lr, Losses: losses, Spent: r.spent()}
		if err := r.metrics.add(rec); err != nil {
			return err
		}
		if err := r.board.scalars(r.Step, append(losses[:len(losses):len(losses)], Loss{"lr", r.lr})); err != nil {
			return err
		}
	}
	e := Stepped{Step: r.Step, Steps: r.o.Steps, Losses: slices.Clone(losses), Smooth: r.Means.losses(), LR: r.lr,
		Rate: r.pace.rate(), DataWait: r.pace.dataWait()}
	if e.Rate > 0 {
		e.Left = time.Duration(float64(max(0, r.o.Steps-r.Step)) / e.Rate * float64(time.Second))
	}
	r.o.Events(e)
	return nil
}

// checkpoint saves everything. The metrics go first: a checkpoint stands for
// the lines up to it.
func (r *run) checkpoint(ctx context.Context) error {
	r.Score = nil
	if r.o.Validate != nil && ctx.Err() == nil {
		score, err := r.o.Validate(ctx)
		switch {
		case err == nil && finite([]float32{float32(score)}) == nil:
			r.Score = &score
		case err != nil && ctx.Err() == nil:
			return fmt.Errorf("validate: %w", err)
		}
	}
	if err := r.metrics.sync(); err != nil {
		return err
	}
	r.Spent = r.spent()
	path, err := r.ckpt.save(r.progress, r.states)
	if err != nil {
		return err
	}
	r.lastPath, r.saved, r.savedAt = path, r.Step, time.Now()
	e := CheckpointWritten{Step: r.Step, Path: path, Score: r.Score}
	if e.Score != nil {
		all, _, err := r.ckpt.list()
		if err != nil {
			return err
		}
		r.bestPath = best(all).path
		e.Best = r.bestPath == path
	}
	if err := r.saveModel(); err != nil {
		return err
	}
	r.dir.log.Info("checkpoint", "step", r.Step, "path", path, "losses", fmt.Sprint(r.Means.losses()))
	r.o.Events(e)
	return nil
}

func (r *run) saveModel() error {
	if r.o.SaveModel == nil {
		return nil
	}
	path := filepath.Join(r.o.Dir, modelFile)
	if err := r.o.SaveModel(path, modelStates(r.states)); err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	r.modelPath = path
	return nil
}

func modelStates(all []State) []State {
	var model []State
	for _, s := range all {
		if s.Model {
			model = append(model, s)
		}
	}
	return model
}

func (r *run) spent() float64 { return r.spentBefore + time.Since(r.started).Seconds() }

func (r *run) summary() Summary {
	s := Summary{Step: r.Step, Samples: r.Sample, Losses: r.Means.losses(),
		Checkpoint: r.lastPath, Best: r.bestPath, Model: r.modelPath}
	if !r.started.IsZero() {
		s.Trained = time.Duration(r.spent() * float64(time.Second))
	}
	return s
}

func (r *run) close() error {
	var errs []error
	if r.metrics != nil {
		errs = append(errs, r.metrics.close())
	}
	if r.board != nil {
		errs = append(errs, r.board.close())
	}
	return errors.Join(append(errs, r.dir.close())...)
}
