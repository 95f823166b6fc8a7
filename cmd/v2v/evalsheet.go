package main

import (
	"context"
	"fmt"
	"io"

	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/cvimg"
	"github.com/v2v/v2v/video/sheet"
)

// sheetRows is how many moments of a clip a picture shows: as many as a screen.
const sheetRows = 4

// sheetWidth is how wide a column is made at least, in pixels.
const sheetWidth = 360

// writeSheet draws evenly spaced frames of the clips, a column each, under
// their labels.
func (o *clipOptions) writeSheet(ctx context.Context, path string, labels, clips []string) error {
	var rows [][]*video.Frame
	for column, clip := range clips {
		frames, err := o.moments(ctx, clip)
		if err != nil {
			return err
		}
		for i, f := range frames {
			if i == len(rows) {
				rows = append(rows, make([]*video.Frame, len(clips)))
			}
			rows[i][column] = f
			if i > 0 {
				continue
			}
			if err := cvimg.Label(f, labels[column], 8, 20); err != nil {
				return err
			}
		}
	}
	return video.WritePNG(path, sheet.Grid(rows, 4))
}

// moments are sheetRows frames of a clip, evenly spaced and large enough.
func (o *clipOptions) moments(ctx context.Context, path string) ([]*video.Frame, error) {
	c, err := o.plain(ctx, path)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	i := c.Info()
	n, grow := max(1, i.Frames()), (sheetWidth+i.Width-1)/i.Width
	var out []*video.Frame
	for at := 0; ; at++ {
		f, err := c.Next(ctx)
		if err == io.EOF {
			return out, nil
		} else if err != nil {
			return nil, err
		}
		if len(out) < sheetRows && at == (2*len(out)+1)*n/(2*sheetRows) {
			big := video.NewFrame(i.Width*grow, i.Height*grow)
			if err := cvimg.Resize(big, f); err != nil {
				f.Release()
				return nil, err
			}
			out = append(out, big)
		}
		f.Release()
	}
}

// meanFrame is the mean picture of a clip, or of a folder of clips.
func (o *clipOptions) meanFrame(ctx context.Context, path string) (*video.Frame, error) {
	clips, err := listClips(ctx, path)
	if err != nil {
		return nil, err
	}
	var sum []float64
	var w, h, n int
	for _, clip := range clips {
		_, err := o.allFrames(ctx, clip, func(_ int, f *video.Frame) error {
			if sum == nil {
				sum, w, h = make([]float64, len(f.Pix)), f.W, f.H
			} else if f.W != w || f.H != h {
				return usage("--mean %s: %s is %dx%d, the clips before it %dx%d", path, clip, f.H, f.W, h, w)
			}
			for i, x := range f.Pix {
				sum[i] += float64(x)
			}
			n++
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if n == 0 {
		return nil, usage("--mean %s holds no frames", path)
	}
	m := video.NewFrame(w, h)
	for i, x := range sum {
		m.Pix[i] = byte(x/float64(n) + 0.5)
	}
	return m, nil
}

// checkSheet refuses a picture of several clips.
func (o evalOptions) checkSheet(list []pair) error {
	switch {
	case o.control != "" && o.sheet == "":
		return usage("--control %s is a column of --sheet FILE.png: give both", o.control)
	case o.sheet != "" && len(list) > 1:
		return usage("--sheet %s shows one clip, and there are %d: give a clip for --fake and --real", o.sheet, len(list))
	}
	return nil
}

// drawSheet writes the picture that --sheet asks for.
func (o evalOptions) drawSheet(ctx context.Context, p pair) error {
	if o.sheet == "" {
		return nil
	}
	labels, clips := []string{"generated", "real"}, []string{p.fake, p.real}
	if o.control != "" {
		labels, clips = append([]string{"input"}, labels...), append([]string{o.control}, clips...)
	}
	if err := o.clip.writeSheet(ctx, o.sheet, labels, clips); err != nil {
		return fmt.Errorf("sheet %s: %w", o.sheet, err)
	}
	return nil
}
