package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// build is what is known of this program.
type build struct {
	Event    string `json:"event"`
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Cgo      bool   `json:"cgo"`
}

func newVersion(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version and how it was built",
		Example: `  v2v version
  v2v version --json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			b := thisBuild()
			if a.json {
				return a.event(b)
			}
			text := "v2v " + b.Version
			if b.Revision != "" {
				text += " " + b.Revision
			}
			if b.Modified {
				text += " (modified)"
			}
			cgo := "without cgo: no OpenCV, no oneDNN"
			if b.Cgo {
				cgo = "with cgo"
			}
			_, err := fmt.Fprintf(a.out, "%s, %s, %s, %s\n", text, b.Go, b.Platform, cgo)
			return err
		},
	}
	a.jsonFlag(c)
	return c
}

func thisBuild() build {
	b := build{Event: "version", Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	b.Version = info.Main.Version
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value[:min(12, len(s.Value))]
		case "vcs.modified":
			b.Modified = s.Value == "true"
		case "CGO_ENABLED":
			b.Cgo = s.Value == "1"
		}
	}
	return b
}
