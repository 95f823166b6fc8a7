package models

import (
	"context"
	"fmt"

	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/video"
)

// RunOptions for NewRunner.
type RunOptions struct {
	Precision engine.Precision
	// First is taken as the frames before the first one. Nil starts from
	// nothing: the first frame is hallucinated whole, as `no_first_img`
	// networks are trained to do.
	First *video.Frame
	// Style says what a network that wants features is given.
	Style Style
	// Seed makes frame t of a clip, one of the first that the network looks
	// back at: it goes on from them. Nil leaves them to the model's image
	// network, and where there is none to the network itself.
	Seed func(ctx context.Context, t int, dst *video.Frame) error
	// Blank starts from nothing although the model has an image network.
	Blank  bool
	Steady Steady
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
	labels []engine.Buffer // ring of Window control pictures, uint8, the tiles of each one after another
	prev   []ring          // by level, the finest first
	style  *stylist        // nil where the network wants no features
	still  *still          // makes first frames; nil where it is not needed now
	cuts   cutter
	t      int // frames generated in this clip
	began  int // frame that the network began anew with
	shown  int // first frame that the window may show
}

// ring holds the Past+1 last frames of a scale, float32: those the next frame
// is made of, and room for it.
type ring []engine.Buffer

// NewRunner prepares to run a model on a device. Model and device stay the
// caller's and must outlive the runner.
func NewRunner(dev engine.Device, m *Model, o RunOptions) *Runner {
	return &Runner{dev: dev, model: m, o: o, needs: m.Net.Needs()}
}

// Start forgets the last clip and makes ready for one of info's size. The
// output is as large as the input, or as one of its tiles where a control
// picture consists of several.
func (r *Runner) Start(ctx context.Context, info video.Info) (w, h int, err error) {
	r.t, r.began, r.shown, r.cuts = 0, 0, 0, cutter{levels: cutLevels}
	if r.needs.Labels > 0 {
		r.cuts.levels = 0
	}
	if err := r.o.Steady.validate(); err != nil {
		return 0, 0, err
	}
	if n := r.needs.Tiles(); info.Height%n != 0 {
		return 0, 0, fmt.Errorf("control pictures are %dx%d, but network %s sees %d below one another", info.Width, info.Height, r.model.Config.Network, n)
	}
	info.Height /= r.needs.Tiles()
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
	if err := r.needs.pictures(); err != nil {
		return err
	}
	p, err := generatorProgram(r.model.Net, 1, h, w, r.o.Steady.Floor)
	if err != nil {
		return err
	}
	if r.exe, err = r.dev.Compile(p, engine.Options{Precision: r.o.Precision, Constants: r.model.Weight, Source: fmt.Sprintf("%p", r.model)}); err != nil {
		return err
	}
	r.prog, r.h, r.w = p, h, w
	for range r.needs.Window * r.needs.Tiles() {
		if err := r.alloc(&r.labels, tensor.Shape{1, h, w, 3}, engine.U8); err != nil {
			return err
		}
	}
	r.prev = make([]ring, r.needs.Scales)
	for level := range r.prev {
		final := p.Values[p.Find(at("final", level))].Shape
		for range r.needs.Past + 1 {
			if err := r.alloc((*[]engine.Buffer)(&r.prev[level]), final, engine.F32); err != nil {
				return err
			}
		}
	}
	return r.features()
}

func (r *Runner) alloc(to *[]engine.Buffer, shape tensor.Shape, t engine.Type) error {
	b, err := r.dev.Alloc(shape, t)
	if err == nil {
		*to = append(*to, b)
	}
	return err
}

// features gives a network that wants an encoder's features, or noise, a source
// of them.
func (r *Runner) features() error {
	v := r.prog.Find("features")
	if v < 0 {
		return nil
	}
	var err error
	if r.style, err = newStylist(r, r.prog.Values[v].Shape); err != nil {
		return err
	}
	return r.exe.Bind("features", r.style.features)
}

// seed sets the frames before the first: zeros, or the given picture, reduced
// for coarser scales as control pictures are.
func (r *Runner) seed() error {
	f := r.o.First
	switch {
	case r.needs.Past == 0 && f != nil:
		return fmt.Errorf("a first frame is given, but network %s looks back at none", r.model.Config.Network)
	case r.needs.Past == 0 && (r.o.Seed != nil || r.o.Steady != (Steady{})):
		return fmt.Errorf("network %s looks back at no frames: it needs no first ones and does not drift", r.model.Config.Network)
	case r.needs.Past == 0:
		return nil
	case f != nil && (f.W != r.w || f.H != r.h):
		return fmt.Errorf("the first frame is %dx%d, the clip %dx%d: give them one size", f.W, f.H, r.w, r.h)
	}
	return r.remember(r.picture(f), func(ring ring) []engine.Buffer { return ring })
}

// Generate fills dst from src, both of the size given to Start.
func (r *Runner) Generate(ctx context.Context, src, dst *video.Frame) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if src.W != r.w || src.H != r.h*r.needs.Tiles() || dst.W != r.w || dst.H != r.h {
		return fmt.Errorf("frame of %dx%d in a clip of %dx%d", src.W, src.H, r.w, r.h)
	}
	if err := r.known(src); err != nil {
		return err
	}
	if err := r.renew(src); err != nil {
		return err
	}
	if err := r.push(src); err != nil {
		return err
	}
	if err := r.style.next(ctx, src); err != nil {
		return err
	}
	if r.seeded() {
		return r.seedFrame(ctx, src, dst)
	}
	if err := r.bindFrames(); err != nil {
		return err
	}
	if err := r.exe.Run(); err != nil {
		return err
	}
	picture := r.output("final_rgb")
	if raw := r.output("raw_rgb"); raw != nil && r.age() == 0 && r.o.First == nil {
		// There was nothing to warp: the first frame is the raw one.
		picture = raw
		for level, ring := range r.prev {
			if err := copyBuffer(ring.at(r.t), r.output(at("raw", level))); err != nil {
				return err
			}
		}
	}
	r.t++
	return picture.Read(dst.Pix)
}

// at is the place of frame t.
func (r ring) at(t int) engine.Buffer { return r[t%len(r)] }

// bindFrames points the program at the frames made before and at where the
// next one goes, at every scale.
func (r *Runner) bindFrames() error {
	for level, ring := range r.prev {
		if err := r.exe.Bind(at("final", level), ring.at(r.t)); err != nil {
			return err
		}
		for i := range r.needs.Past {
			if err := r.exe.Bind(at(fmt.Sprintf("prev%d", i), level), ring.at(r.t+1+i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// output is the program's output of that name, or nil.
func (r *Runner) output(name string) engine.Buffer {
	for i, v := range r.prog.Outputs {
		if r.prog.Values[v].Name == name {
			return r.exe.Output(i)
		}
	}
	return nil
}

// known checks that an index picture holds no label that the network was not
// trained on: it would be taken for none at all.
func (r *Runner) known(src *video.Frame) error {
	if r.needs.Labels == 0 {
		return nil
	}
	for i := 0; i < len(src.Pix); i += 3 {
		if id := int(src.Pix[i]); id >= r.needs.Labels {
			return fmt.Errorf("label %d at %d,%d of frame %d: the network knows 0 to %d", id, i/3%src.W, i/3/src.W, r.t, r.needs.Labels-1)
		}
	}
	return nil
}

func copyBuffer(dst, src engine.Buffer) error {
	x := make([]float32, engine.Value{Shape: src.Shape()}.Size())
	if err := src.Read(x); err != nil {
		return err
	}
	return dst.Write(x)
}

// push uploads a control picture and points the window at the last ones; at
// the start of a clip, or of a scene, the first picture stands for those before
// it.
func (r *Runner) push(src *video.Frame) error {
	n, tiles, size := r.needs.Window, r.needs.Tiles(), 3*r.h*r.w
	for tile := range tiles {
		if err := r.labels[r.t%n*tiles+tile].Write(src.Pix[tile*size:][:size]); err != nil {
			return err
		}
		for i := range n {
			if err := r.exe.Bind(at(fmt.Sprintf("label%d", i), tile), r.labels[max(r.shown, r.t-n+1+i)%n*tiles+tile]); err != nil {
				return err
			}
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
	keep(r.dropStill())
	for _, buffers := range append(r.prev, r.labels) {
		for _, b := range buffers {
			keep(b.Close())
		}
	}
	keep(r.style.close())
	r.exe, r.prog, r.labels, r.prev, r.style = nil, nil, nil, nil, nil
	return first
}

// Close frees the device's memory.
func (r *Runner) Close() error { return r.release() }
