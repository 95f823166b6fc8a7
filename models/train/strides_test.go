package train

import (
	"context"
	"fmt"
	"image"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/v2v/v2v/flow"
	"github.com/v2v/v2v/video"
)

// writeMoving makes a pair of clips of n frames of one smooth picture that moves
// by (1,2) pixels a frame.
func writeMoving(t *testing.T, dir string, w, h, n int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(3, 4))
	var waves [24][4]float64
	for i := range waves {
		waves[i] = [4]float64{rng.Float64() - 0.5, rng.Float64() - 0.5, 2 * math.Pi * rng.Float64(), float64(i % 3)}
	}
	for _, side := range []string{"train_A", "train_B"} {
		clip := filepath.Join(dir, side, "a")
		if err := os.MkdirAll(clip, 0o755); err != nil {
			t.Fatal(err)
		}
		for k := range n {
			f := video.NewFrame(w, h)
			for p := range w * h {
				sum := [3]float64{128, 128, 128}
				for _, v := range waves {
					sum[int(v[3])] += 15 * math.Sin(v[0]*float64(p%w-k)+v[1]*float64(p/w-2*k)+v[2])
				}
				for c := range 3 {
					f.Pix[3*p+c] = byte(min(255, max(0, sum[c])))
				}
			}
			if err := video.WritePNG(filepath.Join(clip, fmt.Sprintf("%02d.png", k)), f); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// matchFlow moves everything by the one shift with which two pictures agree best.
type matchFlow struct{}

func (matchFlow) Estimate(_ context.Context, from, to *video.Frame) (*flow.Field, error) {
	best, at := math.Inf(1), image.Point{}
	for dy := -14; dy <= 14; dy++ {
		for dx := -7; dx <= 7; dx++ {
			if off := mismatch(from, to, dx, dy); off < best {
				best, at = off, image.Pt(dx, dy)
			}
		}
	}
	f := flow.NewField(from.W, from.H)
	for i := range f.U {
		f.U[i], f.V[i] = float32(at.X), float32(at.Y)
	}
	return f, nil
}

// mismatch is how far the pictures are apart where they overlap.
func mismatch(from, to *video.Frame, dx, dy int) float64 {
	sum, n := 0.0, 0
	for y := max(0, -dy); y < min(from.H, from.H-dy); y++ {
		for x := max(0, -dx); x < min(from.W, from.W-dx); x++ {
			sum += math.Abs(float64(from.Pix[3*(y*from.W+x)]) - float64(to.Pix[3*((y+dy)*from.W+x+dx)]))
			n++
		}
	}
	return sum / float64(n)
}

func everywhere(c Vid2VidConfig, u, v float32) *flow.Field {
	f := flow.NewField(c.Width, c.Height)
	for p := range f.U {
		f.U[p], f.V[p] = u, v
	}
	return f
}

// judgedFrames are so many that the second scale judges the last.
const judgedFrames = 7

// judgedLast trains on a sample: a trainer, and what it lost by the last frame.
func judgedLast(t *testing.T, c Vid2VidConfig, s *Sample) (*Vid2Vid, []Loss) {
	t.Helper()
	v, err := NewVid2Vid(openRef(t), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	var losses []Loss
	if err := v.Train(t.Context(), []*Sample{s}, Rates{LR: 1e-3}, func(l []Loss) error { losses = l; return nil }); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(losses, func(l Loss) bool { return strings.HasPrefix(l.Name, "DT1_") }) {
		t.Fatalf("the second scale does not judge: %v", losses)
	}
	return v, losses
}

// TestStridesReachTheDiscriminators: of a clip whose motion is known, read with
// crops, mirrors and steps, each temporal discriminator is shown the motion
// between the frames that it sees, and loses as by a sample made by hand.
func TestStridesReachTheDiscriminators(t *testing.T) {
	dir := t.TempDir()
	writeMoving(t, dir, 40, 32, 14)
	c := tinyVid2Vid()
	c.Generator.NGF, c.Generator.Blocks, c.D.NDF, c.D.NumD, c.D.Scales = 2, 1, 2, 1, 2
	data := openData(t, dir, DataOptions{Flow: matchFlow{}, Strides: c.Strides(), MaxStep: 2, Flip: true, Crop: image.Pt(c.Width, c.Height)})
	seen := map[[2]int]bool{} // by step and mirror
	for i := uint64(0); len(seen) < 4 && i < 40; i++ {
		s, err := data.Sample(t.Context(), i, 1, judgedFrames)
		if err != nil {
			t.Fatal(err)
		}
		step, u := int(s.B[1].PTS-s.B[0].PTS), float32(-1) // back in time
		if mismatch(s.B[1], s.B[0], step, -2*step) < mismatch(s.B[1], s.B[0], -step, -2*step) {
			u = 1 // mirrored
		}
		if key := [2]int{step, int(u)}; seen[key] {
			continue
		} else {
			seen[key] = true
		}
		moved := func(n int) *flow.Field { return everywhere(c, u*float32(n*step), -2*float32(n*step)) }
		hand := &Sample{A: s.A, B: s.B, Visible: s.Visible, Flow: make([]*flow.Field, judgedFrames), Far: map[int][]*flow.Field{3: make([]*flow.Field, judgedFrames)}}
		for k := 1; k < judgedFrames; k++ {
			if hand.Flow[k] = moved(1); k >= 3 {
				hand.Far[3][k] = moved(3)
			}
		}
		v, got := judgedLast(t, c, s)
		_, want := judgedLast(t, c, hand)
		if !slices.Equal(got, want) {
			t.Errorf("step %d, mirror %g: losses %v, of a sample by hand %v", step, u, got, want)
		}
		if len(v.flows) != 4 {
			t.Fatalf("discriminators see %v", v.flows)
		}
		for _, in := range v.flows {
			x, err := readAll(v.in[in.name])
			want := moved(in.stride)
			if err != nil || !slices.Equal(x, append(want.U, want.V...)) {
				t.Errorf("step %d: %s is %g,%g, want %g,%g (%v)", step, in.name, x[0], x[len(x)-1], want.U[0], want.V[0], err)
			}
		}
	}
	if len(seen) != 4 {
		t.Errorf("samples by step and mirror: %v", seen)
	}
}
