package train

import (
	"fmt"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/nn"
)

// Vid2VidConfig is everything that decides how a vid2vid generator is trained
// but the data and the schedule.
type Vid2VidConfig struct {
	Generator models.Vid2Vid `toml:"generator"`
	D         DConfig        `toml:"discriminator"`
	Weights   Weights        `toml:"weights"`
	Beta1     float32        `toml:"beta1"` // Adam's; 0 is 0.5
	Beta2     float32        `toml:"beta2"` // Adam's; 0 is 0.999
	Seed      uint64         `toml:"-"`
	Height    int            `toml:"-"`
	Width     int            `toml:"-"`
	Batch     int            `toml:"-"`
}

// DConfig describes the image and the temporal discriminator.
type DConfig struct {
	NDF    int    `toml:"ndf"`
	Layers int    `toml:"n_layers"`
	NumD   int    `toml:"num_d"`
	Norm   string `toml:"norm"`
	// Rate is the discriminators' learning rate as a multiple of the
	// generator's (two time-scale update rule, Heusel et al. 2017).
	Rate float64 `toml:"rate"`
}

// DefaultVid2Vid is a configuration that trains on two cores: a narrow
// generator and narrow discriminators, the published losses.
func DefaultVid2Vid() Vid2VidConfig {
	g := models.DefaultVid2Vid()
	g.NGF, g.Blocks = 32, 6
	return Vid2VidConfig{
		Generator: *g,
		D:         DConfig{NDF: 32, Layers: 3, NumD: 2, Norm: "instance", Rate: 1},
		Weights:   DefaultWeights(),
		Beta1:     0.5,
		Beta2:     0.999,
	}
}

// Validate checks what can be checked before anything is built.
func (c Vid2VidConfig) Validate() error {
	if err := c.Generator.Validate(); err != nil {
		return fmt.Errorf("generator: %w", err)
	}
	stride := c.Generator.Needs().Stride
	switch {
	case c.Height < 1 || c.Width < 1 || c.Height%stride != 0 || c.Width%stride != 0:
		return fmt.Errorf("training size %dx%d is no multiple of %d", c.Height, c.Width, stride)
	case c.Batch < 1:
		return fmt.Errorf("batch is %d; give at least 1", c.Batch)
	case c.D.NDF < 1 || c.D.Layers < 1 || c.D.NumD < 1:
		return fmt.Errorf("discriminator: ndf, n_layers and num_d are at least 1")
	case !(c.D.Rate > 0):
		return fmt.Errorf("discriminator: rate is %g; give a positive multiple of lr", c.D.Rate)
	case c.D.Norm != "batch" && c.D.Norm != "instance":
		return fmt.Errorf("discriminator: norm is %q; give batch or instance", c.D.Norm)
	case c.Weights.L1 == 0 && c.Weights.GAN == 0:
		return fmt.Errorf("weights: both l1 and gan are 0: nothing would teach the picture")
	}
	return nil
}

func (c DConfig) net() models.MultiscaleD {
	norm := nn.Instance
	if c.Norm == "batch" {
		norm = nn.Batch
	}
	return models.MultiscaleD{NDF: c.NDF, Layers: c.Layers, NumD: c.NumD, Norm: norm}
}
