package published

import (
	"fmt"

	"github.com/v2v/v2v/models"
)

// body is what a Sequential of stem, halvings, residual blocks and doublings
// shows of itself.
type body struct {
	in, width, downs, blocks int
	out                      int // 0 without a last convolution
	dropout                  bool
}

// body reads the Sequential of that name.
func (r *recogniser) body(name string) body {
	var b body
	b.width, b.in, _ = r.conv(name + ".1")
	inner := 4
	for wide := b.width; ; inner += 3 {
		// Where there are no blocks a doubling follows, which has its input on
		// the other axis.
		out, in, ok := r.conv(fmt.Sprintf("%s.%d", name, inner))
		if !ok || in != wide {
			break
		}
		b.downs, wide = b.downs+1, out
	}
	b.blocks = r.blocks(name, inner)
	_, _, b.dropout = r.conv(fmt.Sprintf("%s.%d.conv_block.6", name, inner))
	last := inner + b.blocks + 3*b.downs + 1
	b.out, _, _ = r.conv(fmt.Sprintf("%s.%d", name, last))
	return b
}

// trunk tells apart what has that one Sequential: ResNet, the global generator
// and the encoder. A ResNet with instance normalisation is a global generator of
// two halvings, name by name and number by number.
func (r *recogniser) trunk() (string, models.Network, error) {
	b := r.body("model")
	norm := r.norm("model.2")
	asked := said{r.choices.LabelNC, r.choices.Edges, r.choices.Features}
	resnet := !r.has("model.1.bias") || b.dropout || norm == "instance" && asked.silent() && r.around.Options["netG"] != "global" && b.in <= 4
	switch {
	case b.downs == 2 && b.blocks > 0 && resnet:
		n := &models.ResNet{InputNC: b.in, OutputNC: b.out, NGF: b.width, Blocks: b.blocks, Norm: norm, Dropout: b.dropout, Stats: r.stats(norm)}
		r.dropped(n.Dropout)
		r.pictures()
		return "resnet", n, nil
	case b.blocks == 0 && b.downs > 0:
		return "pix2pixHD_encoder", &models.Encoder{InputNC: b.in, OutputNC: b.out, NEF: b.width, Downs: b.downs, Norm: norm, Stats: r.stats(norm)}, nil
	}
	g, err := r.global(b, norm)
	g.OutputNC = b.out
	return "pix2pixHD_global", &g, err
}

// global settles what pix2pixHD's two generators share.
func (r *recogniser) global(b body, norm string) (models.Global, error) {
	c, err := r.channels(b.in, pix2pixHDReading)
	if err != nil {
		return models.Global{}, err
	}
	g := models.Global{InputNC: c.input, NGF: b.width, Downs: b.downs, Blocks: b.blocks, Norm: norm, LabelNC: c.label, Edges: c.edges,
		FeatNC: c.features, Stats: r.stats(norm)}
	r.pictures()
	return g, nil
}

// local reads the local enhancer: its global generator has lost its last
// convolution, and starts wider than the finest scale by a factor of two for
// each doubling.
func (r *recogniser) local() (string, models.Network, error) {
	const name = "pix2pixHD_local"
	n := 1
	for r.has(fmt.Sprintf("model%d_1.1.weight", n+1)) {
		n++
	}
	g, err := r.global(r.body("model"), r.norm("model.2"))
	if err != nil {
		return name, nil, err
	}
	blocks := r.blocks(fmt.Sprintf("model%d_2", n), 0)
	g.NGF, _, _ = r.conv(fmt.Sprintf("model%d_1.1", n))
	g.OutputNC, _, _ = r.conv(fmt.Sprintf("model%d_2.%d", n, blocks+4))
	return name, &models.Local{Global: g, LocalEnhancers: n, LocalBlocks: blocks}, nil
}

// withZ reads the generator that vid2vid starts a face's clip with.
func (r *recogniser) withZ() (string, models.Network, error) {
	const name = "pix2pixHD_z"
	norm := r.norm("model_downsample.2")
	width, in, _ := r.conv("model_downsample.1")
	out, last, _ := r.conv("model_upsample_conv.1")
	g := &models.GlobalZ{OutputNC: out, Z: last - width, NGF: width, Downs: r.run("model_downsample.%d", 4, 3),
		Blocks: r.blocks("model_resnet", 0), Norm: norm}
	r.around.Features = 0 // what an encoder beside it makes is its z
	c, err := r.channels(in-g.Z, pix2pixHDReading)
	if err != nil {
		return name, nil, err
	}
	r.drawnFeatures()
	g.InputNC, g.LabelNC, g.Edges, g.Stats = c.input, c.label, c.edges, r.stats(norm)
	r.pictures()
	return name, g, nil
}

// multiscale reads the discriminator of pix2pixHD and vid2vid, under either of
// its two ways to name layers. Scale 0 is the coarsest.
func (r *recogniser) multiscale() (string, models.Network, error) {
	d := &models.Multiscale{NoFeatures: !r.has("scale0_layer0.0.weight")}
	first, layers, norm := "scale%d_layer0.0", r.run("scale0_layer%d.0", 0, 1), "scale0_layer1.1"
	if d.NoFeatures {
		first, layers, norm = "layer%d.0", 1+r.run("layer0.%d", 2, 3), "layer0.3"
	}
	d.NumD, d.Layers, d.Norm = r.run(first, 0, 1), layers-2, r.norm(norm)
	coarsest, _, _ := r.conv(fmt.Sprintf(first, 0))
	d.NDF, d.InputNC, _ = r.conv(fmt.Sprintf(first, d.NumD-1))
	d.Widens = coarsest != d.NDF
	d.Stats = r.stats(d.Norm)
	return "multiscale", d, nil
}
