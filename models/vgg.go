package models

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models/nn"
	"github.com/v2v/v2v/models/op"
	"github.com/v2v/v2v/models/weights"
)

// VGG19 is the network of that name (Simonyan and Zisserman 2015,
// configuration E) up to relu5_1, whose features the perceptual loss compares.
// Weights have torchvision's names, features.N.weight and features.N.bias;
// widths are the file's.
type VGG19 struct {
	src  weights.Store
	path string
}

// VGGPrefix is before the names of VGG19's constants in a graph.
const VGGPrefix = "VGG."

// VGGLeast is the smallest side of a picture that VGG19 takes.
const VGGLeast = 16

// vggBlocks are the numbers of torchvision's layers that are convolutions. After
// each block but the last is a maximum pool.
var vggBlocks = [][]int{{0, 2}, {5, 7}, {10, 12, 14, 16}, {19, 21, 23, 25}, {28}}

// OpenVGG19 opens a file of weights, .pth or safetensors, and holds it open.
func OpenVGG19(path string) (*VGG19, error) {
	src, err := weights.OpenAny(path)
	if err != nil {
		return nil, err
	}
	n := &VGG19{src: src, path: path}
	b := nn.NewBuilder(G.NewGraph(), nn.Options{})
	n.Build(b, b.Input("picture", 1, 3, VGGLeast, VGGLeast))
	if err := b.Err(); err != nil {
		return nil, errors.Join(fmt.Errorf("opening %s: these are no weights of VGG19 (torchvision's vgg19): %w", path, err), n.src.Close())
	}
	return n, nil
}

// Close closes the file.
func (n *VGG19) Close() error { return n.src.Close() }

// Sum is the SHA-256 of the file, in hexadecimal.
func (n *VGG19) Sum() (sum string, err error) {
	f, err := os.Open(n.path)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read %s: %w", n.path, err)
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}

// Constant fills dst with a constant that Build has asked for.
func (n *VGG19) Constant(name string, dst []float32) error {
	return n.src.Float32(strings.TrimPrefix(name, VGGPrefix), dst)
}

// Build is relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1 of a picture
// (N,3,H,W) as it is, each of half the size of the one before. Weights are leaves
// whose names begin with VGGPrefix.
func (n *VGG19) Build(b *nn.Builder, x *G.Node) []*G.Node {
	var features []*G.Node
	for i, block := range vggBlocks {
		if i > 0 {
			x = halfMax(b, x)
		}
		for k, layer := range block {
			if x = n.conv(b, x, layer); k == 0 {
				features = append(features, x)
			}
		}
	}
	return features
}

// conv is a 3x3 convolution and ReLU.
func (n *VGG19) conv(b *nn.Builder, x *G.Node, layer int) *G.Node {
	if b.Err() != nil {
		return nil
	}
	name := fmt.Sprintf("features.%d", layer)
	w, ok := n.src.Info(name + ".weight")
	bias, biased := n.src.Info(name + ".bias")
	c := x.Shape()[1]
	if !ok || !biased || len(w.Shape) != 4 || !slices.Equal(w.Shape[1:], []int{c, 3, 3}) || !slices.Equal(bias.Shape, w.Shape[:1]) {
		b.Fail(name, fmt.Errorf("it is no 3x3 convolution of %d channels, with a bias", c))
		return nil
	}
	y, err := op.Apply(op.Conv{Stride: 1, Pad: 1, Bias: true}, x,
		b.Input(VGGPrefix+name+".weight", w.Shape...), b.Input(VGGPrefix+name+".bias", bias.Shape...))
	if err != nil {
		b.Fail(name, err)
		return nil
	}
	return b.ReLU(y)
}

// halfMax is the largest of each 2x2 pixels.
func halfMax(b *nn.Builder, x *G.Node) *G.Node {
	if b.Err() != nil {
		return nil
	}
	h, w := x.Shape()[2]/2*2-1, x.Shape()[3]/2*2-1
	at := func(dy, dx int) *G.Node {
		return b.AvgPool(b.Slice(b.Slice(x, 2, dy, dy+h), 3, dx, dx+w), 1, 2, 0)
	}
	larger := func(x, y *G.Node) *G.Node { return b.Add(x, b.ReLU(b.Sub(y, x))) }
	return larger(larger(at(0, 0), at(0, 1)), larger(at(1, 0), at(1, 1)))
}
