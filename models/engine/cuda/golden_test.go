//go:build cgo

package cuda_test

import (
	"errors"
	"slices"
	"testing"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models"
	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/enginetest"
	"github.com/v2v/v2v/models/nn"
	"github.com/v2v/v2v/models/weights"
)

// TestGolden runs whole generators whose outputs PyTorch has written (models'
// testdata/golden.py): flow, mask, warping and blending included; in bf16 what
// the network draws, not what is warped.
func TestGolden(t *testing.T) {
	t.Setenv("V2V_CUDA_WITHOUT", "winograd") // TestBulkGolden has it, with a bound of its own
	for _, kind := range []string{"batch", "instance"} {
		for name, precision := range map[string]engine.Precision{"f32": engine.Float32, "bf16": engine.BFloat16} {
			t.Run(kind+" "+name, func(t *testing.T) {
				f, err := weights.Open("../../testdata/composite_" + kind + ".safetensors")
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				golden(t, open(t), f, precision, false)
			})
		}
	}
}

// goldenProgram builds a golden's network, as a runner does.
func goldenProgram(f *weights.File, shapes map[string][]int, outputs []string) (*engine.Program, error) {
	var net models.Vid2Vid
	if err := f.Config(&net); err != nil {
		return nil, err
	}
	b := nn.NewBuilder(G.NewGraph(), nn.Options{PerFrame: true})
	out := net.Build(b, models.Inputs{Labels: b.Input("labels", shapes["labels"]...), Prev: b.Input("prev", shapes["prev"]...)})
	if err := b.Err(); err != nil {
		return nil, err
	}
	s := engine.Source{Constant: func(name string) bool { return name != "labels" && name != "prev" }}
	for i, n := range []*G.Node{out.Raw, out.Flow, out.Mask, out.Final} {
		s.Outputs = append(s.Outputs, engine.Named{Name: outputs[i], Node: n})
	}
	return engine.Lower(s)
}

// autocast bounds what Winograd's products may do to a whole network in bf16: the
// flows that PyTorch 1.13 draws with these under its own autocast of bfloat16 on a
// processor are 0.056 and 0.050 from those of float32, the pictures 0.035 and 0.024.
const autocast = 5e-2

func golden(t *testing.T, d engine.Device, f *weights.File, precision engine.Precision, winograd bool) {
	tolerance := 1e-3
	if precision != engine.Float32 {
		tolerance = 3e-2
	}
	if winograd && precision == engine.BFloat16 {
		tolerance = autocast
	}
	inputs, outputs := []string{"labels", "prev"}, []string{"raw", "flow", "mask", "final"}
	shapes := map[string][]int{}
	for _, n := range slices.Concat(inputs, outputs) {
		info, ok := f.Info("golden." + n)
		if !ok {
			t.Fatalf("no golden %s", n)
		}
		shapes[n] = info.Shape
	}
	p, err := goldenProgram(f, shapes, outputs)
	if err != nil {
		t.Fatal(err)
	}
	e, err := d.Compile(p, engine.Options{Constants: f.Float32, Precision: precision})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for _, n := range inputs {
		b, err := d.Alloc(shapes[n], engine.F32)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		x := make([]float32, engine.Value{Shape: shapes[n]}.Size())
		if err := errors.Join(f.Float32("golden."+n, x), b.Write(x), e.Bind(n, b)); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Run(); err != nil {
		t.Fatal(err)
	}
	for i, n := range outputs {
		if n == "final" && precision != engine.Float32 {
			continue // the frames before are noise here: a hundredth of a pixel of flow changes what is warped
		}
		want := make([]float32, engine.Value{Shape: shapes[n]}.Size())
		got := make([]float32, len(want))
		if err := errors.Join(f.Float32("golden."+n, want), e.Output(i).Read(got)); err != nil {
			t.Fatal(err)
		}
		if diff := enginetest.Difference(got, want); !(diff <= tolerance) {
			t.Errorf("%s: relative difference %.3g to PyTorch", n, diff)
		}
	}
}
