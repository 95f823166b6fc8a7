package flow

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/v2v/v2v/video"
)

// TestAgreement: by hand, of pixels whose squared differences are below 325.125
// levels or not.
func TestAgreement(t *testing.T) {
	before := &video.Frame{W: 3, H: 2, Pix: []byte{
		100, 100, 100, 120, 120, 120, 200, 200, 200,
		50, 60, 70, 50, 60, 70, 50, 60, 70}}
	for name, c := range map[string]struct {
		u, v float32
		now  [18]byte
		want []float32
	}{
		"still": {0, 0, [18]byte{
			110, 110, 110, 131, 131, 131, 200, 200, 182, // 300, 363 and 324
			50, 60, 51, 32, 60, 71, 255, 60, 70}, // 361, 325 and much
			[]float32{1, 0, 1, 0, 1, 0}},
		"between pixels and over the border": {0.5, 0, [18]byte{
			110, 110, 110, 160, 160, 160, 200, 200, 200, // the last as the border
			50, 60, 70, 69, 60, 70, 50, 60, 70},
			[]float32{1, 1, 1, 1, 0, 1}},
		"down": {0, 1, [18]byte{
			50, 60, 70, 120, 120, 120, 50, 60, 70,
			50, 60, 70, 50, 60, 70, 50, 60, 70},
			[]float32{1, 0, 1, 1, 1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			f := NewField(3, 2)
			for i := range f.U {
				f.U[i], f.V[i] = c.u, c.v
			}
			if got := Agreement(&video.Frame{W: 3, H: 2, Pix: c.now[:]}, before, f); !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

// TestAgreementEqualsPyTorch holds it against the published formula in [-1,1] on
// what PyTorch's grid_sample makes of a frame.
func TestAgreementEqualsPyTorch(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	seen := map[float32]int{}
	for _, c := range readGolden(t).Warp {
		t.Run(fmt.Sprintf("%dx%d", c.W, c.H), func(t *testing.T) {
			now, before := video.NewFrame(c.W, c.H), video.NewFrame(c.W, c.H)
			want, close := make([]float32, c.W*c.H), make([]bool, c.W*c.H)
			for i := range want {
				sum := 0.0
				for k := 3 * i; k < 3*i+3; k++ {
					before.Pix[k] = byte(c.Src[k])
					now.Pix[k] = byte(min(255, max(0, float64(c.Out[k])+13*rng.NormFloat64())))
					d := (float64(now.Pix[k]) - float64(c.Out[k])) / 127.5
					sum += d * d
				}
				if sum < 0.02 {
					want[i] = 1
				}
				close[i] = sum > 0.0199 && sum < 0.0201 // where rounding decides
			}
			got := Agreement(now, before, &Field{W: c.W, H: c.H, U: c.U, V: c.V})
			for i := range want {
				if seen[want[i]]++; got[i] != want[i] && !close[i] {
					t.Errorf("pixel %d is %g, want %g", i, got[i], want[i])
				}
			}
		})
	}
	if seen[0] < 20 || seen[1] < 20 {
		t.Errorf("%v pixels tell nothing", seen)
	}
}
