package published

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/nn"
	"github.com/v2v/v2v/models/op"
	"github.com/v2v/v2v/models/weights"
	"github.com/v2v/v2v/video"
)

// Inception is Inception-v3 (Szegedy et al. 2015) up to the mean of its last
// features, by which FID compares pictures. Weights are those of torchvision, or
// pytorch-fid's pt_inception-2015-12-05, which has the same names, 1008 classes,
// and other pools. Widths are the file's.
type Inception struct {
	dev   engine.Device
	src   weights.Store
	fid   bool
	exe   engine.Executable
	in    engine.Buffer
	h, w  int
	extra map[string][]float32 // constants that are not the file's
}

// inceptionSide is the size at which pictures are looked at.
const inceptionSide = 299

// inceptionEps is of the published normalisations.
const inceptionEps = 1e-3

// OpenInception opens the weights. The device stays the caller's.
func OpenInception(dev engine.Device, path string) (*Inception, error) {
	src, err := weights.OpenAny(path)
	if err != nil {
		return nil, err
	}
	n := &Inception{dev: dev, src: src}
	if fc, ok := src.Info("fc.weight"); ok && len(fc.Shape) == 2 {
		n.fid = fc.Shape[0] == 1008
	}
	b, _ := n.build(32, 32)
	if err := b.Err(); err != nil {
		return nil, errors.Join(fmt.Errorf("opening %s: these are no weights of Inception-v3 (torchvision's inception_v3, or pt_inception of pytorch-fid): %w", path, err), src.Close())
	}
	return n, nil
}

// Features are the network's of a picture.
func (n *Inception) Features(f *video.Frame) ([]float64, error) {
	if n.exe == nil || n.h != f.H || n.w != f.W {
		if err := n.compile(f.H, f.W); err != nil {
			return nil, fmt.Errorf("prepare Inception for %dx%d: %w", f.W, f.H, err)
		}
	}
	if err := n.in.Write(f.Pix); err != nil {
		return nil, err
	}
	if err := n.exe.Run(); err != nil {
		return nil, err
	}
	out := n.exe.Output(0)
	x := make([]float32, out.Shape().TotalSize())
	if err := out.Read(x); err != nil {
		return nil, err
	}
	features := make([]float64, len(x))
	for i, v := range x {
		features[i] = float64(v)
	}
	return features, nil
}

func (n *Inception) compile(h, w int) error {
	if err := n.release(); err != nil {
		return err
	}
	b, out := n.build(h, w)
	if err := b.Err(); err != nil {
		return err
	}
	params := map[string]bool{}
	for _, p := range b.Params() {
		params[p.Name] = true
	}
	p, err := engine.Lower(engine.Source{Outputs: []engine.Named{{Name: "features", Node: out}}, Constant: func(name string) bool { return params[name] }})
	if err != nil {
		return err
	}
	if n.exe, err = n.dev.Compile(p, engine.Options{Constants: n.constant}); err != nil {
		return err
	}
	if n.in, err = n.dev.Alloc([]int{1, h, w, 3}, engine.U8); err != nil {
		return err
	}
	n.h, n.w = h, w
	return n.exe.Bind("picture", n.in)
}

func (n *Inception) release() error {
	var err error
	if n.exe != nil {
		err = n.exe.Close()
	}
	if n.in != nil {
		err = errors.Join(err, n.in.Close())
	}
	n.exe, n.in = nil, nil
	return err
}

// Close frees what was made on the device, and the file.
func (n *Inception) Close() error { return errors.Join(n.release(), n.src.Close()) }

// constant is a convolution's weight or bias with its normalisation in it, or a
// pool's shares.
func (n *Inception) constant(name string, dst []float32) error {
	if x, ok := n.extra[name]; ok {
		copy(dst, x)
		return nil
	}
	layer := name[:strings.LastIndexByte(name, '.')]
	info, _ := n.src.Info(layer + ".conv.weight")
	var bn [4][]float32 // gamma, beta, mean, variance
	for i, part := range []string{"weight", "bias", "running_mean", "running_var"} {
		bn[i] = make([]float32, info.Shape[0])
		if err := n.src.Float32(layer+".bn."+part, bn[i]); err != nil {
			return err
		}
	}
	factor := func(o int) float32 {
		return float32(float64(bn[0][o]) / math.Sqrt(float64(bn[3][o])+inceptionEps))
	}
	if strings.HasSuffix(name, ".bias") {
		for o := range dst {
			dst[o] = bn[1][o] - bn[2][o]*factor(o)
		}
		return nil
	}
	if err := n.src.Float32(layer+".conv.weight", dst); err != nil {
		return err
	}
	each := len(dst) / info.Shape[0]
	for i := range dst {
		dst[i] *= factor(i / each)
	}
	return nil
}

// inceptionGraph builds the network.
type inceptionGraph struct {
	b *nn.Builder
	n *Inception
}

// build is the network on a picture (1,h,w,3).
func (n *Inception) build(h, w int) (*nn.Builder, *G.Node) {
	n.extra = map[string][]float32{}
	b := nn.NewBuilder(G.NewGraph(), nn.Options{})
	g := inceptionGraph{b, n}
	x := b.FromBytes(b.InputBytes("picture", 1, h, w, 3), h, w, false)
	if h != inceptionSide || w != inceptionSide {
		x = b.ResizeBilinear(x, inceptionSide, inceptionSide)
	}
	x = g.conv(x, "Conv2d_1a_3x3", 2, 0, 0)
	x = g.conv(x, "Conv2d_2a_3x3", 1, 0, 0)
	x = g.maxPool(g.conv(x, "Conv2d_2b_3x3", 1, 1, 1), 2)
	x = g.conv(x, "Conv2d_3b_1x1", 1, 0, 0)
	x = g.maxPool(g.conv(x, "Conv2d_4a_3x3", 1, 0, 0), 2) // (1,192,35,35)
	for _, name := range []string{"5b", "5c", "5d"} {
		x = g.a(x, "Mixed_"+name+".")
	}
	x = g.reduce(x, "Mixed_6a.") // (1,768,17,17)
	for _, name := range []string{"6b", "6c", "6d", "6e"} {
		x = g.c(x, "Mixed_"+name+".")
	}
	x = g.d(x, "Mixed_7a.") // (1,1280,8,8)
	x = g.e(x, "Mixed_7b.", false)
	x = g.e(x, "Mixed_7c.", n.fid)
	if b.Err() != nil {
		return b, nil
	}
	return b, b.AvgPool(x, x.Shape()[2], 1, 0) // (1,2048,1,1)
}

// conv is a convolution padded by ph rows and pw columns, and ReLU.
func (g inceptionGraph) conv(x *G.Node, name string, stride, ph, pw int) *G.Node {
	b := g.b
	info, ok := g.n.src.Info(name + ".conv.weight")
	_, normalised := g.n.src.Info(name + ".bn.running_var")
	switch {
	case b.Err() != nil:
		return nil
	case !ok || !normalised || len(info.Shape) != 4:
		b.Fail(name, errors.New("it has no such convolution"))
		return nil
	case info.Shape[1] != x.Shape()[1]:
		b.Fail(name, fmt.Errorf("it sees %d channels of %d", info.Shape[1], x.Shape()[1]))
		return nil
	}
	h, w := x.Shape()[2], x.Shape()[3]
	wt, bias := b.Param(name+".weight", nn.Zeros(), info.Shape...), b.Param(name+".bias", nn.Zeros(), info.Shape[0])
	y, err := op.Apply(op.Conv{Stride: stride, Pad: max(ph, pw), Bias: true}, x, wt, bias)
	if err != nil {
		b.Fail(name, err)
		return nil
	}
	// Both axes were padded alike: what that made too much is cut off.
	if ph < pw {
		y = b.Slice(y, 2, pw-ph, pw-ph+h)
	} else if pw < ph {
		y = b.Slice(y, 3, ph-pw, ph-pw+w)
	}
	return b.ReLU(y)
}

// chain is convolutions one after another, each by its name and padding.
func (g inceptionGraph) chain(x *G.Node, prefix string, layers ...pad) *G.Node {
	for _, l := range layers {
		x = g.conv(x, prefix+l.name, max(l.stride, 1), l.h, l.w)
	}
	return x
}

// pad is a convolution of a chain.
type pad struct {
	name         string
	h, w, stride int
}

// maxPool is the largest of 3x3 pixels that are not negative.
func (g inceptionGraph) maxPool(x *G.Node, stride int) *G.Node {
	for _, axis := range []int{2, 3} {
		if g.b.Err() != nil {
			return nil
		}
		n := x.Shape()[axis] - 2
		most := g.b.Slice(x, axis, 0, n)
		for i := 1; i <= 2; i++ {
			next := g.b.Slice(x, axis, i, i+n)
			most = g.b.Add(most, g.b.ReLU(g.b.Sub(next, most)))
		}
		x = most
	}
	if stride == 1 {
		return x
	}
	return g.b.AvgPool(x, 1, stride, 0)
}

// avgPool is the mean of 3x3 pixels around each one; torchvision's counts what
// is outside the picture as zeros.
func (g inceptionGraph) avgPool(x *G.Node) *G.Node {
	y := g.b.AvgPool(x, 3, 1, 1)
	if g.n.fid || g.b.Err() != nil {
		return y
	}
	h, w := x.Shape()[2], x.Shape()[3]
	name := "inside." + strconv.Itoa(h) + "x" + strconv.Itoa(w)
	share := make([]float32, h*w)
	for i := range share {
		rows, columns := 3, 3
		if r := i / w; r == 0 || r == h-1 {
			rows = 2
		}
		if c := i % w; c == 0 || c == w-1 {
			columns = 2
		}
		share[i] = float32(rows*columns) / 9
	}
	g.n.extra[name] = share
	return g.b.Mul(y, g.b.Param(name, nn.Zeros(), 1, 1, h, w))
}

func (g inceptionGraph) a(x *G.Node, p string) *G.Node {
	return g.b.Concat(1, g.chain(x, p, pad{name: "branch1x1"}),
		g.chain(x, p, pad{name: "branch5x5_1"}, pad{name: "branch5x5_2", h: 2, w: 2}),
		g.chain(x, p, pad{name: "branch3x3dbl_1"}, pad{name: "branch3x3dbl_2", h: 1, w: 1}, pad{name: "branch3x3dbl_3", h: 1, w: 1}),
		g.chain(g.avgPool(x), p, pad{name: "branch_pool"}))
}

func (g inceptionGraph) reduce(x *G.Node, p string) *G.Node {
	return g.b.Concat(1, g.chain(x, p, pad{name: "branch3x3", stride: 2}),
		g.chain(x, p, pad{name: "branch3x3dbl_1"}, pad{name: "branch3x3dbl_2", h: 1, w: 1}, pad{name: "branch3x3dbl_3", stride: 2}),
		g.maxPool(x, 2))
}

func (g inceptionGraph) c(x *G.Node, p string) *G.Node {
	return g.b.Concat(1, g.chain(x, p, pad{name: "branch1x1"}),
		g.chain(x, p, pad{name: "branch7x7_1"}, pad{name: "branch7x7_2", w: 3}, pad{name: "branch7x7_3", h: 3}),
		g.chain(x, p, pad{name: "branch7x7dbl_1"}, pad{name: "branch7x7dbl_2", h: 3}, pad{name: "branch7x7dbl_3", w: 3},
			pad{name: "branch7x7dbl_4", h: 3}, pad{name: "branch7x7dbl_5", w: 3}),
		g.chain(g.avgPool(x), p, pad{name: "branch_pool"}))
}

func (g inceptionGraph) d(x *G.Node, p string) *G.Node {
	return g.b.Concat(1, g.chain(x, p, pad{name: "branch3x3_1"}, pad{name: "branch3x3_2", stride: 2}),
		g.chain(x, p, pad{name: "branch7x7x3_1"}, pad{name: "branch7x7x3_2", w: 3}, pad{name: "branch7x7x3_3", h: 3}, pad{name: "branch7x7x3_4", stride: 2}),
		g.maxPool(x, 2))
}

// e is the widest block; with largest it pools by the maximum.
func (g inceptionGraph) e(x *G.Node, p string, largest bool) *G.Node {
	three := g.chain(x, p, pad{name: "branch3x3_1"})
	double := g.chain(x, p, pad{name: "branch3x3dbl_1"}, pad{name: "branch3x3dbl_2", h: 1, w: 1})
	pooled := g.avgPool(x)
	if largest {
		pooled = g.maxPool(g.framed(x), 1)
	}
	return g.b.Concat(1, g.chain(x, p, pad{name: "branch1x1"}),
		g.chain(three, p, pad{name: "branch3x3_2a", w: 1}), g.chain(three, p, pad{name: "branch3x3_2b", h: 1}),
		g.chain(double, p, pad{name: "branch3x3dbl_3a", w: 1}), g.chain(double, p, pad{name: "branch3x3dbl_3b", h: 1}),
		g.chain(pooled, p, pad{name: "branch_pool"}))
}

// framed puts zeros around x.
func (g inceptionGraph) framed(x *G.Node) *G.Node {
	for _, axis := range []int{2, 3} {
		if g.b.Err() != nil {
			return nil
		}
		y, err := op.Apply(op.Embed{Axis: axis, From: 1, Total: x.Shape()[axis] + 2}, x)
		if err != nil {
			g.b.Fail("maxpool", err)
			return nil
		}
		x = y
	}
	return x
}
