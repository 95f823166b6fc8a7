package train

import (
	"fmt"
	"slices"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/nn"
)

// A chunk is the frames of a clip that the generator makes between two steps
// (max_frames_per_gpu of the published code). Its programs are unrolled: each
// frame is made of those before it, losses are means over the chunk.

// frame are the inputs that a frame brings to the graphs, and what was there
// before it.
type frame struct {
	at            int         // its place in the chunk
	labels, prev  []*G.Node   // oldest first
	coarse        [][]*G.Node // prev of the coarser scales, that of half the size first
	real          *G.Node
	realPrev      []*G.Node
	flow, visible *G.Node

	past, realPast []*G.Node // prev and realPrev, and all of the chunk before it
	made           *G.Node   // what the G step has left, for discriminators
}

// nth is the name of what belongs to a frame of a chunk, by its place.
func nth(name string, j int) string {
	if j == 0 {
		return name
	}
	return fmt.Sprintf("%s@%d", name, j)
}

// inputs makes the leaves of a graph. Pictures come as bytes, what was made
// before as the float buffers it was left in.
func (g vid2vidGraphs) inputs(b *nn.Builder) frame {
	n, h, w := g.c.Batch, g.c.Height, g.c.Width
	needs := g.c.Generator.Needs()
	f := g.own(b, 0)
	f.coarse = make([][]*G.Node, needs.Scales-1)
	for i := range needs.Past {
		f.prev = append(f.prev, b.Input(fmt.Sprintf("prev%d", i), n, 3, h, w))
		f.realPrev = append(f.realPrev, b.Input(fmt.Sprintf("realprev%d", i), n, 3, h, w))
		for k := range f.coarse {
			l := k + 1
			f.coarse[k] = append(f.coarse[k], b.Input(levelled(fmt.Sprintf("prev%d", i), l), n, 3, h>>l, w>>l))
		}
	}
	f.past, f.realPast = f.prev, f.realPrev
	return f
}

// own are the inputs of frame j of a chunk alone.
func (g vid2vidGraphs) own(b *nn.Builder, j int) frame {
	n, h, w := g.c.Batch, g.c.Height, g.c.Width
	f := frame{at: j}
	for i := range g.c.Generator.Needs().Window {
		f.labels = append(f.labels, g.control(b, i+j))
	}
	f.real = b.FromBytes(b.InputBytes(nth("real", j), n, h, w, 3), h, w, false)
	f.flow, f.visible = b.Input(nth("flow", j), n, 2, h, w), b.Input(nth("visible", j), n, 1, h, w)
	return f
}

// after is the frame that follows f, which became out.
func (g vid2vidGraphs) after(b *nn.Builder, f frame, out models.Outputs) frame {
	next := g.own(b, f.at+1)
	next.prev, next.past = shifted(f.prev, out.Final), append(slices.Clip(f.past), out.Final)
	next.realPrev, next.realPast = shifted(f.realPrev, f.real), append(slices.Clip(f.realPast), f.real)
	for i, o := range out.Coarse {
		next.coarse = append(next.coarse, shifted(f.coarse[i], o.Final))
	}
	return next
}

func shifted(xs []*G.Node, x *G.Node) []*G.Node { return append(slices.Clone(xs[1:]), x) }

// unroll makes the frames of a chunk. Every so many of them what was made
// before becomes a constant: through time no gradient goes further.
func (g vid2vidGraphs) unroll(b *nn.Builder, k kind) (fs []frame, made []models.Outputs) {
	f := g.inputs(b)
	for j := range k.frames() {
		if j > 0 {
			f = g.after(b, f, made[j-1])
		}
		if j%k.back == 0 {
			for _, xs := range append([][]*G.Node{f.prev}, f.coarse...) {
				for i := range xs {
					xs[i] = b.Detach(xs[i])
				}
			}
		}
		net := g.c.Generator
		if k.first && j == 0 {
			net.NoFlow = true
		}
		fs, made = append(fs, f), append(made, g.generated(b, net, f))
	}
	return fs, made
}

// watched are the frames of a chunk as discriminators are shown them.
func (g vid2vidGraphs) watched(b *nn.Builder, k kind) []frame {
	var fs []frame
	f := g.inputs(b)
	for j := range k.frames() {
		if j > 0 {
			f = g.after(b, f, models.Outputs{Final: f.made})
		}
		f.made = b.Input(nth("fake", j), g.c.Batch, 3, g.c.Height, g.c.Width)
		fs = append(fs, f)
	}
	return fs
}

// kind is what makes the programs of a chunk differ from those of another.
type kind struct {
	first bool   // of a clip
	fixed bool   // the finest spatial scale alone learns
	back  int    // frames that gradients go back over through time, the chunk's at most
	time  string // for each frame the set of time scales that judge, a bit each
}

// frames is how many there are in the chunk.
func (k kind) frames() int { return len(k.time) }

// kinds lists all that whole chunks of a clip can have, however long it is.
func (c Vid2VidConfig) kinds() []kind {
	scales := c.timeScales()
	last, period := 1+c.begins(), 1
	for _, s := range scales {
		last, period = max(last, s.reach()+s.every+s.frames), period*s.every
	}
	n := c.chunk()
	if n > 1 {
		last += n * period
	}
	var all []kind
	for t := c.begins(); t <= last; t += n {
		for _, p := range c.phases() {
			if k := kindAt(scales, t, n, p.fixed).through(p.back); !slices.Contains(all, k) {
				all = append(all, k)
			}
		}
	}
	return all
}

// kindAt is the kind of the n frames from t on, through which no gradient goes
// back in time.
func kindAt(scales []timeScale, t, n int, fixed bool) kind {
	sets := make([]byte, n)
	for j := range sets {
		for i, s := range scales {
			if s.at(t + j) {
				sets[j] |= 1 << i
			}
		}
	}
	return kind{first: t == 0, fixed: fixed, back: 1, time: string(sets)}
}

// judging are the time scales that judge frame j of the chunk; any, where j is
// negative.
func (k kind) judging(all []timeScale, j int) []timeScale {
	var some []timeScale
	for i, s := range all {
		for at := range len(k.time) {
			if (at == j || j < 0) && k.time[at]>>i&1 == 1 {
				some = append(some, s)
				break
			}
		}
	}
	return some
}

// judged is how many frames of the chunk a time scale judges.
func (k kind) judged(all []timeScale, s timeScale) int {
	n := 0
	for j := range len(k.time) {
		for _, other := range k.judging(all, j) {
			if other.d.prefix == s.d.prefix {
				n++
			}
		}
	}
	return n
}

func (c Vid2VidConfig) chunk() int { return max(1, c.Chunk) }

func (c Vid2VidConfig) accumulate() int { return max(1, c.Accumulate) }
