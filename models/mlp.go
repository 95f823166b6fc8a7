package models

import (
	"fmt"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models/nn"
)

func init() {
	RegisterPicture("mlp", func() Picture {
		return &MLP{PictureOptions{Size: 64, Channels: 3, Code: 100, Width: 512, Layers: 3}}
	})
}

// MLP is a perceptron of several layers (Rumelhart et al. 1986): dense layers of
// Width units, each with a LeakyReLU, and one that makes the picture, of a
// learned code. Parameters: model.0, .2, .4 and on, as in an nn.Sequential.
type MLP struct{ PictureOptions }

// Learned implements Picture.
func (*MLP) Learned() bool { return true }

// Validate implements Picture.
func (m *MLP) Validate() error { return m.check(true, true, true) }

// Build implements Picture.
func (m *MLP) Build(b *nn.Builder, in Codes) *G.Node {
	x := in.Code
	for i := range m.Layers - 1 {
		x = b.LeakyReLU(b.Dense(x, fmt.Sprint("model.", 2*i), m.Width), 0.2)
	}
	return m.dense(b, x, fmt.Sprint("model.", 2*(m.Layers-1)))
}
