package train

import (
	"context"
	"fmt"
	"image"
	"math"
	"math/rand/v2"

	"github.com/v2v/v2v/flow"
)

// stride draws how many frames of a clip lie from one of a sample to the next,
// and where such a sample begins; with MaxStep 1 it draws nothing.
func (d *Data) stride(r *rand.Rand, c *clip, start, frames int) (step, first int) {
	if d.o.MaxStep <= 1 || frames < 2 {
		return 1, start
	}
	step = 1 + r.IntN(min(d.o.MaxStep, (c.n-1)/(frames-1)))
	return step, r.IntN(c.n - (frames-1)*step)
}

// central draws the corner of a sample of one size in frames of another.
func central(r *rand.Rand, of, size image.Point) image.Point {
	room := of.Sub(size)
	span := float64(room.X) / 2
	x := int(math.Round(span + r.NormFloat64()*span/3))
	return image.Pt(min(max(x, 0), room.X), r.IntN(min(room.Y, of.Y/8)+1))
}

// far adds the motion over several frames that is wanted.
func (d *Data) far(ctx context.Context, c *clip, s *Sample, v view) error {
	for _, stride := range d.o.Strides {
		if stride < 2 || stride >= len(s.B) {
			continue
		}
		if s.Far == nil {
			s.Far = map[int][]*flow.Field{}
		}
		fields := make([]*flow.Field, len(s.B))
		for t := stride; t < len(s.B); t++ {
			at := int(s.B[t].PTS)
			m, err := d.motion(ctx, c, at, stride*v.step)
			if err != nil {
				return fmt.Errorf("clip %s frame %d: %w", c.name, at, err)
			}
			fields[t], _ = v.motion(m, c.size)
		}
		s.Far[stride] = fields
	}
	return nil
}

// Strides are over how many frames its temporal discriminators want motion
// measured: DataOptions.Strides.
func (c Vid2VidConfig) Strides() []int {
	var all []int
	for _, s := range c.timeScales() {
		if s.stride > 1 {
			all = append(all, s.stride)
		}
	}
	return all
}
