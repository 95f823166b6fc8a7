package train

import (
	"fmt"
	"math"
)

// Warning says in words that the training of a GAN goes wrong, and what helps.
// It is an Event, sent by the trainer.
type Warning struct {
	Step int    `json:"step"`
	Text string `json:"text"`
}

// warner is a trainer that can tell one more when training goes wrong.
type warner interface{ Warn(tell func(Warning)) }

// alsoTo is a receiver of warnings that hands them on to another.
func alsoTo(first, second func(Warning)) func(Warning) {
	return func(w Warning) {
		first(w)
		second(w)
	}
}

// Kind implements Event.
func (Warning) Kind() string { return "warning" }

// measures are what is watched of a step.
type measures struct {
	accuracy   float64 // share of verdicts that are right; 0.5 is guessing
	norm       float64 // length of the generator's gradient
	made, real float64 // spread of the made and of the real pictures
}

// diversity is the spread of made pictures as a share of the real ones'.
func (m measures) diversity() float64 {
	if m.real == 0 {
		return 1
	}
	return m.made / m.real
}

// measure reads what is watched off the programs.
func (t *GAN) measure(d *step, batch []*Sample, losses []Loss) (m measures, err error) {
	threshold := float32(0)
	if t.c.Loss == "lsgan" {
		threshold = 0.5
	}
	var right int
	for i, real := range []bool{true, false} {
		verdicts, err := readAll(d.exe.Output(i))
		if err != nil {
			return m, err
		}
		for _, v := range verdicts {
			if (v > threshold) == real {
				right++
			}
		}
	}
	m.accuracy = float64(right) / float64(2*t.p.Batch)
	for _, l := range losses {
		if l.Name == "G_norm" {
			m.norm = l.Value
		}
	}
	fake, err := readAll(t.in["fake"])
	if err != nil {
		return m, err
	}
	var real []float32
	for _, s := range batch {
		real = append(real, floatsOf(s.B[0].Pix, t.p.Net.Options().Channels)...)
	}
	m.made, m.real = spread(fake, t.p.Batch), spread(real, t.p.Batch)
	return m, nil
}

// spread is how much n pictures differ: the root mean square, over all their
// numbers, of the standard deviation across pictures.
func spread(x []float32, n int) float64 {
	each := len(x) / n
	var sum float64
	for k := range each {
		var mean, square float64
		for i := range n {
			v := float64(x[i*each+k])
			mean += v / float64(n)
			square += v * v / float64(n)
		}
		sum += max(0, square-mean*mean)
	}
	return math.Sqrt(sum / float64(each))
}

// What is too much, by trial: a run of DCGAN's recipe that makes good pictures
// crosses none of these for long.
const (
	watchWarmup = 500  // steps in which everything is still possible
	watchFor    = 100  // steps that something must go wrong in a row
	watchAgain  = 1000 // steps until the same is said again
	sureD       = 0.98 // D is right this often: it has won
	fooledD     = 0.45 // and this seldom: G has
	goneNorm    = 0.01 // G's gradient, as a share of the longest it has been in the mean
	fewPictures = 0.35 // spread of made pictures, as a share of the real ones'
)

// watch follows a run and says when it goes wrong. It begins anew where a run is
// resumed.
type watch struct {
	steps          int
	accuracy, norm Mean
	diversity      Mean
	mask           Mean
	longest        float64
	since, last    map[string]int
	helps          remedies
}

// remedies say what helps against each trouble, by what the trainer offers.
type remedies struct{ d, g, gradient, collapse string }

var (
	ganRemedies = remedies{
		d:        "a smaller discriminator.rate, real_label = 0.9, spectral = true or augment",
		g:        "a larger discriminator.rate or width",
		gradient: `loss = "bce", or a smaller discriminator.rate`,
		collapse: "augment, r1, a smaller lr or discriminator.rate, or a larger batch",
	}
	pairRemedies = remedies{
		d:        "a smaller discriminator.rate, real_label = 0.9, or more pictures",
		g:        "a larger discriminator.rate or ndf",
		gradient: `loss = "bce", or a smaller discriminator.rate`,
		collapse: "a larger l1, or a smaller lr or discriminator.rate",
	}
)

func newWatch(helps remedies) *watch {
	return &watch{helps: helps, since: map[string]int{}, last: map[string]int{}}
}

// add takes a step in and gives what is to be said of it.
func (w *watch) add(step int, m measures) []Warning {
	w.steps++
	w.accuracy.add(m.accuracy)
	w.norm.add(m.norm)
	w.diversity.add(m.diversity())
	w.longest = max(w.longest, w.norm.Value)
	var said []Warning
	tell := func(name string, wrong bool, format string, args ...any) {
		said = append(said, w.tell(step, name, wrong, format, args...)...)
	}
	tell("D", w.accuracy.Value > sureD,
		"the discriminator wins: it is right about %.0f%% of the pictures, so the generator learns little from it; try %s", 100*w.accuracy.Value, w.helps.d)
	tell("G", w.accuracy.Value < fooledD,
		"the generator wins: the discriminator is right about %.0f%% of the pictures, no better than guessing; try %s", 100*w.accuracy.Value, w.helps.g)
	tell("gradient", w.norm.Value < goneNorm*w.longest,
		"the generator's gradient vanishes: it is %.2g long, and was %.2g; try %s", w.norm.Value, w.longest, w.helps.gradient)
	tell("collapse", w.diversity.Value < fewPictures,
		"mode collapse: made pictures differ from each other %.0f%% as much as real ones do; try %s", 100*w.diversity.Value, w.helps.collapse)
	return said
}

// tell says that something is wrong where it has been for long and was not said
// of late.
func (w *watch) tell(step int, name string, wrong bool, format string, args ...any) []Warning {
	if !wrong || w.steps < watchWarmup {
		w.since[name] = 0
		return nil
	}
	w.since[name]++
	if before, ok := w.last[name]; w.since[name] < watchFor || ok && step-before < watchAgain {
		return nil
	}
	w.last[name] = step
	return []Warning{{step, fmt.Sprintf(format, args...)}}
}
