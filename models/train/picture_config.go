package train

import (
	"fmt"
	"slices"
	"strings"

	"github.com/v2v/v2v/models"
)

// Pictures is what every trainer of picture networks is given: the network, its
// options complete, and the data.
type Pictures struct {
	Net   models.Picture
	Index func(*Sample) (picture, class int) // of PictureData
	Batch int
	Seed  uint64
}

func (p Pictures) check() error {
	if err := p.Net.Validate(); err != nil {
		return fmt.Errorf("generator: %w", err)
	}
	if p.Batch < 1 {
		return fmt.Errorf("batch is %d; give at least 1", p.Batch)
	}
	return nil
}

// RegressionConfig decides how a network with learned codes is trained.
type RegressionConfig struct {
	Loss     string  `toml:"loss"`      // l2 or l1: what the made picture is off by
	CodeRate float64 `toml:"code_rate"` // the codes' learning rate, as a multiple of the network's
	Beta1    float32 `toml:"beta1"`     // Adam's; 0 is 0.5
	Beta2    float32 `toml:"beta2"`     // Adam's; 0 is 0.999
}

// DefaultRegression learns codes ten times as fast as weights: a code is seen
// once in a round of the data, a weight at every step.
func DefaultRegression() RegressionConfig {
	return RegressionConfig{Loss: "l2", CodeRate: 10, Beta1: 0.9, Beta2: 0.999}
}

// Validate checks what can be checked before anything is built.
func (c RegressionConfig) Validate() error {
	switch {
	case c.Loss != "l1" && c.Loss != "l2":
		return fmt.Errorf("loss is %q; give l2 or l1", c.Loss)
	case !(c.CodeRate > 0):
		return fmt.Errorf("code_rate is %g; give a positive multiple of lr", c.CodeRate)
	}
	return nil
}

// GANConfig decides how a generator is trained against a discriminator. All but
// the loss are remedies for what goes wrong in that; each is off, or without
// effect, in the default.
type GANConfig struct {
	D         GANDConfig `toml:"discriminator"`
	Loss      string     `toml:"loss"`       // bce (Goodfellow 2014), lsgan (Mao 2017) or hinge (Lim and Ye 2017)
	RealLabel float32    `toml:"real_label"` // what the discriminator is to say of real pictures; 0.9 is one-sided label smoothing (Salimans 2016)
	R1        float32    `toml:"r1"`         // weight of the R1 penalty (Mescheder 2018), 0 for none, 10 is usual; for norm none
	R1Every   int        `toml:"r1_every"`   // steps from one penalty to the next, which then counts so many times (Karras 2020)
	Augment   []string   `toml:"augment"`    // of color, translation, cutout: both kinds of pictures are changed alike before they are judged (Zhao 2020)
	EMA       float32    `toml:"ema"`        // the model is a mean of the generator's weights: 0.999 over about the last thousand steps; 0 for the last weights
	Beta1     float32    `toml:"beta1"`      // Adam's; 0 is 0.5
	Beta2     float32    `toml:"beta2"`      // Adam's; 0 is 0.999
}

// GANDConfig describes the discriminator.
type GANDConfig struct {
	Width    int     `toml:"width"`    // channels after the first convolution
	Norm     string  `toml:"norm"`     // batch, instance or none
	Spectral bool    `toml:"spectral"` // weights over their spectral norm (Miyato 2018)
	Rate     float64 `toml:"rate"`     // its learning rate, as a multiple of the generator's (TTUR, Heusel 2017)
}

// DefaultGAN is DCGAN's recipe.
func DefaultGAN() GANConfig {
	return GANConfig{D: GANDConfig{Width: 64, Norm: "batch", Rate: 1}, Loss: "bce", RealLabel: 1, R1Every: 16, Beta1: 0.5, Beta2: 0.999}
}

// augmentations are the names of DiffAugment's three.
var augmentations = []string{"color", "translation", "cutout"}

// Validate checks what can be checked before anything is built.
func (c GANConfig) Validate() error {
	if err := (models.GANDiscriminator{Width: c.D.Width, Norm: c.D.Norm}).Validate(); err != nil {
		return fmt.Errorf("discriminator: %w", err)
	}
	switch {
	case !slices.Contains([]string{"bce", "lsgan", "hinge"}, c.Loss):
		return fmt.Errorf("loss is %q; give bce, lsgan or hinge", c.Loss)
	case !(c.RealLabel > 0.5 && c.RealLabel <= 1):
		return fmt.Errorf("real_label is %g; give above 0.5, to 1", c.RealLabel)
	case c.Loss == "hinge" && c.RealLabel != 1:
		return fmt.Errorf("real_label is %g, but the hinge loss has no labels to smooth", c.RealLabel)
	case !(c.D.Rate > 0):
		return fmt.Errorf("discriminator: rate is %g; give a positive multiple of lr", c.D.Rate)
	case !(c.R1 >= 0) || c.R1Every < 1:
		return fmt.Errorf("r1 is %g every %d steps; give at least 0, and 1", c.R1, c.R1Every)
	case c.R1 > 0 && c.D.Norm != "none":
		return fmt.Errorf("r1 is %g, but the slope of a discriminator with %s norm depends on the other pictures of the batch; set its norm to none", c.R1, c.D.Norm)
	case !(c.EMA >= 0 && c.EMA < 1):
		return fmt.Errorf("ema is %g; give 0 to below 1", c.EMA)
	}
	for _, a := range c.Augment {
		if !slices.Contains(augmentations, a) {
			return fmt.Errorf("augment has %q; give any of %s", a, strings.Join(augmentations, ", "))
		}
	}
	return nil
}
