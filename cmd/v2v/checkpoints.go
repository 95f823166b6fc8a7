package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/v2v/v2v/video/pose"
)

// pointed is how the files of a side of points end; empty where it has pictures.
func (s *audit) pointed(f *clipFacts) string {
	if !s.isDir(f.path) {
		return ""
	}
	ending := map[string]string{"openpose": ".json", "keypoints": ".txt"}[f.role]
	if f.role == "openpose" && !slices.ContainsFunc(s.files(f.path), func(name string) bool { return hasEnding(name, ending) }) {
		return "" // drawn already
	}
	return ending
}

func hasEnding(name, ending string) bool { return strings.EqualFold(filepath.Ext(name), ending) }

// files are the names of a folder's.
func (s *audit) files(folder string) (names []string) {
	entries, err := os.ReadDir(filepath.Join(s.dir, folder))
	if err != nil {
		s.problem("%v", err)
	}
	for _, e := range entries {
		if !e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names
}

// lookAtPoints reads every file of keypoints or landmarks of a clip.
func (s *audit) lookAtPoints(ctx context.Context, f *clipFacts, ending string) error {
	for _, name := range s.files(f.path) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !hasEnding(name, ending) {
			continue
		}
		var err error
		if f.role == "openpose" {
			_, err = pose.ReadFile(filepath.Join(s.dir, f.path, name))
		} else {
			_, err = pose.ReadLandmarks(filepath.Join(s.dir, f.path, name))
		}
		if err != nil {
			s.problem("%v", err)
		}
		f.n++
		f.names = append(f.names, strings.TrimSuffix(strings.TrimSuffix(name, filepath.Ext(name)), "_keypoints")+ending)
	}
	return nil
}
