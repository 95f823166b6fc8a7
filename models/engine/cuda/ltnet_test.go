//go:build cgo

package cuda_test

import (
	"testing"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/cuda"
	"github.com/v2v/v2v/models/nn"
)

// TestLTNetworks: which networks have products of matrices.
func TestLTNetworks(t *testing.T) {
	withLT(t, "")
	d := open(t)
	o := models.PictureOptions{Size: 16, Channels: 3, Code: 12, Width: 8, Layers: 3}
	picture := func(net models.Picture) func(b *nn.Builder) *G.Node {
		return func(b *nn.Builder) *G.Node { return net.Build(b, models.Codes{Code: b.Input("code", 2, 12, 1, 1)}) }
	}
	for name, c := range map[string]struct {
		build    func(b *nn.Builder) *G.Node
		products int
	}{
		"perceptron": {picture(&models.Perceptron{PictureOptions: o}), 1},
		"mlp":        {picture(&models.MLP{PictureOptions: o}), 3},
		"deconv":     {picture(&models.Deconv{PictureOptions: o}), 1},
		"gan":        {picture(&models.GAN{PictureOptions: o}), 1},
		"gan's discriminator": {func(b *nn.Builder) *G.Node {
			score, _ := models.GANDiscriminator{Size: 16, Width: 8, Norm: "batch"}.Build(b, b.Input("x", 2, 3, 16, 16), nil, false)
			return score
		}, 1},
		"vid2vid": {func(b *nn.Builder) *G.Node {
			net := &models.Vid2Vid{InputNC: 3, NGF: 4, Downs: 2, Blocks: 2, Frames: 2, Norm: "batch"}
			return net.Build(b, models.Inputs{Labels: b.Input("labels", 1, 6, 16, 16), Prev: b.Input("prev", 1, 3, 16, 16)}).Final
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := nn.NewBuilder(G.NewGraph(), nn.Options{})
			out := c.build(b)
			if err := b.Err(); err != nil {
				t.Fatal(err)
			}
			p, err := engine.Lower(engine.Source{Outputs: []engine.Named{{Name: "out", Node: out}}})
			if err != nil {
				t.Fatal(err)
			}
			e, err := d.Compile(p, engine.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			if n := cuda.Multiplied(e); n != c.products {
				t.Errorf("cuBLASLt serves %d products, want %d", n, c.products)
			}
		})
	}
}
