package train

import (
	"fmt"
	"strings"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/flow"
	"github.com/v2v/v2v/models/nn"
)

// timeScale is a temporal discriminator: it sees frames stride apart, the
// newest at t, and the flow from each to the one before.
type timeScale struct {
	d      discriminator
	adam   string // its optimiser
	own    bool   // which counts its steps itself
	frames int
	stride int
	from   int // first frame of a clip that is judged
	every  int // frames from one that is judged to the next
}

// timeScales lists the temporal discriminators there are.
func (c Vid2VidConfig) timeScales() []timeScale {
	if c.Weights.Temporal == 0 || c.Generator.NoFlow {
		return nil
	}
	var all []timeScale
	stride := 1
	for s := range max(1, c.D.Scales) {
		t := timeScale{d: discriminator{"DT.", c.D.net()}, adam: "dadam", frames: c.D.Frames, stride: stride, every: 1}
		orElse(&t.frames, 3)
		t.from = (t.frames - 1) * stride
		if c.D.Scales == 0 {
			t.from = 1
		}
		if c.D.Sparse {
			t.every = t.frames
		}
		switch {
		case s > 0:
			t.d.prefix, t.adam, t.own = fmt.Sprintf("DT%d.", s), fmt.Sprintf("dt%dadam", s), true
		case c.TTUR: // which leaves time alone
			t.adam = "dtadam"
		}
		all = append(all, t)
		stride *= t.frames
	}
	return all
}

// name is what its losses' names have in the middle.
func (s timeScale) name() string {
	return strings.Replace(strings.TrimSuffix(s.d.prefix, "."), "D", "", 1)
}

// at reports whether frame t of a clip is judged.
func (s timeScale) at(t int) bool { return t >= s.from && (t-s.from)%s.every == 0 }

// among reports whether any of the n frames from t on is judged.
func (s timeScale) among(t, n int) bool {
	for j := range n {
		if s.at(t + j) {
			return true
		}
	}
	return false
}

// reach is how many frames it looks back.
func (s timeScale) reach() int { return (s.frames - 1) * s.stride }

// flowInput is a measured flow that a graph reads: from the frame back frames
// before the current one, over stride frames.
type flowInput struct {
	name         string
	back, stride int
}

// flows are what it reads, the oldest first.
func (s timeScale) flows() []flowInput {
	var all []flowInput
	for j := s.frames - 2; j >= 0; j-- {
		f := flowInput{fmt.Sprintf("flow%d.%d", s.stride, j*s.stride), j * s.stride, s.stride}
		if s.stride == 1 && j < 2 {
			f.name = [2]string{"flow", "flowprev"}[j]
		}
		all = append(all, f)
	}
	return all
}

// sees is what it is shown: frames, and the flows between them in units of the
// flow head.
func (s timeScale) sees(b *nn.Builder, f frame, past []*G.Node, name string, now *G.Node) []*G.Node {
	var xs []*G.Node
	for j := s.frames - 1; j > 0; j-- {
		back := j * s.stride
		if back <= len(past) {
			xs = append(xs, past[len(past)-back])
		} else {
			xs = append(xs, b.Input(fmt.Sprintf("%s%d", name, back-f.at), now.Shape()...))
		}
	}
	xs = append(xs, now)
	for _, in := range s.flows() {
		shape := now.Shape().Clone()
		shape[1] = 2
		xs = append(xs, b.Scale(b.Input(nth(in.name, f.at), shape...), 1.0/20, 0))
	}
	return xs
}

// across is the flow from frame t to frame t-stride, as it was measured between
// the two, or chained where a sample has only that of neighbours. What is hidden
// in between leads a chain astray.
func across(s *Sample, t, stride int) (*flow.Field, error) {
	if far := s.Far[stride]; t >= stride && far != nil {
		return far[t], nil
	}
	return chained(s, t, stride)
}

// chained is the flow from frame t to frame t-stride, followed from frame to
// frame through those measured; before a clip nothing moves.
func chained(s *Sample, t, stride int) (*flow.Field, error) {
	if t < stride {
		return nil, nil
	}
	for i := range stride {
		if s.Flow == nil || s.Flow[t-i] == nil {
			return nil, fmt.Errorf("the sample has no measured flow")
		}
	}
	first := s.Flow[t]
	if stride == 1 {
		return first, nil
	}
	sum := flow.NewField(first.W, first.H)
	copy(sum.U, first.U)
	copy(sum.V, first.V)
	for i := 1; i < stride; i++ {
		next := s.Flow[t-i]
		for p := range sum.U {
			x, y := float32(p%sum.W)+sum.U[p], float32(p/sum.W)+sum.V[p]
			u, v := lookUp(next, x, y)
			sum.U[p], sum.V[p] = sum.U[p]+u, sum.V[p]+v
		}
	}
	return sum, nil
}

// lookUp is a field between its pixels, its border beyond.
func lookUp(f *flow.Field, x, y float32) (u, v float32) {
	x, y = min(max(x, 0), float32(f.W-1)), min(max(y, 0), float32(f.H-1))
	x0, y0 := int(x), int(y)
	x1, y1 := min(x0+1, f.W-1), min(y0+1, f.H-1)
	ax, ay := x-float32(x0), y-float32(y0)
	mix := func(a []float32) float32 {
		top := a[y0*f.W+x0]*(1-ax) + a[y0*f.W+x1]*ax
		low := a[y1*f.W+x0]*(1-ax) + a[y1*f.W+x1]*ax
		return top*(1-ay) + low*ay
	}
	return mix(f.U), mix(f.V)
}
