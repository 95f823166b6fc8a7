package models

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/nn"
	"github.com/v2v/v2v/models/op"
	"github.com/v2v/v2v/video"
)

// What a model file holds of an encoder beside the generator's weights: the
// encoder's own, Clusters feature vectors for each label, and how many of them
// there are.
const (
	EncoderPrefix = "netE."
	ClusterTable  = "features.clusters" // (labels, Clusters, feat_num)
	ClusterCounts = "features.counts"   // (labels)
	Clusters      = 10
)

// OfEncoder tells those from the generator's weights.
func OfEncoder(name string) bool {
	return strings.HasPrefix(name, EncoderPrefix) || name == ClusterTable || name == ClusterCounts
}

// EncoderOf is the encoder that a generator's model file holds, or nil.
func EncoderOf(net Network) *Encoder {
	var g *Global
	switch net := net.(type) {
	case *Global:
		g = net
	case *Local:
		g = &net.Global
	}
	if g == nil || g.NEF == 0 {
		return nil
	}
	return &Encoder{InputNC: g.OutputNC, OutputNC: g.FeatNC, NEF: g.NEF, Downs: g.DownsE, Norm: g.Norm, Stats: g.Stats}
}

// Encoded adds an encoder of pictures (N,3,H,W) to the graph, under its prefix,
// and averages its features over the instances of ids, pictures too.
func (e *Encoder) Encoded(b *nn.Builder, pictures, ids *G.Node) *G.Node {
	return b.InstanceMean(e.Build(b.In(EncoderPrefix), Inputs{Labels: pictures}).Final, ids)
}

// styleParameters adds what the model file holds of an encoder.
func styleParameters(b *nn.Builder, net Network, h, w int) {
	e := EncoderOf(net)
	if e == nil {
		return
	}
	e.Build(b.In(EncoderPrefix), Inputs{Labels: b.Input("picture", 1, e.InputNC, h, w)})
	labels := net.Needs().Labels
	b.Param(ClusterTable, nn.Zeros(), labels, Clusters, e.OutputNC)
	b.Param(ClusterCounts, nn.Zeros(), labels)
}

// Style says what features a network sees that wants an encoder's, or noise.
type Style struct {
	// Seed draws one of its label's clusters for each instance, the same in
	// every frame; for a network of noise, the noise. Where a model has no
	// clusters features are zeros, the middle of their range.
	Seed uint64
	// Real, where set, gives the real picture of each frame in turn, of the
	// control pictures' size; it is encoded, and released by who gave it at the
	// next call.
	Real func(ctx context.Context) (*video.Frame, error)
}

// stylist fills a runner's features, whose buffer stays the runner's. A nil one has nothing to do.
type stylist struct {
	r        *Runner
	features engine.Buffer
	h, w, c  int
	values   []float32
	clusters []float32 // of all labels; nil for none
	counts   []float32
	encoder  engine.Executable // nil where nothing is encoded
	in       []engine.Buffer   // its control picture and its real one
}

func newStylist(r *Runner, features engine.Buffer) (s *stylist, err error) {
	shape := features.Shape()
	s = &stylist{r: r, features: features, c: shape[1], h: shape[2], w: shape[3], values: make([]float32, shape.TotalSize())}
	e := EncoderOf(r.model.Net)
	_, noise := r.model.Net.(*GlobalZ)
	switch {
	case r.o.Style.Real != nil && e == nil:
		err = fmt.Errorf("a real picture is given, but the model holds no encoder")
	case r.o.Style.Real != nil:
		err = s.encoding(e)
	case e != nil:
		s.counts = make([]float32, r.needs.Labels)
		s.clusters = make([]float32, r.needs.Labels*Clusters*s.c)
		if err = r.model.Weight(ClusterTable, s.clusters); err == nil {
			err = r.model.Weight(ClusterCounts, s.counts)
		}
	case noise:
		s.draw()
		err = s.features.Write(s.values)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// encoding compiles the encoder.
func (s *stylist) encoding(e *Encoder) error {
	b := nn.NewBuilder(G.NewGraph(), nn.Options{PerFrame: true})
	picture := func(name string) *G.Node {
		return b.FromBytes(b.InputBytes(name, 1, s.r.h, s.r.w, 3), s.h, s.w, false)
	}
	ids := picture("label")
	final := e.Encoded(b, picture("real"), ids)
	if err := b.Err(); err != nil {
		return err
	}
	src := source(b)
	src.Outputs = []engine.Named{{Name: "features", Node: final}}
	p, err := engine.Lower(src)
	if err != nil {
		return err
	}
	r := s.r
	if s.encoder, err = r.dev.Compile(p, engine.Options{Precision: r.o.Precision, Constants: r.model.Weight, Source: fmt.Sprintf("%p encoder", r.model)}); err != nil {
		return err
	}
	for _, name := range []string{"label", "real"} {
		if err := r.alloc(&s.in, tensor.Shape{1, r.h, r.w, 3}, engine.U8); err != nil {
			return err
		}
		if err := s.encoder.Bind(name, s.in[len(s.in)-1]); err != nil {
			return err
		}
	}
	return s.encoder.Bind("features", s.features)
}

// draw fills every channel with one number of normal noise.
func (s *stylist) draw() {
	rng := rand.New(rand.NewPCG(s.r.o.Style.Seed, 0x7a))
	for c := range s.c {
		v := float32(rng.NormFloat64())
		plane := s.values[c*s.h*s.w:][:s.h*s.w]
		for i := range plane {
			plane[i] = v
		}
	}
}

// next fills the features of a frame, given its control picture.
func (s *stylist) next(ctx context.Context, src *video.Frame) error {
	switch {
	case s == nil:
		return nil
	case s.encoder != nil:
		real, err := s.r.o.Style.Real(ctx)
		if err != nil {
			return fmt.Errorf("the real picture of frame %d: %w", s.r.t, err)
		}
		if real.W != src.W || real.H != src.H {
			return fmt.Errorf("the real picture of frame %d is %dx%d, its control picture %dx%d", s.r.t, real.W, real.H, src.W, src.H)
		}
		if err := s.in[0].Write(src.Pix); err != nil {
			return err
		}
		if err := s.in[1].Write(real.Pix); err != nil {
			return err
		}
		return s.encoder.Run()
	case s.clusters == nil:
		return nil
	}
	s.pick(op.Tensor{Shape: tensor.Shape{1, src.H, src.W, 3}, B: src.Pix})
	return s.features.Write(s.values)
}

// pick gives every instance of a control picture a cluster of its label.
func (s *stylist) pick(p op.Tensor) {
	h, w, size := p.Shape[1], p.Shape[2], s.h*s.w
	chosen := map[[3]byte][]float32{}
	for i := range size {
		at := (min(i/s.w, h-1)*w + min(i%s.w, w-1)) * 3
		id := [3]byte(p.B[at:])
		v, ok := chosen[id]
		if !ok {
			v = s.cluster(id)
			chosen[id] = v
		}
		for c := range s.c {
			s.values[c*size+i] = v[c]
		}
	}
}

// cluster is the one that the seed gives to an instance: zeros where its label
// has none.
func (s *stylist) cluster(id [3]byte) []float32 {
	label, n := int(id[0]), 0
	if label < len(s.counts) {
		n = int(s.counts[label])
	}
	if n < 1 || n > Clusters {
		return make([]float32, s.c)
	}
	h := fnv.New64a()
	h.Write(id[:])
	k := rand.New(rand.NewPCG(s.r.o.Style.Seed, h.Sum64())).IntN(n)
	return s.clusters[(label*Clusters+k)*s.c:][:s.c]
}

func (s *stylist) close() error {
	if s == nil {
		return nil
	}
	var first error
	keep := func(err error) {
		if first == nil {
			first = err
		}
	}
	if s.encoder != nil {
		keep(s.encoder.Close())
	}
	for _, b := range s.in {
		keep(b.Close())
	}
	return first
}
