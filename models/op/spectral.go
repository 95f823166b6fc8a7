package op

import (
	"math"

	"github.com/chewxy/hm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Spectral divides weights by their norm along a direction: w/|Wv|, where W is
// w as a matrix (O,K) and v a unit vector (K), kept by SpectralStep near the
// direction in which |Wv| is largest (Miyato et al. 2018, "Spectral
// Normalization", equation 8). Inputs: w (O,...), v (K). The gradient takes v
// as given, as PyTorch's does.
type Spectral struct{}

// Arity implements Spec.
func (Spectral) Arity() int { return 2 }

// Result implements Spec.
func (Spectral) Result() hm.Type { return nil }

// Infer implements Spec.
func (Spectral) Infer(in []tensor.Shape) (tensor.Shape, error) {
	return spectralShape("spectral", in, 2)
}

// spectralShape checks w, v and n-2 more inputs of w's shape.
func spectralShape(name string, in []tensor.Shape, n int) (tensor.Shape, error) {
	if len(in) != n {
		return nil, bad(name, "%d inputs, want %d", len(in), n)
	}
	if err := positive(name, in); err != nil {
		return nil, err
	}
	w := in[0]
	if len(w) < 2 || len(in[1]) != 1 || in[1][0]*w[0] != w.TotalSize() {
		return nil, bad(name, "v %v for w %v", in[1], w)
	}
	for _, s := range in[2:] {
		if !equal(s, w) {
			return nil, bad(name, "inputs %v, want one shape beside v", in)
		}
	}
	return w.Clone(), nil
}

// least keeps weights of zero from being divided by their norm.
const least = 1e-12

// times is Wv, and its length.
func times(w, v []float32) (u []float64, length float64) {
	u = make([]float64, len(w)/len(v))
	for o := range u {
		for k, x := range v {
			u[o] += float64(w[o*len(v)+k]) * float64(x)
		}
		length += u[o] * u[o]
	}
	return u, max(math.Sqrt(length), least)
}

// Do implements Spec.
func (Spectral) Do(in []Tensor, out Tensor) {
	_, sigma := times(in[0].F, in[1].F)
	for i, x := range in[0].F {
		out.F[i] = float32(float64(x) / sigma)
	}
}

// Diffable implements Differ.
func (Spectral) Diffable(int) []bool { return []bool{true, false} }

// Diff implements Differ.
func (Spectral) Diff(in G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	g, err := Apply(SpectralGrad{}, in[0], in[1], grad)
	return G.Nodes{g, nil}, err
}

// SpectralGrad is the gradient of Spectral with respect to w:
// (g - <g,w>/s * u v')/s with s = |Wv| and u = Wv/s. Inputs: w, v, g.
type SpectralGrad struct{}

// Arity implements Spec.
func (SpectralGrad) Arity() int { return 3 }

// Result implements Spec.
func (SpectralGrad) Result() hm.Type { return nil }

// Infer implements Spec.
func (SpectralGrad) Infer(in []tensor.Shape) (tensor.Shape, error) {
	return spectralShape("spectral gradient", in, 3)
}

// Do implements Spec.
func (SpectralGrad) Do(in []Tensor, out Tensor) {
	w, v, g := in[0].F, in[1].F, in[2].F
	u, s := times(w, v)
	var inner float64
	for i, x := range w {
		inner += float64(x) * float64(g[i])
	}
	for i := range out.F {
		o, k := i/len(v), i%len(v)
		out.F[i] = float32((float64(g[i]) - inner/s*u[o]/s*float64(v[k])) / s)
	}
}

// SpectralStep is one step of the power method: W'Wv, both products made unit
// vectors. Inputs: w (O,...), v (K). Output: (K).
type SpectralStep struct{}

// Arity implements Spec.
func (SpectralStep) Arity() int { return 2 }

// Result implements Spec.
func (SpectralStep) Result() hm.Type { return vector }

// Infer implements Spec.
func (SpectralStep) Infer(in []tensor.Shape) (tensor.Shape, error) {
	if _, err := spectralShape("spectral step", in, 2); err != nil {
		return nil, err
	}
	return in[1].Clone(), nil
}

// Do implements Spec.
func (SpectralStep) Do(in []Tensor, out Tensor) {
	w, v := in[0].F, in[1].F
	u, s := times(w, v)
	next := make([]float64, len(v))
	for o, x := range u {
		for k := range next {
			next[k] += x / s * float64(w[o*len(v)+k])
		}
	}
	var length float64
	for _, x := range next {
		length += x * x
	}
	length = max(math.Sqrt(length), least)
	for k, x := range next {
		out.F[k] = float32(x / length)
	}
}
