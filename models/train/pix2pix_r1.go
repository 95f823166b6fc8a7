package train

import (
	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/nn"
)

// scales is the discriminator at several of them.
func (d Pix2PixD) scales() models.MultiscaleD {
	norm := nn.Instance
	if d.Norm == "batch" {
		norm = nn.Batch
	}
	return models.MultiscaleD{NDF: d.NDF, Layers: d.Layers, NumD: d.NumD, Norm: norm}
}

// patches is the discriminator at one, of what has the channels of x.
func (d Pix2PixD) patches(x *G.Node) *models.PatchGAN {
	return &models.PatchGAN{InputNC: x.Shape()[1], NDF: d.NDF, Layers: d.Layers, Norm: d.Norm}
}

// sight is the frame beside the control picture, which has no slope.
func (g pix2pixGraphs) sight(control, real *G.Node) sight {
	return sight{name: levelled("D", g.s.halved), before: []*G.Node{control}, pictures: []*G.Node{real}}
}

// penalise adds the R1 penalty.
func (g pix2pixGraphs) penalise(s *pictureGraph, control, real *G.Node) {
	seen, b := g.sight(control, real), s.b
	x, v := seen.whole(b), seen.direction(b)
	if b.Err() != nil {
		return
	}
	var along []*G.Node
	if g.c.D.NumD > 0 {
		along = g.c.D.scales().Along(b.In("D."), x, v)
	} else {
		along = []*G.Node{g.c.D.patches(x).Along(b.In("D."), x, v)}
	}
	for _, a := range along {
		s.terms.add("R1", g.c.penaltyWeight(), b.Mean(a))
	}
}

// slope finds the slope of the discriminator at real frames. Output: slope.
func (g pix2pixGraphs) slope() *pictureGraph {
	s := g.start()
	x, nudge := g.sight(g.control(s.b), g.real(s.b)).nudged(s.b)
	verdict := g.verdict(s.b, x)
	if s.b.Err() == nil {
		s.extra = slopes(s.b, verdictSum(s.b, g.p.Batch, verdict), []nn.Param{nudge})
	}
	return s
}

// penaltyWeight makes up for the steps without a penalty.
func (c Pix2PixConfig) penaltyWeight() float32 { return c.R1 * float32(r1Every(c.R1Every)) }

// buildPenalty compiles the discriminator's step with the penalty, if there is
// one, and what finds the slope for it.
func (t *Pix2Pix) buildPenalty(graphs pix2pixGraphs) error {
	if t.c.R1 == 0 {
		return nil
	}
	s, name := graphs.s, graphs.sight(nil, nil).name
	var err error
	if s.dr, err = t.add(graphs.discriminator(true), nil); err != nil {
		return err
	}
	if s.sl, err = t.add(graphs.slope(), nil); err != nil {
		return err
	}
	nudge := t.in[nudgePrefix+name]
	if err := nudge.Write(make([]float32, nudge.Shape().TotalSize())); err != nil {
		return err
	}
	return t.hand(s.sl, slopePrefix+name)
}
