package train

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/labelmap"
)

// CheckLabels refuses control pictures with ids that are none of so many
// labels, naming the first such picture of every clip and its ids.
func (d *Data) CheckLabels(labels int) error {
	bad := &DataError{Dir: d.dir}
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
				bad.Problems = append(bad.Problems, fmt.Sprintf("%s: %v; raise label_nc or mend the picture", d.where(c, t), err))
				break
			}
		}
	}
	if len(bad.Problems) > 0 {
		return bad
	}
	return nil
}

// where is the control picture of frame t: a file, or a frame of a video.
func (d *Data) where(c *clip, t int) string {
	name, still := frameName(filepath.Join(d.dir, c.control), t)
	switch {
	case still:
		return filepath.Join(c.control, name)
	case isPicture(c.control):
		return c.control
	}
	return c.control + " " + name
}

// frameName is the name of the picture that is frame t of a clip, where the clip
// is a folder of stills.
func frameName(clip string, t int) (name string, still bool) {
	entries, err := os.ReadDir(clip)
	if err != nil {
		return fmt.Sprintf("frame %d", t), false // a video
	}
	for _, e := range entries {
		if e.IsDir() || strings.HasPrefix(e.Name(), ".") || !isPicture(e.Name()) {
			continue
		}
		if t == 0 {
			return e.Name(), true
		}
		t--
	}
	return fmt.Sprintf("frame %d", t), false
}
