package train

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/v2v/v2v/models/engine"
)

// TestClipsBeginWithRealFrames: they are in the past at every scale, and what is
// made and learned begins after them.
func TestClipsBeginWithRealFrames(t *testing.T) {
	eachDevice(t, func(t *testing.T, d engine.Device) {
		c := tinyVid2Vid()
		c.First, c.Generator.Scales = "real", 2
		c.Generator.Downs = 1
		v, err := NewVid2Vid(d, c)
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		s := noiseSample(c.Height, c.Width, 4)
		if err := v.begin([]*Sample{s}); err != nil {
			t.Fatal(err)
		}
		at := func(f, ch, y, x int) float64 { return float64(s.B[f].Pix[(y*c.Width+x)*3+ch])/127.5 - 1 }
		for f := range 2 {
			fine, half := make([]float32, 3*c.Height*c.Width), make([]float32, 3*c.Height/2*c.Width/2)
			if err := v.fake[0][f].Read(fine); err != nil {
				t.Fatal(err)
			}
			if err := v.fake[1][f].Read(half); err != nil {
				t.Fatal(err)
			}
			if got, want := float64(fine[(1*c.Height+5)*c.Width+7]), at(f, 1, 5, 7); math.Abs(got-want) > 1e-6 {
				t.Errorf("frame %d is %v, the real one %v", f, got, want)
			}
			var mean float64 // of the 3x3 pixels around (6,8)
			for i := range 9 {
				mean += at(f, 2, 5+i/3, 7+i%3) / 9
			}
			if got := float64(half[(2*c.Height/2+3)*c.Width/2+4]); math.Abs(got-mean) > 1e-6 {
				t.Errorf("frame %d at half the size is %v, want %v", f, got, mean)
			}
		}
		steps := 0
		err = v.Train(context.Background(), []*Sample{s}, Rates{LR: 2e-4}, func(l []Loss) error {
			steps++
			names := ""
			for _, x := range l {
				names += " " + x.Name
			}
			if !strings.Contains(names, "G_Warp") {
				t.Errorf("step %d knows no frame before its own:%s", steps, names)
			}
			return nil
		})
		if err != nil || steps != 2 || v.Steps(4) != 2 {
			t.Errorf("%d steps on 4 frames (%d promised), want 2: %v", steps, v.Steps(4), err)
		}
		short := noiseSample(c.Height, c.Width, 2)
		if err := v.Train(context.Background(), []*Sample{short}, Rates{}, nil); err == nil || !strings.Contains(err.Error(), "set frames to 3") {
			t.Errorf("a clip with nothing to make: %v", err)
		}
		if p, err := v.Render(context.Background(), s); err != nil || len(p) != 5 {
			t.Errorf("rendered %d pictures: %v", len(p), err)
		}
	})
}
