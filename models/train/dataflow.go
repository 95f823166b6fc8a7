package train

import (
	"context"
	"fmt"
	"image"
	"math"

	"github.com/v2v/v2v/flow"
	"github.com/v2v/v2v/video"
)

// Measured motion is kept as 16-bit numbers of 1/64 pixel: finer than any
// estimator is right, as far as 512 pixels, in less than half of the room of
// floats. A pixel takes four bytes and one for whether it is visible.
const (
	motionUnit  = 64
	motionBytes = 5
)

// Confidence says where measured flow is right.
type Confidence string

// The ways to tell: there and back cancel (flow.Occlusion), or the frame before,
// moved, looks like the one now (flow.Agreement), as vid2vid was published.
const (
	Consistency Confidence = "consistency"
	Photometric Confidence = "photometric"
)

// Validate refuses others. "" is Consistency.
func (c Confidence) Validate() error {
	if c != "" && c != Consistency && c != Photometric {
		return fmt.Errorf("flow_confidence is %q; give %s or %s", string(c), Consistency, Photometric)
	}
	return nil
}

// motion returns the encoded flow from frame t of B to frame t-span, measuring
// it the first time.
func (d *Data) motion(ctx context.Context, c *clip, t, span int) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := [2]int{t, span}
	blob, ok := c.flow[key]
	if !ok {
		m, err := d.measure(ctx, c, t, span)
		if err != nil {
			return nil, fmt.Errorf("measure motion: %w", err)
		}
		if blob, err = d.flows.add(m); err != nil {
			return nil, fmt.Errorf("keep motion: %w", err)
		}
		if c.flow == nil {
			c.flow = map[[2]int]int{}
		}
		c.flow[key] = blob
	}
	return d.flows.get(blob, nil)
}

func (d *Data) measure(ctx context.Context, c *clip, t, span int) ([]byte, error) {
	var pair [2]*video.Frame // before, now
	for i := range pair {
		at := t - span*(1-i)
		pix, err := d.frames.get(c.b+at, nil)
		if err != nil {
			return nil, err
		}
		pair[i] = &video.Frame{Pix: pix, W: c.size.X, H: c.size.Y, PTS: int64(at)}
	}
	back, err := d.estimate(ctx, pair[1], pair[0])
	if err != nil {
		return nil, err
	}
	if d.o.Confidence == Photometric {
		return encodeMotion(back, flow.Agreement(pair[1], pair[0], back)), nil
	}
	forth, err := d.estimate(ctx, pair[0], pair[1])
	if err != nil {
		return nil, err
	}
	return encodeMotion(back, flow.Occlusion(back, forth)), nil
}

func (d *Data) estimate(ctx context.Context, from, to *video.Frame) (*flow.Field, error) {
	f, err := d.o.Flow.Estimate(ctx, from, to)
	if err == nil && (f.W != from.W || f.H != from.H) {
		err = fmt.Errorf("the estimator made a field of %dx%d for frames of %dx%d", f.W, f.H, from.W, from.H)
	}
	return f, err
}

// encodeMotion packs a field and its visibility. What 16 bits cannot hold is
// no motion anybody can use: it becomes zero, and hidden.
func encodeMotion(f *flow.Field, visible []float32) []byte {
	n := len(f.U)
	m := make([]byte, 0, motionBytes*n)
	for i := range n {
		u, v := math.RoundToEven(float64(f.U[i])*motionUnit), math.RoundToEven(float64(f.V[i])*motionUnit)
		seen := byte(visible[i])
		if !(math.Abs(u) <= math.MaxInt16 && math.Abs(v) <= math.MaxInt16) {
			u, v, seen = 0, 0, 0
		}
		m = le.AppendUint16(m, uint16(int16(u)))
		m = le.AppendUint16(m, uint16(int16(v)))
		m = append(m, seen)
	}
	return m
}

// motion cuts the view out of encoded motion between frames of that size. A
// pixel whose origin the view leaves out is hidden.
func (v view) motion(m []byte, size image.Point) (*flow.Field, []float32) {
	w, h, full := v.size.X, v.size.Y, v.full
	if full == (image.Point{}) {
		full = size
	}
	// Motion is as much larger as the pictures are.
	kx, ky := float32(full.X)/float32(size.X), float32(full.Y)/float32(size.Y)
	f, visible := flow.NewField(w, h), make([]float32, w*h)
	maxX, maxY := float32(w-1), float32(h-1)
	for y := range h {
		for x := range w {
			from := x
			if v.flip {
				from = w - 1 - x
			}
			sx, sy := (2*(v.at.X+from)+1)*size.X/(2*full.X), (2*(v.at.Y+y)+1)*size.Y/(2*full.Y)
			p := m[motionBytes*(sy*size.X+sx):][:motionBytes]
			du := kx * float32(int16(le.Uint16(p))) / motionUnit
			dv := ky * float32(int16(le.Uint16(p[2:]))) / motionUnit
			if v.flip {
				du = -du
			}
			i := y*w + x
			f.U[i], f.V[i] = du, dv
			if px, py := float32(x)+du, float32(y)+dv; px >= 0 && px <= maxX && py >= 0 && py <= maxY {
				visible[i] = float32(p[4])
			}
		}
	}
	return f, visible
}
