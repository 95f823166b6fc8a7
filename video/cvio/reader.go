//go:build cgo

package cvio

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"gocv.io/x/gocv"

	"github.com/v2v/v2v/video"
)

// init keeps the codecs inside OpenCV from writing to stderr, and from opening
// anything but files, unless the user has said otherwise.
func init() {
	for name, value := range map[string]string{
		"OPENCV_FFMPEG_LOGLEVEL":        "-8",
		"OPENCV_FFMPEG_CAPTURE_OPTIONS": "protocol_whitelist;file,pipe",
	} {
		if _, set := os.LookupEnv(name); !set {
			os.Setenv(name, value)
		}
	}
}

// Open starts decoding the clip that info describes. Its times are info's: frame
// i of the clip is shown at Times[i].
func Open(ctx context.Context, info video.Info, o ReadOptions) (video.Reader, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if _, err := os.Stat(info.Path); err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	capture, err := openCapture(info.Path)
	if err != nil {
		return nil, fmt.Errorf("decode %q: %w", info.Path, err)
	}
	r := &reader{info: info, capture: capture, bgr: gocv.NewMat(), rgb: gocv.NewMat()}
	if o.InFlight > 0 {
		r.pool = video.NewPool(info.Width, info.Height, o.InFlight)
	}
	return r, nil
}

// openCapture keeps names like "http:x.mp4" from being anything but files, and
// OpenCV from trying its other backends.
func openCapture(path string) (*gocv.VideoCapture, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	c, err := gocv.VideoCaptureFileWithAPI(abs, gocv.VideoCaptureFFmpeg)
	if err == nil && c.IsOpened() {
		return c, nil
	}
	if c != nil {
		c.Close()
	}
	return nil, errors.New("OpenCV cannot open it")
}

type reader struct {
	info video.Info
	pool *video.Pool

	mu       sync.Mutex // Close may come from another goroutine
	capture  *gocv.VideoCapture
	bgr, rgb gocv.Mat
	closed   bool

	n    int
	last int64
	err  error // sticky
}

func (r *reader) Info() video.Info { return r.info }

func (r *reader) Next(ctx context.Context) (*video.Frame, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if r.err != nil {
		return nil, r.err
	}
	f := video.NewFrame(0, 0)
	if r.pool == nil {
		f = video.NewFrame(r.info.Width, r.info.Height)
	} else {
		var err error
		if f, err = r.pool.Get(ctx); err != nil {
			return nil, err
		}
	}
	if err := r.decode(f); err != nil {
		f.Release()
		r.err = err
		return nil, err
	}
	f.PTS = r.time()
	r.n, r.last = r.n+1, f.PTS
	return f, nil
}

// decode copies the next picture into f.
func (r *reader) decode(f *video.Frame) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return fmt.Errorf("decode %q: the reader is closed", r.info.Path)
	}
	if !r.capture.Read(&r.bgr) || r.bgr.Empty() {
		return r.end("the rest is missing")
	}
	if r.bgr.Cols() != f.W || r.bgr.Rows() != f.H || r.bgr.Type() != gocv.MatTypeCV8UC3 {
		return r.end(fmt.Sprintf("the picture changes to %dx%d", r.bgr.Cols(), r.bgr.Rows()))
	}
	gocv.CvtColor(r.bgr, &r.rgb, gocv.ColorBGRToRGB)
	pix, err := r.rgb.DataPtrUint8()
	if err != nil {
		return fmt.Errorf("decode %q: frame %d: %w", r.info.Path, r.n, err)
	}
	if n := copy(f.Pix, pix); n != len(f.Pix) {
		return fmt.Errorf("decode %q: frame %d has %d bytes of %d", r.info.Path, r.n, n, len(f.Pix))
	}
	return nil
}

// end decides what the end of the frames means: OpenCV knows only one kind.
func (r *reader) end(why string) error {
	switch announced := r.info.Frames(); {
	case r.n == 0:
		return fmt.Errorf("decode %q: %w: none of %d can be decoded", r.info.Path, video.ErrNoFrames, announced)
	case r.n < announced:
		return fmt.Errorf("decode %q: %w: kept %d of %d frames: %s", r.info.Path, video.ErrDamaged, r.n, announced, why)
	}
	return io.EOF
}

// time is that of frame n; one that was not announced follows at the clip's rate.
func (r *reader) time() int64 {
	if r.n < len(r.info.Times) {
		return r.info.Times[r.n]
	}
	gap := int64(1)
	if i := r.info; i.Rate.Num > 0 && i.TimeBase.Num > 0 {
		gap = max(1, i.Rate.Den*i.TimeBase.Den/(i.Rate.Num*i.TimeBase.Num))
	}
	return r.last + gap
}

func (r *reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	return errors.Join(r.capture.Close(), r.bgr.Close(), r.rgb.Close())
}
