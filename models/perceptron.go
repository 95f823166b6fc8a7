package models

import (
	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models/nn"
)

func init() {
	RegisterPicture("perceptron", func() Picture {
		return &Perceptron{PictureOptions{Size: 64, Channels: 3, Code: 100}}
	})
}

// Perceptron is the simplest network there is (Rosenblatt 1958): every number of
// a picture is a weighted sum of those of its learned code, squashed. Parameters:
// model.0.
type Perceptron struct{ PictureOptions }

// Learned implements Picture.
func (*Perceptron) Learned() bool { return true }

// Validate implements Picture.
func (p *Perceptron) Validate() error { return p.check(true, false, false) }

// Build implements Picture.
func (p *Perceptron) Build(b *nn.Builder, in Codes) *G.Node {
	return p.dense(b, in.Code, "model.0")
}

// dense is the layer that makes a picture.
func (o *PictureOptions) dense(b *nn.Builder, x *G.Node, name string) *G.Node {
	return b.Tanh(b.Reshape(b.Dense(x, name, o.Channels*o.Size*o.Size), o.Channels, o.Size, o.Size))
}
