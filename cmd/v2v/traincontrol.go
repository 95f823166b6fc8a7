package main

import (
	"github.com/v2v/v2v/models/train"
	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/labelmap"
)

// ControlTOML is the part of the TOML that says what control pictures mean. Its
// name is exported because TOML is written of exported embedded structs alone.
type ControlTOML struct {
	Palette   string  `toml:"palette,omitempty"`      // file of label colours, where control pictures have such
	Tolerance float64 `toml:"tolerance,omitempty"`    // how far a pixel may be from its label's colour; 0 is 24
	Central   bool    `toml:"crop_central,omitempty"` // cut samples out about the middle, in the upper eighth, as published
	PartDrop  float64 `toml:"part_drop,omitempty"`    // how likely a part of DensePose pictures is left out
}

func (c ControlTOML) check(labels int) error {
	switch {
	case c.Palette != "" && labels == 0:
		return usage("configuration: palette is for label ids: give generator.label_nc")
	case !(c.Tolerance >= 0):
		return usage("configuration: tolerance is %g; give a number above 0", c.Tolerance)
	case !(c.PartDrop >= 0 && c.PartDrop < 1):
		return usage("configuration: part_drop is %g; give 0 to below 1", c.PartDrop)
	case c.PartDrop > 0 && labels > 0:
		return usage("configuration: part_drop is for DensePose pictures, not for label ids: leave out one of part_drop and generator.label_nc")
	}
	return nil
}

// beside is what of a data folder belongs to control pictures.
func (c *trainConfig) beside(o *train.DataOptions) {
	o.PartDrop, o.Central = c.PartDrop, c.Central
	o.Labels = c.Generator.LabelNC > 0 && c.Palette == ""
	o.Instances = c.Generator.LabelNC > 0 && c.Generator.Edges
	o.Beside = c.Generator.Instances
}

// colors turns coloured control pictures into label ids before anything else
// happens to them, by what it returns; nil where there is no palette.
func (c *trainConfig) colors(o *train.DataOptions) (*labelmap.Colors, error) {
	if c.Palette == "" {
		return nil, nil
	}
	labels := labelOptions{palette: c.Palette, tolerance: c.Tolerance}
	if labels.tolerance == 0 {
		labels.tolerance = 24
	}
	p, err := labels.read()
	if err != nil {
		return nil, err
	}
	colors, err := labelmap.NewColors(p, labelmap.Options{Tolerance: labels.tolerance})
	if err != nil {
		return nil, err
	}
	then := o.A
	o.A = func(f *video.Frame) (*video.Frame, error) {
		ids := video.NewFrame(f.W, f.H)
		ids.PTS = f.PTS
		if _, err := colors.Convert(ids, f); err != nil || then == nil {
			return ids, err
		}
		return then(ids)
	}
	return colors, nil
}
