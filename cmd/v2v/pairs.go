package main

import (
	"context"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/v2v/v2v/jobs"
)

// pair is a made clip and the real one it is compared with.
type pair struct{ name, fake, real, mask string }

// mog2 is the mask that is learned from the real clip.
const mog2 = "mog2"

// pairs matches clips by name. Every path is a clip, or every path is a folder
// of clips.
func pairs(ctx context.Context, fake, real, mask string) ([]pair, error) {
	roots := map[string]string{"--fake": fake, "--real": real}
	if mask != "" && mask != mog2 {
		roots["--mask"] = mask
	}
	found := map[string]map[string]string{}
	single := 0
	for _, flag := range slices.Sorted(maps.Keys(roots)) {
		if roots[flag] == "" {
			return nil, usage("give both --fake and --real")
		}
		clips, err := listClips(ctx, roots[flag])
		if err != nil {
			return nil, withCode(jobs.ExitUnreadable, err)
		}
		if len(clips) == 0 {
			return nil, withCode(jobs.ExitUnreadable, &listError{flag + " " + roots[flag] + " holds no clip: give a video, a folder of pictures, or a folder of clips", nil})
		}
		if _, ok := clips[""]; ok {
			single++
		}
		found[flag] = clips
	}
	switch single {
	case len(found):
		return []pair{{stem(fake), fake, real, mask}}, nil
	case 0:
		return matched(found, mask)
	}
	return nil, usage("some of the paths are clips and some are folders of clips: give the one or the other")
}

// matched pairs folders of clips and lists the clips without a partner.
func matched(found map[string]map[string]string, mask string) ([]pair, error) {
	var problems []string
	names := map[string]bool{}
	for _, clips := range found {
		for name := range clips {
			names[name] = true
		}
	}
	var list []pair
	for _, name := range slices.Sorted(maps.Keys(names)) {
		p := pair{name, found["--fake"][name], found["--real"][name], mask}
		if mask != "" && mask != mog2 {
			p.mask = found["--mask"][name]
		}
		for _, flag := range slices.Sorted(maps.Keys(found)) {
			if found[flag][name] == "" {
				problems = append(problems, name+" is not in "+flag)
			}
		}
		list = append(list, p)
	}
	if len(problems) > 0 {
		return nil, withCode(jobs.ExitUsage, &listError{"clips have no partner", problems})
	}
	return list, nil
}

// listClips maps the clips at and below a path by their relative names without
// extension; the path itself, where it is a clip, goes by the empty name.
func listClips(ctx context.Context, root string) (map[string]string, error) {
	clips := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case path == root && !d.IsDir():
			clips[""] = path
			return nil
		case path != root && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir() && holdsStills(path):
			if rel == "." {
				rel = ""
			}
			clips[filepath.ToSlash(rel)] = path
			return filepath.SkipDir
		case !d.IsDir() && isVideo(path):
			clips[filepath.ToSlash(strings.TrimSuffix(rel, filepath.Ext(rel)))] = path
		}
		return nil
	})
	return clips, err
}

func holdsStills(dir string) bool {
	entries, _ := os.ReadDir(dir) // what cannot be read holds nothing
	return slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		return !e.IsDir() && !strings.HasPrefix(e.Name(), ".") && isStill(e.Name())
	})
}

// listError is several problems of one kind, a line each.
type listError struct {
	what     string
	problems []string
}

func (e *listError) Error() string {
	return strings.Join(append([]string{e.what}, e.problems...), "\n  ")
}
