package train

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"image"
	"math/rand/v2"
	"strings"
	"sync"

	"github.com/v2v/v2v/flow"
	"github.com/v2v/v2v/video"
)

// Split says which part of a data folder is meant.
type Split string

// The parts. Held-out samples are never flipped, and cropped in the middle.
const (
	TrainSplit Split = ""
	TestSplit  Split = "test"
)

// ErrNoSplit is wrapped by OpenData where the folder has no such part.
var ErrNoSplit = errors.New("no such part of the data")

// DataOptions say what of a folder is read and how samples are cut from it.
// The zero value reads the training part, stills only, whole frames, no flow.
type DataOptions struct {
	Split Split
	// Open opens a file as a clip; without it only folders of stills are read.
	Open func(ctx context.Context, path string) (video.Reader, error)
	// Flow measures the motion of B. Without it samples carry none.
	Flow flow.Estimator
	// Confidence is how it is told where measured motion is right.
	Confidence Confidence
	// Frames is the length of the samples wanted: shorter clips are refused.
	// 2 when zero, the least that has motion.
	Frames int
	// Size is what every frame must measure. Zero means one size throughout,
	// whichever, or any that Crop fits into.
	Size image.Point
	// Crop is the size of samples, cut out at random; whole frames when zero.
	Crop image.Point
	// Scaling resizes and cuts out as vid2vid was published, in place of Size,
	// Crop and Central.
	Scaling Scaling
	// Flip mirrors every other sample.
	Flip bool
	// Central draws where samples are cut out as vid2vid does: across around the
	// middle, with a deviation of a third of the room, down in the upper eighth.
	Central bool
	// MaxStep is how many frames of a clip at most lie from one of a sample to
	// the next: as many as are drawn for it, all equally likely that its clip
	// has room for. Held-out samples step by one. 1 when zero.
	MaxStep int
	// Strides are over how many frames of a sample motion is measured beside
	// that from frame to frame.
	Strides []int
	// Loose takes pictures beside folders and videos: each is a clip of one
	// frame.
	Loose bool
	// Alone takes both sides from the same clips: from a file, or from a folder
	// or what is called train and test in it.
	Alone bool
	// Labels says that control pictures hold label ids: those of palette pictures are
	// their samples, not their colours.
	Labels bool
	// Instances packs the instance maps of train_inst, where there are some,
	// into the label pictures, as labelmap.Pack does. Beside says that they are a
	// picture of their own, the last of a control picture; then there must be some.
	Instances, Beside bool
	// Pose and Face read vid2vid's data of poses and faces, in place of A.
	Pose *PoseData
	Face *FaceData
	// PartDrop is how likely each part of the body is left out of the DensePose
	// pictures of a training sample.
	PartDrop float64
	// A and B, where set, make the frames of their side of those that are read.
	A, B func(*video.Frame) (*video.Frame, error)
	// Memory is how many bytes of frames are held, and again of measured flow.
	// What is beyond goes to an unlinked file in TempDir. 2 GiB when zero: the
	// frames of ten minutes at 256x256, and room left on an 8 GiB machine.
	Memory int64
	// TempDir is where such a file grows; the system's folder when empty.
	TempDir string
	// Progress, where set, is told how many clips of how many are read.
	Progress func(done, total int)
}

const (
	defaultFrames = 2
	defaultMemory = 2 << 30
)

func (o DataOptions) resolved() DataOptions {
	if o.Frames <= 0 {
		o.Frames = defaultFrames
	}
	if o.Memory <= 0 {
		o.Memory = defaultMemory
	}
	return o
}

// DataError lists everything that is wrong with a data folder.
type DataError struct {
	Dir      string
	Problems []string
}

// Error puts each problem on a line of its own.
func (e *DataError) Error() string {
	return fmt.Sprintf("data %s cannot be used:\n  %s", e.Dir, strings.Join(e.Problems, "\n  "))
}

// Data is a set of paired clips, decoded and held ready. Its methods may be
// called from several goroutines; Close comes after them.
type Data struct {
	o      DataOptions
	dir    string
	clips  []*clip
	size   image.Point // of every sample
	frames store

	mu    sync.Mutex // guards what follows, and keeps the estimator to one caller
	flows store
}

// clip is one pair. Frame t of A is blob a+t, of B blob b+t of Data.frames; where
// there are layers control pictures consist of those.
type clip struct {
	name    string
	control string // where its control pictures are, below the data's folder
	size    image.Point
	from    image.Point // size before Scaling, where there is such
	n       int
	a, b    int

	layers []layer
	flow   map[[2]int]int // of {t, span}: blob of the motion from frame t to t-span in Data.flows, once measured
}

// Clips is the number of clips.
func (d *Data) Clips() int { return len(d.clips) }

// Frames is the number of paired frames.
func (d *Data) Frames() int {
	n := 0
	for _, c := range d.clips {
		n += c.n
	}
	return n
}

// Size is what every sample's frames measure.
func (d *Data) Size() (w, h int) { return d.size.X, d.size.Y }

// Spooled reports whether frames had to go to a temporary file.
func (d *Data) Spooled() bool { return d.frames.file != nil }

// Memory is how many bytes the data have in memory, once all motion has been
// measured.
func (d *Data) Memory() int64 {
	frames, flows := d.frames.size, int64(0)
	if d.o.Flow != nil {
		for _, c := range d.clips {
			flows += int64(motionBytes * c.size.X * c.size.Y * c.n * (1 + len(d.o.Strides)))
		}
	}
	if d.frames.file != nil {
		frames = 0
	}
	if flows > d.o.Memory {
		flows = d.o.Memory
	}
	for _, c := range d.clips {
		for _, of := range c.layers {
			frames += of.memory()
		}
	}
	return frames + flows
}

// Windows is the number of different places where a sample of that many frames
// can begin.
func (d *Data) Windows(frames int) int { return windows(d.clips, frames) }

func windows(clips []*clip, frames int) int {
	n := 0
	for _, c := range clips {
		n += max(0, c.n-frames+1)
	}
	return n
}

// describe tells data apart that samples of one number would differ in, as far
// as that shows without looking at the pixels.
func (d *Data) describe() string {
	h := fnv.New32a()
	for _, c := range d.clips {
		fmt.Fprintf(h, "%q %d %v\n", c.name, c.n, c.size)
	}
	flip := ""
	if d.o.Flip {
		flip = ", flipped"
	}
	if d.o.Central {
		flip += ", about the middle"
	}
	if d.o.MaxStep > 1 {
		flip += fmt.Sprintf(", of steps to %d", d.o.MaxStep)
	}
	if d.o.Confidence == Photometric {
		flip += ", motion right where pictures agree"
	}
	if s := d.o.Scaling; s.on() {
		flip += fmt.Sprintf(", %s of %d and %d", s.Mode, s.Load, s.Fine)
	}
	flip += d.o.Pose.describe() + d.o.Face.describe()
	return fmt.Sprintf("%d clips, %d frames, samples of %s%s, %08x", d.Clips(), d.Frames(), dims(d.size), flip, h.Sum32())
}

// Close frees the frames.
func (d *Data) Close() error {
	return errors.Join(d.frames.drop(), d.flows.drop())
}

// view is how a sample is cut from its frames.
type view struct {
	step int         // frames of the clip from one to the next
	at   image.Point // top left corner
	size image.Point
	flip bool
	full image.Point // what frames are resized to before; zero for their own size
}

// Sample makes sample number i of a sequence that the seed decides: every
// window of the data is as likely as any other. It is a pure function of its
// arguments and the data. The sample's memory is the caller's.
func (d *Data) Sample(ctx context.Context, i, seed uint64, frames int) (*Sample, error) {
	return d.sample(ctx, d.clips, i, seed, frames)
}

// sample is Sample from some of the clips.
func (d *Data) sample(ctx context.Context, clips []*clip, i, seed uint64, frames int) (*Sample, error) {
	n := windows(clips, frames)
	if n == 0 || frames < 1 {
		return nil, fmt.Errorf("draw sample %d: no clip of the data has %d frames", i, frames)
	}
	r := rand.New(rand.NewPCG(seed, i))
	c, start := window(clips, r.IntN(n), frames)
	v := d.middle(c)
	if d.o.Split == TrainSplit {
		v = d.draw(r, c)
		v.step, start = d.stride(r, c, start, frames)
	}
	s, err := d.cut(ctx, c, start, frames, v, d.look(r))
	if err != nil {
		return nil, fmt.Errorf("draw sample %d: %w", i, err)
	}
	return s, nil
}

// draw draws how a sample is cut out of a clip.
func (d *Data) draw(r *rand.Rand, c *clip) view {
	v := d.middle(c)
	if d.o.Scaling.on() {
		v = d.o.Scaling.view(r, c, d.size)
		v.flip = r.IntN(2) == 1 && d.mirrors(c)
		return v
	}
	x, y := r.IntN(c.size.X-d.size.X+1), r.IntN(c.size.Y-d.size.Y+1)
	v.at, v.flip = image.Pt(x, y), r.IntN(2) == 1 && d.mirrors(c)
	if d.o.Central {
		v.at = central(r, c.size, d.size)
	}
	return v
}

// mirrors reports whether a clip may be shown mirrored. Pictures of poses may not,
// for they tell left from right; what is drawn then tells it anew.
func (d *Data) mirrors(c *clip) bool {
	for _, of := range c.layers {
		if _, ok := of.(pictures); ok && d.o.Pose != nil {
			return false
		}
	}
	return d.o.Flip
}

// Spread returns n samples spread evenly over the data, neither flipped nor
// cropped elsewhere than in the middle: what a person looks at again and again.
func (d *Data) Spread(ctx context.Context, n, frames int) ([]*Sample, error) {
	windows := d.Windows(frames)
	if windows == 0 {
		return nil, fmt.Errorf("spread samples: no clip of the data has %d frames", frames)
	}
	n = min(n, windows)
	samples := make([]*Sample, n)
	for k := range samples {
		c, start := window(d.clips, (2*k+1)*windows/(2*n), frames)
		s, err := d.cut(ctx, c, start, frames, d.middle(c), d.look(nil))
		if err != nil {
			return nil, fmt.Errorf("spread samples: %w", err)
		}
		samples[k] = s
	}
	return samples, nil
}

func (d *Data) middle(c *clip) view {
	if d.o.Scaling.on() {
		return d.o.Scaling.view(nil, c, d.size)
	}
	return view{step: 1, at: c.size.Sub(d.size).Div(2), size: d.size}
}

// window finds the k-th window of that many frames.
func window(clips []*clip, k, frames int) (*clip, int) {
	for _, c := range clips {
		n := max(0, c.n-frames+1)
		if k < n {
			return c, k
		}
		k -= n
	}
	panic(fmt.Sprintf("train: window %d beyond the data", k))
}

// cut makes the sample that begins at frame start of a clip.
func (d *Data) cut(ctx context.Context, c *clip, start, frames int, v view, l look) (*Sample, error) {
	s := &Sample{
		Clip: c.name, Start: start, instances: d.o.Beside,
		A: make([]*video.Frame, frames), B: make([]*video.Frame, frames),
		Flow: make([]*flow.Field, frames), Visible: make([][]float32, frames),
	}
	real := pictures{first: c.b}
	layers := c.layers
	if layers == nil {
		layers = []layer{pictures{first: c.a, ids: d.o.Scaling.Ids, dense: true}}
	}
	l.view = v
	for t := range frames {
		at := start + t*v.step
		var err error
		if s.B[t], err = real.picture(d, c, at, &l); err == nil {
			l.real = s.B[t]
			s.A[t], err = stacked(d, c, at, &l, layers)
		}
		if err != nil {
			return nil, fmt.Errorf("clip %s frame %d: %w", c.name, at, err)
		}
		s.A[t].PTS, s.B[t].PTS = int64(at), int64(at)
		if t == 0 || d.o.Flow == nil {
			continue
		}
		m, err := d.motion(ctx, c, at, v.step)
		if err != nil {
			return nil, fmt.Errorf("clip %s frame %d: %w", c.name, at, err)
		}
		s.Flow[t], s.Visible[t] = v.motion(m, c.size)
	}
	if d.o.Flow == nil {
		return s, nil
	}
	return s, d.far(ctx, c, s, v)
}

// frame cuts the view out of a picture whose rows are w pixels wide.
func (v view) frame(pix []byte, w int) *video.Frame {
	f := video.NewFrame(v.size.X, v.size.Y)
	for y := range v.size.Y {
		src := pix[3*((v.at.Y+y)*w+v.at.X):][:3*v.size.X]
		dst := f.Pix[3*y*v.size.X:][:3*v.size.X]
		if !v.flip {
			copy(dst, src)
			continue
		}
		for i, j := 0, len(src)-3; j >= 0; i, j = i+3, j-3 {
			dst[i], dst[i+1], dst[i+2] = src[j], src[j+1], src[j+2]
		}
	}
	return f
}
