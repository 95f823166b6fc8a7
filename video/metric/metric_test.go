package metric

import (
	"bytes"
	"encoding/json"
	"errors"
	"image"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/v2v/v2v/video"
)

// load reads a test picture; testdata/golden.py wrote it.
func load(t testing.TB, name string) *video.Frame {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+".png"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return fromImage(m)
}

func fromImage(m image.Image) *video.Frame {
	f := video.NewFrame(m.Bounds().Dx(), m.Bounds().Dy())
	for i := 0; i < f.W*f.H; i++ {
		r, g, b, _ := m.At(i%f.W, i/f.W).RGBA()
		f.Pix[3*i], f.Pix[3*i+1], f.Pix[3*i+2] = byte(r>>8), byte(g>>8), byte(b>>8)
	}
	return f
}

// goldens are scikit-image's figures for each picture against "real".
func goldens(t *testing.T) []golden {
	t.Helper()
	text, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []golden
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatal(err)
	}
	if len(list) < 6 {
		t.Fatalf("golden.json has %d pictures, want 6", len(list))
	}
	return list
}

type golden struct {
	Name    string
	PSNR    float64
	SSIM    float64
	SSIMRGB float64 `json:"ssim_rgb"`
}

func TestEqualsScikitImage(t *testing.T) {
	real := load(t, "real")
	for _, g := range goldens(t) {
		t.Run(g.Name, func(t *testing.T) {
			p := load(t, g.Name)
			psnr, err := PSNR(real, p, nil)
			if err != nil {
				t.Fatal(err)
			}
			ssim, err := SSIM(real, p)
			if err != nil {
				t.Fatal(err)
			}
			rgb, err := SSIMRGB(real, p)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range []struct {
				what           string
				got, want, tol float64
			}{{"psnr", psnr, g.PSNR, 1e-9}, {"ssim", ssim, g.SSIM, 1e-5}, {"ssim of rgb", rgb, g.SSIMRGB, 1e-5}} {
				if !(math.Abs(c.got-c.want) <= c.tol) {
					t.Errorf("%s %.7f, scikit-image has %.7f", c.what, c.got, c.want)
				}
			}
		})
	}
}

// TestPSNREqualsFFmpeg asks ffmpeg's psnr filter for the same figures, live.
func TestPSNREqualsFFmpeg(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed: ", err)
	}
	average := regexp.MustCompile(`average:([0-9.]+)`)
	for _, name := range []string{"noisy", "later", "brighter"} {
		t.Run(name, func(t *testing.T) {
			out, err := exec.Command("ffmpeg", "-hide_banner", "-i", "testdata/real.png", "-i", "testdata/"+name+".png",
				"-lavfi", "[0]format=gbrp[a];[1]format=gbrp[b];[a][b]psnr", "-f", "null", "-").CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			m := average.FindSubmatch(out)
			if m == nil {
				t.Fatalf("no average in %s", out)
			}
			want, err := strconv.ParseFloat(string(m[1]), 64)
			if err != nil {
				t.Fatal(err)
			}
			got, err := PSNR(load(t, "real"), load(t, name), nil)
			if err != nil {
				t.Fatal(err)
			}
			if math.Abs(got-want) > 1e-4 {
				t.Errorf("psnr %.6f dB, ffmpeg has %.6f", got, want)
			}
		})
	}
}

// TestMask damages the right half only: inside it the error is twice the
// whole picture's, in the left half there is none.
func TestMask(t *testing.T) {
	real := load(t, "real")
	damaged, left, right := video.NewFrame(real.W, real.H), video.NewFrame(real.W, real.H), video.NewFrame(real.W, real.H)
	copy(damaged.Pix, real.Pix)
	for y := 0; y < real.H; y++ {
		for x := 0; x < real.W; x++ {
			m := left
			if x >= real.W/2 {
				m = right
				damaged.Pix[3*(y*real.W+x)+1] ^= 16
			}
			copy(m.Pix[3*(y*real.W+x):], []byte{255, 255, 255})
		}
	}
	for _, c := range []struct {
		name string
		mask *video.Frame
		want float64
	}{
		{"whole", nil, 10 * math.Log10(255*255*6/256.)},
		{"right", right, 10 * math.Log10(255*255*3/256.)},
		{"left", left, math.Inf(1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := PSNR(real, damaged, c.mask)
			if err != nil {
				t.Fatal(err)
			}
			if got != c.want && !(math.Abs(got-c.want) < 1e-9) {
				t.Errorf("psnr %v, want %v", got, c.want)
			}
		})
	}
	if _, err := PSNR(real, damaged, video.NewFrame(real.W, real.H)); !errors.Is(err, ErrEmptyMask) {
		t.Errorf("error %v, want an empty mask", err)
	}
}

func TestSSIMOfEqualFramesIsOne(t *testing.T) {
	for _, name := range []string{"real", "flat"} {
		f := load(t, name)
		got, err := SSIM(f, f)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(got-1) > 1e-6 {
			t.Errorf("ssim of %s with itself is %v", name, got)
		}
	}
}

// TestSSIMIsTheDefinition sums the window's 121 weights at every position in
// double precision, as the paper writes it, on a size that is no round number.
func TestSSIMIsTheDefinition(t *testing.T) {
	const w, h = 17, 13
	a, b := noise(w, h, 1), noise(w, h, 2)
	var weight [window][window]float64
	var total float64
	for y := range weight {
		for x := range weight {
			weight[y][x] = math.Exp(-float64((x-5)*(x-5)+(y-5)*(y-5)) / 4.5)
			total += weight[y][x]
		}
	}
	gray := func(f *video.Frame, x, y int) float64 {
		r, g, b := f.At(x, y)
		return 0.299*float64(r) + 0.587*float64(g) + 0.114*float64(b)
	}
	var want float64
	for oy := 0; oy+window <= h; oy++ {
		for ox := 0; ox+window <= w; ox++ {
			var ma, mb, va, vb, cov float64
			for y := range weight {
				for x := range weight {
					k := weight[y][x] / total
					ma += k * gray(a, ox+x, oy+y)
					mb += k * gray(b, ox+x, oy+y)
				}
			}
			for y := range weight {
				for x := range weight {
					k := weight[y][x] / total
					da, db := gray(a, ox+x, oy+y)-ma, gray(b, ox+x, oy+y)-mb
					va, vb, cov = va+k*da*da, vb+k*db*db, cov+k*da*db
				}
			}
			want += (2*ma*mb + c1) * (2*cov + c2) / ((ma*ma + mb*mb + c1) * (va + vb + c2))
		}
	}
	want /= (w - window + 1) * (h - window + 1)
	got, err := SSIM(a, b)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(got-want) > 1e-6 {
		t.Errorf("ssim %.8f, want %.8f", got, want)
	}
}

func TestRefuses(t *testing.T) {
	good, other, small := video.NewFrame(20, 16), video.NewFrame(16, 20), video.NewFrame(20, 10)
	hollow := &video.Frame{W: 20, H: 16}
	for _, c := range []struct {
		name string
		call func() error
		want string
	}{
		{"psnr of other sizes", func() error { _, err := PSNR(good, other, nil); return err }, "sizes differ"},
		{"psnr under another mask", func() error { _, err := PSNR(good, good, other); return err }, "mask: 16x20 against 20x16"},
		{"psnr of a hollow frame", func() error { _, err := PSNR(good, hollow, nil); return err }, "960 and 0 bytes"},
		{"ssim of other sizes", func() error { _, err := SSIM(good, other); return err }, "sizes differ"},
		{"ssim below its window", func() error { _, err := SSIM(small, small); return err }, "smaller than its window"},
		{"ssim of rgb", func() error { _, err := SSIMRGB(small, small); return err }, "smaller than its window"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.call(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

func noise(w, h int, seed uint64) *video.Frame {
	r := rand.New(rand.NewPCG(seed, 4))
	f := video.NewFrame(w, h)
	for i := range f.Pix {
		f.Pix[i] = byte(r.Uint32())
	}
	return f
}

func BenchmarkPSNR(b *testing.B) {
	x, y := noise(768, 576, 1), noise(768, 576, 2)
	for b.Loop() {
		if _, err := PSNR(x, y, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSSIM(b *testing.B) {
	x, y := noise(768, 576, 1), noise(768, 576, 2)
	for b.Loop() {
		if _, err := SSIM(x, y); err != nil {
			b.Fatal(err)
		}
	}
}
