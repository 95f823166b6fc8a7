package flow

import (
	"context"
	"fmt"

	"github.com/v2v/v2v/video"
)

// WarpError is the temporal warping error of one clip.
type WarpError struct {
	Mean    float64   // over pairs
	Pairs   []float64 // of frame t and t-1, for t = 1, 2, ...
	Visible float64   // share of pixels that were compared, mean over pairs
}

// WarpErrorMeter measures how much clips flicker, as Lai et al., "Learning
// blind video temporal consistency", ECCV 2018, do: for every frame t, the
// frame t-1 is warped onto it by measured flow, and the squared difference is
// averaged over the visible pixels and the three channels, values in [0,1].
// (The paper's formula sums over channels; its published program, and so the
// figures in the literature, and so this meter, average over them.) A pair
// without any visible pixel counts as 0. Visible is Occlusion's
// forward-backward test; the paper's extra test for motion boundaries is left
// out, so the outlines of moving things count.
//
// The flow is measured on a guide, normally the real clip, so that what
// flickers cannot excuse itself by a flow that flickers along. Frames go in
// one by one and only the previous one is kept, so memory does not grow with
// the clip but for 16 bytes a pair. Not for concurrent use.
type WarpErrorMeter struct {
	estimator Estimator
	guide     *video.Frame   // the previous one, a copy
	clips     []*video.Frame // likewise
	pairs     [][]float64
	visible   float64
}

// NewWarpErrorMeter measures flow with e, which stays the caller's.
func NewWarpErrorMeter(e Estimator) *WarpErrorMeter {
	return &WarpErrorMeter{estimator: e}
}

// Add takes the next frame of the guide and of every clip measured by it; the
// number of clips and all sizes stay the same from call to call. To measure a
// clip by its own flow pass it as guide too; to compare a generated clip with
// the real one pass Add(ctx, real, fake, real). The frames stay the caller's.
func (m *WarpErrorMeter) Add(ctx context.Context, guide *video.Frame, clips ...*video.Frame) error {
	for i, c := range clips {
		if c.W != guide.W || c.H != guide.H {
			return fmt.Errorf("measure warping error: clip %d is %dx%d, its guide %dx%d", i, c.W, c.H, guide.W, guide.H)
		}
	}
	if m.guide == nil {
		m.guide = clone(guide)
		m.pairs = make([][]float64, len(clips))
		for _, c := range clips {
			m.clips = append(m.clips, clone(c))
		}
		return nil
	}
	if guide.W != m.guide.W || guide.H != m.guide.H || len(clips) != len(m.clips) {
		return fmt.Errorf("measure warping error: %d clips of %dx%d after %d of %dx%d",
			len(clips), guide.W, guide.H, len(m.clips), m.guide.W, m.guide.H)
	}
	back, err := m.estimator.Estimate(ctx, guide, m.guide)
	if err != nil {
		return fmt.Errorf("measure backward flow: %w", err)
	}
	forth, err := m.estimator.Estimate(ctx, m.guide, guide)
	if err != nil {
		return fmt.Errorf("measure forward flow: %w", err)
	}
	mask := Occlusion(back, forth)
	var seen float64
	for _, v := range mask {
		seen += float64(v)
	}
	m.visible += seen / float64(len(mask))
	for i, c := range clips {
		m.pairs[i] = append(m.pairs[i], PairError(c, m.clips[i], back, mask))
		overwrite(m.clips[i], c)
	}
	overwrite(m.guide, guide)
	return nil
}

// Result is the error of the i-th clip over all pairs so far. Before the
// second frame it is zero without pairs.
func (m *WarpErrorMeter) Result(i int) WarpError {
	if i >= len(m.pairs) || len(m.pairs[i]) == 0 {
		return WarpError{}
	}
	pairs := m.pairs[i]
	r := WarpError{Pairs: append([]float64(nil), pairs...), Visible: m.visible / float64(len(pairs))}
	for _, e := range pairs {
		r.Mean += e / float64(len(pairs))
	}
	return r
}

// PairError is the warping error of one pair: prev warped by back, the flow
// from cur to prev, against cur, where mask is not 0.
func PairError(cur, prev *video.Frame, back *Field, mask []float32) float64 {
	var sum float64
	var n int
	row := make([]float32, 3*back.W)
	for y := 0; y < back.H; y++ {
		warpRow(row, prev, back, y)
		line := cur.Pix[3*back.W*y:][:len(row)]
		for x, visible := range mask[y*back.W:][:back.W] {
			if visible == 0 {
				continue
			}
			for c := 3 * x; c < 3*x+3; c++ {
				d := row[c] - float32(line[c])
				sum += float64(d * d)
			}
			n += 3
		}
	}
	if n == 0 {
		return 0
	}
	return sum / float64(n) / (255 * 255)
}

func clone(f *video.Frame) *video.Frame {
	c := video.NewFrame(f.W, f.H)
	overwrite(c, f)
	return c
}

func overwrite(dst, src *video.Frame) {
	copy(dst.Pix, src.Pix)
	dst.PTS = src.PTS
}
