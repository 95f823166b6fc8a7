package op_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/op"
)

// The operators of the networks that make pictures of codes join the tables.
func init() {
	specs = append(specs, pictureSpecs...)
	for name, instantiate := range pictureDifferentiable {
		differentiable[name] = instantiate
	}
}

var pictureSpecs = []struct {
	spec   op.Spec
	in     shapes
	out    tensor.Shape
	macs   int64
	refuse []shapes
}{
	{op.Gather{}, shapes{{5, 3}, {2}}, tensor.Shape{2, 3}, 0, []shapes{{{5, 3}, {2, 1}}, {{5}, {2}}, {{5, 3}}}},
	{op.GatherGrad{Rows: 5}, shapes{{2}, {2, 3}}, tensor.Shape{5, 3}, 0, []shapes{{{2}, {3, 3}}, {{2, 1}, {2, 3}}}},
	{op.Reshape{C: 3, H: 2, W: 2}, shapes{{2, 12}}, tensor.Shape{2, 3, 2, 2}, 0, []shapes{{{2, 11}}, {{}}, {{4, 6}}}},
	{op.BCE{Target: 1}, shapes{{2, 3}}, tensor.Shape{}, 0, []shapes{{{2, 3}, {2, 3}}}},
	{op.BCEGrad{Target: 1}, shapes{{2, 3}, {}}, tensor.Shape{2, 3}, 0, []shapes{{{2, 3}, {1}}}},
	{op.Jitter{}, shapes{{2, 3, 4, 5}, {2, 3}}, tensor.Shape{2, 3, 4, 5}, 0, []shapes{{{2, 3, 4, 5}, {1, 3}}, {{2, 3, 4, 5}, {2, 4}}, {{2, 3}, {2, 3}}}},
	{op.Spectral{}, shapes{{4, 3, 2, 2}, {12}}, tensor.Shape{4, 3, 2, 2}, 0, []shapes{{{4, 3, 2, 2}, {11}}, {{4}, {1}}, {{4, 12}, {12, 1}}}},
	{op.SpectralGrad{}, shapes{{4, 12}, {12}, {4, 12}}, tensor.Shape{4, 12}, 0, []shapes{{{4, 12}, {12}, {12, 4}}}},
	{op.SpectralStep{}, shapes{{4, 3, 2, 2}, {12}}, tensor.Shape{12}, 0, []shapes{{{4, 3, 2, 2}, {4}}}},
}

// fixed is a vector of given values, as a graph that begins at x (N,C,H,W): its
// gradient with respect to x is zero, as that of an input nobody differentiates.
func fixed(x *G.Node, values ...float32) (*G.Node, error) {
	var parts G.Nodes
	one, err := op.Apply(op.ChannelSum{}, x)
	if err != nil {
		return nil, err
	}
	if one, err = op.Apply(op.Slice{To: 1}, one); err != nil {
		return nil, err
	}
	for _, v := range values {
		p, err := op.Apply(op.Scale{Plus: v}, one)
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	return op.Apply(op.Concat{N: len(parts)}, parts...)
}

var pictureDifferentiable = map[string]func(r *rand.Rand) instance{
	"bce": func(r *rand.Rand) instance { return of(op.BCE{Target: .9}, picture(r)) },
	"gather": func(r *rand.Rand) instance {
		x := normal(r, 1+r.IntN(5), 1+r.IntN(3), 1, 1)
		index := make([]float32, 1+r.IntN(6))
		for i := range index {
			index[i] = float32(r.IntN(x.Shape[0]))
		}
		return instance{[]op.Tensor{x}, func(in G.Nodes) (*G.Node, error) {
			table, err := op.Apply(op.Reshape{C: x.Shape[1]}, in[0])
			if err != nil {
				return nil, err
			}
			i, err := fixed(in[0], index...)
			if err != nil {
				return nil, err
			}
			return op.Apply(op.Gather{}, table, i)
		}}
	},
	"reshape": func(r *rand.Rand) instance {
		x := picture(r)
		return of(op.Reshape{C: x.Shape[3] * x.Shape[1], H: x.Shape[2], W: 1}, x)
	},
	"jitter": func(r *rand.Rand) instance {
		x := picture(r)
		var factors []float32
		for range 3 * x.Shape[0] {
			factors = append(factors, r.Float32()+.5)
		}
		return instance{[]op.Tensor{x}, func(in G.Nodes) (*G.Node, error) {
			f, err := fixed(in[0], factors...)
			if err != nil {
				return nil, err
			}
			if f, err = asRows(f, x.Shape[0]); err != nil {
				return nil, err
			}
			return op.Apply(op.Jitter{}, in[0], f)
		}}
	},
	"spectral": func(r *rand.Rand) instance {
		w := normal(r, 1+r.IntN(4), 1+r.IntN(3), 1+r.IntN(2), 2)
		v := unit(normal(r, w.Shape.TotalSize()/w.Shape[0]).F)
		for i := range w.F { // keep |Wv| away from zero, where the division bends
			w.F[i] += 2 * v[i%len(v)]
		}
		return instance{[]op.Tensor{w}, func(in G.Nodes) (*G.Node, error) {
			direction, err := fixed(in[0], v...)
			if err != nil {
				return nil, err
			}
			return op.Apply(op.Spectral{}, in[0], direction)
		}}
	},
}

// asRows makes a matrix of n rows of a vector that holds its columns.
func asRows(x *G.Node, n int) (*G.Node, error) {
	column, err := op.Apply(op.Reshape{C: 1}, x)
	if err != nil {
		return nil, err
	}
	var columns G.Nodes
	for from := 0; from < x.Shape()[0]; from += n {
		c, err := op.Apply(op.Slice{From: from, To: from + n}, column)
		if err != nil {
			return nil, err
		}
		columns = append(columns, c)
	}
	return op.Apply(op.Concat{Axis: 1, N: len(columns)}, columns...)
}

func unit(v []float32) []float32 {
	var sum float64
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	out := slices.Clone(v)
	for i := range out {
		out[i] /= float32(math.Sqrt(sum))
	}
	return out
}

// TestGatherTakesAnyIndex: rows repeat, and what is beyond the table is its end.
func TestGatherTakesAnyIndex(t *testing.T) {
	table := floats(tensor.Shape{3, 2}, 1, 2, 3, 4, 5, 6)
	index := floats(tensor.Shape{5}, 2, 0, 2, -1, 7)
	if got, want := do(op.Gather{}, table, index).F, []float32{5, 6, 1, 2, 5, 6, 1, 2, 5, 6}; !slices.Equal(got, want) {
		t.Errorf("rows %v, want %v", got, want)
	}
	g := floats(tensor.Shape{5, 2}, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
	if got, want := do(op.GatherGrad{Rows: 3}, index, g).F, []float32{10, 12, 0, 0, 15, 18}; !slices.Equal(got, want) {
		t.Errorf("gradient %v, want %v", got, want)
	}
}

// TestSpectralStepFindsTheLargest: after many steps |Wv| is the largest singular
// value of a matrix whose values are known.
func TestSpectralStepFindsTheLargest(t *testing.T) {
	// diag(3,1) turned by 30 degrees from the left: its values stay 3 and 1.
	c, s := float32(math.Sqrt(3)/2), float32(.5)
	w := floats(tensor.Shape{2, 2}, 3*c, -s, 3*s, c)
	v := floats(tensor.Shape{2}, unit([]float32{.3, 1})...)
	for range 30 {
		v = do(op.SpectralStep{}, w, v)
	}
	near(t, "direction", v, floats(tensor.Shape{2}, 1, 0), 1e-5)
	y := do(op.Spectral{}, w, v)
	for i := range y.F {
		y.F[i] *= 3
	}
	near(t, "weights over the norm, times 3", y, w, 1e-5)
}

func TestReshapeRefusesToGuess(t *testing.T) {
	for _, r := range []op.Reshape{{}, {C: 4, H: 1}, {C: -2, H: -2, W: 1}} {
		if _, err := r.Infer([]tensor.Shape{{1, 4}}); err == nil {
			t.Errorf("%+v took (1,4)", r)
		}
	}
}
