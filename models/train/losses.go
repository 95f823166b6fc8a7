package train

import (
	"slices"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/nn"
)

// Weights are the factors of vid2vid's loss terms (vid2vid, section 3.3 and
// the published options). A factor of 0 leaves the term out.
type Weights struct {
	GAN      float32 `toml:"gan"`      // the image discriminator takes the picture for real
	Features float32 `toml:"features"` // its features of made and real pictures agree
	// Perceptual is of: VGG19's features agree, where its weights are named; 0 is
	// the published 10.
	Perceptual float32 `toml:"perceptual,omitempty"`
	Temporal   float32 `toml:"temporal"` // the temporal discriminator takes three frames for real
	// Face is of the terms of a discriminator of faces, beside those of gan and
	// features; 0 is the published 2.
	Face     float32 `toml:"face,omitempty"`
	L1       float32 `toml:"l1"`        // the picture itself agrees; stands in for the perceptual loss
	Flow     float32 `toml:"flow"`      // the flow head agrees with the measured flow
	FlowWarp float32 `toml:"flow_warp"` // the real previous frame moved by the flow head agrees with the real one
	Warp     float32 `toml:"warp"`      // the made frame agrees with the made previous one moved by the measured flow
	Mask     float32 `toml:"mask"`      // the mask prefers warping where the flow holds
}

// DefaultWeights are vid2vid's, with pix2pix's L1 in place of the perceptual
// loss, scaled to a comparable size.
func DefaultWeights() Weights {
	return Weights{GAN: 1, Features: 10, Temporal: 1, L1: 10, Flow: 10, FlowWarp: 10, Warp: 10, Mask: 1}
}

// terms collects named loss terms and their factors.
type terms struct {
	b     *nn.Builder
	loss  string // adversarial: lsgan, which "" is too, hinge or vanilla
	over  int    // frames that what is added is the mean of; 0 is 1
	names []string
	parts []nn.Term
	keeps []nn.Update // of variables that learn from no loss
}

// add appends a term; terms of one name are added up.
func (t *terms) add(name string, weight float32, node *G.Node) {
	if weight == 0 {
		return
	}
	weight /= float32(max(t.over, 1))
	for i, n := range t.names {
		if n == name {
			t.parts[i] = nn.Term{Weight: 1, Node: t.b.Combine(t.parts[i], nn.Term{Weight: weight, Node: node})}
			return
		}
	}
	t.names = append(t.names, name)
	t.parts = append(t.parts, nn.Term{Weight: 1, Node: t.b.Scale(node, weight, 0)})
}

// total is the weighted sum of all terms.
func (t *terms) total() *G.Node { return t.b.Combine(t.parts...) }

// gan is a discriminator's adversarial loss of its verdicts on what is real or
// not, added up over its scales: least squares (Mao et al. 2017), hinge (Lim and
// Ye 2017) or the vanilla cross entropy (Goodfellow et al. 2014).
func (t *terms) gan(name string, weight float32, verdict [][]*G.Node, real bool) {
	target, sign := float32(0), float32(1)
	if real {
		target, sign = 1, -1
	}
	for _, scale := range verdict {
		x := scale[len(scale)-1]
		switch t.loss {
		case "hinge":
			t.add(name, weight, t.b.Mean(t.b.ReLU(t.b.Scale(x, sign, 1))))
		case "vanilla":
			t.add(name, weight, t.b.BCE(x, target))
		default:
			t.add(name, weight, t.b.MSE(x, target))
		}
	}
}

// fool is the generator's side of gan.
func (t *terms) fool(name string, weight float32, verdict [][]*G.Node) {
	if t.loss != "hinge" {
		t.gan(name, weight, verdict, true)
		return
	}
	for _, scale := range verdict {
		t.add(name, weight, t.b.Scale(t.b.Mean(scale[len(scale)-1]), -1, 0))
	}
}

// features is the feature matching loss (pix2pixHD, equation 4): L1 over every
// layer but the last, 4/(layers+1) and 1/scales as published.
func (t *terms) features(name string, weight float32, fake, real [][]*G.Node) {
	for i := range fake {
		layers := len(fake[i]) - 1
		w := weight * 4 / float32(layers) / float32(len(fake))
		for j := range layers {
			t.add(name, w, t.b.L1(fake[i][j], real[i][j]))
		}
	}
}

// masked is L1 of x and y where conf (N,1,H,W) is 1, averaged over all pixels.
func (t *terms) masked(name string, weight float32, x, y, conf *G.Node) {
	if weight != 0 {
		t.add(name, weight, t.b.L1(t.b.Mul(x, conf), t.b.Mul(y, conf)))
	}
}

// discriminator describes a discriminator and applies it under a prefix.
type discriminator struct {
	prefix string
	net    models.MultiscaleD
}

func (d discriminator) on(b *nn.Builder, xs ...*G.Node) [][]*G.Node {
	return d.net.Build(b.In(d.prefix), b.Concat(1, xs...))
}

// learns is on, where it is the discriminator's own step.
func (t *terms) learns(d discriminator, xs ...*G.Node) [][]*G.Node {
	verdict, updates := d.net.Learn(t.b.In(d.prefix), t.b.Concat(1, xs...))
	for _, u := range updates {
		if !slices.ContainsFunc(t.keeps, func(k nn.Update) bool { return k.Var == u.Var }) {
			t.keeps = append(t.keeps, u)
		}
	}
	return verdict
}
