package train

import (
	"errors"
	"fmt"

	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/op"
)

// firstReal lets clips begin with their real frames.
const firstReal = "real"

// begins is the first frame of a clip that is generated.
func (c Vid2VidConfig) begins() int {
	if c.First == firstReal {
		return c.Generator.Needs().Past
	}
	return 0
}

// begin puts what a clip begins with where the past is, at every scale: real
// frames, as the published training does, or nothing.
func (v *Vid2Vid) begin(batch []*Sample) error {
	if n := v.c.begins(); len(batch[0].A) <= n {
		return fmt.Errorf("a sample has %d frames, but the first %d are given: set frames to %d or more, or first_frames to none, and leave out shorter clips",
			len(batch[0].A), n, n+1)
	}
	size := 3 * v.c.Height * v.c.Width
	for t := range v.c.begins() {
		if err := v.upload(batch, t, 0); err != nil {
			return err
		}
		shape := v.real[t].Shape()
		pixels := make([]byte, 0, len(batch)*size)
		for _, s := range batch {
			pixels = append(pixels, s.B[t].Pix...)
		}
		x := op.Tensor{Shape: shape, F: make([]float32, shape.TotalSize())}
		from := op.Tensor{Shape: tensor.Shape{len(batch), v.c.Height, v.c.Width, 3}, B: pixels}
		op.FromBytes{OutH: v.c.Height, OutW: v.c.Width}.Do([]op.Tensor{from}, x)
		err := v.real[t].Write(x.F)
		for l, ring := range v.fake {
			if l > 0 {
				half := op.Tensor{Shape: ring[t].Shape(), F: make([]float32, ring[t].Shape().TotalSize())}
				models.Pooling.Do([]op.Tensor{x}, half)
				x = half
			}
			err = errors.Join(err, ring[t].Write(x.F))
		}
		if err != nil {
			return err
		}
	}
	return nil
}
