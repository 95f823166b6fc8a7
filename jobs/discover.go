package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

var (
	videoExts = []string{".mp4", ".mkv", ".mov", ".avi", ".webm", ".m4v", ".mpg", ".mpeg", ".ts"}
	stillExts = []string{".png", ".jpg", ".jpeg"}
)

func isVideo(name string) bool {
	return slices.Contains(videoExts, strings.ToLower(filepath.Ext(name)))
}

func isStill(name string) bool {
	return slices.Contains(stillExts, strings.ToLower(filepath.Ext(name)))
}

func hidden(name string) bool { return strings.HasPrefix(name, ".") }

// source is a clip found, or a place where none could be read.
type source struct {
	path   string
	rel    string // slash-separated, below the argument it was found by
	stills bool
	size   int64
	err    error
}

// finder walks the arguments of a plan.
type finder struct {
	outDir string // canonical
	keep   func(rel string) bool
	seen   map[string]bool // identities
	found  []source
}

// argument adds what one DIR, FILE or GLOB stands for.
func (d *finder) argument(ctx context.Context, arg string) error {
	fi, err := os.Stat(arg)
	switch {
	case err == nil && fi.IsDir():
		if canonical(arg) == d.outDir {
			return &UsageError{fmt.Sprintf("%s is both input and output folder: give another output folder", arg)}
		}
		return d.folder(ctx, arg, "")
	case err == nil:
		d.add(source{path: arg, rel: filepath.Base(arg), size: fi.Size()})
		return nil
	case errors.Is(err, fs.ErrNotExist) && strings.ContainsAny(arg, `*?[`):
		return d.glob(ctx, arg)
	}
	d.add(source{path: arg, rel: filepath.Base(arg), err: err})
	return nil
}

// glob adds the matches of a pattern. Their relative paths start where the
// pattern's fixed part ends: in/*/a.mp4 keeps the folders that * matched.
func (d *finder) glob(ctx context.Context, pattern string) error {
	matches, err := filepath.Glob(pattern)
	if err != nil {
		return &UsageError{fmt.Sprintf("%s: %v", pattern, err)}
	}
	fixed := filepath.Dir(pattern)
	for strings.ContainsAny(fixed, `*?[`) {
		fixed = filepath.Dir(fixed)
	}
	slices.SortFunc(matches, natural)
	for _, m := range matches {
		rel, err := filepath.Rel(fixed, m)
		fi, serr := os.Stat(m)
		switch {
		case err != nil:
			return &UsageError{fmt.Sprintf("%s: %v", pattern, err)}
		case hidden(filepath.Base(m)) && !hidden(filepath.Base(pattern)):
		case within(d.outDir, canonical(m)):
		case serr != nil:
			d.add(source{path: m, rel: filepath.ToSlash(rel), err: serr})
		case fi.IsDir():
			if err := d.folder(ctx, m, filepath.ToSlash(rel)); err != nil {
				return err
			}
		case isVideo(m):
			d.add(source{path: m, rel: filepath.ToSlash(rel), size: fi.Size()})
		}
	}
	return nil
}

// folder adds every clip at and below dir. Linked folders are not followed:
// they may lead in circles. A folder that directly holds stills is one clip,
// unless it holds videos too, whose covers the stills then are.
func (d *finder) folder(ctx context.Context, dir, rel string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if canonical(dir) == d.outDir {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		d.add(source{path: dir, rel: nameOf(dir, rel), err: err})
		return nil
	}
	var folders []string
	videos, stills := 0, source{path: dir, rel: nameOf(dir, rel), stills: true}
	count := 0
	for _, e := range entries {
		name := e.Name()
		full, below := filepath.Join(dir, name), path.Join(rel, name)
		switch {
		case hidden(name):
		case e.IsDir():
			folders = append(folders, name)
		case isVideo(name) || isStill(name):
			fi, err := os.Stat(full)
			switch {
			case err == nil && !fi.Mode().IsRegular():
			case isVideo(name):
				videos++
				s := source{path: full, rel: below, err: err}
				if err == nil {
					s.size = fi.Size()
				}
				d.add(s)
			case err == nil:
				count++
				stills.size += fi.Size()
			}
		}
	}
	if count > 0 && videos == 0 {
		d.add(stills)
	}
	for _, name := range folders {
		if err := d.folder(ctx, filepath.Join(dir, name), path.Join(rel, name)); err != nil {
			return err
		}
	}
	return nil
}

// nameOf is the relative path of a folder taken as a clip; the argument itself
// goes by its own name.
func nameOf(dir, rel string) string {
	if rel != "" {
		return rel
	}
	name := filepath.Base(identity(dir))
	if name == string(filepath.Separator) {
		return "root"
	}
	return name
}

func (d *finder) add(s source) {
	id := identity(s.path)
	if d.seen[id] || !d.keep(s.rel) {
		return
	}
	d.seen[id] = true
	d.found = append(d.found, s)
}

// canonical is the absolute path with links resolved, as far as it exists.
func canonical(p string) string {
	abs, err := filepath.Abs(p)
	if err != nil {
		return filepath.Clean(p)
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		return real
	}
	if dir := filepath.Dir(abs); dir != abs {
		return filepath.Join(canonical(dir), filepath.Base(abs))
	}
	return abs
}

// identity is the canonical path of a directory entry: a link is itself, not
// what it leads to.
func identity(p string) string {
	abs, err := filepath.Abs(p)
	if err != nil {
		return filepath.Clean(p)
	}
	return filepath.Join(canonical(filepath.Dir(abs)), filepath.Base(abs))
}

// within says whether p is dir or lies below it; both are canonical.
func within(dir, p string) bool {
	return p == dir || strings.HasPrefix(p, strings.TrimSuffix(dir, string(filepath.Separator))+string(filepath.Separator))
}

// filter makes the test that include and exclude patterns stand for. A pattern
// without a slash is tried on every component of the relative path; one with a
// slash on the whole of it, where ** stands for any number of folders.
func filter(include, exclude []string) (func(rel string) bool, error) {
	for _, p := range slices.Concat(include, exclude) {
		for part := range strings.SplitSeq(p, "/") {
			if _, err := path.Match(part, ""); err != nil {
				return nil, &UsageError{fmt.Sprintf("pattern %q: %v", p, err)}
			}
		}
	}
	matches := func(patterns []string, rel string) bool {
		parts := strings.Split(rel, "/")
		return slices.ContainsFunc(patterns, func(p string) bool {
			if strings.Contains(p, "/") {
				return matchPath(strings.Split(p, "/"), parts)
			}
			return slices.ContainsFunc(parts, func(part string) bool { return matchPath([]string{p}, []string{part}) })
		})
	}
	return func(rel string) bool {
		return (len(include) == 0 || matches(include, rel)) && !matches(exclude, rel)
	}, nil
}

func matchPath(pattern, parts []string) bool {
	switch {
	case len(pattern) == 0:
		return len(parts) == 0
	case pattern[0] == "**":
		return matchPath(pattern[1:], parts) || len(parts) > 0 && matchPath(pattern, parts[1:])
	case len(parts) == 0:
		return false
	}
	ok, err := path.Match(pattern[0], parts[0])
	return err == nil && ok && matchPath(pattern[1:], parts[1:])
}

// natural orders names as people number them: clip2 before clip10. It is a
// total order: names equal but for leading zeros are ordered by their bytes.
func natural(a, b string) int {
	x, y := a, b
	for x != "" && y != "" {
		nx, ny := digits(x), digits(y)
		if nx == "" || ny == "" {
			if x[0] != y[0] {
				return cmp.Compare(x[0], y[0])
			}
			x, y = x[1:], y[1:]
			continue
		}
		vx, vy := strings.TrimLeft(nx, "0"), strings.TrimLeft(ny, "0")
		if c := cmp.Or(cmp.Compare(len(vx), len(vy)), cmp.Compare(vx, vy)); c != 0 {
			return c
		}
		x, y = x[len(nx):], y[len(ny):]
	}
	return cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(a, b))
}

func digits(s string) string {
	n := 0
	for n < len(s) && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	return s[:n]
}
