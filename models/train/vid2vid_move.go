package train

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/nn"
	"github.com/v2v/v2v/models/op"
)

// What moves weights beside the steps on a chunk: where gradients of several
// chunks are collected the optimisers have programs of their own, and so have
// the means of the generator's weights.

// collected ends the names of gradients that are being averaged.
const collected = ".collected"

// collect adds a chunk's share to the mean of the gradients.
func (g vid2vidGraphs) collect(b *nn.Builder, l learned, grads G.Nodes) []nn.Update {
	share := 1 / float32(g.c.accumulate())
	var updates []nn.Update
	for i, p := range l.params {
		if b.Err() != nil {
			return nil
		}
		mean := b.Input(p.Name+collected, p.Shape...)
		updates = append(updates, nn.Update{Var: mean, New: b.Add(mean, b.Scale(grads[i], share, 0))})
	}
	return updates
}

// applying is the step of an optimiser on what was collected, which it forgets.
func (g vid2vidGraphs) applying(l learned) (*step, error) {
	b := nn.NewBuilder(G.NewGraph(), nn.Options{})
	grads := make(G.Nodes, len(l.params))
	params := make([]nn.Param, len(l.params))
	for i, p := range l.params {
		p.Node = b.Param(p.Name, p.Init, p.Shape...)
		grads[i] = b.Input(p.Name+collected, p.Shape...)
		params[i] = p
	}
	updates := nn.Adam(b, params, grads, g.adam(l.adam))
	for _, mean := range grads {
		updates = append(updates, nn.Update{Var: mean, New: b.Scale(mean, 0, 0)})
	}
	p, err := lower(b, engine.Source{}, updates)
	return &step{prog: p}, err
}

// buildApply makes the programs that move weights by collected gradients.
func (v *Vid2Vid) buildApply() error {
	if v.c.accumulate() == 1 {
		return nil
	}
	of, done := map[string]*learned{}, map[string]bool{}
	for _, s := range v.all {
		for _, l := range s.learned {
			if of[l.adam] == nil {
				of[l.adam] = &learned{adam: l.adam}
			}
			for _, p := range l.params {
				if !done[p.Name] {
					done[p.Name] = true
					of[l.adam].params = append(of[l.adam].params, p)
				}
			}
		}
	}
	v.apply = map[string]*step{}
	for _, name := range slices.Sorted(maps.Keys(of)) {
		s, err := v.graphs.applying(*of[name])
		if err == nil {
			err = errors.Join(v.declare(s), v.compile(s))
		}
		if err != nil {
			return fmt.Errorf("optimiser %s: %w", name, err)
		}
		v.apply[name] = s
	}
	return nil
}

// averaging is a step of the means of the generator's weights. They are Adam's
// first moment of the weights.
func (g vid2vidGraphs) averaging(params []nn.Param) (*step, error) {
	b := nn.NewBuilder(G.NewGraph(), nn.Options{})
	var updates []nn.Update
	for _, p := range params {
		mean := b.Input(emaPrefix+p.Name, p.Shape...)
		next, err := op.Apply(op.AdamM{Beta: g.c.EMA}, mean, b.Param(p.Name, p.Init, p.Shape...))
		if err != nil {
			return nil, err
		}
		updates = append(updates, nn.Update{Var: mean, New: next})
	}
	p, err := lower(b, engine.Source{}, updates)
	return &step{prog: p}, err
}

func (v *Vid2Vid) buildMean() error {
	if v.c.EMA == 0 {
		return nil
	}
	var err error
	if v.mean, err = v.graphs.averaging(v.render.params); err == nil {
		err = errors.Join(v.declare(v.mean), v.compile(v.mean))
	}
	if err != nil {
		return fmt.Errorf("means of the weights: %w", err)
	}
	for _, p := range v.render.params {
		if err := v.render.exe.Bind(p.Name, v.vars[emaPrefix+p.Name]); err != nil {
			return err
		}
	}
	return nil
}

// move lets the optimisers take the step that is due after a chunk, and the
// means of the weights follow.
func (v *Vid2Vid) move(done int) error {
	every := v.c.accumulate()
	if (done+1)%every != 0 {
		return nil
	}
	for _, s := range v.apply {
		if err := s.exe.Run(); err != nil {
			return err
		}
	}
	if v.mean == nil {
		return nil
	}
	if moved := (done + 1) / every; moved&(moved-1) == 0 && float64(moved) <= 1/(1-float64(v.c.EMA)) {
		return v.restart() // the first weights of all are not worth remembering
	}
	return v.mean.exe.Run()
}

// restart begins the means anew, from the weights.
func (v *Vid2Vid) restart() error {
	for _, p := range v.render.params {
		x := make([]float32, p.Shape.TotalSize())
		if err := v.vars[p.Name].Read(x); err != nil {
			return err
		}
		if err := v.vars[emaPrefix+p.Name].Write(x); err != nil {
			return fmt.Errorf("mean of %s: %w", p.Name, err)
		}
	}
	return nil
}

// Weight is the name of the state that holds a weight of the model.
func (v *Vid2Vid) Weight(name string) string {
	if v.c.EMA > 0 {
		return emaPrefix + name
	}
	return name
}
