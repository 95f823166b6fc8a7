package nn_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/v2v/v2v/models/nn"
)

// TestSequenceVariants: which parameters the rarer choices leave out, move or
// add.
func TestSequenceVariants(t *testing.T) {
	for _, c := range []struct {
		name string
		kind nn.NormKind
		o    nn.SequenceOptions
		want []string
	}{
		{"as published by NVIDIA", nn.Instance, nn.SequenceOptions{}, []string{
			"m.1.weight", "m.1.bias", "m.4.conv_block.1.weight", "m.4.conv_block.1.bias", "m.4.conv_block.5.weight", "m.4.conv_block.5.bias", "m.6.weight", "m.6.bias"}},
		{"no bias before a normalisation, dropout", nn.Batch, nn.SequenceOptions{NoBias: true, Dropout: true}, []string{
			"m.1.weight", "m.2.weight", "m.2.bias", "m.4.conv_block.1.weight", "m.4.conv_block.2.weight", "m.4.conv_block.2.bias",
			"m.4.conv_block.6.weight", "m.4.conv_block.7.weight", "m.4.conv_block.7.bias", "m.6.weight", "m.6.bias"}},
		{"stored statistics", nn.Stored, nn.SequenceOptions{NoBias: true, Dropout: false}, []string{
			"m.1.weight", "m.2.weight", "m.2.bias", "m.2.running_mean", "m.2.running_var",
			"m.4.conv_block.1.weight", "m.4.conv_block.2.weight", "m.4.conv_block.2.bias", "m.4.conv_block.2.running_mean", "m.4.conv_block.2.running_var",
			"m.4.conv_block.5.weight", "m.4.conv_block.6.weight", "m.4.conv_block.6.bias", "m.4.conv_block.6.running_mean", "m.4.conv_block.6.running_var",
			"m.6.weight", "m.6.bias"}},
	} {
		b := builder(nn.Options{})
		b.Sequence(b.Input("x", 1, 3, 8, 8), "m", c.kind).With(c.o).Stem(2).Res(1).Head(3).Tanh()
		if b.Err() != nil {
			t.Fatalf("%s: %v", c.name, b.Err())
		}
		if d := cmp.Diff(c.want, names(b.Params())); d != "" {
			t.Errorf("%s: parameters wanted and had:\n%s", c.name, d)
		}
	}
}

// TestStoredStatisticsStartAsNone: a mean of zero and a variance of one.
func TestStoredStatisticsStartAsNone(t *testing.T) {
	b := builder(nn.Options{})
	b.Norm(b.Input("x", 1, 3, 8, 8), "n", nn.Stored)
	want := map[string]nn.Init{"n.weight": nn.Normal(1, .02), "n.bias": nn.Zeros(), "n.running_mean": nn.Zeros(), "n.running_var": nn.Ones()}
	for _, p := range b.Params() {
		if p.Init != want[p.Name] {
			t.Errorf("%s starts as %+v, want %+v", p.Name, p.Init, want[p.Name])
		}
	}
	if len(b.Params()) != len(want) {
		t.Errorf("%d parameters, want %d", len(b.Params()), len(want))
	}
}

// TestFailSticks: a network's own error stops the building as a layer's does.
func TestFailSticks(t *testing.T) {
	b := builder(nn.Options{})
	mine := errors.New("mine")
	b.In("part.").Fail("layer", mine)
	b.Fail("other", errors.New("later"))
	if err := b.Err(); !errors.Is(err, mine) || err.Error() != "build part.layer: mine" {
		t.Errorf("error %v", err)
	}
	if x := b.Input("x", 1); x != nil {
		t.Error("it went on building")
	}
}
