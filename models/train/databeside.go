package train

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/labelmap"
)

// changeFrame makes another frame of one that is read.
type changeFrame = func(*video.Frame) (*video.Frame, error)

// packed is change, and then the clip's instance maps packed into its label
// pictures: train_inst beside train_A, with a folder of index PNGs for each
// clip. Where there is no such folder it is change alone.
func (l *dataLoader) packed(name, path string, change changeFrame) (packing changeFrame, maps int, err error) {
	folder := strings.TrimSuffix(filepath.Dir(path), "A") + "inst"
	if _, err := os.Stat(filepath.Join(l.dir, folder)); errors.Is(err, fs.ErrNotExist) {
		return change, 0, nil
	}
	dir := filepath.Join(l.dir, folder, name)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, 0, fmt.Errorf("its instance maps: %w: give a folder of index PNGs", err)
	}
	var files []string
	for _, e := range entries {
		if isPicture(e.Name()) && !strings.HasPrefix(e.Name(), ".") {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	n := 0
	return func(f *video.Frame) (*video.Frame, error) {
		if n == len(files) {
			return nil, fmt.Errorf("%s has only %d instance maps", filepath.Join(folder, name), n)
		}
		m, err := labelmap.ReadIndex(files[n])
		n++
		switch {
		case err != nil:
			return nil, err
		case m.W != f.W || m.H != f.H:
			return nil, fmt.Errorf("%s is %dx%d, the label picture %dx%d", files[n-1], m.W, m.H, f.W, f.H)
		}
		if change != nil {
			if f, err = change(f); err != nil {
				return nil, err
			}
		}
		return f, labelmap.Pack(f, m.Resize(f.W, f.H))
	}, len(files), nil
}

// drop leaves out parts of the body, the same in all frames of a sample whose
// control pictures are labelmap.DensePose's: each with probability p.
func drop(r *rand.Rand, p float64, frames []*video.Frame) {
	var gone [256]bool // by the byte that stands for the part
	for part := 1; part <= labelmap.BodyParts; part++ {
		if r.Float64() >= p {
			continue
		}
		for b := range gone {
			if (b*labelmap.BodyParts+127)/255 == part {
				gone[b] = true
			}
		}
	}
	for _, f := range frames {
		for i := 0; i < len(f.Pix); i += 3 {
			if gone[f.Pix[i+2]] {
				f.Pix[i], f.Pix[i+1], f.Pix[i+2] = 0, 0, 0
			}
		}
	}
}
