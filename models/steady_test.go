package models_test

import (
	"context"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/video"
)

// TestBeginningAnew: after so many frames, or at a cut, a clip goes on as if
// it began there.
func TestBeginningAnew(t *testing.T) {
	path := tiny(t, tinyNet(), false)
	d := open(t)[0]
	var clip []*video.Frame
	rng := rand.New(rand.NewPCG(1, 1))
	noise := [2]*video.Frame{control(16, 16, 0), control(16, 16, 0)}
	for i := range noise[1].Pix {
		noise[1].Pix[i] = byte(rng.Uint32())
	}
	for i := range 9 { // a still scene, and from frame 5 another
		f := video.NewFrame(16, 16)
		copy(f.Pix, noise[i/5].Pix)
		f.Pix[i] ^= 0x80
		clip = append(clip, f)
	}
	plain := generateFrom(t, d, path, models.RunOptions{}, clip...)
	same := func(name string, got []*video.Frame, from int, want []*video.Frame) {
		t.Helper()
		for i := range want {
			if diff := mostDifferent(got[from+i], want[i]); diff != 0 {
				t.Errorf("%s: frame %d is %d levels off", name, from+i, diff)
			}
		}
	}
	cut := generateFrom(t, d, path, models.RunOptions{Steady: models.Steady{Cuts: true}}, clip...)
	same("cut, before", cut, 0, plain[:5])
	same("cut, after", cut, 5, generateFrom(t, d, path, models.RunOptions{}, clip[5:]...))
	if mostDifferent(cut[5], plain[5]) == 0 {
		t.Error("the cut was not seen")
	}
	every := generateFrom(t, d, path, models.RunOptions{Steady: models.Steady{Every: 3}}, clip[0], clip[0], clip[0], clip[0], clip[0], clip[0])
	same("every 3", every, 3, every[:3])
	still := generateFrom(t, d, path, models.RunOptions{}, clip[0], clip[0], clip[0], clip[0])
	same("every 3, before", every, 0, still[:3])
	if mostDifferent(every[3], still[3]) == 0 {
		t.Error("nothing began anew")
	}
}

// TestMaskFloor: a floor of one leaves what is hallucinated, and one between
// lies between.
func TestMaskFloor(t *testing.T) {
	path := tiny(t, tinyNet(), false)
	for _, d := range open(t) {
		first := models.RunOptions{First: control(16, 16, 5)}
		at := func(floor float32) *video.Frame {
			o := first
			o.Steady.Floor = floor
			return generate(t, d, path, o, 16, 16, 1)[0]
		}
		plain, raw, half := at(0), at(1), at(0.5)
		if mostDifferent(plain, raw) < 3 {
			t.Fatal("the network warps nothing: the test says nothing")
		}
		for i := range half.Pix {
			want := (float64(plain.Pix[i]) + float64(raw.Pix[i])) / 2
			if math.Abs(want-float64(half.Pix[i])) > 1.1 {
				t.Fatalf("%s: byte %d is %d, between %d and %d", d.Name(), i, half.Pix[i], plain.Pix[i], raw.Pix[i])
			}
		}
		// Without a first picture the first frame is the raw one in any case.
		if got := generate(t, d, path, models.RunOptions{Steady: models.Steady{Floor: 1}}, 16, 16, 1)[0]; mostDifferent(got, generate(t, d, path, models.RunOptions{}, 16, 16, 1)[0]) != 0 {
			t.Errorf("%s: a floor changes a frame that is hallucinated whole", d.Name())
		}
	}
}

func TestSteadySaysWhatIsWrong(t *testing.T) {
	warping, flat := tinyNet(), tinyNet()
	flat.NoFlow = true
	image := random(t, "resnet", &models.ResNet{InputNC: 3, OutputNC: 3, NGF: 1, Blocks: 1, Norm: "batch"}, false)
	d := open(t)[0]
	for _, c := range []struct {
		path string
		o    models.RunOptions
		want string
	}{
		{tiny(t, warping, false), models.RunOptions{Steady: models.Steady{Every: -1}}, "give a number above 0"},
		{tiny(t, warping, false), models.RunOptions{Steady: models.Steady{Floor: float32(math.NaN())}}, "give 0 to 1"},
		{tiny(t, flat, false), models.RunOptions{Steady: models.Steady{Floor: 0.1}}, "no mask to set a floor to"},
		{image, models.RunOptions{Steady: models.Steady{Cuts: true}}, "looks back at no frames"},
	} {
		m, err := models.Open(c.path)
		if err != nil {
			t.Fatal(err)
		}
		r := models.NewRunner(d, m, c.o)
		if _, _, err := r.Start(context.Background(), video.Info{Width: 16, Height: 16}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v does not say %q", c.o, err, c.want)
		}
		r.Close()
		m.Close()
	}
}
