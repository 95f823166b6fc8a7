package models

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models/nn"
)

// Inputs are what a generator sees for one frame. Pictures are in [-1,1].
type Inputs struct {
	Labels *G.Node // (N,C*Window,H,W): control pictures, oldest first, the current one last
	Prev   *G.Node // (N,3*Past,H,W): frames made before, oldest first; nil where Past is 0
}

// Outputs are what a generator makes of one frame. Only Final is always there.
type Outputs struct {
	Final  *G.Node // (N,3,H,W) in [-1,1]
	Raw    *G.Node // (N,3,H,W) what was hallucinated
	Flow   *G.Node // (N,2,H,W) pixels, from this frame to the one before
	Mask   *G.Node // (N,1,H,W) 1 = hallucinated, 0 = warped
	Warped *G.Node // (N,3,H,W) the previous frame moved by Flow
}

// Needs are what a generator demands of its surroundings.
type Needs struct {
	Stride int  // height and width are multiples of it
	Window int  // control pictures it sees, the current one included
	Past   int  // generated frames it sees
	Luma   bool // control pictures have one channel, not three
}

// Network is a generator's configuration and its architecture.
type Network interface {
	// Validate checks the configuration after defaults are filled in.
	Validate() error
	Needs() Needs
	// Build adds the generator to the graph of b.
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
}

// About is what is worth knowing of a model's making; nothing depends on it.
type About struct {
	Extract string `json:"extract,omitempty"` // how `v2v prepare` made the control pictures
	Size    string `json:"size,omitempty"`    // HxW it was trained at
	Steps   int    `json:"steps,omitempty"`
	Seed    uint64 `json:"seed,omitempty"`
	Note    string `json:"note,omitempty"`
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
