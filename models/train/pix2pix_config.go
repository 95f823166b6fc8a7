package train

import (
	"fmt"
	"slices"

	"github.com/v2v/v2v/models"
)

// Pix2PixConfig decides how a generator of single frames is trained on pairs of
// control picture and frame, but for the data and the schedule.
type Pix2PixConfig struct {
	D         Pix2PixD `toml:"discriminator"`
	Loss      string   `toml:"loss"`       // bce (pix2pix), lsgan (pix2pixHD) or hinge
	RealLabel float32  `toml:"real_label"` // what the discriminator is to say of real pictures; 0.9 is one-sided label smoothing
	GAN       float32  `toml:"gan"`        // weight of: the discriminator takes the picture for real; 0 trains without one
	L1        float32  `toml:"l1"`         // weight of: the picture agrees
	Features  float32  `toml:"features"`   // weight of: the discriminator's features of made and real pictures agree; for scales
	Beta1     float32  `toml:"beta1"`      // Adam's; 0 is 0.5
	Beta2     float32  `toml:"beta2"`      // Adam's; 0 is 0.999

	// R1 is the weight of the R1 penalty (Mescheder et al. 2018), 0 for none; 10
	// is usual. Every R1Every-th step pays it, for all; 0 is 16.
	R1      float32 `toml:"r1,omitempty"`
	R1Every int     `toml:"r1_every,omitempty"`

	// Of pix2pixHD_local alone.
	GlobalSteps int `toml:"global_steps,omitempty"` // steps in which the global generator learns alone, on reduced pictures
	FixGlobal   int `toml:"fix_global,omitempty"`   // steps after them in which all but it learns
}

// Pix2PixD describes the discriminator. It sees control picture and frame.
type Pix2PixD struct {
	NDF    int     `toml:"ndf"`      // channels after the first convolution
	Layers int     `toml:"n_layers"` // halvings; 3 judge patches of 70 pixels
	NumD   int     `toml:"num_d"`    // 0: one PatchGAN, pix2pix's; above: scales of pix2pixHD's
	Norm   string  `toml:"norm"`     // batch or instance
	Rate   float64 `toml:"rate"`     // its learning rate, as a multiple of the generator's (TTUR)
	First  bool    `toml:"first"`    // it learns before the generator in a step, as in pix2pix; after it, as in pix2pixHD
}

// DefaultPix2Pix is the published recipe for the network of that name:
// pix2pix's, or pix2pixHD's with the L1 term in place of the perceptual one.
// Dropout, which pix2pix has in place of noise, is the network's own option.
func DefaultPix2Pix(network string) Pix2PixConfig {
	c := Pix2PixConfig{D: Pix2PixD{NDF: 64, Layers: 3, Norm: "batch", Rate: 1, First: true},
		Loss: "bce", RealLabel: 1, GAN: 1, L1: 100, Beta1: 0.5, Beta2: 0.999}
	switch network {
	case "resnet":
		c.D.Norm = "instance"
	case "pix2pixHD_global", "pix2pixHD_local":
		c.D.Norm, c.D.NumD, c.D.First = "instance", 2, false
		if network == "pix2pixHD_local" {
			c.D.NumD = 3
		}
		c.Loss, c.L1, c.Features = "lsgan", 10, 10
	}
	return c
}

// Validate checks what can be checked before anything is built.
func (c Pix2PixConfig) Validate() error {
	d := models.PatchGAN{InputNC: 1, NDF: c.D.NDF, Layers: c.D.Layers, Norm: c.D.Norm}
	if err := d.Validate(); err != nil {
		return fmt.Errorf("discriminator: %w", err)
	}
	switch {
	case c.D.NumD < 0 || c.D.NumD > 8:
		return fmt.Errorf("discriminator: num_d is %d; give 0 for a PatchGAN, 1 to 8 for scales", c.D.NumD)
	case !(c.D.Rate > 0):
		return fmt.Errorf("discriminator: rate is %g; give a positive multiple of lr", c.D.Rate)
	case !slices.Contains([]string{"bce", "lsgan", "hinge"}, c.Loss):
		return fmt.Errorf("loss is %q; give bce, lsgan or hinge", c.Loss)
	case !(c.RealLabel > 0.5 && c.RealLabel <= 1):
		return fmt.Errorf("real_label is %g; give above 0.5, to 1", c.RealLabel)
	case c.Loss == "hinge" && c.RealLabel != 1:
		return fmt.Errorf("real_label is %g, but the hinge loss has no labels to smooth", c.RealLabel)
	case !(c.GAN >= 0) || !(c.L1 >= 0) || !(c.Features >= 0):
		return fmt.Errorf("gan is %g, l1 %g and features %g; give at least 0", c.GAN, c.L1, c.Features)
	case c.Features > 0 && (c.GAN == 0 || c.D.NumD == 0):
		return fmt.Errorf("features is %g, but there are no scales to match them in; set gan above 0 and discriminator.num_d to 2", c.Features)
	case c.GAN == 0 && c.L1 == 0:
		return fmt.Errorf("gan and l1 are both 0: nothing would teach the picture")
	}
	return checkR1(c.R1, c.R1Every, c.GAN > 0)
}

// Pairs is what a trainer of single frames is given: the network, its options
// complete, and the size of the samples.
type Pairs struct {
	Net                  models.Network
	Height, Width, Batch int
	Seed                 uint64
}

// Validate checks what can be checked before anything is built.
func (p Pairs) Validate() error {
	if err := p.Net.Validate(); err != nil {
		return fmt.Errorf("generator: %w", err)
	}
	if statistics(p.Net) == "running" {
		return fmt.Errorf("generator: norm_stats is running, but statistics are not learned here; give frame")
	}
	n := p.Net.Needs()
	switch {
	case n.Role != "" || n.Window != 1 || n.Past != 0 || n.Features != 0 && models.EncoderOf(p.Net) == nil:
		return fmt.Errorf("generator: it makes no frame of one control picture alone")
	case n.OutputNC != 3:
		return fmt.Errorf("generator: output_nc is %d; frames have 3 channels", n.OutputNC)
	case n.InputNC != 1 && n.InputNC != 3 && n.Labels == 0:
		return fmt.Errorf("generator: input_nc is %d; control pictures have 3 channels, or 1 of luminance", n.InputNC)
	case p.Batch < 1:
		return fmt.Errorf("batch is %d; give at least 1", p.Batch)
	case p.Height < 1 || p.Width < 1 || p.Height%n.Stride != 0 || p.Width%n.Stride != 0 || min(p.Height, p.Width) < n.Least:
		h, w := n.Pad(p.Height, p.Width)
		return fmt.Errorf("samples are %dx%d (height x width), the network takes multiples of %d: resize to such with data.load = %q, or cut with size = %q",
			p.Height, p.Width, n.Stride, fmt.Sprintf("%dx%d", h, w), fmt.Sprintf("%dx%d", max(n.Least, p.Height/n.Stride*n.Stride), max(n.Least, p.Width/n.Stride*n.Stride)))
	}
	return nil
}

// statistics says by which statistics a network normalises.
func statistics(net models.Network) string {
	switch net := net.(type) {
	case *models.UNet:
		return net.Stats
	case *models.ResNet:
		return net.Stats
	case *models.Global:
		return net.Stats
	case *models.Local:
		return net.Stats
	}
	return ""
}
