package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/v2v/v2v/models/engine/devices"
)

func newDevices(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "devices",
		Short: "List what networks can run on here",
		Example: `  v2v devices
  v2v devices --json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.listDevices(devices.List()) },
	}
	a.jsonFlag(c)
	return c
}

func (a *app) listDevices(list []devices.Description) error {
	if a.json {
		for _, d := range list {
			err := a.event(struct {
				Event string `json:"event"`
				devices.Description
			}{"device", d})
			if err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	for _, d := range list {
		ok := "yes"
		if !d.OK {
			ok = "no"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", d.Name, ok, d.About)
	}
	return w.Flush()
}
