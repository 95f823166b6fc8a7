package train

import (
	"context"
	"errors"
	"fmt"
	"slices"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/nn"
)

// features are what the encoder makes of the real frames, averaged over the
// instances of the control pictures, at full size; nil where there is none.
func (g pix2pixGraphs) features(b *nn.Builder) *G.Node {
	e := models.EncoderOf(g.p.Net)
	if e == nil {
		return nil
	}
	picture := func(name string) *G.Node {
		return b.FromBytes(b.InputBytes(name, g.p.Batch, g.p.Height, g.p.Width, 3), g.p.Height, g.p.Width, false)
	}
	return e.Encoded(b, picture("real"), picture("control"))
}

// made applies the generator.
func (g pix2pixGraphs) made(b *nn.Builder, control *G.Node) *G.Node {
	in := models.Inputs{Labels: control}
	if f := g.features(b); f != nil {
		in.Features = g.seenAt(b, f)
	}
	return g.s.net.Build(b, in).Final
}

// encoding is the encoder alone.
func (g pix2pixGraphs) encoding() *pictureGraph {
	s := g.start()
	s.output("features", g.features(s.b))
	return s
}

// buildEncoder compiles the encoder and makes room for its clusters.
func (t *Pix2Pix) buildEncoder() (err error) {
	e := models.EncoderOf(t.p.Net)
	if e == nil {
		return nil
	}
	if t.encode, err = t.add(pix2pixGraphs{t.c, t.p, t.stages[0]}.encoding(), nil); err != nil {
		return fmt.Errorf("encoder: %w", err)
	}
	labels := t.p.Net.Needs().Labels
	for name, shape := range map[string]tensor.Shape{
		models.ClusterTable: {labels, models.Clusters, e.OutputNC}, models.ClusterCounts: {labels},
	} {
		v := engine.Value{Name: name, Shape: shape, Type: engine.F32, Role: engine.Variable}
		if _, err := t.buffer(name, v); err != nil {
			return err
		}
	}
	return nil
}

// Encodes reports whether features of an encoder are learned.
func (t *Pix2Pix) Encodes() bool { return t.encode != nil }

// Cluster encodes samples and puts the features of their instances into clusters
// by label, as published: 10 a label, of the instances that are larger than a
// 64th of the picture. Labels without such take what they have. The clusters go
// into the model's state.
func (t *Pix2Pix) Cluster(ctx context.Context, samples []*Sample) error {
	e := models.EncoderOf(t.p.Net)
	if e == nil {
		return nil
	}
	labels := t.p.Net.Needs().Labels
	found := make([][]instance, labels)
	for _, s := range samples {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		all, err := t.instances(s, e.OutputNC)
		if err != nil {
			return fmt.Errorf("encode %s: %w", s.Clip, err)
		}
		for _, i := range all {
			if i.label < labels {
				found[i.label] = append(found[i.label], i)
			}
		}
	}
	table := make([]float32, labels*models.Clusters*e.OutputNC)
	counts := make([]float32, labels)
	for label, all := range found {
		centres := kmeans(worthwhile(all), models.Clusters, source(t.p.Seed, label, "clusters"))
		counts[label] = float32(len(centres))
		for k, centre := range centres {
			for c, v := range centre {
				table[(label*models.Clusters+k)*e.OutputNC+c] = float32(v)
			}
		}
	}
	return errors.Join(t.vars[models.ClusterTable].Write(table), t.vars[models.ClusterCounts].Write(counts))
}

// instance is one object of a picture.
type instance struct {
	label   int
	share   float64 // of the picture
	feature []float64
}

// leastShare is how much of a picture an instance must be to be clustered: half
// of a 32nd.
const leastShare = 1. / 64

// worthwhile are the features of large instances, or of all if none is.
func worthwhile(all []instance) [][]float64 {
	var features, large [][]float64
	for _, i := range all {
		features = append(features, i.feature)
		if i.share > leastShare {
			large = append(large, i.feature)
		}
	}
	if len(large) == 0 {
		return features
	}
	return large
}

// instances are those of a sample's last frame, in the order in which they
// appear.
func (t *Pix2Pix) instances(s *Sample, channels int) ([]instance, error) {
	last := len(s.A) - 1
	one := &Sample{A: s.A[last:], B: s.B[last:]}
	if err := errors.Join(t.upload(slices.Repeat([]*Sample{one}, t.p.Batch)), t.encode.exe.Run()); err != nil {
		return nil, err
	}
	x, err := readAll(t.encode.exe.Output(0))
	if err != nil {
		return nil, err
	}
	var all []instance
	size := t.p.Height * t.p.Width
	known := map[[3]byte]int{}
	for i := range size {
		id := [3]byte(s.A[last].Pix[3*i:])
		k, ok := known[id]
		if !ok {
			k = len(all)
			known[id] = k
			f := make([]float64, channels)
			for c := range f {
				f[c] = float64(x[c*size+i])
			}
			all = append(all, instance{label: int(id[0]), feature: f})
		}
		all[k].share += 1 / float64(size)
	}
	return all, nil
}
