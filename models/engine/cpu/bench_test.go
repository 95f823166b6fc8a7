//go:build cgo

package cpu_test

import (
	"fmt"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/cpu"
	"github.com/v2v/v2v/models/engine/enginetest"
	"github.com/v2v/v2v/models/op"
)

// layers are those of the generator at ngf 64 and 256x256, one of each kind.
var layers = []enginetest.Case{
	{Name: "first", Op: op.Conv{Stride: 1, Pad: 3, Reflect: true}, Shapes: []tensor.Shape{{1, 9, 256, 256}, {64, 9, 7, 7}}},
	{Name: "strided", Op: op.Conv{Stride: 2, Pad: 1}, Shapes: []tensor.Shape{{1, 128, 128, 128}, {256, 128, 3, 3}}},
	{Name: "residual", Op: op.Conv{Stride: 1, Pad: 1, Reflect: true}, Shapes: []tensor.Shape{{1, 512, 32, 32}, {512, 512, 3, 3}}},
	{Name: "transposed", Op: op.ConvT{Stride: 2, Pad: 1, OutPad: 1}, Shapes: []tensor.Shape{{1, 128, 128, 128}, {128, 64, 3, 3}}},
	{Name: "head", Op: op.Conv{Stride: 1, Pad: 3, Reflect: true}, Shapes: []tensor.Shape{{1, 64, 256, 256}, {3, 64, 7, 7}}},
	{Name: "discriminator", Op: op.Conv{Stride: 2, Pad: 2}, Shapes: []tensor.Shape{{1, 64, 65, 65}, {128, 64, 4, 4}}},
	{Name: "residual gradient", Op: op.ConvGradX{Stride: 1, Pad: 1, Reflect: true, H: 32, W: 32}, Shapes: []tensor.Shape{{512, 512, 3, 3}, {1, 512, 32, 32}}},
	{Name: "residual weights", Op: op.ConvGradW{Stride: 1, Pad: 1, Reflect: true, KH: 3, KW: 3}, Shapes: []tensor.Shape{{1, 512, 32, 32}, {1, 512, 32, 32}}},
	{Name: "normalise", Op: op.Normalize{}, Shapes: []tensor.Shape{{1, 64, 256, 256}, {1, 64, 2}}},
	{Name: "moments", Op: op.Moments{Eps: 1e-5}, Shapes: []tensor.Shape{{1, 64, 256, 256}}},
	{Name: "warp", Op: op.Warp{}, Shapes: []tensor.Shape{{1, 3, 256, 256}, {1, 2, 256, 256}}},
}

// BenchmarkLayer runs one layer with constant weights, inputs and output in
// the layout of the caller.
func BenchmarkLayer(b *testing.B) {
	for _, precision := range []engine.Precision{engine.Float32, engine.BFloat16} {
		d, err := cpu.Open(cpu.Options{})
		if err != nil {
			b.Fatal(err)
		}
		for _, c := range layers {
			c.Const = []int{1}
			if precision != engine.Float32 && c.Name == "residual gradient" {
				break // the rest computes in float
			}
			b.Run(fmt.Sprintf("%s/%s", []string{"f32", "bf16"}[precision], c.Name), func(b *testing.B) { layer(b, d, c, precision) })
		}
		d.Close()
	}
}

func layer(b *testing.B, d engine.Device, c enginetest.Case, precision engine.Precision) {
	vals := enginetest.Values(c)
	_, conv := c.Op.(op.Conv)
	_, convT := c.Op.(op.ConvT)
	p, err := enginetest.Build(c, conv || convT)
	if err != nil {
		b.Fatal(err)
	}
	e, err := d.Compile(p, engine.Options{Precision: precision, Constants: func(_ string, dst []float32) error {
		copy(dst, vals[1])
		return nil
	}})
	if err != nil {
		b.Skip(err)
	}
	defer e.Close()
	for _, v := range p.Values {
		var i int
		if _, err := fmt.Sscanf(v.Name, "x%d", &i); err != nil || v.Role != engine.Input {
			continue
		}
		buf, err := d.Alloc(v.Shape, v.Type)
		if err != nil {
			b.Fatal(err)
		}
		defer buf.Close()
		if err := buf.Write(vals[i]); err != nil {
			b.Fatal(err)
		}
		if err := e.Bind(v.Name, buf); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if err := e.Run(); err != nil {
			b.Fatal(err)
		}
	}
	if work := p.Work(); work > 0 {
		b.ReportMetric(float64(work)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
	}
}

// BenchmarkGorgonia is where v2v started: gorgonia's own convolution and tape
// machine on the layer "residual", with zeros for the mirrored border.
func BenchmarkGorgonia(b *testing.B) {
	g := G.NewGraph()
	x := G.NewTensor(g, tensor.Float32, 4, G.WithShape(1, 512, 32, 32), G.WithName("x"), G.WithInit(G.GlorotN(1)))
	w := G.NewTensor(g, tensor.Float32, 4, G.WithShape(512, 512, 3, 3), G.WithName("w"), G.WithInit(G.GlorotN(1)))
	if _, err := G.Conv2d(x, w, tensor.Shape{3, 3}, []int{1, 1}, []int{1, 1}, []int{1, 1}); err != nil {
		b.Fatal(err)
	}
	vm := G.NewTapeMachine(g)
	defer vm.Close()
	for b.Loop() {
		if err := vm.RunAll(); err != nil {
			b.Fatal(err)
		}
		vm.Reset()
	}
	b.ReportMetric(2*512*512*9*1024*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
}
