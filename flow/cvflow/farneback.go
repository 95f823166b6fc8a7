//go:build cgo

package cvflow

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/v2v/v2v/flow"
	"github.com/v2v/v2v/video"
	"gocv.io/x/gocv"
)

// minSide is the smallest frame that Farneback's polynomial fit is given: below
// it OpenCV reads more border than picture.
const minSide = 16

// gaussian weighs the neighbourhood by a Gaussian instead of a box: twice the
// time, and outlines that stay where they are.
const gaussian = gocv.OptflowFarnebackGaussian

// Farneback is a flow.Estimator (Farneback, "Two-frame motion estimation based
// on polynomial expansion", SCIA 2003). It may be used by several goroutines.
type Farneback struct {
	opts Options

	mu     sync.Mutex
	idle   []*workspace // kept between calls: fresh pages for every pair cost more than the copy
	closed bool
	busy   sync.WaitGroup
}

// NewFarneback makes an estimator. Close frees it.
func NewFarneback(o Options) (*Farneback, error) {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return nil, err
	}
	return &Farneback{opts: o}, nil
}

// workspace is the native memory of one running estimate.
type workspace struct {
	rgb, from, to, out gocv.Mat
}

func (w *workspace) close() error {
	return errors.Join(w.rgb.Close(), w.from.Close(), w.to.Close(), w.out.Close())
}

// Estimate measures where each pixel of from is found in to. A cancelled ctx
// is noticed before the measurement, not during it.
func (f *Farneback) Estimate(ctx context.Context, from, to *video.Frame) (*flow.Field, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("measure flow: %w", context.Cause(ctx))
	}
	if from.W != to.W || from.H != to.H {
		return nil, fmt.Errorf("measure flow: from %dx%d to %dx%d: sizes differ", from.W, from.H, to.W, to.H)
	}
	if from.W < minSide || from.H < minSide {
		return nil, fmt.Errorf("measure flow: frames of %dx%d are too small, want at least %dx%d", from.W, from.H, minSide, minSide)
	}
	w, err := f.acquire()
	if err != nil {
		return nil, err
	}
	defer f.release(w)
	if err := w.grey(from, &w.from); err != nil {
		return nil, err
	}
	if err := w.grey(to, &w.to); err != nil {
		return nil, err
	}
	gocv.CalcOpticalFlowFarneback(w.from, w.to, &w.out, 0.5, f.opts.Levels, f.opts.Window,
		f.opts.Iterations, f.opts.PolyN, f.opts.polySigma(), gaussian)
	return w.field(from.W, from.H)
}

// grey copies a frame across and reduces it to luminance, which is all that
// the algorithm looks at.
func (w *workspace) grey(f *video.Frame, dst *gocv.Mat) error {
	if w.rgb.Rows() != f.H || w.rgb.Cols() != f.W {
		if err := w.rgb.Close(); err != nil {
			return fmt.Errorf("measure flow: %w", err)
		}
		w.rgb = gocv.NewMatWithSize(f.H, f.W, gocv.MatTypeCV8UC3)
	}
	pix, err := w.rgb.DataPtrUint8()
	if err != nil {
		return fmt.Errorf("measure flow: %w", err)
	}
	if n := copy(pix, f.Pix); n != 3*f.W*f.H || len(pix) != n {
		return fmt.Errorf("measure flow: a %dx%d frame holds %d bytes, its copy %d", f.W, f.H, len(f.Pix), len(pix))
	}
	gocv.CvtColor(w.rgb, dst, gocv.ColorRGBToGray)
	return nil
}

// field copies the result out of OpenCV, components apart.
func (w *workspace) field(width, height int) (*flow.Field, error) {
	uv, err := w.out.DataPtrFloat32()
	if err != nil {
		return nil, fmt.Errorf("measure flow: %w", err)
	}
	if len(uv) != 2*width*height {
		return nil, fmt.Errorf("measure flow: opencv returned %d numbers for %dx%d", len(uv), width, height)
	}
	f := flow.NewField(width, height)
	for i := range f.U {
		f.U[i], f.V[i] = uv[2*i], uv[2*i+1]
	}
	return f, nil
}

func (f *Farneback) acquire() (*workspace, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, errors.New("measure flow: estimator is closed")
	}
	f.busy.Add(1)
	if n := len(f.idle); n > 0 {
		w := f.idle[n-1]
		f.idle = f.idle[:n-1]
		return w, nil
	}
	return &workspace{gocv.NewMat(), gocv.NewMat(), gocv.NewMat(), gocv.NewMat()}, nil
}

func (f *Farneback) release(w *workspace) {
	f.mu.Lock()
	f.idle = append(f.idle, w)
	f.mu.Unlock()
	f.busy.Done()
}

// Close waits for running estimates and frees all native memory. Estimates
// started later fail. Closing twice is harmless.
func (f *Farneback) Close() error {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.busy.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	var errs []error
	for _, w := range f.idle {
		errs = append(errs, w.close())
	}
	f.idle = nil
	return errors.Join(errs...)
}
