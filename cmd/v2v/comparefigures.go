package main

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/v2v/v2v/jobs"
	"github.com/v2v/v2v/models/train"
	"github.com/v2v/v2v/video"
	"github.com/v2v/v2v/video/metric"
)

// figures describe a set of pictures.
type figures struct {
	PSNR      float64 `json:"psnr,omitempty"` // mean, to the nearest training picture, in dB
	Sharpness float64 `json:"sharpness"`      // mean variance of the Laplacian
	Likeness  float64 `json:"likeness"`       // mean SSIM of two of them
}

const (
	measuredPictures = 64 // pictures that figures are means of
	likened          = 24 // of which every two are compared: 276 pairs
)

// measure measures pictures, against the training pictures where there are some.
func measure(pictures, training []*video.Frame) figures {
	var f figures
	n := float64(len(pictures))
	for _, p := range pictures {
		f.Sharpness += sharpness(p) / n
		if training != nil {
			f.PSNR += nearest(p, training) / n
		}
	}
	f.Likeness = likeness(pick(pictures, evenly(len(pictures), likened)))
	return f
}

// rulers are what pictures are measured by where the user asks for it.
type rulers struct {
	fid  *fidMeter
	held []*video.Frame // pictures that training never saw
}

// measure fills an entry in with the figures of its pictures.
func (r rulers) measure(ctx context.Context, e *entry, made []*video.Frame) (err error) {
	if len(r.held) > 0 {
		var sum float64
		some := pick(made, evenly(len(made), measuredPictures))
		for _, p := range some {
			sum += nearest(p, r.held) / float64(len(some))
		}
		e.Held = &sum
	}
	e.FID, err = r.fid.of(ctx, made)
	return err
}

// unseen reads the held-out pictures, cut as a run's training pictures are.
func (o *compareOptions) unseen(ctx context.Context, c *contender) (held []*video.Frame, err error) {
	if len(o.held) == 0 {
		return nil, nil
	}
	data, err := train.OpenPictures(ctx, o.held, train.PictureDataOptions{Size: c.c.Generator.Size, Every: c.c.Every,
		Open: func(ctx context.Context, path string) (video.Reader, error) { return o.clip.plain(ctx, path) }})
	if err != nil {
		return nil, withCode(jobs.ExitUnreadable, fmt.Errorf("--held: %w", err))
	}
	defer func() { err = errors.Join(err, data.Close()) }()
	err = data.Pictures(ctx, func(f *video.Frame) error { held = append(held, f); return nil })
	return held, err
}

// nearest is the PSNR to the training picture that is nearest, of equal ones
// maxPSNR.
func nearest(p *video.Frame, training []*video.Frame) float64 {
	least := math.Inf(1)
	for _, t := range training {
		if mse, err := metric.MSE(p, t, nil); err == nil {
			least = min(least, mse)
		}
	}
	return min(metric.Decibels(least), maxPSNR)
}

// sharpness is the variance of the luminance's Laplacian, in grey levels, the
// picture mirrored at its edges without them: OpenCV's Laplacian.
func sharpness(f *video.Frame) float64 {
	luma := func(x, y int) float64 {
		x, y = mirrored(x, f.W), mirrored(y, f.H)
		r, g, b := f.At(x, y)
		return 0.299*float64(r) + 0.587*float64(g) + 0.114*float64(b)
	}
	var sum, square float64
	for y := range f.H {
		for x := range f.W {
			l := luma(x-1, y) + luma(x+1, y) + luma(x, y-1) + luma(x, y+1) - 4*luma(x, y)
			sum += l
			square += l * l
		}
	}
	n := float64(f.W * f.H)
	return square/n - sum/n*sum/n
}

func mirrored(i, n int) int {
	switch {
	case n == 1:
		return 0
	case i < 0:
		return -i
	case i >= n:
		return 2*n - 2 - i
	}
	return i
}

// likeness is the mean SSIM of every two pictures; 1 for a single one.
func likeness(pictures []*video.Frame) float64 {
	var sum float64
	n := 0
	for i, p := range pictures {
		for _, q := range pictures[:i] {
			if s, err := metric.SSIM(p, q); err == nil {
				sum += s
				n++
			}
		}
	}
	if n == 0 {
		return 1
	}
	return sum / float64(n)
}
