package jobs

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/v2v/v2v/flow"
	"github.com/v2v/v2v/video"
)

// Generator turns source frames into output frames, one for one. It remembers
// earlier frames of the clip. All its methods are called by one goroutine on
// one locked thread.
type Generator interface {
	// Start forgets the last clip, makes ready for the one described, and says
	// how large its output frames are.
	Start(ctx context.Context, info video.Info) (w, h int, err error)
	// Generate fills dst, whose PTS is set already, from src. Both frames stay
	// the caller's.
	Generate(ctx context.Context, src, dst *video.Frame) error
	// Close frees the device.
	Close() error
}

// FlowGenerator is a Generator that wants the flow measured between its source
// frames; Clip.Flow measures it.
type FlowGenerator interface {
	Generator
	// GenerateFlow is Generate with the flow from src to the frame before it,
	// nil for the first frame.
	GenerateFlow(ctx context.Context, src, dst *video.Frame, back *flow.Field) error
}

// Finisher is a Generator that shares its work with others'. Finish says that a
// clip that was started has no more frames, however it ended; it may be said
// more than once.
type Finisher interface {
	Generator
	Finish()
}

// OnDamage says what becomes of a clip whose input turns out to be damaged.
type OnDamage int

const (
	DamageKeep OnDamage = iota // commit the frames there are; the result is damaged
	DamageFail                 // the clip fails; nothing is written
)

// Clip is one clip on its way from a reader to a writer.
type Clip struct {
	Input, Output string // names for events and errors

	Reader    video.Reader // owned: Run closes it
	Generator Generator    // stays the caller's
	// NewWriter opens the output once the generator has said how large it is.
	// Run closes what it returns.
	NewWriter func(ctx context.Context, info video.Info, w, h int) (video.Writer, error)
	// Flow measures backward flow for a FlowGenerator; nil for none.
	Flow flow.Estimator

	OnDamage OnDamage
	Start    int // first frame converted
	Frames   int // how many frames are converted at most; 0 for all
}

// Result is what became of a clip. All times are in seconds.
type Result struct {
	FramesIn  int     `json:"frames_in"`
	FramesOut int     `json:"frames_out"`
	Width     int     `json:"width"`
	Height    int     `json:"height"`
	Stages    Stages  `json:"stages"`
	Wall      float64 `json:"wall"`
	Damaged   string  `json:"damaged,omitempty"` // what the reader said of a damaged input
}

// Stages are the seconds each stage was busy, waiting for its neighbours left
// out. They overlap, so their sum exceeds the wall time.
type Stages struct {
	Decode   float64 `json:"decode"`
	Flow     float64 `json:"flow,omitempty"`
	Generate float64 `json:"generate"`
	Encode   float64 `json:"encode"`
}

// StageError says in which stage of a clip, and at which frame, it failed.
type StageError struct {
	Stage string // open, decode, flow, start, generate, encode, commit
	Frame int    // -1 where no frame was at hand
	Err   error
}

func (e *StageError) Error() string {
	if e.Frame < 0 {
		return fmt.Sprintf("%s: %v", e.Stage, e.Err)
	}
	return fmt.Sprintf("%s frame %d: %v", e.Stage, e.Frame, e.Err)
}

func (e *StageError) Unwrap() error { return e.Err }

// PanicError is a panic in a clip, turned into that clip's failure.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Run converts the clip. Generate works on the calling goroutine, locked to its
// thread; the other stages run beside it and have all returned when Run does.
// The first error cancels every stage, and then nothing stands under the final
// name. The error says where it happened; naming the clip is the caller's part.
// events may be nil; it receives clip_started and progress, one at a time.
func (c *Clip) Run(ctx context.Context, events func(Event)) (Result, error) {
	if events == nil {
		events = func(Event) {}
	}
	p := &pipe{clip: c, events: events}
	err := p.convert(ctx)
	return p.res, err
}

// guard runs f and turns a panic in it into an error of the stage.
func guard(stage string, f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			buf := make([]byte, 16<<10)
			err = &StageError{stage, -1, &PanicError{Value: v, Stack: buf[:runtime.Stack(buf, false)]}}
		}
	}()
	return f()
}

// trim is the description of frames [start, start+n) of a clip, n == 0 meaning
// to its end. Times stay absolute: they are what the frames carry.
func trim(info video.Info, start, n int) video.Info {
	total := len(info.Times)
	if start == 0 && n == 0 || total == 0 {
		return info
	}
	lo := min(start, total)
	hi := total
	if n > 0 && n < total-lo {
		hi = lo + n
	}
	ticks := func(d int64) time.Duration {
		return time.Duration(float64(d) * info.TimeBase.Float() * float64(time.Second))
	}
	switch {
	case lo == hi:
		info.Duration = 0
	case hi < total:
		info.Duration = ticks(info.Times[hi] - info.Times[lo])
	default:
		info.Duration = max(0, info.Duration-ticks(info.Times[lo]-info.Times[0]))
	}
	info.Times = info.Times[lo:hi:hi]
	return info
}

var errNoFlow = errors.New("flow is measured, but the network takes none")
