package train

import (
	"math"
	"slices"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/nn"
)

const perceptualGolden = "testdata/perceptual.safetensors"

func openVGG(t *testing.T) Perceptual { return openVGGFile(t, perceptualGolden) }

func openVGGFile(t *testing.T, path string) Perceptual {
	t.Helper()
	net, err := models.OpenVGG19(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { net.Close() })
	sum, err := net.Sum()
	if err != nil || len(sum) != 64 {
		t.Fatalf("the sum is %q: %v", sum, err)
	}
	return Perceptual{VGG: path, Sum: sum, Net: net}
}

// perceived is the loss and its gradient with respect to fake (1,3,h,w).
func perceived(t *testing.T, d engine.Device, p Perceptual, fake, real []float32, h, w int) (loss float32, grad []float32) {
	t.Helper()
	b := nn.NewBuilder(G.NewGraph(), nn.Options{})
	x, y := b.Param("fake", nn.Zeros(), 1, 3, h, w), b.Input("real", 1, 3, h, w)
	terms := &terms{b: b}
	terms.perceptual("G_VGG", 0, p.sees(b, x), p.sees(b, y))
	total := terms.total()
	grads := b.Grad(total, b.Params())
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
	prog, err := lower(b, engine.Source{Outputs: []engine.Named{{Name: "loss", Node: total}, {Name: "grad", Node: grads[0]}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	exe, err := d.Compile(prog, p.options())
	if err != nil {
		t.Fatal(err)
	}
	defer exe.Close()
	for name, data := range map[string][]float32{"fake": fake, "real": real} {
		in, err := d.Alloc([]int{1, 3, h, w}, engine.F32)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		if err := in.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := exe.Bind(name, in); err != nil {
			t.Fatal(err)
		}
	}
	if err := exe.Run(); err != nil {
		t.Fatal(err)
	}
	one := make([]float32, 1)
	if err := exe.Output(0).Read(one); err != nil {
		t.Fatal(err)
	}
	grad, err = readAll(exe.Output(1))
	if err != nil {
		t.Fatal(err)
	}
	return one[0], grad
}

// repeated puts rows of w pixels n times side by side.
func repeated(x []float32, w, n int) []float32 {
	var out []float32
	for ; len(x) > 0; x = x[w:] {
		for range n {
			out = append(out, x[:w]...)
		}
	}
	return out
}

func TestPerceptualLossEqualsPyTorch(t *testing.T) {
	var want struct{ Loss, Wide float64 }
	_, read := goldenFile(t, perceptualGolden, &want)
	p := openVGG(t)
	eachDevice(t, func(t *testing.T, d engine.Device) {
		fake, real := read("fake"), read("real")
		loss, grad := perceived(t, d, p, fake, real, 34, 36)
		if math.Abs(float64(loss)-want.Loss) > 1e-4*want.Loss {
			t.Errorf("the loss is %g, PyTorch's %g", loss, want.Loss)
		}
		var off, size float64
		for i, g := range read("gradient") {
			off, size = off+math.Pow(float64(grad[i]-g), 2), size+math.Pow(float64(g), 2)
		}
		if off = math.Sqrt(off / size); !(off < 1e-3) {
			t.Errorf("the gradient is off by %g of its length", off)
		}
		t.Logf("gradient off by %g", off)
		wide, _ := perceived(t, d, p, repeated(fake, 36, 29), repeated(real, 36, 29), 34, 36*29)
		if math.Abs(float64(wide)-want.Wide) > 1e-4*want.Wide {
			t.Errorf("of wide pictures the loss is %g, PyTorch's %g", wide, want.Wide)
		}
	})
}

// TestVGGOfTorch: weights that torch.save has written teach the same.
func TestVGGOfTorch(t *testing.T) {
	_, read := goldenFile(t, perceptualGolden, new(any))
	own, torch := openVGG(t), openVGGFile(t, "testdata/perceptual.pth")
	if own.Sum == torch.Sum {
		t.Fatal("they are one file")
	}
	eachDevice(t, func(t *testing.T, d engine.Device) {
		want, wantGrad := perceived(t, d, own, read("fake"), read("real"), 34, 36)
		loss, grad := perceived(t, d, torch, read("fake"), read("real"), 34, 36)
		if loss != want || !slices.Equal(grad, wantGrad) || loss == 0 {
			t.Errorf("of the .pth the loss is %g, of the same weights in safetensors %g", loss, want)
		}
	})
}

// TestPerceptualTerm: the loss of a step is that of its pictures, its network is
// not among what is saved, and memory counts it.
func TestPerceptualTerm(t *testing.T) {
	c := goldenVid2Vid("lsgan")
	c.Height, c.Width = 32, 32
	before, err := c.Memory(3)
	if err != nil {
		t.Fatal(err)
	}
	c.Perceptual = openVGG(t)
	if after, err := c.Memory(3); err != nil || after < before+2*60000 {
		t.Errorf("with VGG19 memory is %d after %d: %v", after, before, err)
	}
	eachDevice(t, func(t *testing.T, d engine.Device) {
		v, err := NewVid2Vid(d, c)
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		for _, s := range v.State() {
			if strings.Contains(s.Name, "VGG") {
				t.Errorf("%s is saved", s.Name)
			}
		}
		if err := v.rates(0, 0, 1, 1); err != nil {
			t.Fatal(err)
		}
		losses, err := v.chunk(1, 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		var vgg float64
		for _, l := range losses {
			if l.Name == "G_VGG" {
				vgg = l.Value
			}
		}
		fake, raw, real := pixelsOf(t, v.fake[0][1%len(v.real)]), pixelsOf(t, v.raw[0][0]), pixelsOf(t, v.real[1%len(v.real)])
		of, _ := perceived(t, d, c.Perceptual, fake, real, 32, 32)
		ofRaw, _ := perceived(t, d, c.Perceptual, raw, real, 32, 32)
		if want := float64(of + ofRaw); vgg == 0 || math.Abs(vgg-want) > 1e-4*want {
			t.Errorf("G_VGG is %g, of what was made %g", vgg, want)
		}
	})
	if err := c.Perceptual.check(8, 32); err == nil || !strings.Contains(err.Error(), "at least 16x16") {
		t.Errorf("small samples: %v", err)
	}
}

func pixelsOf(t *testing.T, b engine.Buffer) []float32 {
	t.Helper()
	x, err := readAll(b)
	if err != nil {
		t.Fatal(err)
	}
	return x
}
