package models

import (
	"context"
	"errors"
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
	// Lockstep makes one batch of clips that run at the same time. Nil: every
	// clip runs alone.
	Lockstep *Lockstep
}

// Runner turns the control frames of a clip into generated frames, one for
// one. It serves as the Generator of a clip's pipeline. Its methods are called
// by one goroutine at a time.
type Runner struct {
	dev   engine.Device
	model *Model
	o     RunOptions
	needs Needs
	h, w  int      // of the frames that the program was compiled for
	g     *group   // of runners that run as one batch; nil before the first clip
	own   *buffers // nil as g is
	turn  turn     // in the group
	style *stylist // nil where the network wants no features
	still *still   // makes first frames; nil where it is not needed now
	cuts  cutter
	t     int // frames generated in this clip
	began int // frame that the network began anew with
	shown int // first frame that the window may show
}

// NewRunner prepares to run a model on a device. Model and device stay the
// caller's and must outlive the runner.
func NewRunner(dev engine.Device, m *Model, o RunOptions) *Runner {
	if o.Lockstep == nil {
		o.Lockstep = NewLockstep(1)
	}
	return &Runner{dev: dev, model: m, o: o, needs: m.Net.Needs()}
}

// Start forgets the last clip and makes ready for one of info's size. The
// output is as large as the input, or as one of its tiles where a control
// picture consists of several.
func (r *Runner) Start(ctx context.Context, info video.Info) (w, h int, err error) {
	r.Finish()
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
	if r.own == nil || r.h != info.Height || r.w != info.Width {
		if err := r.compile(info.Height, info.Width); err != nil {
			return 0, 0, fmt.Errorf("prepare %s for %dx%d: %w", r.model.Config.Network, info.Width, info.Height, err)
		}
	}
	if err := r.seed(); err != nil {
		return 0, 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, 0, err
	}
	r.g.enter(r)
	return info.Width, info.Height, nil
}

// Finish says that the clip has no more frames: runners in lockstep with this
// one wait for none. Start, Close and a second Finish are welcome after it.
func (r *Runner) Finish() {
	if r.g != nil {
		r.g.leave(r)
	}
}

func (r *Runner) compile(h, w int) error {
	if err := r.release(); err != nil {
		return err
	}
	if err := r.needs.pictures(); err != nil {
		return err
	}
	err := r.o.Lockstep.join(r, alike{r.dev, r.model, h, w, r.o.Precision, r.o.Steady.Floor})
	if err != nil {
		return err
	}
	r.h, r.w = h, w
	own, err := newBuffers(r.dev, r.g.shapes)
	if err != nil {
		return err
	}
	r.own = own
	if err := r.features(); err != nil {
		return errors.Join(err, r.release()) // or the next clip would do without them
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

// features gives a network that wants an encoder's features, or noise, a source
// of them.
func (r *Runner) features() (err error) {
	if r.own.features != nil {
		r.style, err = newStylist(r, r.own.features)
	}
	return err
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
	if err := r.g.step(ctx, r); err != nil {
		return err
	}
	r.t++
	return r.own.picture.Read(dst.Pix)
}

// bind points a row of a program at the next frame. Without frames to go on
// from there is nothing to warp: the first frame is the raw one.
func (r *Runner) bind(p *rowProgram, at row) error {
	return r.own.bind(p, at, frameAt{r.t, r.shown, r.own.shapes.raw && r.age() == 0 && r.o.First == nil})
}

// ErrLabel is wrapped where a picture holds a label that a network does not know.
var ErrLabel = errors.New("label")

// known checks that an index picture holds no label that the network was not
// trained on: it would be taken for none at all.
func (r *Runner) known(src *video.Frame) error {
	if r.needs.Labels == 0 {
		return nil
	}
	for i := 0; i < len(src.Pix); i += 3 {
		if id := int(src.Pix[i]); id >= r.needs.Labels {
			return fmt.Errorf("%w %d at %d,%d of frame %d: the network knows 0 to %d; pictures of labels in colours need their palette", ErrLabel, id, i/3%src.W, i/3/src.W, r.t, r.needs.Labels-1)
		}
	}
	return nil
}

// push uploads a control picture to its place in the window. At the start of a
// clip, or of a scene, the first picture stands for those before it.
func (r *Runner) push(src *video.Frame) error {
	n, tiles, size := r.needs.Window, r.needs.Tiles(), 3*r.h*r.w
	for tile := range tiles {
		if err := r.own.labels[r.t%n*tiles+tile].Write(src.Pix[tile*size:][:size]); err != nil {
			return err
		}
	}
	return nil
}

// release frees what was made for one size.
func (r *Runner) release() error {
	first := r.o.Lockstep.part(r)
	for _, err := range []error{r.dropStill(), r.style.close(), r.own.close()} {
		if first == nil {
			first = err
		}
	}
	r.own, r.style = nil, nil
	return first
}

// Close frees the device's memory.
func (r *Runner) Close() error { return r.release() }
