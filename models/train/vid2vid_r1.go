package train

import (
	"errors"
	"fmt"
	"strings"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/nn"
)

// realSight is what a discriminator is shown of real frames, and how many such there
// are in the chunk.
type realSight struct {
	sight
	d    discriminator
	over int
	face *face // whose it is
}

// sights are the real frames of a chunk as the image discriminator, that of
// faces and each temporal one see them. Control pictures and flow have no slope.
func (g vid2vidGraphs) sights(b *nn.Builder, k kind, fs []frame) []realSight {
	var all []realSight
	for j, f := range fs {
		if g.adversarial() {
			s := sight{name: nth("D", j), before: f.labels[len(f.labels)-1:], pictures: append(f.labels[:0:0], f.real)}
			all = append(all, realSight{sight: s, d: g.d, over: k.frames()})
		}
		if _, on := g.c.faces(); on {
			a := g.faceOf(b, f)
			s := sight{name: nth("D_f", j), before: []*G.Node{a.now}, pictures: []*G.Node{a.real}}
			all = append(all, realSight{sight: s, d: a.d, over: k.frames(), face: &a})
		}
		for _, t := range k.judging(g.time, j) {
			xs := t.sees(b, f, f.realPast, "realpast", f.real)
			s := sight{name: nth("D"+t.name(), j), pictures: xs[:t.frames], after: xs[t.frames:]}
			all = append(all, realSight{sight: s, d: t.d, over: k.judged(g.time, t)})
		}
	}
	return all
}

// penalise adds the R1 penalty of every discriminator that judges.
func (g vid2vidGraphs) penalise(t *terms, k kind, fs []frame) {
	for _, s := range g.sights(t.b, k, fs) {
		t.over = s.over
		x, v := s.whole(t.b), s.direction(t.b)
		if t.b.Err() != nil {
			return
		}
		for _, along := range s.d.net.Along(t.b.In(s.d.prefix), x, v) {
			if s.face != nil {
				along = s.face.where(along, 0)
			}
			t.add(strings.TrimSuffix(s.d.prefix, ".")+"_R1", g.c.penaltyWeight(), t.b.Mean(along))
		}
	}
}

// slope finds the slopes at the real frames. Outputs: one for each sight.
func (g vid2vidGraphs) slope(k kind) (*step, error) {
	t := g.start()
	b := t.b
	var sum []nn.Term
	var nudges []nn.Param
	for _, s := range g.sights(b, k, g.watched(b, k)) {
		x, nudge := s.nudged(b)
		if b.Err() != nil {
			break
		}
		verdict, _ := s.d.net.Learn(b.In(s.d.prefix), x)
		if b.Err() == nil {
			sum = append(sum, verdictSum(b, g.c.Batch, verdict)...)
		}
		nudges = append(nudges, nudge)
	}
	out := slopes(b, sum, nudges)
	p, err := lower(b, engine.Source{Outputs: out}, nil)
	if err != nil {
		return nil, err
	}
	if g.c.Recompute {
		engine.Recompute(p)
	}
	return &step{prog: p, params: b.Params(), extra: len(out)}, nil
}

// judges are the programs that discriminators learn by: the step, where some
// pay no penalty, and the step with it and what finds the slopes.
func (g vid2vidGraphs) judges(k kind) (plain, steep, slope *step, err error) {
	if g.c.R1 == 0 || r1Every(g.c.R1Every) > 1 {
		plain, err = g.judge(k, false)
	}
	if err != nil || g.c.R1 == 0 || !g.adversarial() && len(k.judging(g.time, -1)) == 0 {
		return plain, nil, nil, err
	}
	if steep, err = g.judge(k, true); err == nil {
		slope, err = g.slope(k)
	}
	return plain, steep, slope, err
}

// penaltyWeight makes up for the steps without a penalty.
func (c Vid2VidConfig) penaltyWeight() float32 { return c.R1 * float32(r1Every(c.R1Every)) }

// paysAt says whether the penalty is due at a step: once among every so many, at
// one that is drawn, because fixed ones might be the same frames of every clip,
// and some discriminators judge few of them.
func (c Vid2VidConfig) paysAt(step int) bool {
	every := r1Every(c.R1Every)
	return c.R1 > 0 && step%every == source(c.Seed, step/every, "r1").IntN(every)
}

// prepareJudges makes the programs of the discriminators.
func (v *Vid2Vid) prepareJudges(k kind) error {
	plain, steep, slope, err := v.graphs.judges(k)
	if err != nil {
		return err
	}
	v.d[k], v.steep[k] = plain, steep
	if steep != nil {
		v.slopes[steep] = slope
		if err := v.lend(slope); err != nil {
			return err
		}
	}
	return errors.Join(v.declare(plain), v.declare(steep), v.declare(slope))
}

// lend makes room for slopes, and the zeros by which they are found.
func (v *Vid2Vid) lend(s *step) error {
	for _, val := range s.prog.Values {
		if v.in[val.Name] != nil || !strings.HasPrefix(val.Name, slopePrefix) && !strings.HasPrefix(val.Name, nudgePrefix) {
			continue
		}
		b, err := v.dev.Alloc(val.Shape, engine.F32)
		if err != nil {
			return err
		}
		v.in[val.Name] = b
		if err := zero(b); err != nil {
			return err
		}
	}
	return nil
}

// findSlopes runs what a step with a penalty wants to know, on the n frames from
// t on.
func (v *Vid2Vid) findSlopes(d *step, t, n int) error {
	s := v.slopes[d]
	if s == nil {
		return nil
	}
	err := v.point(s, t, n)
	if err == nil {
		err = s.exe.Run()
	}
	if err != nil {
		return fmt.Errorf("r1 penalty: %w", err)
	}
	return nil
}
