package published

import (
	"errors"
	"fmt"
	"strings"

	"github.com/v2v/v2v/models"
)

// Choices settle what weights cannot tell. The zero value leaves everything to
// opt.txt and the published defaults.
type Choices struct {
	NormStats string // frame or running
	LabelNC   *int   // above 0: control pictures are index pictures of so many labels
	Edges     *bool  // a channel of instance boundaries
	Features  *int   // channels that an encoder's features take (pix2pixHD)
	FGLabels  []int  // what vid2vid's foreground is
}

// Surroundings are what stands beside a checkpoint.
type Surroundings struct {
	Options  Opt  // of opt.txt; nil where there is none
	Features int  // channels that the encoder beside it makes; 0 without one
	Scales   bool // files of finer scales lie beside a single one
}

// Found is what a checkpoint was recognised as.
type Found struct {
	Network string
	Net     models.Network
	Assumed []models.Assumption
}

// ErrChoice is wrapped where a choice does not go with the weights.
var ErrChoice = errors.New("does not fit the weights")

// ErrUnknown is wrapped where the weights are of no network known here.
var ErrUnknown = errors.New("the weights are of no network that v2v knows")

// recogniser is one look at a checkpoint.
type recogniser struct {
	Shapes
	choices Choices
	around  Surroundings
	assumed []models.Assumption
}

// families are told apart by one tensor that only they have; the first counts.
var families = []struct {
	tensor string
	of     func(*recogniser) (string, models.Network, error)
}{
	{"model_down_seg.1.weight", (*recogniser).vid2vid},
	{"model_upsample_conv.1.weight", (*recogniser).withZ},
	{"model1_1.1.weight", (*recogniser).local},
	{"model.model.0.weight", (*recogniser).unet},
	{"scale0_layer0.0.weight", (*recogniser).multiscale},
	{"layer0.0.weight", (*recogniser).multiscale},
	{"model.0.weight", (*recogniser).patchgan},
	{"model.1.weight", (*recogniser).trunk},
}

// strangers are networks of the same people that do not run here.
var strangers = []struct{ prefix, what string }{
	{"model_final.1.", "vid2vid's local_with_features"},
	{"flownet", "FlowNet2, which is only needed for training"},
	{"features.0.", "VGG, which is only needed for training"},
	{"netG1.model_down_seg.", "a finer scale of vid2vid without the coarsest: give the folder that holds latest_net_G0.pth too"},
	{"up_0.", "an imaginaire or SPADE generator"},
	{"net.0.", "a pixel discriminator"},
}

// Recognise tells a network by the names and shapes of its tensors: every one
// of them is accounted for.
func Recognise(state Shapes, around Surroundings, choices Choices) (Found, error) {
	r := &recogniser{Shapes: state, choices: choices, around: around}
	for _, f := range families {
		if len(state[f.tensor]) != 4 {
			continue
		}
		name, net, err := f.of(r)
		if err == nil {
			err = r.check(name, net)
		}
		if err != nil {
			return Found{}, err
		}
		return Found{Network: name, Net: net, Assumed: r.assumed}, nil
	}
	return Found{}, r.stranger()
}

// check proves a network and that the checkpoint is whole.
func (r *recogniser) check(name string, net models.Network) error {
	if err := r.meant(name, net); err != nil {
		return err
	}
	err := net.Validate()
	switch {
	case err != nil && (r.choices.NormStats != "" || r.choices.FGLabels != nil):
		return fmt.Errorf("the choice %w: network %s: %w", ErrChoice, name, err)
	case err != nil:
		return fmt.Errorf("%w: it looks like %s, but %w", ErrUnknown, name, err)
	case r.choices.NormStats == "running" && !r.running():
		return fmt.Errorf("norm-stats running %w: they come without stored statistics", ErrChoice)
	}
	return r.fits(name, net)
}

// meant refuses choices that a network has no use for.
func (r *recogniser) meant(name string, net models.Network) error {
	fg, channels, features := false, true, false
	switch net := net.(type) {
	case *models.Vid2Vid:
		fg = net.FG
	case *models.Global, *models.Local:
		features = true
	case *models.GlobalZ:
	default:
		channels = false
	}
	for _, o := range []struct {
		option      string
		asked, used bool
	}{
		{"fg-labels", r.choices.FGLabels != nil, fg}, {"label-nc", r.choices.LabelNC != nil, channels},
		{"use-instance", r.choices.Edges != nil, channels}, {"feat-num", r.choices.Features != nil, features},
	} {
		if o.asked && !o.used {
			return fmt.Errorf("%s: the choice %w, which are of a %s without such a thing", o.option, ErrChoice, name)
		}
	}
	return nil
}

func (r *recogniser) stranger() error {
	names := r.names()
	for _, s := range strangers {
		for _, n := range names {
			if strings.HasPrefix(n, s.prefix) {
				return fmt.Errorf("%w: they look like %s", ErrUnknown, s.what)
			}
		}
	}
	if len(names) == 0 {
		return fmt.Errorf("%w: there are none", ErrUnknown)
	}
	return fmt.Errorf("%w: %d tensors, the first %.60s %v", ErrUnknown, len(names), names[0], r.Shapes[names[0]])
}

// assume records a published default, which change overrides.
func (r *recogniser) assume(option, value, change string) {
	r.assumed = append(r.assumed, models.Assumption{Option: option, Value: value, Source: "published default", Change: change})
}

// read records what opt.txt says.
func (r *recogniser) read(option, value, change string) {
	r.assumed = append(r.assumed, models.Assumption{Option: option, Value: value, Source: "opt.txt", Change: change})
}

// stats is the value of norm_stats for a kind of normalisation.
func (r *recogniser) stats(norm string) string {
	switch {
	case r.choices.NormStats != "" && (r.choices.NormStats != "frame" || norm == "batch"):
		return r.choices.NormStats
	case norm == "instance":
		return ""
	case r.running():
		r.assume("norm_stats", "frame", "--norm-stats running")
	default:
		r.assume("norm_stats", "frame", "the weights come without stored ones")
	}
	return ""
}

// pictures records what is true of every generator that was published.
func (r *recogniser) pictures() {
	r.assume("output", "tanh, -1 to 1", "no published network has another")
}
