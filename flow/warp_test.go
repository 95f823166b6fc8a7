package flow

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/v2v/v2v/video"
)

// golden is what PyTorch computed; testdata/golden.py writes it.
type golden struct {
	Warp []struct {
		W, H int
		Src  []uint16
		U, V []float32
		Out  []float32
	}
	Resize []struct {
		W, H int
		ToW  int `json:"to_w"`
		ToH  int `json:"to_h"`
		U, V []float32
		OutU []float32 `json:"out_u"`
		OutV []float32 `json:"out_v"`
	}
}

// TestWarpEqualsGridSample holds Warp against PyTorch's grid_sample with
// border padding and aligned corners.
func TestWarpEqualsGridSample(t *testing.T) {
	for _, c := range readGolden(t).Warp {
		t.Run(fmt.Sprintf("%dx%d", c.W, c.H), func(t *testing.T) {
			src := &video.Frame{W: c.W, H: c.H, PTS: 42}
			for _, v := range c.Src {
				src.Pix = append(src.Pix, byte(v))
			}
			f := &Field{W: c.W, H: c.H, U: c.U, V: c.V}
			row := make([]float32, 3*c.W)
			for y := 0; y < c.H; y++ {
				warpRow(row, src, f, y)
				near(t, fmt.Sprint("row ", y), row, c.Out[3*c.W*y:][:len(row)], 2e-2)
			}
			dst := video.NewFrame(c.W, c.H)
			Warp(dst, src, f)
			for i, v := range dst.Pix {
				if d := math.Abs(float64(v) - float64(c.Out[i])); d > 0.52 {
					t.Fatalf("byte %d is %d, want %.3f rounded", i, v, c.Out[i])
				}
			}
			if dst.PTS != 42 {
				t.Errorf("the time %d was not carried over", dst.PTS)
			}
		})
	}
}

// TestWarpOfBrokenFields feeds numbers that no estimator should give: nothing
// may be read out of bounds.
func TestWarpOfBrokenFields(t *testing.T) {
	src := noise(8, 6, 1)
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), 1e30, -1e30} {
		f := NewField(8, 6)
		for i := range f.U {
			f.U[i], f.V[i] = bad, bad
		}
		dst := video.NewFrame(8, 6)
		Warp(dst, src, f)
		corner := 0
		if bad > 0 {
			corner = 8*6 - 1
		}
		for i := range dst.Pix {
			if dst.Pix[i] != src.Pix[3*corner+i%3] {
				t.Fatalf("flow of %v: byte %d is not the corner's", bad, i)
			}
		}
	}
}

func TestWarpRefusesOtherSizes(t *testing.T) {
	f := noise(8, 6, 1)
	for name, call := range map[string]func(){
		"dst":    func() { Warp(video.NewFrame(6, 8), f, NewField(8, 6)) },
		"src":    func() { Warp(f, video.NewFrame(6, 8), NewField(8, 6)) },
		"itself": func() { Warp(f, f, NewField(8, 6)) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			call()
		})
	}
}

// TestResizeEqualsPyTorch holds Resize against interpolate with antialias.
func TestResizeEqualsPyTorch(t *testing.T) {
	for _, c := range readGolden(t).Resize {
		t.Run(fmt.Sprintf("%dx%d to %dx%d", c.W, c.H, c.ToW, c.ToH), func(t *testing.T) {
			got := (&Field{W: c.W, H: c.H, U: c.U, V: c.V}).Resize(c.ToW, c.ToH)
			if got.W != c.ToW || got.H != c.ToH {
				t.Fatalf("size %dx%d", got.W, got.H)
			}
			near(t, "U", got.U, c.OutU, 1e-3)
			near(t, "V", got.V, c.OutV, 1e-3)
		})
	}
}

// TestOcclusionOfMovingSquare is a scene whose answer is plain: a square moves
// 6 pixels to the right over a standing ground. Going back in time, the ground
// that the square left behind was hidden under it.
func TestOcclusionOfMovingSquare(t *testing.T) {
	const w, h, step = 40, 30, 6
	inside := func(x, y, x0 int) bool { return x >= x0 && x < x0+10 && y >= 10 && y < 20 }
	back, forth := NewField(w, h), NewField(w, h) // square at 20 now, at 14 before
	for y := 0; y < h; y++ {
		for x := 0; x < w; x++ {
			if inside(x, y, 20) {
				back.U[y*w+x] = -step
			}
			if inside(x, y, 14) {
				forth.U[y*w+x] = step
			}
		}
	}
	mask := Occlusion(back, forth)
	for y := 0; y < h; y++ {
		for x := 0; x < w; x++ {
			want := float32(1)
			if inside(x, y, 14) && !inside(x, y, 20) {
				want = 0
			}
			if got := mask[y*w+x]; got != want {
				t.Errorf("(%d,%d) is %v, want %v", x, y, got, want)
			}
		}
	}
}

func TestOcclusionEdges(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		name       string
		u, backU   float32
		at         int
		wantAtLeft float32
	}{
		{"still", 0, 0, 4, 1},
		{"just consistent", 0, 0.70, 4, 1}, // 0.49 < 0.01*0.49 + 0.5
		{"just not", 0, 0.72, 4, 0},        // 0.5184 > 0.01*0.5184 + 0.5
		{"leaves the frame", -5, 5, 4, 0},
		{"NaN", nan, 0, 4, 0},
		{"NaN back", 0, nan, 4, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, b := NewField(9, 3), NewField(9, 3)
			for i := range f.U {
				f.U[i], b.U[i] = c.u, c.backU
			}
			if got := Occlusion(f, b)[c.at]; got != c.wantAtLeft {
				t.Errorf("pixel %d is %v, want %v", c.at, got, c.wantAtLeft)
			}
		})
	}
}

func readGolden(t *testing.T) golden {
	t.Helper()
	text, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	if len(g.Warp) == 0 || len(g.Resize) == 0 {
		t.Fatal("golden.json is empty")
	}
	return g
}

func near(t *testing.T, what string, got, want []float32, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i, v := range got {
		if !(math.Abs(float64(v-want[i])) <= tol) {
			t.Fatalf("%s: value %d is %v, want %v", what, i, v, want[i])
		}
	}
}

func noise(w, h int, seed uint64) *video.Frame {
	r := rand.New(rand.NewPCG(seed, 2))
	f := video.NewFrame(w, h)
	for i := range f.Pix {
		f.Pix[i] = byte(r.Uint32())
	}
	return f
}

func swirl(w, h int) *Field {
	f := NewField(w, h)
	for y := 0; y < h; y++ {
		for x := 0; x < w; x++ {
			f.U[y*w+x] = float32(y-h/2) / 20
			f.V[y*w+x] = float32(w/2-x) / 20
		}
	}
	return f
}

func BenchmarkWarp(b *testing.B) {
	src, dst, f := noise(768, 576, 1), video.NewFrame(768, 576), swirl(768, 576)
	for b.Loop() {
		Warp(dst, src, f)
	}
}

func BenchmarkOcclusion(b *testing.B) {
	f := swirl(768, 576)
	for b.Loop() {
		Occlusion(f, f)
	}
}

func BenchmarkDraw(b *testing.B) {
	dst, f := video.NewFrame(768, 576), swirl(768, 576)
	for b.Loop() {
		Draw(dst, f, 0)
	}
}

func BenchmarkResize(b *testing.B) {
	f := swirl(768, 576)
	for b.Loop() {
		f.Resize(192, 144)
	}
}
