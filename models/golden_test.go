package models_test

import (
	"errors"
	"math"
	"path/filepath"
	"testing"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/devices"
	"github.com/v2v/v2v/models/nn"
	"github.com/v2v/v2v/models/weights"
)

// open gives the devices that this build has.
func open(t *testing.T) []engine.Device {
	var ds []engine.Device
	for _, name := range []string{"ref", "cpu"} {
		d, err := devices.Open(name, devices.Options{Threads: 2})
		if errors.Is(err, engine.ErrUnsupported) {
			t.Logf("device %s: %v", name, err)
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.Close() })
		ds = append(ds, d)
	}
	return ds
}

// TestCompositeEqualsPyTorch runs checkpoints made by testdata/golden.py: raw,
// flow, mask and final within 1e-3 of PyTorch on every device.
func TestCompositeEqualsPyTorch(t *testing.T) {
	for _, kind := range []string{"batch", "instance"} {
		for _, d := range open(t) {
			t.Run(kind+"/"+d.Name(), func(t *testing.T) { goldenComposite(t, d, "testdata/composite_"+kind+".safetensors") })
		}
	}
}

func goldenComposite(t *testing.T, d engine.Device, path string) {
	f, err := weights.Open(filepath.FromSlash(path))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var net models.Vid2Vid
	if err := f.Config(&net); err != nil {
		t.Fatal(err)
	}
	b := nn.NewBuilder(G.NewGraph(), nn.Options{PerFrame: true})
	in := models.Inputs{}
	names := []string{"labels", "prev"}
	shapes := map[string][]int{}
	for _, n := range append(names, "raw", "flow", "mask", "final") {
		info, ok := f.Info("golden." + n)
		if !ok {
			t.Fatalf("%s lacks %s", path, n)
		}
		shapes[n] = info.Shape
	}
	in.Labels, in.Prev = b.Input("labels", shapes["labels"]...), b.Input("prev", shapes["prev"]...)
	out := net.Build(b, in)
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
	p, err := engine.Lower(engine.Source{
		Outputs: []engine.Named{{Name: "raw", Node: out.Raw}, {Name: "flow", Node: out.Flow}, {Name: "mask", Node: out.Mask}, {Name: "final", Node: out.Final}},
		Constant: func(name string) bool {
			return name != "labels" && name != "prev"
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	exe, err := d.Compile(p, engine.Options{Constants: f.Float32})
	if err != nil {
		t.Fatal(err)
	}
	defer exe.Close()
	for _, n := range names {
		buf, err := d.Alloc(shapes[n], engine.F32)
		if err != nil {
			t.Fatal(err)
		}
		defer buf.Close()
		x := make([]float32, engine.Value{Shape: shapes[n]}.Size())
		if err := errors.Join(f.Float32("golden."+n, x), buf.Write(x), exe.Bind(n, buf)); err != nil {
			t.Fatal(err)
		}
	}
	if err := exe.Run(); err != nil {
		t.Fatal(err)
	}
	compareGolden(t, f, exe, shapes)
}

// compareGolden holds the outputs against what PyTorch made.
func compareGolden(t *testing.T, f *weights.File, exe engine.Executable, shapes map[string][]int) {
	for i, n := range []string{"raw", "flow", "mask", "final"} {
		want := make([]float32, engine.Value{Shape: shapes[n]}.Size())
		got := make([]float32, len(want))
		if err := errors.Join(f.Float32("golden."+n, want), exe.Output(i).Read(got)); err != nil {
			t.Fatal(err)
		}
		var worst float64
		for k := range want {
			if diff := math.Abs(float64(got[k] - want[k])); !(diff <= worst) {
				worst = diff
			}
		}
		t.Logf("%s: largest difference %.2g", n, worst)
		if !(worst < 1e-3) {
			t.Errorf("%s differs from PyTorch by %g", n, worst)
		}
	}
}

func TestDiscriminatorSizesAndCount(t *testing.T) {
	b := nn.NewBuilder(G.NewGraph(), nn.Options{})
	x := b.Input("x", 1, 39, 256, 256)
	fs := models.MultiscaleD{NDF: 64, Layers: 3, NumD: 2, Norm: nn.Batch}.Build(b, x)
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{129, 65, 33, 34, 35} {
		if got := fs[0][i].Shape()[2]; got != want {
			t.Errorf("layer %d at full resolution is %d high, published %d", i, got, want)
		}
	}
	n := 0
	for _, p := range b.Params() {
		n += p.Shape.TotalSize()
	}
	if want := 5_606_786; n != want {
		t.Errorf("%d parameters, published %d", n, want)
	}
}
