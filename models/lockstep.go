package models

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/engine"
)

// Lockstep lets runners that were made with it run as one batch where their
// clips have one size: of so many clips at most. Clips of other sizes, models,
// devices or precisions are batches of their own; what else differs (seeds,
// styles, where a clip begins anew) is each clip's own affair.
//
// A step starts when every clip in work has a frame, and waits no longer for
// those that have none than the row of a batch costs: leaving one out costs as
// much. A clip that missed a step is not waited for again until it comes by
// itself. What it had ready of its past stays its own, so it goes on where it
// was. A clip that has the batch for itself runs in a program of one row, which
// is made when that is first so; two or more run in the whole one, with rows
// that nobody reads.
type Lockstep struct {
	n      int
	mu     sync.Mutex
	groups []*group
}

// NewLockstep makes batches of n clips, 1 or more.
func NewLockstep(n int) *Lockstep { return &Lockstep{n: max(n, 1)} }

// How long a step waits for clips without a frame: at first, before anything
// was measured, and at least, for that is what waking up may take on a machine
// that is busy.
const (
	firstPatience = 100 * time.Millisecond
	leastPatience = 5 * time.Millisecond
)

// alike is what runners of one batch have in common.
type alike struct {
	dev       engine.Device
	model     *Model
	h, w      int
	precision engine.Precision
	floor     float32
}

// group is the runners of one batch.
type group struct {
	alike
	n       int
	shapes  bufferShapes
	members []*Runner // touched under the Lockstep's lock

	mu       sync.Mutex // who holds it has the programs to himself
	active   []*Runner  // whose clips are in work
	programs map[int]*rowProgram
	spare    *buffers // of rows that nobody reads
	patience time.Duration
	crowded  bool // there is no room for the program of one row
}

// rowProgram is a compiled program of some rows.
type rowProgram struct {
	engine.Executable
	prog *engine.Program
	rows []row
}

// turn is a runner's place in its group, touched under the group's lock.
type turn struct {
	done chan error // where it waits for a step; nil where it does not
	late bool       // it missed a step, and is not waited for
}

// join gives a runner a place among those alike, and makes the program ready.
func (l *Lockstep) join(r *Runner, a alike) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, g := range l.groups {
		if g.alike == a && len(g.members) < g.n {
			g.members, r.g = append(g.members, r), g
			return nil
		}
	}
	g := &group{alike: a, n: l.n, programs: map[int]*rowProgram{}, patience: firstPatience}
	p, err := g.program(l.n)
	if err != nil {
		return err
	}
	g.shapes = shapesOf(p, a.model.Net.Needs(), a.h, a.w)
	g.members, r.g = append(g.members, r), g
	l.groups = append(l.groups, g)
	return nil
}

// part gives up a runner's place; the last one frees the programs.
func (l *Lockstep) part(r *Runner) error {
	g := r.g
	if g == nil {
		return nil
	}
	r.Finish()
	r.g = nil
	l.mu.Lock()
	defer l.mu.Unlock()
	g.members = slices.DeleteFunc(g.members, func(m *Runner) bool { return m == r })
	if len(g.members) > 0 {
		return nil
	}
	l.groups = slices.DeleteFunc(l.groups, func(o *group) bool { return o == g })
	var first error
	for _, p := range g.programs {
		if err := p.Close(); first == nil {
			first = err
		}
	}
	if err := g.spare.close(); first == nil {
		first = err
	}
	return first
}

// program is the one of n rows, made where it is not there yet.
func (g *group) program(n int) (*rowProgram, error) {
	if p := g.programs[n]; p != nil {
		return p, nil
	}
	prog, err := rowsProgram(g.model.Net, n, g.h, g.w, g.floor)
	if err != nil {
		return nil, err
	}
	exe, err := g.dev.Compile(prog, engine.Options{Precision: g.precision, Constants: g.model.Weight, Source: fmt.Sprintf("%p", g.model)})
	if err != nil {
		return nil, err
	}
	g.programs[n] = &rowProgram{exe, prog, rowsOf(n)}
	return g.programs[n], nil
}

// enter says that a runner's clip has begun: the others wait for its frames.
func (g *group) enter(r *Runner) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r.turn = turn{}
	g.active = append(g.active, r)
}

// leave says that a runner's clip has ended, and lets the others go on.
func (g *group) leave(r *Runner) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := len(g.active)
	g.active = slices.DeleteFunc(g.active, func(a *Runner) bool { return a == r })
	if len(g.active) < n {
		g.runIfComplete()
	}
}

// step makes the frame that r has bound what it is made of: its next one, as
// soon as the others have theirs or the group's patience ends. The goroutine
// that completes a step runs it for all. Where ctx ends first r goes without.
func (g *group) step(ctx context.Context, r *Runner) error {
	done := make(chan error, 1)
	timer := time.NewTimer(g.wait(r, done))
	defer timer.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-timer.C:
			g.goOn(r)
		case <-ctx.Done():
			if g.withdraw(r) {
				return context.Cause(ctx)
			}
			return <-done
		}
	}
}

// wait makes r one of those that wait and returns how long it should.
func (g *group) wait(r *Runner, done chan error) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	r.turn = turn{done: done}
	g.runIfComplete()
	return g.patience
}

// goOn runs a step without those that have no frame, if r still waits for it.
func (g *group) goOn(r *Runner) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r.turn.done != nil {
		g.run()
	}
}

// withdraw reports whether r waited still; it does no more.
func (g *group) withdraw(r *Runner) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	waited := r.turn.done != nil
	r.turn.done = nil
	return waited
}

func (g *group) runIfComplete() {
	waiting := false
	for _, r := range g.active {
		waiting = waiting || r.turn.done != nil
		if r.turn.done == nil && !r.turn.late {
			return
		}
	}
	if waiting {
		g.run()
	}
}

// run makes a frame of every clip that waits for one.
func (g *group) run() {
	var now []*Runner
	for _, r := range g.active {
		if r.turn.done != nil {
			now = append(now, r)
		} else {
			r.turn.late = true
		}
	}
	err := fmt.Errorf("the step that makes frames of %d clips has panicked", len(now))
	defer func() { // whoever waits hears of a panic too
		for _, r := range now {
			r.turn.done <- err
			r.turn.done = nil
		}
	}()
	err = g.execute(now)
}

func (g *group) execute(now []*Runner) error {
	n := g.n
	if len(now) == 1 && !g.crowded && (len(g.active) == 1 || g.programs[1] != nil) {
		n = 1
	}
	p, err := g.program(n)
	if err != nil && n < g.n {
		g.crowded, n = true, g.n // a second program does not fit in; the first one serves too
		p, err = g.program(n)
	}
	if err != nil {
		return err
	}
	for k, row := range p.rows {
		if k < len(now) {
			err = now[k].bind(p, row)
		} else {
			err = g.bindSpare(p, row)
		}
		if err != nil {
			return err
		}
	}
	began := time.Now()
	if err := p.Run(); err != nil {
		return err
	}
	if n == g.n {
		g.patience = max(leastPatience, time.Since(began)/time.Duration(n))
	}
	return nil
}

// bindSpare gives a row that nobody reads buffers that nobody else has.
func (g *group) bindSpare(p *rowProgram, r row) (err error) {
	if g.spare == nil {
		if g.spare, err = newBuffers(g.dev, g.shapes); err != nil {
			return err
		}
	}
	return g.spare.bind(p, r, frameAt{})
}

// bufferShapes are those of a clip's own buffers.
type bufferShapes struct {
	needs    Needs
	picture  tensor.Shape
	levels   []tensor.Shape // of frames, the finest first
	features tensor.Shape   // nil where the network wants none
	raw      bool           // there are raw frames
}

func shapesOf(p *rowProgram, needs Needs, h, w int) bufferShapes {
	first := p.rows[0]
	s := bufferShapes{needs: needs, picture: tensor.Shape{1, h, w, 3}, raw: p.prog.Find(first.of("raw")) >= 0}
	for level := range needs.Scales {
		s.levels = append(s.levels, p.prog.Values[p.prog.Find(first.of(at("final", level)))].Shape)
	}
	if v := p.prog.Find(first.of("features")); v >= 0 {
		s.features = p.prog.Values[v].Shape
	}
	return s
}
