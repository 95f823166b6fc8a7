package train

import (
	"fmt"

	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/labelmap"
)

// CheckLabels refuses control pictures with ids that are none of so many
// labels, naming the first such frame of every clip and its ids.
func (d *Data) CheckLabels(labels int) error {
	bad := &DataError{Dir: "of index pictures"}
	var buf []byte
	for _, c := range d.clips {
		for t := range c.n {
			pix, err := d.frames.get(c.a+t, buf)
			if err != nil {
				return fmt.Errorf("check labels of clip %s frame %d: %w", c.name, t, err)
			}
			if d.frames.file != nil {
				buf = pix
			}
			if err := labelmap.CheckFrame(&video.Frame{Pix: pix, W: c.size.X, H: c.size.Y}, labels); err != nil {
				bad.Problems = append(bad.Problems, fmt.Sprintf("clip %s, control picture %d: %v; raise label_nc or mend the picture", c.name, t, err))
				break
			}
		}
	}
	if len(bad.Problems) > 0 {
		return bad
	}
	return nil
}
