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
	folder := besideFolder(filepath.Dir(path), "inst")
	if _, err := os.Stat(filepath.Join(l.dir, folder)); errors.Is(err, fs.ErrNotExist) {
		return change, 0, nil
	}
	dir := filepath.Join(l.dir, folder, name)
	files := []string{dir + ".png"}
	if !isPicture(path) { // it is no picture by itself
		if files, err = listed(dir, ".png"); err != nil {
			return nil, 0, fmt.Errorf("its instance maps: %w: give a folder of index PNGs", err)
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

// besideFolder is the folder of something else beside a side's, as train_inst is
// beside train_A.
func besideFolder(side, what string) string {
	return side[:strings.LastIndexAny(side, "_/")+1] + what
}

// drop draws which parts of the body are left out of DensePose's pictures, each
// with probability p, and adds the bytes that stand for them to gone.
func drop(r *rand.Rand, p float64, gone *[256]bool) {
	for part := 1; part <= labelmap.BodyParts; part++ {
		if r.Float64() < p {
			lose(part, gone)
		}
	}
}

// lose adds the bytes that stand for a part of the body.
func lose(part int, gone *[256]bool) {
	for b := range gone {
		if labelmap.PartAt(byte(b)) == part {
			gone[b] = true
		}
	}
}

// hide blackens what is gone in a picture that labelmap.DensePose has made.
func hide(gone *[256]bool, f *video.Frame) {
	for i := 0; i < len(f.Pix); i += 3 {
		if gone[f.Pix[i+2]] {
			f.Pix[i], f.Pix[i+1], f.Pix[i+2] = 0, 0, 0
		}
	}
}
