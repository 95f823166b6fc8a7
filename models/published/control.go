package published

import (
	"fmt"
	"strconv"
)

// control is what the channels of a control picture mean.
type control struct {
	input    int // channels of a picture where label is 0
	label    int // above 0: labels of an index picture
	edges    bool
	features int
}

// said is what somebody says of the channels; nil leaves it open.
type said struct {
	label    *int
	edges    *bool
	features *int
}

func (s said) silent() bool { return s.label == nil && s.edges == nil && s.features == nil }

// plain are the channel counts of pictures that were published: luminance,
// colour, colour with alpha, a pose's two pictures, a face's edges and
// distances. Every other count is labels.
func plain(n int) bool { return n == 1 || n == 3 || n == 6 || n == 15 }

// reading is how a project reads channels where nobody says.
type reading struct {
	edgesUnless func(channels int) bool // whether boundaries are not among so many channels
	labels      bool                    // there must be labels
}

// split gives total channels their meaning, if what is said allows one.
func (d reading) split(total int, s said) (control, bool) {
	var c control
	if s.features != nil {
		c.features = *s.features
	}
	n := total - c.features
	switch {
	case s.edges != nil:
		c.edges = *s.edges
	case s.label != nil && *s.label > 0:
		c.edges = n == *s.label+1
	default:
		c.edges = !d.edgesUnless(n)
	}
	if c.edges {
		n--
	}
	switch {
	case s.label != nil && *s.label > 0:
		c.label = *s.label
	case s.label == nil && (d.labels || !plain(n)):
		c.label = n
	}
	c.input = n
	if c.label > 0 {
		c.input = 3 // what the published code has there, and does not look at
	}
	ok := n > 0 && c.features >= 0 && (s.label == nil || *s.label >= 0) && (c.label == 0 || c.label == n) && (c.label > 0 || !d.labels)
	return c, ok
}

// channels settles the meaning of a control picture's channels: by choice, else
// by opt.txt, else as published.
func (r *recogniser) channels(total int, d reading) (control, error) {
	asked := said{r.choices.LabelNC, r.choices.Edges, r.choices.Features}
	known := r.around.said()
	if known.features == nil && r.around.Features > 0 && r.around.Features < total {
		known.features = &r.around.Features
	}
	merged := asked.or(known)
	c, ok := d.split(total, merged)
	if !ok || known.silent() {
		merged = asked // an opt.txt that contradicts the weights is of another network
		if c, ok = d.split(total, asked); !ok {
			return c, fmt.Errorf("label-nc, use-instance and feat-num: the choice %w, which take %d channels a control picture", ErrChoice, total)
		}
	}
	tell := func(asked, known bool, option, value, change string) {
		switch {
		case asked:
		case known:
			r.read(option, value, change)
		default:
			r.assume(option, value, change)
		}
	}
	meaning := "0: pictures of " + strconv.Itoa(c.input) + " channels"
	change := "--label-nc N for index pictures"
	if c.label > 0 {
		meaning, change = strconv.Itoa(c.label), "--label-nc 0 for pictures"
	}
	if c.label == 35 {
		meaning += " (labelIds of Cityscapes)"
	}
	tell(asked.label != nil, merged.label != nil, "label_nc", meaning, change)
	tell(asked.edges != nil, merged.edges != nil, "use_instance", strconv.FormatBool(c.edges), fmt.Sprintf("--use-instance=%t", !c.edges))
	if c.features > 0 {
		tell(asked.features != nil, merged.features != nil, "feat_num", strconv.Itoa(c.features), "--feat-num N")
		r.blankFeatures()
	}
	return c, nil
}

// blankFeatures records that nothing encodes a picture when a network runs.
func (r *recogniser) blankFeatures() { r.assume("features", "zeros when it runs", "") }

// drawnFeatures records that noise is drawn.
func (r *recogniser) drawnFeatures() {
	r.assume("features", "noise, drawn by --style when it runs", "")
}

// or fills in what s leaves open.
func (s said) or(t said) said {
	if s.label == nil {
		s.label = t.label
	}
	if s.edges == nil {
		s.edges = t.edges
	}
	if s.features == nil {
		s.features = t.features
	}
	return s
}

// vid2vidReading: boundaries are off unless asked for; label2city asked.
var vid2vidReading = reading{edgesUnless: func(n int) bool { return n != 36 && n != 4 }}

// pix2pixHDReading: boundaries are on unless there is no room for them, or the
// network is one that vid2vid starts its clips with.
var pix2pixHDReading = reading{edgesUnless: func(n int) bool { return plain(n) || n == 35 }}
