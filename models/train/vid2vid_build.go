package train

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/engine"
)

func (v *Vid2Vid) build() error {
	if err := v.allocate(); err != nil {
		return err
	}
	v.graphs = newGraphs(v.c)
	var err error
	for _, k := range v.c.kinds() {
		if err := v.prepare(k); err != nil {
			return err
		}
	}
	if v.render, err = v.graphs.rendering(); err != nil {
		return fmt.Errorf("rendering: %w", err)
	}
	if err := errors.Join(v.declare(v.render), v.compile(v.render)); err != nil {
		return fmt.Errorf("rendering: %w", err)
	}
	if err := errors.Join(v.buildApply(), v.buildMean()); err != nil {
		return err
	}
	for _, t := range v.time {
		if t.own {
			if err := v.count(t); err != nil {
				return err
			}
		}
	}
	slices.SortStableFunc(v.state, func(a, b State) int { return order(a.Model) - order(b.Model) })
	if err := v.initialise(); err != nil || v.mean == nil {
		return err
	}
	return v.restart()
}

// prepare makes the programs of a kind of chunk. Where a step is a frame they
// are few, and compiled at once.
func (v *Vid2Vid) prepare(k kind) error {
	var err error
	if v.g[k], err = v.graphs.generator(k); err == nil {
		err = v.declare(v.g[k])
	}
	if err != nil {
		return fmt.Errorf("generator: %w", err)
	}
	judges := k.judges()
	if _, ok := v.d[judges]; !ok {
		if err := v.prepareJudges(judges); err != nil {
			return fmt.Errorf("discriminator: %w", err)
		}
	}
	if v.c.chunk() > 1 {
		return nil
	}
	if err := v.compile(v.g[k]); err != nil {
		return fmt.Errorf("generator: %w", err)
	}
	for _, s := range []*step{v.d[judges], v.steep[judges], v.slopes[v.steep[judges]]} {
		if err := v.compile(s); err != nil {
			return fmt.Errorf("discriminator: %w", err)
		}
	}
	return nil
}

// programs are those of a kind, compiled, for the step after so many.
func (v *Vid2Vid) programs(k kind, done int) (g, d *step, err error) {
	if _, ok := v.g[k]; !ok { // what a clip ends with may be shorter
		if err := v.prepare(k); err != nil {
			return nil, nil, err
		}
	}
	g, d = v.g[k], v.d[k.judges()]
	if v.c.paysAt(done) {
		d = v.steep[k.judges()]
	}
	return g, d, errors.Join(v.outgrow(done), v.compile(g), v.compile(d), v.compile(v.slopes[d]))
}

// count makes room for the steps of an optimiser that counts them itself, and
// where gradients are collected for whether it has any.
func (v *Vid2Vid) count(t timeScale) error {
	b, err := v.dev.Alloc(tensor.Shape{min(2, v.c.accumulate())}, engine.F32)
	if err != nil {
		return err
	}
	name := t.d.prefix + "steps"
	v.vars[name] = b
	v.state = append(v.state, State{Name: name, Buffer: b})
	return zero(b)
}

// order puts the generator's weights first.
func order(model bool) int {
	if model {
		return 0
	}
	return 1
}

// declare makes the variables of a step that no earlier one has.
func (v *Vid2Vid) declare(s *step) error {
	if s == nil {
		return nil
	}
	v.all = append(v.all, s)
	for _, name := range s.variables() {
		if v.vars[name] != nil {
			continue
		}
		b, err := v.dev.Alloc(s.prog.Values[s.prog.Find(name)].Shape, engine.F32)
		if err != nil {
			return err
		}
		v.vars[name] = b
		v.state = append(v.state, State{Name: name, Model: v.isModel(name), Buffer: b})
	}
	v.motion = v.motion || s.prog.Find("flow") >= 0
	return nil
}

// compile makes a step's program executable, once, and binds what stays where
// it is.
func (v *Vid2Vid) compile(s *step) error {
	if s == nil || s.exe != nil {
		return nil
	}
	var err error
	if s.exe, err = v.dev.Compile(s.prog, v.c.Perceptual.options()); err != nil {
		return err
	}
	for _, name := range s.variables() {
		if err := s.exe.Bind(name, v.vars[name]); err != nil {
			return err
		}
	}
	for name, b := range v.in {
		if err := s.bind(name, b); err != nil {
			return err
		}
	}
	return nil
}

// isModel tells the generator's weights from the discriminators' and from what
// optimisers keep.
func isModel(name string) bool {
	return !strings.HasPrefix(name, "D.") && !strings.HasPrefix(name, facePrefix) && !strings.HasPrefix(name, "DT") &&
		!strings.HasSuffix(name, "adam_m") && !strings.HasSuffix(name, "adam_v") && !strings.HasSuffix(name, collected)
}

// isModel picks the generator's weights, or their means where there are some.
func (v *Vid2Vid) isModel(name string) bool {
	own, mean := strings.CutPrefix(name, emaPrefix)
	return mean == (v.c.EMA > 0) && isModel(own)
}

func (v *Vid2Vid) allocate() error {
	n, h, w := v.c.Batch, v.c.Height, v.c.Width
	needs := v.c.Generator.Needs()
	floats := func(c int) tensor.Shape { return tensor.Shape{n, c, h, w} }
	bytes := tensor.Shape{n, h, w, 3}
	var err error
	get := func(shape tensor.Shape, t engine.Type) engine.Buffer {
		if err != nil {
			return nil
		}
		var b engine.Buffer
		b, err = v.dev.Alloc(shape, t)
		return b
	}
	for _, adam := range []string{"adam", lateAdam, "dadam"} {
		v.in[adam+".h"] = get(tensor.Shape{2}, engine.F32)
	}
	long, chunk := needs.Past, v.c.chunk()
	v.present = make([][]bool, chunk)
	v.flows = []flowInput{{name: "flow", stride: 1}}
	for _, t := range v.time {
		long = max(long, t.reach())
		if t.adam != "dadam" {
			v.in[t.adam+".h"] = get(tensor.Shape{2}, engine.F32)
		}
		for _, f := range t.flows() {
			if !slices.Contains(v.flows, f) {
				v.flows = append(v.flows, f)
			}
		}
	}
	for j := range chunk {
		v.in[nth("real", j)] = get(bytes, engine.U8)
		v.in[nth("visible", j)] = get(floats(1), engine.F32)
		for _, f := range v.flows {
			v.in[nth(f.name, j)] = get(floats(2), engine.F32)
		}
		if _, on := v.c.faces(); on {
			side := v.c.faceSide()
			v.in[nth(faceAt, j)], v.in[nth(faceSeen, j)] = get(floats(2), engine.F32), get(tensor.Shape{n, 1, side, side}, engine.F32)
		}
	}
	for range (needs.Window + chunk - 1) * needs.Tiles() {
		v.labels = append(v.labels, get(bytes, engine.U8))
	}
	v.fake, v.raw = make([][]engine.Buffer, needs.Scales), make([][]engine.Buffer, chunk)
	for l := range v.fake {
		small := tensor.Shape{n, 3, h >> l, w >> l}
		for j := range v.raw {
			v.raw[j] = append(v.raw[j], get(small, engine.F32))
		}
		for range long + chunk {
			v.fake[l] = append(v.fake[l], get(small, engine.F32))
		}
	}
	for range long + chunk {
		v.real = append(v.real, get(floats(3), engine.F32))
	}
	return err
}

// initialise draws the weights, each from its own source.
func (v *Vid2Vid) initialise() error {
	done := map[string]bool{}
	var room []float32 // of one at a time: together they would be as large as the network
	for _, s := range v.all {
		for _, p := range s.params {
			if done[p.Name] {
				continue
			}
			done[p.Name] = true
			n := p.Shape.TotalSize()
			room = slices.Grow(room[:0], n)
			x := room[:n]
			clear(x)
			p.Fill(x, p.Rand(v.c.Seed))
			if err := v.vars[p.Name].Write(x); err != nil {
				return fmt.Errorf("initialise %s: %w", p.Name, err)
			}
		}
	}
	return direct(v.vars, v.c.Seed)
}
