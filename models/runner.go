package models

import (
	"context"
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/nn"
	"github.com/v2v/v2v/video"
)

// RunOptions for NewRunner.
type RunOptions struct {
	Precision engine.Precision
	// First is taken as the frames before the first one. Nil starts from
	// nothing: the first frame is hallucinated whole, as `no_first_img`
	// networks are trained to do.
	First *video.Frame
}

// Runner turns the control frames of a clip into generated frames, one for
// one. It serves as the Generator of a clip's pipeline. Its methods are called
// by one goroutine at a time.
type Runner struct {
	dev    engine.Device
	model  *Model
	o      RunOptions
	needs  Needs
	h, w   int // of the frames that the program was compiled for
	exe    engine.Executable
	prog   *engine.Program
	labels []engine.Buffer // ring of Window control pictures, uint8
	prev   []engine.Buffer // ring of Past+1 generated frames, float32
	t      int             // frames generated in this clip
}

// NewRunner prepares to run a model on a device. Model and device stay the
// caller's and must outlive the runner.
func NewRunner(dev engine.Device, m *Model, o RunOptions) *Runner {
	return &Runner{dev: dev, model: m, o: o, needs: m.Net.Needs()}
}

// GeneratorProgram is the graph that runs a network on uint8 pictures of h x w:
// inputs label0.. (oldest first), prev0.. (oldest first); outputs final, raw
// (float32, padded to the stride) and their uint8 pictures final_rgb, raw_rgb.
func GeneratorProgram(net Network, batch, h, w int) (*engine.Program, error) {
	n := net.Needs()
	ph, pw := Padded(h, n.Stride), Padded(w, n.Stride)
	b := nn.NewBuilder(G.NewGraph(), nn.Options{PerFrame: true})
	var labels, prev []*G.Node
	for i := range n.Window {
		labels = append(labels, b.FromBytes(b.InputBytes(fmt.Sprintf("label%d", i), batch, h, w, 3), ph, pw, n.Luma))
	}
	for i := range n.Past {
		prev = append(prev, b.Input(fmt.Sprintf("prev%d", i), batch, 3, ph, pw))
	}
	in := Inputs{Labels: concat(b, labels), Prev: concat(b, prev)}
	out := net.Build(b, in)
	params := map[string]bool{}
	for _, p := range b.Params() {
		params[p.Name] = true
	}
	src := engine.Source{Constant: func(name string) bool { return params[name] }, Outputs: []engine.Named{
		{Name: "final", Node: out.Final}, {Name: "final_rgb", Node: b.ToBytes(out.Final, h, w)},
	}}
	if out.Raw != nil && out.Raw != out.Final {
		src.Outputs = append(src.Outputs, engine.Named{Name: "raw", Node: out.Raw}, engine.Named{Name: "raw_rgb", Node: b.ToBytes(out.Raw, h, w)})
	}
	if err := b.Err(); err != nil {
		return nil, fmt.Errorf("pictures of %dx%d: %w", w, h, err)
	}
	return engine.Lower(src)
}

func concat(b *nn.Builder, xs []*G.Node) *G.Node {
	switch len(xs) {
	case 0:
		return nil
	case 1:
		return xs[0]
	}
	return b.Concat(1, xs...)
}

// Padded is n rounded up to a multiple of stride.
func Padded(n, stride int) int { return (n + stride - 1) / stride * stride }

// Start forgets the last clip and makes ready for one of info's size. The
// output is as large as the input.
func (r *Runner) Start(ctx context.Context, info video.Info) (w, h int, err error) {
	r.t = 0
	if r.exe == nil || r.h != info.Height || r.w != info.Width {
		if err := r.compile(info.Height, info.Width); err != nil {
			return 0, 0, fmt.Errorf("prepare %s for %dx%d: %w", r.model.Config.Network, info.Width, info.Height, err)
		}
	}
	if err := r.seed(); err != nil {
		return 0, 0, err
	}
	return info.Width, info.Height, ctx.Err()
}

func (r *Runner) compile(h, w int) error {
	if err := r.release(); err != nil {
		return err
	}
	p, err := GeneratorProgram(r.model.Net, 1, h, w)
	if err != nil {
		return err
	}
	if r.exe, err = r.dev.Compile(p, engine.Options{Precision: r.o.Precision, Constants: r.model.Weight}); err != nil {
		return err
	}
	r.prog, r.h, r.w = p, h, w
	for range r.needs.Window {
		if err := r.alloc(&r.labels, tensor.Shape{1, h, w, 3}, engine.U8); err != nil {
			return err
		}
	}
	final := p.Values[p.Find("final")].Shape
	for range r.needs.Past + 1 {
		if err := r.alloc(&r.prev, final, engine.F32); err != nil {
			return err
		}
	}
	return nil
}

func (r *Runner) alloc(to *[]engine.Buffer, shape tensor.Shape, t engine.Type) error {
	b, err := r.dev.Alloc(shape, t)
	if err == nil {
		*to = append(*to, b)
	}
	return err
}

// seed sets the frames before the first: zeros, or the given picture.
func (r *Runner) seed() error {
	if r.needs.Past == 0 {
		return nil
	}
	shape := r.prev[0].Shape()
	ph, pw := shape[2], shape[3]
	img := make([]float32, 3*ph*pw)
	if f := r.o.First; f != nil {
		if f.W != r.w || f.H != r.h {
			return fmt.Errorf("the first frame is %dx%d, the clip %dx%d: give them one size", f.W, f.H, r.w, r.h)
		}
		for y := range ph {
			for x := range pw {
				at := 3 * (min(y, f.H-1)*f.W + min(x, f.W-1))
				for c := range 3 {
					img[(c*ph+y)*pw+x] = float32(f.Pix[at+c])/127.5 - 1
				}
			}
		}
	}
	for _, b := range r.prev {
		if err := b.Write(img); err != nil {
			return err
		}
	}
	return nil
}

// Generate fills dst from src, both of the size given to Start.
func (r *Runner) Generate(ctx context.Context, src, dst *video.Frame) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if src.W != r.w || src.H != r.h || dst.W != r.w || dst.H != r.h {
		return fmt.Errorf("frame of %dx%d in a clip of %dx%d", src.W, src.H, r.w, r.h)
	}
	if err := r.push(src); err != nil {
		return err
	}
	ring := len(r.prev)
	out := r.prev[r.t%ring]
	if err := r.exe.Bind("final", out); err != nil {
		return err
	}
	for i := range r.needs.Past {
		if err := r.exe.Bind(fmt.Sprintf("prev%d", i), r.prev[(r.t+1+i)%ring]); err != nil {
			return err
		}
	}
	if err := r.exe.Run(); err != nil {
		return err
	}
	rgb := 1
	if r.t == 0 && r.o.First == nil && len(r.prog.Outputs) > 2 {
		// There was nothing to warp: the first frame is the raw one.
		rgb = 3
		if err := copyBuffer(out, r.exe.Output(2)); err != nil {
			return err
		}
	}
	r.t++
	return r.exe.Output(rgb).Read(dst.Pix)
}

func copyBuffer(dst, src engine.Buffer) error {
	x := make([]float32, engine.Value{Shape: src.Shape()}.Size())
	if err := src.Read(x); err != nil {
		return err
	}
	return dst.Write(x)
}

// push uploads a control picture and points the window at the last ones; at
// the start of a clip the first picture stands for those before it.
func (r *Runner) push(src *video.Frame) error {
	n := r.needs.Window
	if err := r.labels[r.t%n].Write(src.Pix); err != nil {
		return err
	}
	for i := range n {
		if err := r.exe.Bind(fmt.Sprintf("label%d", i), r.labels[max(0, r.t-n+1+i)%n]); err != nil {
			return err
		}
	}
	return nil
}

// Work is the number of floating point operations of a frame, known after
// Start.
func (r *Runner) Work() int64 {
	if r.prog == nil {
		return 0
	}
	return r.prog.Work()
}

// release frees what was made for one size.
func (r *Runner) release() error {
	var first error
	keep := func(err error) {
		if first == nil {
			first = err
		}
	}
	if r.exe != nil {
		keep(r.exe.Close())
	}
	for _, b := range append(r.labels, r.prev...) {
		keep(b.Close())
	}
	r.exe, r.prog, r.labels, r.prev = nil, nil, nil, nil
	return first
}

// Close frees the device's memory.
func (r *Runner) Close() error { return r.release() }
