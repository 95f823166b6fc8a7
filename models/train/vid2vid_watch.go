package train

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/nn"
)

// verdict says whose verdict an output of a program is, and on what.
type verdict struct {
	judge string // D, D_f, DT or DT1 and on
	real  bool
	at    int  // number of the output
	face  bool // where the frame shows one
	frame int  // its place in the chunk
}

// verdicts collects the logits of a discriminator, a scale each.
type verdicts struct {
	all   []verdict
	extra []engine.Named
}

func (v *verdicts) add(judge string, real bool, scales [][]*G.Node) {
	for i, scale := range scales {
		v.all = append(v.all, verdict{judge: judge, real: real, at: len(v.extra)})
		v.extra = append(v.extra, engine.Named{Name: fmt.Sprintf("verdict %d of %s at scale %d", len(v.extra), judge, i), Node: scale[len(scale)-1]})
	}
}

// maskMean is the name of the mean of the mask among what is measured.
const maskMean = "W_mean"

// isMeasure tells what is only looked at from the losses.
func isMeasure(name string) bool {
	return isLength(name) || name == maskMean || strings.HasSuffix(name, "_acc")
}

// gradientLengths are the squared lengths of the gradients of the generator, of
// the image discriminator, of that of faces and of each temporal one.
func gradientLengths(b *nn.Builder, params []nn.Param, grads G.Nodes) []engine.Named {
	squares := map[string][]nn.Term{}
	var names []string
	for i, g := range grads {
		name := "G_norm"
		if prefix, _, _ := strings.Cut(params[i].Name, "."); strings.HasPrefix(params[i].Name, "D.") || strings.HasPrefix(params[i].Name, facePrefix) || strings.HasPrefix(prefix, "DT") {
			name = prefix + "_norm"
		}
		if squares[name] == nil {
			names = append(names, name)
		}
		squares[name] = append(squares[name], nn.Term{Weight: float32(params[i].Shape.TotalSize()), Node: b.MSE(g, 0)})
	}
	var all []engine.Named
	for _, name := range names {
		all = append(all, engine.Named{Name: name, Node: b.Combine(squares[name]...)})
	}
	return all
}

// Warn adds one who is told when training goes wrong.
func (v *Vid2Vid) Warn(tell func(Warning)) { v.tell = append(v.tell, tell) }

var vid2vidRemedies = remedies{
	d:        "a smaller discriminator.rate or ndf, or more clips",
	g:        "a larger discriminator.rate or ndf",
	gradient: `loss = "hinge", or a smaller discriminator.rate`,
}

// observe turns what was measured of a step into what is reported, and says
// what goes wrong. D is the discriminators' program, if they took a step.
func (v *Vid2Vid) observe(step int, d *step, losses []Loss) ([]Loss, error) {
	lengths(losses)
	accuracy, err := v.accuracies(d)
	if err != nil {
		return nil, err
	}
	losses = append(losses, accuracy...)
	slices.SortStableFunc(losses, func(a, b Loss) int { return order(!isMeasure(a.Name)) - order(!isMeasure(b.Name)) })
	m, mask := measures{accuracy: 0.5}, -1.0
	for _, l := range losses {
		switch l.Name {
		case "G_norm":
			m.norm = l.Value
		case "D_acc":
			m.accuracy = l.Value
		case maskMean:
			mask = l.Value
		}
	}
	said := v.watcher("D").add(step, m)
	if mask >= 0 {
		said = append(said, v.watcher("D").addMask(step, mask)...)
	}
	for _, l := range accuracy {
		judge := strings.TrimSuffix(l.Name, "_acc")
		if judge == "D" {
			continue
		}
		for _, w := range v.watcher(judge).add(step, measures{accuracy: l.Value, norm: 1}) {
			which := "the temporal discriminator " + judge
			if judge+"." == facePrefix {
				which = "the face discriminator"
			}
			w.Text = strings.Replace(w.Text, "the discriminator", which, 1)
			said = append(said, w)
		}
	}
	v.say(said)
	return losses, nil
}

func (v *Vid2Vid) say(said []Warning) {
	for _, w := range said {
		for _, tell := range v.tell {
			tell(w)
		}
	}
}

func (v *Vid2Vid) watcher(judge string) *watch {
	if v.watches == nil {
		v.watches = map[string]*watch{}
	}
	if v.watches[judge] == nil {
		v.watches[judge] = newWatch(vid2vidRemedies)
	}
	return v.watches[judge]
}

// accuracies are the shares of verdicts that are right, those on real and on
// made frames counting alike.
func (v *Vid2Vid) accuracies(d *step) ([]Loss, error) {
	if d == nil {
		return nil, nil
	}
	threshold := float32(0)
	if v.c.Loss == "" || v.c.Loss == "lsgan" {
		threshold = 0.5
	}
	right, of := map[string]float64{}, map[string]float64{}
	for _, vd := range d.verdicts {
		x, err := readAll(d.exe.Output(vd.at))
		if err != nil {
			return nil, err
		}
		n, among := 0, 0
		for i, y := range x {
			if vd.face && !v.present[vd.frame][i*v.c.Batch/len(x)] {
				continue
			}
			among++
			if (y > threshold) == vd.real {
				n++
			}
		}
		if among > 0 {
			right[vd.judge] += float64(n) / float64(among)
			of[vd.judge]++
		}
	}
	var all []Loss
	for _, judge := range slices.Sorted(maps.Keys(of)) {
		all = append(all, Loss{Name: judge + "_acc", Value: right[judge] / of[judge]})
	}
	return all, nil
}

// A mask whose mean stays beyond these has collapsed: it no longer chooses.
const (
	leastMask = 0.01
	mostMask  = 0.99
)

// addMask takes the mean of the mask of a step in; add comes before.
func (w *watch) addMask(step int, mean float64) []Warning {
	w.mask.add(mean)
	return append(
		w.tell(step, "mask 0", w.mask.Value < leastMask,
			"the mask collapses: its mean is %.3f, so that frames are nothing but the one before, moved; try a smaller weights.mask", w.mask.Value),
		w.tell(step, "mask 1", w.mask.Value > mostMask,
			"the mask collapses: its mean is %.3f, so that the flow is never used; try a larger weights.mask or weights.flow", w.mask.Value)...)
}
