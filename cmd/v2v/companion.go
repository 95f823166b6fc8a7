package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/v2v/v2v/video"
)

// companions are files of a folder, one for each frame of a clip.
type companions struct {
	dir   string // as the user gave it
	what  string // "keypoint file"
	ext   string // ".json"
	clip  string
	info  video.Info
	alone bool // there is no other clip that files of the folder may be of

	folder   string // where they lie
	names    []string
	problems []string
}

// find returns the path of each frame's file. They lie in the folder itself,
// or in one below it that is called like the clip, and are matched with the
// names of pictures where the clip is a folder of such, or else by the last
// number in their names, which counts frames from 0, or from 1.
func (c *companions) find() (paths, problems []string) {
	if err := c.list(); err != nil {
		return nil, []string{fmt.Sprintf("%s %s: %v", c.what, c.dir, err)}
	}
	if len(c.names) == 0 {
		return nil, []string{fmt.Sprintf("%s holds no %s (*%s) for %s", c.folder, c.what, c.ext, c.clip)}
	}
	paths = make([]string, c.info.Frames())
	if !c.byName(paths) {
		c.byNumber(paths)
	}
	return paths, c.problems
}

func (c *companions) problem(format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf(format, args...))
}

// list finds the folder and the files that may be the clip's.
func (c *companions) list() error {
	name := stem(c.clip)
	c.folder = filepath.Join(c.dir, name)
	own := true
	if fi, err := os.Stat(c.folder); err != nil || !fi.IsDir() {
		c.folder, own = c.dir, false
	}
	entries, err := os.ReadDir(c.folder)
	if err != nil {
		return err
	}
	var all, mine []string
	prefix := regexp.MustCompile(`^` + regexp.QuoteMeta(name) + `[^0-9A-Za-z]+[0-9]+`)
	for _, e := range entries {
		if e.IsDir() || strings.HasPrefix(e.Name(), ".") || !strings.EqualFold(filepath.Ext(e.Name()), c.ext) {
			continue
		}
		all = append(all, e.Name())
		if prefix.MatchString(e.Name()) {
			mine = append(mine, e.Name())
		}
	}
	if c.names = mine; own || len(mine) == 0 && c.alone {
		c.names = all
	}
	return nil
}

// bare is a file's name without its extension and what OpenPose adds.
func (c *companions) bare(name string) string {
	return strings.TrimSuffix(strings.TrimSuffix(name, filepath.Ext(name)), "_keypoints")
}

// byName matches files with pictures, and reports whether names agree at all.
func (c *companions) byName(paths []string) bool {
	pictures := stillNames(c.info)
	frames := map[string]int{}
	for n, name := range pictures {
		frames[strings.TrimSuffix(name, filepath.Ext(name))] = n
	}
	known := func(name string) bool { _, ok := frames[c.bare(name)]; return ok }
	if !slices.ContainsFunc(c.names, known) {
		return false
	}
	for _, name := range c.names {
		n, ok := frames[c.bare(name)]
		switch {
		case !ok:
			c.problem("%s is of no picture in %s", filepath.Join(c.folder, name), c.clip)
		case paths[n] != "":
			c.problem("%s and %s are of one picture", paths[n], filepath.Join(c.folder, name))
		default:
			paths[n] = filepath.Join(c.folder, name)
		}
	}
	for n, path := range paths {
		if path == "" {
			c.problem("%s has no %s in %s", filepath.Join(c.clip, pictures[n]), c.what, c.folder)
		}
	}
	return true
}

// stillNames are the pictures of a clip that is a folder, in their order.
func stillNames(info video.Info) []string {
	if !info.Stills {
		return nil
	}
	entries, err := os.ReadDir(info.Path)
	if err != nil {
		return nil // it has been opened before; the next reader will say what is wrong
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() && !strings.HasPrefix(e.Name(), ".") && isStill(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names
}

var lastNumber = regexp.MustCompile(`[0-9]+`)

// number is the last one in a file's name; -1 for none.
func (c *companions) number(name string) int {
	found := lastNumber.FindAllString(c.bare(name), -1)
	if len(found) == 0 {
		return -1
	}
	n, err := strconv.Atoi(found[len(found)-1])
	if err != nil {
		return -1
	}
	return n
}

func (c *companions) byNumber(paths []string) {
	byNumber := map[int]string{}
	for _, name := range c.names {
		n := c.number(name)
		other, taken := byNumber[n]
		switch {
		case n < 0:
			c.problem("%s has no frame number in its name", filepath.Join(c.folder, name))
		case taken:
			c.problem("%s and %s in %s are of one frame", other, name, c.folder)
		default:
			byNumber[n] = name
		}
	}
	first := 0
	if _, zero := byNumber[0]; !zero && byNumber[len(paths)] != "" {
		first = 1
	}
	var missing, beyond []int
	for n := range paths {
		if name, ok := byNumber[n+first]; ok {
			paths[n] = filepath.Join(c.folder, name)
		} else {
			missing = append(missing, n+first)
		}
		delete(byNumber, n+first)
	}
	for n := range byNumber {
		beyond = append(beyond, n)
	}
	for _, r := range ranges(missing) {
		c.problem("%s: there is no %s number %s in %s", c.clip, c.what, r, c.folder)
	}
	for _, r := range ranges(beyond) {
		c.problem("%s: the %s number %s in %s is of no frame: the clip has %d", c.clip, c.what, r, c.folder, len(paths))
	}
}

// ranges writes numbers as "3", "5 to 9".
func ranges(numbers []int) (list []string) {
	slices.Sort(numbers)
	for i := 0; i < len(numbers); {
		j := i
		for j+1 < len(numbers) && numbers[j+1] == numbers[j]+1 {
			j++
		}
		if i == j {
			list = append(list, strconv.Itoa(numbers[i]))
		} else {
			list = append(list, fmt.Sprintf("%d to %d", numbers[i], numbers[j]))
		}
		i = j + 1
	}
	return list
}
