package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/v2v/v2v/jobs"
	"github.com/v2v/v2v/video/labelmap"
)

type checkOptions struct {
	clip clipOptions
}

func newPrepareCheck(a *app) *cobra.Command {
	var o checkOptions
	c := &cobra.Command{
		Use:   "check DATA",
		Short: "Say everything that is wrong with a data set",
		Long: `Reads every picture of a data set (train_A and train_B, test_A and test_B, or
the other layouts that v2v train takes) and reports all that is wrong with it, a
line each: clips and pictures without a partner, unequal counts and sizes,
pictures that cannot be read, empty clips and clips of one frame, numbers that
sort wrongly, instance maps that are no index pictures, keypoints, landmarks and
DensePose's pictures that are none, with --palette colours
that no label has, and with --label-nc ids that are out of range. Exit code 4
says that there was something.`,
		Example: `  v2v prepare check data
  v2v prepare check data --label-nc 35 --json
  v2v prepare check data --palette city.txt`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return runCheck(c.Context(), a, o, args[0]) },
	}
	o.clip.flags(c.Flags())
	c.Flags().IntVar(&o.clip.labels.labels, "label-nc", 0, "control pictures hold label ids below this number")
	c.Flags().StringVar(&o.clip.labels.palette, "palette", "", "control pictures have the colours of this file's labels, lines of id r g b name")
	c.Flags().Float64Var(&o.clip.labels.tolerance, "tolerance", 24, "with --palette: how far a pixel may be from the colour of its label, in levels")
	a.jsonFlag(c)
	return c
}

// checked is the event that tells what a check has found.
type checked struct {
	Event    string   `json:"event"`
	Data     string   `json:"data"`
	Train    counted  `json:"train"`
	Test     counted  `json:"test"`
	Problems []string `json:"problems"`
	Notes    []string `json:"notes"`
}

// counted is how much there is of a part.
type counted struct {
	Clips  int `json:"clips"`
	Frames int `json:"frames"`
}

func runCheck(ctx context.Context, a *app, o checkOptions, dir string) error {
	if err := o.clip.check(); err != nil {
		return err
	}
	if fi, err := os.Stat(dir); err != nil {
		var at *fs.PathError
		errors.As(err, &at)
		return withCode(jobs.ExitUnreadable, fmt.Errorf("check %q: %w", dir, at.Err))
	} else if !fi.IsDir() {
		return withCode(jobs.ExitUnreadable, fmt.Errorf("check %q: it is no folder", dir))
	}
	colors, err := o.colors()
	if err != nil {
		return err
	}
	s := &audit{o: o, dir: dir, bar: a.meter("clips"), colors: colors}
	defer s.bar.done()
	if err := s.all(ctx); err != nil {
		return err
	}
	s.bar.done()
	if note := colors.Note(); note != "" {
		s.notes = append(s.notes, note)
	}
	if a.json {
		if err := a.event(checked{"data_checked", dir, s.parts[trainPart], s.parts[testPart], append([]string{}, s.problems...), append([]string{}, s.notes...)}); err != nil {
			return err
		}
	}
	for _, n := range s.notes {
		a.say("%s: %s", dir, n)
	}
	if len(s.problems) > 0 {
		return withCode(jobs.ExitUnreadable, &listError{fmt.Sprintf("data %s cannot be used", dir), s.problems})
	}
	a.say("%s: %d clips of %d frames to train on, %d of %d held out; nothing is wrong",
		dir, s.parts[trainPart].Clips, s.parts[trainPart].Frames, s.parts[testPart].Clips, s.parts[testPart].Frames)
	return nil
}

// audit collects what is wrong with a data set.
type audit struct {
	o        checkOptions
	dir      string
	bar      *meter
	parts    [parts]counted
	problems []string
	notes    []string
	sizes    map[size]string  // a clip of each size
	colors   *labelmap.Colors // of labels; nil where control pictures have none
}

// colors are those of the palette, if one is named.
func (o *checkOptions) colors() (*labelmap.Colors, error) {
	l := o.clip.labels
	if l.palette == "" {
		return nil, nil
	}
	p, err := l.read()
	if err != nil {
		return nil, err
	}
	return labelmap.NewColors(p, labelmap.Options{Tolerance: l.tolerance})
}

func (s *audit) problem(format string, args ...any) {
	s.problems = append(s.problems, strings.NewReplacer("\n", "; ", "\r", "").Replace(fmt.Sprintf(format, args...)))
}

// layouts are where v2v train looks for a part: control pictures, or what they are
// drawn of, and last real frames. Where there is no A, vid2vid's poses and faces
// are looked for.
func (s *audit) layouts(p part) (all [][]string) {
	for _, sep := range []string{"_", "/"} {
		at := p.name() + sep
		if all = append(all, []string{at + "A", at + "B"}); s.isDir(at + "A") {
			continue
		}
		var sides []string
		for _, name := range []string{"densepose", "openpose", "keypoints"} {
			if s.isDir(at + name) {
				sides = append(sides, at+name)
			}
		}
		if img := at + "img"; len(sides) > 0 {
			if !s.isDir(img) && s.isDir(at+"B") {
				img = at + "B"
			}
			all[len(all)-1] = append(sides, img)
		}
	}
	if p == trainPart {
		all = append(all, []string{"A", "B"})
	}
	return all
}

// besideNames take the place of A: what else there may be, frame for frame.
var besideNames = []string{"inst", "maps", "densepose", "openpose", "keypoints"}

// role is what a folder is for: the last word of its name.
func role(folder string) string { return folder[strings.LastIndexAny(folder, "_/")+1:] }

func (s *audit) isDir(rel string) bool {
	fi, err := os.Stat(filepath.Join(s.dir, rel))
	return err == nil && fi.IsDir()
}

func (s *audit) all(ctx context.Context) error {
	s.sizes = map[size]string{}
	s.recipe()
	for p := range part(parts) {
		var there [][]string
		for _, l := range s.layouts(p) {
			if slices.ContainsFunc(l, s.isDir) {
				there = append(there, l)
			}
		}
		if len(there) > 1 {
			s.problem("it has several layouts at once (%s and %s): keep one", there[0][0], there[1][0])
		}
		if len(there) == 0 && p == trainPart {
			s.problem("it has no folders train_A and train_B")
		}
		for _, l := range there {
			if err := s.part(ctx, p, l); err != nil {
				return err
			}
		}
	}
	if len(s.sizes) > 1 {
		var list []string
		for _, z := range slices.SortedFunc(maps.Keys(s.sizes), func(a, b size) int { return strings.Compare(s.sizes[a], s.sizes[b]) }) {
			list = append(list, fmt.Sprintf("%s is %s", s.sizes[z], z.String()))
		}
		s.notes = append(s.notes, "clips differ in size, so training needs a size to cut out: "+strings.Join(list, ", ")+" (height x width)")
	}
	return nil
}

// recipe compares data.json, where there is one, with what is there.
func (s *audit) recipe() {
	b, err := os.ReadFile(filepath.Join(s.dir, recipeName))
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var r recipe
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil {
		s.problem("%s: %v", recipeName, err)
		return
	}
	if r.Unfinished != "" {
		s.problem("clip %s was being put in its place when v2v prepare was killed: make it again", r.Unfinished)
	}
	for _, c := range r.Clips {
		for p, n := range [parts]int{c.Train, c.Test} {
			if folder := filepath.Join(part(p).folder(controlSide), c.Name); n > 0 && !s.isDir(folder) {
				s.problem("%s is gone, %s says that it has %d pictures", folder, recipeName, n)
			}
		}
	}
}

// part looks at the folders of a part and at those beside them.
func (s *audit) part(ctx context.Context, p part, l []string) error {
	for _, folder := range l {
		if !s.isDir(folder) {
			s.problem("%s is not there, and %s is", folder, l[slices.IndexFunc(l, s.isDir)])
			return nil
		}
	}
	folders, last := slices.Clone(l), len(l)-1
	for _, name := range besideNames {
		if folder := strings.TrimSuffix(l[0], role(l[0])) + name; s.isDir(folder) && !slices.Contains(folders, folder) {
			folders = append(folders, folder)
		}
	}
	lists := make([]map[string]string, len(folders))
	for i, folder := range folders {
		lists[i] = s.clips(folder)
	}
	for i, folder := range folders[1:] {
		for _, name := range slices.Sorted(maps.Keys(lists[0])) {
			if lists[i+1][name] == "" {
				s.problem("%s has no partner in %s", lists[0][name], folder)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(lists[i+1])) {
			if lists[0][name] == "" {
				s.problem("%s has no partner in %s", lists[i+1][name], l[0])
			}
		}
	}
	if len(lists[0])+len(lists[last]) == 0 {
		s.problem("%s and %s hold no clip", l[0], l[last])
	}
	for i, name := range slices.Sorted(maps.Keys(lists[0])) {
		s.bar.set(i, len(lists[0]), name)
		if err := s.clip(ctx, p, folders, lists, name); err != nil {
			return err
		}
	}
	return nil
}

// clips are those of a folder by name: folders of pictures, and videos.
func (s *audit) clips(folder string) map[string]string {
	entries, err := os.ReadDir(filepath.Join(s.dir, folder))
	if err != nil {
		s.problem("%v", err)
	}
	clips := map[string]string{}
	loose := 0
	for _, e := range entries {
		name, path := e.Name(), filepath.Join(folder, e.Name())
		switch {
		case strings.HasPrefix(name, "."):
			continue
		case s.isDir(path):
		case isStill(name) || role(folder) == "keypoints" || role(folder) == "openpose" && !isVideo(name):
			loose++
			continue
		case !isVideo(name):
			s.problem("%s is no clip: give a video or a folder of pictures", path)
			continue
		default:
			name = stem(name)
		}
		if clips[name] != "" {
			s.problem("%s and %s have one name", clips[name], path)
			continue
		}
		clips[name] = path
	}
	if loose > 0 {
		what := "pictures"
		if role(folder) == "keypoints" || role(folder) == "openpose" {
			what = "files"
		}
		s.problem("%s holds %d loose %s: put those of each clip into a folder of their own", folder, loose, what)
	}
	return clips
}

// clip looks at one clip of all folders.
func (s *audit) clip(ctx context.Context, p part, folders []string, lists []map[string]string, name string) error {
	facts := make([]*clipFacts, len(folders))
	for i := range folders {
		path := lists[i][name]
		if path == "" {
			continue // reported
		}
		var err error
		if facts[i], err = s.look(ctx, path, i, role(folders[i])); err != nil {
			return err
		}
		if i > 0 {
			s.compare(facts[0], facts[i], role(folders[i]) != "maps")
		}
	}
	s.parts[p].Clips++
	s.parts[p].Frames += facts[0].n
	for _, f := range facts { // of points nobody knows how large their pictures are
		if f == nil || f.n == 0 || f.size == (size{}) {
			continue
		}
		if _, ok := s.sizes[f.size]; !ok {
			s.sizes[f.size] = f.path
		}
		break
	}
	return nil
}
