package models

import (
	"fmt"

	"github.com/v2v/v2v/models/weights"
)

// WithFirst writes a model file of a video network and of the image network
// that makes its first frames. An image network that video carries already is
// replaced.
func WithFirst(path string, video, first *Model) error {
	if err := firstFits(video.Net, first.Net); err != nil {
		return fmt.Errorf("first frames by %s: %w", first.file.Path(), err)
	}
	c := video.Config
	f := first.Config
	f.First = nil
	c.First = &f
	var ts []weights.Tensor
	for _, part := range []struct {
		m      *Model
		prefix string
	}{{video, ""}, {first, firstPrefix}} {
		params, err := Parameters(part.m.Net)
		if err != nil {
			return err
		}
		for _, p := range params {
			info, _ := part.m.file.Info(p.Name)
			raw, err := part.m.file.Bytes(p.Name)
			if err != nil {
				return err
			}
			ts = append(ts, weights.Tensor{Name: part.prefix + p.Name, DType: info.DType, Shape: info.Shape, Raw: raw})
		}
	}
	meta := map[string]string{}
	if err := weights.SetConfig(meta, c); err != nil {
		return err
	}
	return weights.Write(path, ts, meta)
}
