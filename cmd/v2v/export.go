package main

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/published"
)

func newExport(a *app) *cobra.Command {
	var out string
	var overwrite bool
	c := &cobra.Command{
		Use:   "export MODEL -o OUT",
		Short: "Write a model's weights for the published Python code",
		Long: `Writes the weights of a model so that the published network loads them with
load_state_dict(strict=True). OUT ends in .pth or .safetensors, or is a folder,
which gets files named as that code looks for them: latest_net_G.pth, or for
vid2vid latest_net_G0.pth and on. A network of several scales has a file for
each: give a folder, or put %d into the name for the scale's number. Statistics
that the model does not have are written as mean 0 and variance 1: the Python
network must not be put into eval() with those.`,
		Example: `  v2v export model.safetensors -o latest_net_G.pth
  v2v export city.safetensors -o checkpoints/city
  v2v export city.safetensors -o city_G%d.safetensors`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return runExport(c.Context(), a, args[0], out, overwrite)
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "file, folder, or name with %d to write")
	c.Flags().BoolVar(&overwrite, "overwrite", false, "replace outputs that exist")
	a.jsonFlag(c)
	return c
}

// exported is the event that says what export has written.
type exported struct {
	Event   string   `json:"event"`
	Model   string   `json:"model"`
	Network string   `json:"network"`
	Files   []string `json:"files"`
}

func runExport(ctx context.Context, a *app, model, out string, overwrite bool) error {
	if out == "" {
		return usage("give -o OUT, a .pth or .safetensors file or a folder")
	}
	m, err := openModel(model)
	if err != nil {
		return err
	}
	network := m.Config.Network
	err = errors.Join(freeExports(m, model, out, overwrite), m.Close())
	if err != nil {
		return err
	}
	paths, err := published.Export(ctx, model, out)
	if err != nil {
		return err
	}
	for _, p := range paths {
		a.say("%s: weights of %s", p, network)
	}
	if a.json {
		return a.event(exported{"exported", model, network, paths})
	}
	return nil
}

// freeExports refuses outputs that cannot be or must not be replaced.
func freeExports(m *models.Model, model, out string, overwrite bool) error {
	paths, err := published.ExportPaths(m, out)
	if err != nil {
		return usage("%w", err)
	}
	sink := sinkOptions{overwrite: overwrite}
	if isFolder(out) {
		if err := sink.free(out, model); err != nil {
			return err
		}
		if _, err := os.Stat(out); err != nil {
			return nil // nothing is in a folder that will be made
		}
	}
	for _, p := range paths {
		if err := sink.free(p, model); err != nil {
			return err
		}
	}
	return nil
}
