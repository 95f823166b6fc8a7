package train

import (
	"fmt"
	"strings"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/nn"
)

// Perceptual is the network of the perceptual loss (Johnson et al. 2016). Its
// zero value leaves the loss out.
type Perceptual struct {
	VGG string `toml:"vgg,omitempty"`        // file of VGG19's weights, with torchvision's names
	Sum string `toml:"vgg_sha256,omitempty"` // of that file, which a run goes on with

	Net *models.VGG19 `toml:"-"` // that file, which stays the caller's
}

// perceptualWeight is the published weight of the loss.
const perceptualWeight = 10

// perceptualWidest is from where on pictures are halved before they are compared.
const perceptualWidest = 1024

// options give programs the network's constants, which those of one device
// share.
func (p Perceptual) options() engine.Options {
	if p.Net == nil {
		return engine.Options{}
	}
	return engine.Options{Constants: p.Net.Constant, Source: "vgg19 " + p.VGG + " " + p.Sum}
}

// isPerceptual tells the network's constants.
func isPerceptual(name string) bool { return strings.HasPrefix(name, models.VGGPrefix) }

// check refuses pictures that are too small.
func (p Perceptual) check(h, w int) error {
	halved := 0
	for w>>halved > perceptualWidest {
		halved++
	}
	if p.Net != nil && min(h, w)>>halved < models.VGGLeast {
		return fmt.Errorf("samples are %dx%d (height x width), but the perceptual loss takes at least %dx%[3]d: take larger ones, or leave out vgg", h, w, models.VGGLeast<<halved)
	}
	return nil
}

// sees is the network's features of a picture (N,3,H,W) in [-1,1], as published
// without the mean and deviation of ImageNet; nil where there is no network.
func (p Perceptual) sees(b *nn.Builder, x *G.Node) []*G.Node {
	if p.Net == nil {
		return nil
	}
	for b.Err() == nil && x.Shape()[3] > perceptualWidest {
		x = b.AvgPool(x, 2, 2, 0)
	}
	return p.Net.Build(b, x)
}

// perceptual is the loss (pix2pixHD and vid2vid, the published code): L1 of the
// features of a made and of a real picture, the later the more it counts. A
// weight of 0 is the published one.
func (t *terms) perceptual(name string, weight float32, fake, real []*G.Node) {
	orElse(&weight, perceptualWeight)
	for i, share := range []float32{1. / 32, 1. / 16, 1. / 8, 1. / 4, 1} {
		if i < len(fake) {
			t.add(name, weight*share, t.b.L1(fake[i], real[i]))
		}
	}
}
