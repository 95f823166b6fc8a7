package models

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/nn"
	"github.com/v2v/v2v/models/weights"
)

// PictureOptions configure a network that makes pictures of codes. Each network
// uses some of them and refuses the others.
type PictureOptions struct {
	Size     int      `json:"size" toml:"size"`                         // pictures are so many pixels wide and high: 16, 32, 64, 128 or 256
	Channels int      `json:"channels" toml:"channels"`                 // 3, or 1 for grey
	Code     int      `json:"code" toml:"code"`                         // numbers of a code
	Width    int      `json:"width,omitempty" toml:"width,omitempty"`   // gan, deconv: channels at full size; mlp: units of a layer
	Layers   int      `json:"layers,omitempty" toml:"layers,omitempty"` // mlp: dense layers
	Images   int      `json:"images,omitempty" toml:"-"`                // training images, each with a code of its own
	Classes  []string `json:"classes,omitempty" toml:"-"`               // names of the classes that pictures are made of; none without
}

// Codes are what a picture network sees.
type Codes struct {
	Code  *G.Node // (N,Code,1,1)
	Class *G.Node // (N,len(Classes),1,1), 1 for each picture's class; nil without classes
	// Norm normalises a layer. Nil takes the statistics of the batch.
	Norm func(x *G.Node, name string) *G.Node
}

// Picture is a network that makes pictures of codes.
type Picture interface {
	// Options are the network's own, to be read and set.
	Options() *PictureOptions
	// Learned says that the codes are learned with the network, one for each
	// training image; they are normal noise otherwise.
	Learned() bool
	Validate() error
	// Build adds the network to the graph of b: (N,Channels,Size,Size) in [-1,1].
	Build(b *nn.Builder, in Codes) *G.Node
}

// CodeTable is the parameter (Images,Code) of learned codes.
const CodeTable = "codes"

var pictures = map[string]func() Picture{}

// RegisterPicture makes a picture network known under a name, as Register does.
func RegisterPicture(name string, blank func() Picture) { pictures[name] = blank }

// PictureNames lists the picture networks.
func PictureNames() []string {
	var names []string
	for n := range pictures {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// BlankPicture returns a picture network of that name with its defaults.
func BlankPicture(name string) (Picture, error) {
	blank, ok := pictures[name]
	if !ok {
		return nil, fmt.Errorf("network %q makes no pictures of codes; those are %s", name, strings.Join(PictureNames(), ", "))
	}
	return blank(), nil
}

// doublings are those from a picture of 4x4 to one of Size.
func (o *PictureOptions) doublings() int { return bits.Len(uint(o.Size)) - 3 }

// maxPictures bounds what a configuration may ask for.
const (
	maxCode   = 4096
	maxUnits  = 8192
	maxImages = 1 << 24 // what a float32 counts exactly
)

// check is the part of Validate that all networks share.
func (o *PictureOptions) check(learned, width, layers bool) error {
	switch {
	case o.Size < 16 || o.Size > 256 || o.Size&(o.Size-1) != 0:
		return fmt.Errorf("size is %d; give 16, 32, 64, 128 or 256", o.Size)
	case o.Channels != 1 && o.Channels != 3:
		return fmt.Errorf("channels is %d; pictures have 3, or 1", o.Channels)
	case o.Code < 1 || o.Code > maxCode:
		return fmt.Errorf("code is %d; give 1 to %d", o.Code, maxCode)
	case width && (o.Width < 1 || o.Width > maxUnits):
		return fmt.Errorf("width is %d; give 1 to %d", o.Width, maxUnits)
	case !width && o.Width != 0:
		return fmt.Errorf("width is %d; this network has none", o.Width)
	case layers && (o.Layers < 2 || o.Layers > 16):
		return fmt.Errorf("layers is %d; give 2 to 16", o.Layers)
	case !layers && o.Layers != 0:
		return fmt.Errorf("layers is %d; this network has none to choose", o.Layers)
	case o.Images < 0 || o.Images > maxImages || !learned && o.Images != 0:
		return fmt.Errorf("images is %d, of a network whose codes are learned: %v", o.Images, learned)
	case learned && len(o.Classes) > 0:
		return errors.New("classes are for networks that make pictures of noise")
	}
	return nil
}

// Options implements Picture.
func (o *PictureOptions) Options() *PictureOptions { return o }

// norm normalises as the caller of Build wants it.
func (in Codes) norm(b *nn.Builder, x *G.Node, name string) *G.Node {
	if in.Norm == nil {
		return b.Norm(x, name, nn.Batch)
	}
	return in.Norm(x, name)
}

// PictureParameters lists a network's parameters, the learned codes last.
func PictureParameters(net Picture) ([]nn.Param, error) {
	o := net.Options()
	b := nn.NewBuilder(G.NewGraph(), nn.Options{})
	net.Build(b, o.inputs(b, 1))
	if net.Learned() {
		b.Codes(b.Input("index", 1), CodeTable, o.Images, o.Code)
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return b.Params(), nil
}

// inputs makes the leaves that codes come in by: code, and class.
func (o *PictureOptions) inputs(b *nn.Builder, batch int) Codes {
	in := Codes{Code: b.Input("code", batch, o.Code, 1, 1)}
	if n := len(o.Classes); n > 0 {
		in.Class = b.Input("class", batch, n, 1, 1)
	}
	return in
}

// PictureModel is an open model file of a picture network.
type PictureModel struct {
	Config Config
	Net    Picture
	file   *weights.File
}

// OpenPicture reads a model's configuration and checks its weights against it.
func OpenPicture(path string) (*PictureModel, error) {
	f, err := weights.Open(path)
	if err != nil {
		return nil, err
	}
	m := &PictureModel{file: f}
	if err := m.read(); err != nil {
		return nil, errors.Join(fmt.Errorf("model %s: %w", path, err), f.Close())
	}
	return m, nil
}

func (m *PictureModel) read() error {
	err := m.file.Config(&m.Config)
	if errors.Is(err, weights.ErrNoConfig) {
		return errors.New("it carries no v2v configuration; it is no model that v2v wrote")
	} else if err != nil {
		return err
	}
	if m.Net, err = m.Config.decodePicture(); err != nil {
		return err
	}
	params, err := PictureParameters(m.Net)
	if err != nil {
		return err
	}
	return fits(m.file, m.Config.Network, params)
}

// decodePicture makes the configured network.
func (c Config) decodePicture() (Picture, error) {
	if c.Format != 1 {
		return nil, fmt.Errorf("configuration format %d; this v2v reads format 1", c.Format)
	}
	net, err := BlankPicture(c.Network)
	if err != nil {
		return nil, err
	}
	*net.Options() = PictureOptions{}
	d := json.NewDecoder(strings.NewReader(string(c.Options)))
	d.DisallowUnknownFields()
	if err := d.Decode(net.Options()); err != nil {
		return nil, fmt.Errorf("options of network %s: %w", c.Network, err)
	}
	if err := net.Validate(); err != nil {
		return nil, fmt.Errorf("options of network %s: %w", c.Network, err)
	}
	return net, nil
}

// fits compares the names and shapes of a file with a network's, both ways.
func fits(f *weights.File, network string, params []nn.Param) error {
	known := map[string]bool{}
	for _, p := range params {
		known[p.Name] = true
		switch info, ok := f.Info(p.Name); {
		case !ok:
			return fmt.Errorf("weights do not fit network %s: %s is missing", network, p.Name)
		case !tensor.Shape(info.Shape).Eq(p.Shape):
			return fmt.Errorf("weights do not fit network %s: %s is %v, not %v", network, p.Name, info.Shape, p.Shape)
		}
	}
	for _, n := range f.Names() {
		if !known[n] {
			return fmt.Errorf("weights do not fit network %s: %s is not of it", network, n)
		}
	}
	return nil
}

// Weight fills dst with a parameter.
func (m *PictureModel) Weight(name string, dst []float32) error { return m.file.Float32(name, dst) }

// Close unmaps the file.
func (m *PictureModel) Close() error { return m.file.Close() }

// SavePicture writes a model file, as Save does. Codes are kept whole: they are
// few, and their distribution is sampled.
func SavePicture(path, name string, net Picture, about About, half bool, read func(name string, dst []float32) error) error {
	raw, err := json.Marshal(net.Options())
	if err != nil {
		return fmt.Errorf("describe network %s: %w", name, err)
	}
	params, err := PictureParameters(net)
	if err != nil {
		return err
	}
	var ts []weights.Tensor
	for _, p := range params {
		t := weights.Tensor{Name: p.Name, DType: weights.F32, Shape: p.Shape, Load: func(dst []float32) error { return read(p.Name, dst) }}
		if half && p.Name != CodeTable+".weight" {
			t.DType = weights.F16
		}
		ts = append(ts, t)
	}
	meta := map[string]string{}
	if err := weights.SetConfig(meta, Config{Format: 1, Network: name, Options: raw, About: about}); err != nil {
		return err
	}
	return weights.Write(path, ts, meta)
}
