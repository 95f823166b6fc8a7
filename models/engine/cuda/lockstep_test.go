//go:build cgo

package cuda_test

import (
	"path/filepath"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/video"
)

// TestLockstep: clips that run as one batch on a card are what they are alone,
// to a level of a byte.
func TestLockstep(t *testing.T) {
	m := lockstepModel(t)
	d := open(t)
	const clips, frames = 3, 4
	var alone, got [clips][]*video.Frame
	l := models.NewLockstep(clips)
	var g errgroup.Group
	for i := range clips {
		var err error
		if alone[i], err = stripes(t, d, m, nil, i, frames-i); err != nil {
			t.Fatal(err)
		}
	}
	for i := range clips {
		g.Go(func() (err error) { got[i], err = stripes(t, d, m, l, i, frames-i); return err })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for i := range clips {
		for k := range alone[i] {
			for at, v := range alone[i][k].Pix {
				if diff := int(v) - int(got[i][k].Pix[at]); diff < -1 || diff > 1 {
					t.Fatalf("clip %d, frame %d, byte %d is %d levels off", i, k, at, diff)
				}
			}
		}
	}
}

func lockstepModel(t *testing.T) *models.Model {
	t.Helper()
	net := &models.Vid2Vid{InputNC: 3, NGF: 4, Downs: 1, Blocks: 2, Frames: 2, Norm: "batch", Scales: 2}
	params, err := models.Parameters(net)
	if err != nil {
		t.Fatal(err)
	}
	c, err := models.NewConfig("vid2vid", net, models.About{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "m.safetensors")
	err = models.Save(path, c, false, func(name string, dst []float32) error {
		for _, p := range params {
			if p.Name == name {
				p.Fill(dst, p.Rand(11))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	m, err := models.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// stripes converts a clip of moving stripes.
func stripes(t *testing.T, d engine.Device, m *models.Model, l *models.Lockstep, clip, frames int) ([]*video.Frame, error) {
	const w, h = 20, 16
	r := models.NewRunner(d, m, models.RunOptions{Lockstep: l})
	defer r.Close()
	if _, _, err := r.Start(t.Context(), video.Info{Width: w, Height: h}); err != nil {
		return nil, err
	}
	defer r.Finish()
	var out []*video.Frame
	for k := range frames {
		src, dst := video.NewFrame(w, h), video.NewFrame(w, h)
		for i := range src.Pix {
			src.Pix[i] = byte((i*7 + clip*50 + k*31) % 256)
		}
		if err := r.Generate(t.Context(), src, dst); err != nil {
			return nil, err
		}
		out = append(out, dst)
	}
	return out, nil
}
