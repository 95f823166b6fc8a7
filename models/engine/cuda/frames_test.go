//go:build cgo

package cuda_test

import (
	"fmt"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/engine/cuda"
	"github.com/v2v/v2v/models/engine/enginetest"
	"github.com/v2v/v2v/models/op"
)

// reader is convolutions that read one normalisation.
type reader struct {
	channels, k, times int
	reflect, add       bool
}

// framed is a normalisation and what reads it, by way of a product with 1 where
// apart says so.
func framed(r reader, apart bool) (*engine.Program, error) {
	b := &graph{g: G.NewGraph(), leaves: map[string]*G.Node{}}
	y := b.do(op.Conv{Stride: 1, Pad: 1}, b.leaf("x", 2, 5, 12, 14), b.leaf("w0", r.channels, 5, 3, 3))
	n := b.do(op.Act{Kind: op.ReLU}, b.do(op.Normalize{Affine: true}, y, b.do(op.Moments{Eps: 1e-5}, y), b.leaf("gamma", r.channels), b.leaf("beta", r.channels)))
	read := n
	if apart {
		read = b.do(op.Scale{By: 1}, n)
	}
	var z *G.Node
	for i := range r.times {
		one := b.do(op.Conv{Stride: 1, Pad: r.k / 2, Reflect: r.reflect}, read, b.leaf(fmt.Sprint("v", i), r.channels, r.channels, r.k, r.k))
		if z == nil {
			z = one
		} else {
			z = b.do(op.Add{}, z, one)
		}
	}
	if r.add {
		z = b.do(op.Add{}, z, n)
	}
	if b.err != nil {
		return nil, b.err
	}
	return engine.Lower(engine.Source{Outputs: []engine.Named{{Name: "z", Node: z}}, Constant: func(name string) bool { return name != "x" }})
}

// likeApart draws a program and one in which what the first does at once is done apart,
// and wants the same to the bit; look sees both, numbers 0 and 1.
func likeApart(t *testing.T, d engine.Device, build func(apart bool) (*engine.Program, error), look func(i int, e engine.Executable)) {
	t.Helper()
	var got [2][]float32
	for i := range got {
		p, err := build(i == 1)
		if err != nil {
			t.Fatal(err)
		}
		got[i] = drawn(t, d, p, engine.BFloat16, func(e engine.Executable) { look(i, e) })
	}
	if diff := enginetest.Difference(got[0], got[1]); diff != 0 {
		t.Errorf("relative difference %g to what is done apart", diff)
	}
}

// TestFrames: what convolutions on Hopper read of a normalisation, rounded and with
// mirrored borders, it writes itself, once for all of them; what they make of it
// is the same to the bit.
func TestFrames(t *testing.T) {
	needHopper(t)
	const tile = "bulk_128x128x64"
	force(t, tile)
	d := alone(t)
	for _, r := range []reader{{64, 3, 1, true, false}, {72, 7, 1, true, false}, {64, 3, 2, true, false}, {64, 3, 1, true, true}, {64, 5, 2, true, true}, {72, 3, 1, false, true}} {
		t.Run(fmt.Sprintf("%+v", r), func(t *testing.T) {
			likeApart(t, d, func(apart bool) (*engine.Program, error) { return framed(r, apart) }, func(i int, e engine.Executable) {
				lines, frames := cuda.Steps(e, "normalize_framed"), cuda.Steps(e, "frame")
				if lines != 1-i || frames != 1+i {
					t.Errorf("apart=%d: %d normalisations write frames, %d copies are made", i, lines, frames)
				}
			})
		})
	}
}

// TestFramesOwn: the same where own kernels for every card read a rounded copy of
// what an addition reads in float32, too.
func TestFramesOwn(t *testing.T) {
	force(t, "half_64x64x32")
	d := alone(t)
	likeApart(t, d, func(apart bool) (*engine.Program, error) { return framed(reader{24, 3, 2, true, true}, apart) }, func(i int, e engine.Executable) {
		if lines, copies := cuda.Steps(e, "normalize_framed"), cuda.Steps(e, "halve"); lines != 1-i || copies != i {
			t.Errorf("apart=%d: %d normalisations write copies, %d copies are made", i, lines, copies)
		}
	})
}

// TestFramesBefore: a copy of what a normalisation writes over is none of what it
// writes.
func TestFramesBefore(t *testing.T) {
	force(t, "half_64x64x32")
	d := alone(t)
	shape := tensor.Shape{1, 16, 9, 7}
	likeApart(t, d, func(apart bool) (*engine.Program, error) {
		b := &graph{g: G.NewGraph(), leaves: map[string]*G.Node{}}
		x, v := b.leaf("x", shape...), b.leaf("v", shape...)
		z := b.do(op.Conv{Stride: 1, Pad: 1}, v, b.leaf("w", 8, 16, 3, 3))
		n := b.do(op.Normalize{}, x, b.do(op.Moments{Eps: 1e-5}, x))
		if apart {
			n = b.do(op.Scale{By: 1}, n)
		}
		if b.err != nil {
			return nil, b.err
		}
		return engine.Lower(engine.Source{Outputs: []engine.Named{{Name: "z", Node: z}}, Updates: []engine.Update{{Var: v, New: n}},
			Constant: func(name string) bool { return name == "w" }})
	}, func(_ int, e engine.Executable) {
		state, err := d.Alloc(shape, engine.F32)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { state.Close() })
		if err := e.Bind("v", state); err != nil {
			t.Fatal(err)
		}
	})
}
