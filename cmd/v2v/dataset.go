package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/v2v/v2v/jobs"
	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/cvimg"
)

// prepared is one clip of a data set and how it was made.
type prepared struct {
	Name    string `json:"name"`
	Source  string `json:"source"`
	Real    string `json:"real,omitempty"` // the clip of the real frames, where it is another
	Frames  int    `json:"frames"`         // of the source
	Height  int    `json:"height"`         // of the pictures
	Width   int    `json:"width"`
	Train   int    `json:"train"` // pairs
	Test    int    `json:"test"`
	Damaged string `json:"damaged,omitempty"`

	control control
}

// made is how many pairs of a part there are.
func (c *prepared) made(p part) int { return [parts]int{c.Train, c.Test}[p] }

func (c *prepared) count(p part) {
	if p == trainPart {
		c.Train++
	} else {
		c.Test++
	}
}

// recipe is data.json: how a data set was made.
type recipe struct {
	Format  int         `json:"format"`        // 1
	Extract string      `json:"extract"`       // the kind of control pictures
	How     string      `json:"how,omitempty"` // what else changes them
	Every   int         `json:"every"`
	Holdout float64     `json:"holdout"`
	Clips   []*prepared `json:"clips"`
	// Unfinished is a clip whose folders were being put in their places: where
	// it is not among Clips they are leftovers.
	Unfinished string `json:"unfinished,omitempty"`
}

const (
	recipeName   = "data.json"
	recipeFormat = 1
)

// part is what a pair is for.
type part int

const (
	trainPart part = iota
	testPart
)

const parts = 2

// folder is where the pictures of a part and a side are, a folder below it for
// each clip.
func (p part) folder(s side) string {
	return p.name() + "_" + [sides]string{"A", "B", "inst", "maps", "densepose"}[s]
}

// points is the folder of the points that pictures of a kind are drawn of, where
// v2v train can draw them anew, and the ending of its files; empty where there are
// none.
func (p part) points(kind string) (folder, ending string) {
	switch kind {
	case "pose":
		return p.name() + "_openpose", "_keypoints.json"
	case "face":
		return p.name() + "_keypoints", ".txt"
	}
	return "", ""
}

func (p part) name() string { return [parts]string{"train", "test"}[p] }

// folders are those of all parts and sides, and of points.
func folders() (names []string) {
	for p := range part(parts) {
		for s := range sides {
			names = append(names, p.folder(s))
		}
		for _, kind := range []string{"pose", "face"} {
			folder, _ := p.points(kind)
			names = append(names, folder)
		}
	}
	return names
}

// dataset is a locked data folder.
type dataset struct {
	dir    string
	lock   *os.File
	recipe recipe
}

// openDataset makes or locks a data folder and clears away what a killed run
// has left. The lock is on the folder itself and goes with the process.
func openDataset(dir string, o prepareOptions) (*dataset, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("prepare: make data folder: %w", err)
	}
	lock, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	d := &dataset{dir: dir, lock: lock, recipe: recipe{Format: recipeFormat, Extract: o.clip.kind(), How: o.clip.settings(), Every: o.every, Holdout: o.holdout}}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		d.close()
		return nil, fmt.Errorf("prepare: data folder %s: %w", dir, jobs.ErrLocked)
	}
	if err := errors.Join(d.load(o), d.sweep()); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

func (d *dataset) close() { d.lock.Close() }

// load reads data.json and refuses to mix two ways of making pairs.
func (d *dataset) load(o prepareOptions) error {
	path := filepath.Join(d.dir, recipeName)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	var r recipe
	if err := json.Unmarshal(b, &r); err != nil || r.Format != recipeFormat {
		return fmt.Errorf("prepare: %s is not one that v2v wrote (%v): take another data folder", path, err)
	}
	if r.Extract != o.clip.kind() || r.How != o.clip.settings() || r.Every != o.every {
		return usage("%s was made with %s --every %d: give the same, or another folder", d.dir, r.made(), r.Every)
	}
	d.recipe.Clips, d.recipe.Unfinished = r.Clips, r.Unfinished
	return nil
}

// made is how to make more of the kind.
func (r *recipe) made() string {
	switch {
	case slices.Contains(cvimg.Kinds, r.Extract):
		return "--extract " + r.Extract
	case r.Extract == "densepose":
		return "labels " + r.How
	}
	return r.Extract + " " + r.How
}

func (d *dataset) sweep() error {
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	for _, e := range entries {
		if video.IsPart(e.Name()) {
			if err := os.RemoveAll(filepath.Join(d.dir, e.Name())); err != nil {
				return fmt.Errorf("prepare: %w", err)
			}
		}
	}
	return nil
}

// accept refuses clips that are there, unless they are to be made again, and
// pictures of another size than those that are there.
func (d *dataset) accept(list []*prepared, overwrite bool) error {
	for _, c := range list {
		if err := d.foreign(c.Name); err != nil && !overwrite {
			return err
		}
		for _, old := range d.recipe.Clips {
			switch {
			case old.Name == c.Name && !overwrite:
				return usage("%s holds clip %s already: give --overwrite to make it again", d.dir, c.Name)
			case old.Name != c.Name && (old.Height != c.Height || old.Width != c.Width):
				return usage("%s holds pictures of %dx%d, these would be %dx%d (height x width): give --size %dx%d, or another folder",
					d.dir, old.Height, old.Width, c.Height, c.Width, old.Height, old.Width)
			}
		}
	}
	return nil
}

// foreign reports a clip's folder that no run of v2v prepare accounts for.
func (d *dataset) foreign(name string) error {
	known := name == d.recipe.Unfinished || slices.ContainsFunc(d.recipe.Clips, func(c *prepared) bool { return c.Name == name })
	for _, folder := range folders() {
		path := filepath.Join(d.dir, folder, name)
		if _, err := os.Lstat(path); err == nil && !known {
			return usage("%s is there already and %s does not know it: give --overwrite to replace it", path, recipeName)
		}
	}
	return nil
}

// pairWriter writes one clip's pictures into a hidden folder.
type pairWriter struct {
	d       *dataset
	name    string
	dir     string
	writers [parts][sides]video.Writer // nil where there are no pictures
}

func (d *dataset) begin(name string) (*pairWriter, error) {
	dir := video.PartPath(d.dir, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	return &pairWriter{d: d, name: name, dir: dir}, nil
}

// add writes the pictures of a frame.
func (w *pairWriter) add(ctx context.Context, p part, all pictures) error {
	for s, f := range all {
		if f == nil {
			continue
		}
		out := &w.writers[p][s]
		if *out == nil {
			var err error
			if *out, err = video.CreateStills(filepath.Join(w.dir, p.folder(side(s))), video.StillsWriterOptions{}); err != nil {
				return err
			}
		}
		if err := (*out).Write(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// addPoints writes the points that picture n of a part was drawn of.
func (w *pairWriter) addPoints(p part, n int, text []byte) error {
	folder, ending := p.points(w.d.recipe.Extract)
	dir := filepath.Join(w.dir, folder)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, fmt.Sprintf("%06d%s", n, ending)), text, 0o644)
}

// commit puts the finished folders in their places and then enters the clip
// into data.json, which is what makes it count: folders of a clip that is not
// there are leftovers, and are replaced.
func (w *pairWriter) commit(ctx context.Context, c *prepared) error {
	for _, side := range slices.Concat(w.writers[trainPart][:], w.writers[testPart][:]) {
		if side == nil {
			continue
		}
		if err := side.Commit(ctx); err != nil {
			return err
		}
	}
	d := w.d
	d.recipe.Unfinished = c.Name
	d.recipe.Clips = slices.DeleteFunc(d.recipe.Clips, func(old *prepared) bool { return old.Name == c.Name })
	if err := d.save(); err != nil {
		return err
	}
	for _, folder := range folders() {
		if err := w.place(folder); err != nil {
			return err
		}
	}
	d.recipe.Unfinished = ""
	d.recipe.Clips = append(d.recipe.Clips, c)
	return d.save()
}

// place puts a finished folder where it belongs, in the place of any other; it
// may be that there is none.
func (w *pairWriter) place(folder string) error {
	made, final := filepath.Join(w.dir, folder), filepath.Join(w.d.dir, folder, w.name)
	if err := os.RemoveAll(final); err != nil {
		return err
	}
	if _, err := os.Stat(made); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(final), 0o755); err != nil {
		return err
	}
	return os.Rename(made, final)
}

// save replaces data.json in one step.
func (d *dataset) save() error {
	b, err := json.MarshalIndent(d.recipe, "", "  ")
	if err != nil {
		return err
	}
	part := video.PartPath(d.dir, recipeName)
	if err := os.WriteFile(part, append(b, '\n'), 0o644); err != nil {
		return errors.Join(err, os.Remove(part))
	}
	return video.Publish(part, filepath.Join(d.dir, recipeName), true)
}

// close removes what was not committed.
func (w *pairWriter) close() {
	for _, side := range slices.Concat(w.writers[trainPart][:], w.writers[testPart][:]) {
		if side != nil {
			side.Close()
		}
	}
	os.RemoveAll(w.dir)
}
