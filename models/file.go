package models

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/nn"
	"github.com/v2v/v2v/models/weights"
)

// Model is an open model file.
type Model struct {
	Config Config
	Net    Network
	First  Network // makes the first frames of a clip; nil where there is none
	file   *weights.File
}

// Open reads a model's configuration and checks that its weights are exactly
// those of the network it names.
func Open(path string) (*Model, error) {
	f, err := weights.Open(path)
	if err != nil {
		return nil, err
	}
	m := &Model{file: f}
	if err := m.read(); err != nil {
		return nil, errors.Join(fmt.Errorf("model %s: %w", path, err), f.Close())
	}
	return m, nil
}

func (m *Model) read() error {
	err := m.file.Config(&m.Config)
	if errors.Is(err, weights.ErrNoConfig) {
		return fmt.Errorf("it carries no v2v configuration; it is no model that v2v wrote")
	} else if err != nil {
		return err
	}
	if m.Net, err = m.Config.decode(); err != nil {
		return err
	}
	params, err := Parameters(m.Net)
	if err != nil {
		return err
	}
	if m.Config.First == nil {
		return m.matches(params)
	}
	if m.First, err = m.Config.First.decode(); err != nil {
		return fmt.Errorf("first frames: %w", err)
	}
	if err := firstFits(m.Net, m.First); err != nil {
		return err
	}
	first, err := Parameters(m.First)
	if err != nil {
		return err
	}
	for _, p := range first {
		p.Name = firstPrefix + p.Name
		params = append(params, p)
	}
	return m.matches(params)
}

// matches compares names and shapes both ways.
func (m *Model) matches(params []nn.Param) error {
	var wrong []string
	known := map[string]bool{}
	for _, p := range params {
		known[p.Name] = true
		info, ok := m.file.Info(p.Name)
		if !ok {
			wrong = append(wrong, p.Name+" is missing")
		} else if !tensor.Shape(info.Shape).Eq(p.Shape) {
			wrong = append(wrong, fmt.Sprintf("%s is %v, not %v", p.Name, info.Shape, p.Shape))
		}
	}
	for _, n := range m.file.Names() {
		if !known[n] {
			wrong = append(wrong, n+" is not of this network")
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	more := ""
	if n := len(wrong) - 3; n > 0 {
		wrong, more = wrong[:3], fmt.Sprintf(" and %d more", n)
	}
	return fmt.Errorf("weights do not fit network %s: %s%s", m.Config.Network, strings.Join(wrong, "; "), more)
}

// Weight fills dst with a parameter.
func (m *Model) Weight(name string, dst []float32) error { return m.file.Float32(name, dst) }

// Hash is the sha256 of the whole file, in hexadecimal.
func (m *Model) Hash() (string, error) {
	f, err := os.Open(m.file.Path())
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("hash model %s: %w", m.file.Path(), err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Close unmaps the file.
func (m *Model) Close() error { return m.file.Close() }

// Parameters lists a network's parameters in the order it is built.
func Parameters(net Network) ([]nn.Param, error) {
	b := nn.NewBuilder(G.NewGraph(), nn.Options{})
	n := net.Needs()
	const roomy = 64 // no network asks for more but by its needs
	h, w := n.Pad(roomy, roomy)
	net.Build(b, leaves(b, n, 1, h, w))
	styleParameters(b, net, h, w)
	if err := b.Err(); err != nil {
		return nil, err
	}
	return b.Params(), nil
}

// leaves makes a network's inputs as plain float tensors.
func leaves(b *nn.Builder, n Needs, batch, h, w int) Inputs {
	in := Inputs{Labels: b.Input("labels", batch, n.Channels()*n.Window, h, w)}
	if n.Past > 0 {
		in.Prev = b.Input("prev", batch, 3*n.Past, h, w)
		for l := 1; l < n.Scales; l++ {
			in.Coarse = append(in.Coarse, b.Input(fmt.Sprintf("prev.%d", l), batch, 3*n.Past, h>>l, w>>l))
		}
	}
	if n.Features > 0 {
		in.Features = b.Input("features", batch, n.Features, h, w)
	}
	return in
}

// NewConfig describes a network for a model file.
func NewConfig(name string, net Network, about About) (Config, error) {
	raw, err := json.Marshal(net)
	if err != nil {
		return Config{}, fmt.Errorf("describe network %s: %w", name, err)
	}
	return Config{Format: 1, Network: name, Options: raw, About: about}, nil
}

// Save writes a model file. Read fills in a parameter's current value. With
// half the weights are stored as float16, which halves the file and costs
// three decimal digits of a weight's eight.
func Save(path string, c Config, half bool, read func(name string, dst []float32) error) error {
	net, err := c.decode()
	if err != nil {
		return err
	}
	params, err := Parameters(net)
	if err != nil {
		return err
	}
	typ := weights.F32
	if half {
		typ = weights.F16
	}
	var ts []weights.Tensor
	for _, p := range params {
		ts = append(ts, weights.Tensor{Name: p.Name, DType: typ, Shape: p.Shape,
			Load: func(dst []float32) error { return read(p.Name, dst) }})
	}
	meta := map[string]string{}
	if err := weights.SetConfig(meta, c); err != nil {
		return err
	}
	return weights.Write(path, ts, meta)
}
