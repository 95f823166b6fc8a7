package train

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// What folders of a part are called, after train_ or test_.
const (
	denseSide     = "densepose" // pictures of DensePose
	openSide      = "openpose"  // what OpenPose has found, or drawn
	keypointsSide = "keypoints" // landmarks of faces
)

// layouts are the folders that may hold the part, below the data folder: those of
// control pictures and last that of real frames.
func (l *dataLoader) layouts() (all [][]string) {
	o, prefix := l.d.o, "train"
	if o.Split == TestSplit {
		prefix = "test"
	}
	for _, sep := range []string{"_", "/"} {
		var sides []string
		for _, name := range o.controls() {
			sides = append(sides, prefix+sep+name)
		}
		real := prefix + sep + "B"
		if img := prefix + sep + "img"; (o.Pose != nil || o.Face != nil) && (l.isDir(img) || !l.isDir(real)) {
			real = img
		}
		all = append(all, append(sides, real))
	}
	if o.Split == TrainSplit && o.Pose == nil && o.Face == nil {
		all = append(all, []string{"A", "B"})
	}
	return all
}

// controls are the folders of control pictures.
func (o DataOptions) controls() (all []string) {
	switch {
	case o.Face != nil:
		return []string{keypointsSide}
	case o.Pose == nil:
		return []string{"A"}
	}
	if o.Pose.Dense {
		all = append(all, denseSide)
	}
	if o.Pose.Open {
		all = append(all, openSide)
	}
	return all
}

// isSide tells what a folder is for.
func isSide(folder, what string) bool {
	base := filepath.Base(folder)
	return base == what || strings.HasSuffix(base, "_"+what)
}

// drawn reports whether pictures are drawn of what files of a folder tell.
func (l *dataLoader) drawn(side string) bool {
	return l.d.o.Face != nil && isSide(side, keypointsSide)
}

// sides finds the folders of the part, as paths below dir.
func (l *dataLoader) sides() ([]string, error) {
	if fi, err := os.Stat(l.dir); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open data: there is no folder %s: v2v prepare makes one of a video", l.dir)
	} else if err != nil {
		return nil, fmt.Errorf("open data: %w", err)
	} else if !fi.IsDir() {
		return nil, fmt.Errorf("open data: %s is no folder", l.dir)
	}
	var found []string
	var firsts []string
	layouts := l.layouts()
	for _, sides := range layouts {
		var there, not []string
		for _, side := range sides {
			if l.isDir(side) {
				there = append(there, side)
			} else {
				not = append(not, side)
			}
		}
		switch {
		case len(not) == 0:
			found, firsts = sides, append(firsts, sides[0])
		case len(there) > 0 && len(sides) == 2:
			l.problem("of %s only one is there", together(sides))
		case len(there) > 0:
			l.problem("of %s there is no %s", together(sides), together(not))
		}
	}
	switch {
	case len(firsts) > 1:
		l.problem("it has several layouts at once (%s): keep one", strings.Join(firsts, ", "))
	case found == nil && len(l.problems) == 0:
		var want []string
		for _, sides := range layouts {
			want = append(want, together(sides))
		}
		return nil, fmt.Errorf("open data %s: %w: it wants folders %s, and has %s: %s",
			l.dir, ErrNoSplit, strings.Join(want, ", or "), l.content(), l.advice())
	}
	return found, nil
}

// advice is what to do where there are no such folders.
func (l *dataLoader) advice() string {
	for mode, side := range map[string]string{"pose": openSide, "face": keypointsSide} {
		if l.isDir("train_"+side) && l.d.o.Pose == nil && l.d.o.Face == nil {
			return "set dataset_mode=" + mode
		}
	}
	return "v2v prepare makes them of a video"
}

func (l *dataLoader) isDir(side string) bool {
	fi, err := os.Stat(filepath.Join(l.dir, side))
	return err == nil && fi.IsDir()
}

// together is a list with and before its last.
func together(names []string) string {
	last := len(names) - 1
	if last < 1 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:last], ", ") + " and " + names[last]
}
