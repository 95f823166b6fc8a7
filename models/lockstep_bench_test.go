package models_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/engine/devices"
	"github.com/v2v/v2v/video"
)

// BenchmarkLockstep gives the frames a second of clips that run alone, one
// after another, and of as many in lockstep, each the median of its rounds, and
// how many times faster the latter are. The rounds take turns, so that a busy
// machine harms both.
func BenchmarkLockstep(b *testing.B) {
	const w, h, frames, rounds = 128, 128, 4, 3
	for _, ngf := range []int{8, 32} {
		for _, clips := range []int{2, 4} {
			b.Run(fmt.Sprintf("ngf%d/%d_clips", ngf, clips), func(b *testing.B) {
				benchLockstep(b, &models.Vid2Vid{InputNC: 3, NGF: ngf, Downs: 3, Blocks: 9, Frames: 3, Norm: "batch"}, clips, frames, rounds, w, h)
			})
		}
	}
}

func benchLockstep(b *testing.B, net models.Network, clips, frames, rounds, w, h int) {
	d, err := devices.Open("cpu", devices.Options{})
	if err != nil {
		b.Skip(err)
	}
	defer d.Close()
	m, err := models.Open(random(b, "vid2vid", net, false))
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	l := models.NewLockstep(clips)
	alone := models.NewRunner(d, m, models.RunOptions{})
	defer alone.Close()
	var together []*models.Runner
	for range clips {
		r := models.NewRunner(d, m, models.RunOptions{Lockstep: l})
		defer r.Close()
		together = append(together, r)
	}
	rate := func(f func() error) float64 {
		began := time.Now()
		if err := f(); err != nil {
			b.Fatal(err)
		}
		return float64(clips*frames) / time.Since(began).Seconds()
	}
	one := func() error {
		for i := range clips {
			if err := convertStripes(b, alone, i, frames, w, h); err != nil {
				return err
			}
		}
		return nil
	}
	all := func() error {
		var g errgroup.Group
		for i, r := range together {
			g.Go(func() error { return convertStripes(b, r, i, frames, w, h) })
		}
		return g.Wait()
	}
	rate(one) // the first rounds pay for compiling
	rate(all)
	for b.Loop() {
		var was, is []float64
		for range rounds {
			was, is = append(was, rate(one)), append(is, rate(all))
		}
		slices.Sort(was)
		slices.Sort(is)
		b.ReportMetric(was[rounds/2], "alone-frames/s")
		b.ReportMetric(is[rounds/2], "lockstep-frames/s")
		b.ReportMetric(is[rounds/2]/was[rounds/2], "times")
	}
}

func convertStripes(b *testing.B, r *models.Runner, clip, frames, w, h int) error {
	if _, _, err := r.Start(b.Context(), video.Info{Width: w, Height: h}); err != nil {
		return err
	}
	defer r.Finish()
	dst := video.NewFrame(w, h)
	for k := range frames {
		if err := r.Generate(b.Context(), control(w, h, 10*clip+k), dst); err != nil {
			return err
		}
	}
	return nil
}
