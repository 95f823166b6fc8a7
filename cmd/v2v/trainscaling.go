package main

import "github.com/v2v/v2v/models/train"

// ScalingTOML is the part of the TOML that resizes and cuts out as vid2vid was
// published, by the published names. Its name is exported because TOML is written
// of exported embedded structs alone.
type ScalingTOML struct {
	Mode string `toml:"resize_or_crop,omitempty"` // one of train.ScalingModes, or two; "" for load_size and size
	Load int    `toml:"loadSize,omitempty"`       // pixels of the side that is resized; 0 is 512
	Fine int    `toml:"fineSize,omitempty"`       // side of a crop, and the least that is drawn; 0 is 512
}

const publishedSize = 512

// scaling is what the data are read by. Ids tells that control pictures hold
// numbers.
func (c ScalingTOML) scaling(ids bool) train.Scaling {
	if c.Mode == "" {
		return train.Scaling{}
	}
	s := train.Scaling{Mode: c.Mode, Load: c.Load, Fine: c.Fine, Ids: ids}
	if s.Load == 0 {
		s.Load = publishedSize
	}
	if s.Fine == 0 {
		s.Fine = publishedSize
	}
	return s
}

// checkScaling refuses two ways to a size.
func (c *trainConfig) checkScaling() error {
	s := c.ScalingTOML
	switch {
	case s.Mode == "" && (s.Load != 0 || s.Fine != 0):
		return usage("configuration: loadSize and fineSize are for resize_or_crop: give it too, or load_size=HxW instead")
	case s.Mode == "":
		return nil
	case c.LoadSize != "" || c.Size != "" || c.Central:
		return usage("configuration: resize_or_crop resizes and cuts out: leave out load_size, size (--size) and crop_central")
	}
	if err := s.scaling(false).Validate(); err != nil {
		return usage("configuration: %w", err)
	}
	return nil
}

// numbers reports whether control pictures hold some, which no resizing may mix.
func (c *trainConfig) numbers() bool {
	return c.Generator.LabelNC > 0 || c.PartDrop > 0 || c.poses() || c.D.Face == "densepose"
}
