package models

import (
	"fmt"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models/nn"
	"github.com/v2v/v2v/models/op"
)

// limit is an option and the range it must lie in.
type limit struct {
	name               string
	value, least, most int
}

// within checks options, in order.
func within(limits ...limit) error {
	for _, l := range limits {
		if l.value < l.least || l.value > l.most {
			return fmt.Errorf("%s is %d; give %d to %d", l.name, l.value, l.least, l.most)
		}
	}
	return nil
}

// Bounds that keep a hostile configuration from asking for the moon.
const (
	maxWidth  = 1024 // channels after the first convolution
	maxBlocks = 64
	maxDowns  = 6
	maxLabels = 256 // what a byte can name
	maxInput  = 64  // channels of a control picture
)

// channelLimits are those of the pictures that a generator sees and makes.
func channelLimits(inputNC, outputNC, labelNC int) []limit {
	l := []limit{{"label_nc", labelNC, 0, maxLabels}, {"output_nc", outputNC, 1, maxInput}}
	if labelNC == 0 {
		l = append(l, limit{"input_nc", inputNC, 1, maxInput})
	}
	return l
}

// normKind is the normalisation named by the options norm and norm_stats.
func normKind(norm, stats string) (nn.NormKind, error) {
	stored := stats == "running"
	switch {
	case stats != "" && stats != "frame" && !stored:
		return 0, fmt.Errorf("norm_stats is %q; give frame or running", stats)
	case norm == "batch" && stored:
		return nn.Stored, nil
	case norm == "batch":
		return nn.Batch, nil
	case norm == "instance" && stored:
		return 0, fmt.Errorf("norm_stats is running, but instance normalisation stores no statistics; give frame")
	case norm == "instance":
		return nn.Instance, nil
	}
	return 0, fmt.Errorf("norm is %q; give batch or instance", norm)
}

// validate checks ranges and the normalisation.
func validate(norm, stats string, limits ...limit) error {
	if err := within(limits...); err != nil {
		return err
	}
	_, err := normKind(norm, stats)
	return err
}

// checkInputs compares what Build was given with what the network needs, so
// that weights of a wrong shape are never made. It reports whether it fits.
func checkInputs(b *nn.Builder, n Needs, in Inputs) bool {
	channels := func(x *G.Node) int {
		if x == nil || x.Dims() != 4 {
			return 0
		}
		return x.Shape()[1]
	}
	var err error
	switch {
	case b.Err() != nil:
		return false
	case channels(in.Labels) != n.Channels()*n.Window:
		err = fmt.Errorf("control pictures have %d channels together, the network wants %d of %d", channels(in.Labels), n.Window, n.Channels())
	case n.Past > 0 && channels(in.Prev) != 3*n.Past:
		err = fmt.Errorf("frames made before have %d channels together, the network wants %d of 3", channels(in.Prev), n.Past)
	case n.Past > 0 && len(in.Coarse)+1 != max(n.Scales, 1):
		err = fmt.Errorf("the network has %d spatial scales, and was given the frames that %d made before", n.Scales, len(in.Coarse)+1)
	case n.Features > 0 && channels(in.Features) != n.Features:
		err = fmt.Errorf("features have %d channels, the network wants %d", channels(in.Features), n.Features)
	}
	if err != nil {
		b.Fail("network", err)
	}
	return err == nil
}

// Pooling halves pictures, for coarser scales.
var Pooling = op.AvgPool{K: 3, Stride: 2, Pad: 1}

// halved is x and what remains of it after pooling it once, twice, ... n times.
func halved(b *nn.Builder, x *G.Node, n int) []*G.Node {
	levels := []*G.Node{x}
	for range n {
		levels = append(levels, b.AvgPool(levels[len(levels)-1], Pooling.K, Pooling.Stride, Pooling.Pad))
	}
	return levels
}
