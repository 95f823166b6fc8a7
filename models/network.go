package models

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models/nn"
)

// Inputs are what a network sees. Pictures are in [-1,1]; index pictures one
// channel a label.
type Inputs struct {
	// Labels is (N,C*Window,H,W): control pictures, oldest first, the current
	// one last. For a discriminator or an encoder it is all there is.
	Labels *G.Node
	// Prev is (N,3*Past,H,W): frames made before, oldest first; nil where Past is 0.
	Prev *G.Node
	// Coarse is Prev for every coarser scale, as that scale made them: at half
	// the size first. Nil where Scales is 1.
	Coarse []*G.Node
	// Features is (N,Features,H,W): what an encoder made, or noise; nil where
	// Features is 0.
	Features *G.Node
}

// Outputs are what a network makes of one frame. Only Final is always there,
// and of a discriminator only Scores.
type Outputs struct {
	Final  *G.Node // (N,3,H,W) in [-1,1]
	Raw    *G.Node // (N,3,H,W) what was hallucinated
	Flow   *G.Node // (N,2,H,W) pixels, from this frame to the one before
	Mask   *G.Node // (N,1,H,W) 1 = hallucinated, 0 = warped
	Warped *G.Node // (N,3,H,W) the previous frame moved by Flow

	Coarse []Outputs // of the coarser scales, that of half the size first
	Scores []*G.Node // (N,1,h,w) a discriminator's logits, finest first
}

// The roles of networks that make no frames.
const (
	RoleDiscriminator = "discriminator"
	RoleEncoder       = "encoder"
)

// Needs are what a network demands of its surroundings.
type Needs struct {
	Role     string // "" for a generator
	Stride   int    // height and width are multiples of it
	Least    int    // the smallest height and width
	Window   int    // control pictures it sees, the current one included
	Past     int    // generated frames it sees
	Scales   int    // spatial scales, each with its own generated frames
	InputNC  int    // channels of a control picture where Labels is 0
	OutputNC int    // channels of a frame
	Luma     bool   // control pictures have one channel, not three
	Labels   int    // above 0: control pictures are index pictures of so many labels
	Edges    bool   // one more channel a control picture: its boundaries
	// Instances says that they are those of a picture of instances, as
	// labelmap.Pack writes them: the last picture of a control frame.
	Instances bool
	Features  int // channels of Inputs.Features
}

// Channels is the number of channels of one control picture.
func (n Needs) Channels() int {
	c := n.InputNC
	if n.Labels > 0 {
		c = n.Labels
	}
	if n.Edges {
		c++
	}
	return c
}

// faceChannels are the edges of a face and 14 maps of distances, which are in
// [0,1] in the published code, where other pictures are in [-1,1].
const faceChannels = 15

// Tiles is of how many pictures of three channels a control picture consists:
// they lie below one another in a control frame, as two in that of a pose (6
// channels: DensePose and OpenPose), five in that of a face (15), and below them
// where there is one that of instances.
func (n Needs) Tiles() int {
	switch {
	case n.Labels > 0:
		return 1
	case n.Instances:
		return max(1, n.InputNC/3) + 1
	}
	return max(1, n.InputNC/3)
}

// Pad is the size at which the network sees pictures of h x w.
func (n Needs) Pad(h, w int) (ph, pw int) {
	return Padded(max(h, n.Least), n.Stride), Padded(max(w, n.Least), n.Stride)
}

// Padded is n rounded up to a multiple of stride.
func Padded(n, stride int) int { return (n + stride - 1) / stride * stride }

// Network is a network's configuration and its architecture.
type Network interface {
	// Validate checks the configuration after defaults are filled in.
	Validate() error
	Needs() Needs
	// Build adds the network to the graph of b.
	Build(b *nn.Builder, in Inputs) Outputs
}

var networks = map[string]func() Network{}

// Register makes a network known under the name that model files and
// configurations use. It is called by the init function of the network's file.
func Register(name string, blank func() Network) { networks[name] = blank }

// Names lists the registered networks.
func Names() []string {
	var names []string
	for n := range networks {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Blank returns a network of that name with its defaults.
func Blank(name string) (Network, error) {
	blank, ok := networks[name]
	if !ok {
		return nil, fmt.Errorf("network %q is none of %s", name, strings.Join(Names(), ", "))
	}
	return blank(), nil
}

// Config is the whole configuration of a model, as JSON in its file.
type Config struct {
	Format  int             `json:"format"` // 1
	Network string          `json:"network"`
	Options json.RawMessage `json:"options"`
	About   About           `json:"about"`
	// First is the image network that makes the first frames; its weights'
	// names begin with "first.".
	First *Config `json:"first,omitempty"`
}

// About is what is worth knowing of a model's making; nothing depends on it.
type About struct {
	Extract string `json:"extract,omitempty"` // how `v2v prepare` made the control pictures
	Size    string `json:"size,omitempty"`    // HxW it was trained at
	Steps   int    `json:"steps,omitempty"`
	Seed    uint64 `json:"seed,omitempty"`
	Note    string `json:"note,omitempty"`

	Imported *Imported `json:"imported,omitempty"` // where the weights come from, if not from v2v
}

// Imported says of a model made of published weights what they did not say
// themselves.
type Imported struct {
	From    []string     `json:"from"`              // names of the files
	Assumed []Assumption `json:"assumed,omitempty"` // in the order in which they matter
	// Tracked says that its instance normalisation kept statistics, which
	// nothing uses, but which Python's network asks for.
	Tracked bool `json:"tracked,omitempty"`
}

// Assumption is an option that weights cannot tell.
type Assumption struct {
	Option string `json:"option"`
	Value  string `json:"value"`
	Source string `json:"source"`           // "published default" or "opt.txt"
	Change string `json:"change,omitempty"` // what to do where it is wrong
}

// decode makes the configured network.
func (c Config) decode() (Network, error) {
	if c.Format != 1 {
		return nil, fmt.Errorf("configuration format %d; this v2v reads format 1", c.Format)
	}
	net, err := Blank(c.Network)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(strings.NewReader(string(c.Options)))
	d.DisallowUnknownFields()
	if err := d.Decode(net); err != nil {
		return nil, fmt.Errorf("options of network %s: %w", c.Network, err)
	}
	if err := net.Validate(); err != nil {
		return nil, fmt.Errorf("options of network %s: %w", c.Network, err)
	}
	return net, nil
}
