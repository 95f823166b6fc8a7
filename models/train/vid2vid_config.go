package train

import (
	"fmt"
	"slices"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/nn"
)

// Vid2VidConfig is everything that decides how a vid2vid generator is trained
// but the data and the schedule.
type Vid2VidConfig struct {
	Generator models.Vid2Vid `toml:"generator"`
	D         DConfig        `toml:"discriminator"`
	Weights   Weights        `toml:"weights"`
	Perceptual
	Beta1 float32 `toml:"beta1"` // Adam's; 0 is 0.5
	Beta2 float32 `toml:"beta2"` // Adam's; 0 is 0.999
	// Loss is the adversarial one: lsgan, which none is too, hinge or vanilla.
	Loss string `toml:"loss,omitempty"`
	// TTUR is the published two time-scale update rule (Heusel et al. 2017):
	// half the rate for the generator, twice for the image discriminator, betas
	// 0 and 0.9 for both.
	TTUR bool `toml:"ttur,omitempty"`
	// FixGlobal is for how many steps the finest spatial scale alone learns;
	// then all do, with a new optimiser.
	FixGlobal int `toml:"fix_global,omitempty"`
	// First says what a clip begins with: nothing, which no_first_img is too, or
	// its real frames, as many as the generator looks back at ("real").
	First string `toml:"first_frames,omitempty"`
	// Chunk is how many frames are made between two steps, which are taken on
	// the mean of their losses (max_frames_per_gpu); 0 is 1. What it begins with
	// are the last frames of the one before, as constants.
	Chunk int `toml:"chunk,omitempty"`
	// Backpropagate is over how many frames of a chunk gradients go back through
	// time (max_frames_backpropagate); 0 and 1 are through none.
	Backpropagate int `toml:"n_frames_bp,omitempty"`
	// MaxBackpropagate lets that grow (max_frames_backpropagate): from 1, to twice
	// as many frames from each step of Grows on, at most to so many; 0 leaves it.
	MaxBackpropagate int   `toml:"max_frames_backpropagate,omitempty"`
	Grows            []int `toml:"-"` // in steps done, rising
	// Accumulate is of how many chunks the gradients are averaged before the
	// weights move; 0 is 1.
	Accumulate int `toml:"accumulate,omitempty"`
	// Recompute makes activations again where their gradients are wanted,
	// instead of keeping them: less memory, a little more time, the same numbers.
	Recompute bool `toml:"recompute,omitempty"`
	// EMA makes the model a mean of the generator's weights: 0.999 over about
	// the last thousand steps; 0 for the last weights.
	EMA float32 `toml:"ema,omitempty"`

	// R1 is the weight of the R1 penalty (Mescheder et al. 2018) of every
	// discriminator, 0 for none; 10 is usual. R1Every is of how many steps one
	// pays it, for all; 0 is 16.
	R1      float32 `toml:"r1,omitempty"`
	R1Every int     `toml:"r1_every,omitempty"`

	Seed   uint64 `toml:"-"`
	Height int    `toml:"-"`
	Width  int    `toml:"-"`
	Batch  int    `toml:"-"`
}

// DConfig describes the image and the temporal discriminator.
type DConfig struct {
	NDF    int    `toml:"ndf"`
	Layers int    `toml:"n_layers"`
	NumD   int    `toml:"num_d"`
	Norm   string `toml:"norm"` // batch, instance or none
	// Spectral divides weights by their spectral norm (Miyato et al. 2018).
	Spectral bool `toml:"spectral,omitempty"`
	// Rate is the discriminators' learning rate as a multiple of the
	// generator's (two time-scale update rule, Heusel et al. 2017).
	Rate float64 `toml:"rate"`

	// Scales is how many temporal discriminators there are: the s-th, from 0,
	// sees frames Frames^s apart, once a clip has enough of them. 0 is one that
	// judges from the second frame on, taking what was before the clip for grey.
	Scales int  `toml:"n_scales_temporal,omitempty"`
	Frames int  `toml:"n_frames_D,omitempty"` // frames a temporal discriminator sees; 0 is 3
	Sparse bool `toml:"sparse_D,omitempty"`   // only groups of frames that share none at their scale

	// Face adds a discriminator of faces (add_face_disc) and says how control
	// pictures tell where they are: densepose by the head, openpose by the limb
	// from neck to nose, labels by FaceLabels; "" for none. It sees a square of
	// FaceSize pixels; 0 is the published height/32*8.
	Face       string `toml:"face,omitempty"`
	FaceLabels []int  `toml:"face_labels,omitempty"`
	FaceSize   int    `toml:"face_size,omitempty"`
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
	needs := c.Generator.Needs()
	stride := needs.Stride
	switch {
	case c.Generator.Stats == "running":
		return fmt.Errorf("generator: norm_stats is running, but stored statistics are not trained; set norm_stats to frame")
	case needs.Labels == 0 && needs.InputNC != 1 && needs.InputNC%3 != 0:
		return fmt.Errorf("generator: input_nc is %d, but control pictures have 3 channels, or several such, or 1 by their luminance; for label ids give label_nc", needs.InputNC)
	case needs.Edges && needs.Labels == 0 && needs.InputNC > 3 && !needs.Instances:
		return fmt.Errorf("generator: use_instance: of %d channels nobody knows which show boundaries; give generator.inst and instance maps, or leave it out", needs.InputNC)
	case c.Height < 1 || c.Width < 1 || c.Height%stride != 0 || c.Width%stride != 0:
		return fmt.Errorf("training size %dx%d is no multiple of %d", c.Height, c.Width, stride)
	case c.Height < needs.Least || c.Width < needs.Least:
		return fmt.Errorf("training size %dx%d is too small: the generator wants at least %dx%d", c.Height, c.Width, needs.Least, needs.Least)
	case c.Batch < 1:
		return fmt.Errorf("batch is %d; give at least 1", c.Batch)
	case c.D.NDF < 1 || c.D.Layers < 1 || c.D.NumD < 1:
		return fmt.Errorf("discriminator: ndf, n_layers and num_d are at least 1")
	case !(c.D.Rate > 0):
		return fmt.Errorf("discriminator: rate is %g; give a positive multiple of lr", c.D.Rate)
	case !slices.Contains([]string{"batch", "instance", "none"}, c.D.Norm):
		return fmt.Errorf("discriminator: norm is %q; give batch, instance or none", c.D.Norm)
	case c.D.Spectral && c.D.Norm != "none":
		return fmt.Errorf("discriminator: spectral wants norm none, as %s norm undoes it", c.D.Norm)
	case c.Weights.L1 == 0 && c.Weights.GAN == 0 && c.Net == nil:
		return fmt.Errorf("weights: both l1 and gan are 0: nothing would teach the picture")
	}
	if !(c.Weights.Perceptual >= 0) {
		return fmt.Errorf("weights: perceptual is %g; give at least 0", c.Weights.Perceptual)
	}
	if err := c.Perceptual.check(c.Height, c.Width); err != nil {
		return err
	}
	if err := c.checkFace(); err != nil {
		return err
	}
	return c.validateSchedule()
}

// validateSchedule checks who learns when, and from what.
func (c Vid2VidConfig) validateSchedule() error {
	switch {
	case !slices.Contains([]string{"", "lsgan", "hinge", "vanilla"}, c.Loss):
		return fmt.Errorf("loss is %q; give lsgan, hinge or vanilla", c.Loss)
	case c.First != "" && c.First != "none" && c.First != firstReal:
		return fmt.Errorf("first_frames is %q; give none or real", c.First)
	case c.FixGlobal < 0 || c.FixGlobal > 0 && c.Generator.Scales < 2:
		return fmt.Errorf("fix_global is %d; give at least 0, and more only with n_scales_spatial of 2 or 3", c.FixGlobal)
	case c.D.Scales < 0 || c.D.Scales > 4:
		return fmt.Errorf("discriminator: n_scales_temporal is %d; give 0 to 4", c.D.Scales)
	case c.D.Frames != 0 && (c.D.Frames < 2 || c.D.Frames > 5):
		return fmt.Errorf("discriminator: n_frames_D is %d; give 2 to 5", c.D.Frames)
	case c.D.Sparse && c.D.Scales == 0:
		return fmt.Errorf("discriminator: sparse_D wants n_scales_temporal of at least 1")
	case c.Chunk < 0 || c.Accumulate < 0:
		return fmt.Errorf("chunk is %d and accumulate %d; give at least 0", c.Chunk, c.Accumulate)
	case c.Backpropagate < 0 || c.Backpropagate > c.chunk():
		return fmt.Errorf("n_frames_bp is %d; give 0 to the chunk's %d", c.Backpropagate, c.chunk())
	case c.MaxBackpropagate < 0:
		return fmt.Errorf("max_frames_backpropagate is %d; give at least 0", c.MaxBackpropagate)
	case c.MaxBackpropagate > 0 && c.Backpropagate > 1:
		return fmt.Errorf("n_frames_bp is %d throughout, and max_frames_backpropagate is what it grows to from 1: give one or the other", c.Backpropagate)
	case !(c.EMA >= 0 && c.EMA < 1):
		return fmt.Errorf("ema is %g; give 0 to below 1", c.EMA)
	}
	return checkR1(c.R1, c.R1Every, newGraphs(c).adversarial() || len(c.timeScales()) > 0)
}

// Steps is the number of steps on t frames, those included that a clip begins
// with: one a chunk, those included that only collect gradients.
func (c Vid2VidConfig) Steps(t int) int { return (max(0, t-c.begins()) + c.chunk() - 1) / c.chunk() }

// betas are Adam's constants for the generator and the image discriminator.
func (c Vid2VidConfig) betas() (float32, float32) {
	if c.TTUR {
		return 0, 0.9
	}
	return c.temporalBetas()
}

// temporalBetas are those of the temporal discriminators.
func (c Vid2VidConfig) temporalBetas() (float32, float32) {
	beta1, beta2 := c.Beta1, c.Beta2
	orElse(&beta1, 0.5)
	orElse(&beta2, 0.999)
	return beta1, beta2
}

func (c DConfig) net() models.MultiscaleD {
	norm := nn.Instance
	if c.Norm == "batch" {
		norm = nn.Batch
	}
	return models.MultiscaleD{NDF: c.NDF, Layers: c.Layers, NumD: c.NumD, Norm: norm, Plain: c.Norm == "none", Spectral: c.Spectral}
}
