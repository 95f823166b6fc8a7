package models_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/devices"
	"github.com/v2v/v2v/models/nn"
)

// TestFastKernels: a generator wide enough for every fast kernel of the
// processor (Winograd of both strides, heads, first layers) is within 2e-3 of
// ref on frames in [-1,1]; in bfloat16 the shipped model's frame is within 40 dB
// of its own in float.
func TestFastKernels(t *testing.T) {
	net := models.DefaultVid2Vid()
	net.NGF, net.Blocks, net.Downs = 48, 3, 2
	weight := initial(t, net)
	want := finalFrame(t, "ref", net, weight, engine.Float32)
	if got := finalFrame(t, "cpu", net, weight, engine.Float32); got != nil {
		var worst float64
		for i := range got {
			worst = max(worst, math.Abs(float64(got[i]-want[i])))
		}
		if !(worst <= 2e-3) {
			t.Errorf("f32 is off by %.2g, want 2e-3", worst)
		}
		t.Logf("f32 is off by %.2g", worst)
	}
	m, err := models.Open("zoo/vtest-edges.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	want = finalFrame(t, "cpu", m.Net, m.Weight, engine.Float32)
	if got := finalFrame(t, "cpu", m.Net, m.Weight, engine.BFloat16); got != nil {
		var sum float64
		for i := range got {
			d := float64(got[i] - want[i])
			sum += d * d
		}
		psnr := 10 * math.Log10(4/(sum/float64(len(got))))
		if !(psnr >= 40) {
			t.Errorf("bf16 is %.1f dB from f32, want 40", psnr)
		}
		t.Logf("bf16 is %.1f dB from f32", psnr)
	}
}

// initial gives a network its initial weights.
func initial(t *testing.T, net models.Network) func(string, []float32) error {
	t.Helper()
	params, err := models.Parameters(net)
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]nn.Param{}
	for _, w := range params {
		byName[w.Name] = w
	}
	return func(name string, dst []float32) error {
		w := byName[name]
		w.Fill(dst, w.Rand(1))
		return nil
	}
}

// finalFrame runs a generator on a picture of lines and noise before it; nil
// where there is no such device or precision.
func finalFrame(t *testing.T, device string, net models.Network, weight func(string, []float32) error, precision engine.Precision) []float32 {
	t.Helper()
	d, err := devices.Open(device, devices.Options{Threads: 2})
	if errors.Is(err, engine.ErrUnsupported) {
		t.Logf("skipped %s: %v", device, err)
		return nil
	} else if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	p, err := models.GeneratorProgram(net, 1, 60, 64)
	if err != nil {
		t.Fatal(err)
	}
	e, err := d.Compile(p, engine.Options{Precision: precision, Constants: weight})
	if errors.Is(err, engine.ErrUnsupported) {
		t.Logf("skipped %s: %v", device, err)
		return nil
	} else if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	for _, v := range p.Values {
		if v.Role != engine.Input {
			continue
		}
		b, err := d.Alloc(v.Shape, v.Type)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		var x any
		floats, bytes := make([]float32, v.Size()), make([]byte, v.Size())
		for i := range floats {
			floats[i] = float32(rng.Float64()*0.2 - 0.1)
			if i/3%64 == i/192%64 || i/3%20 == 0 {
				bytes[i] = 255
			}
		}
		if x = floats; v.Type == engine.U8 {
			x = bytes
		}
		if err := errors.Join(b.Write(x), e.Bind(v.Name, b)); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Run(); err != nil {
		t.Fatal(err)
	}
	out := make([]float32, e.Output(0).Shape().TotalSize())
	if err := e.Output(0).Read(out); err != nil {
		t.Fatal(err)
	}
	return out
}
