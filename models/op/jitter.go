package op

import (
	"github.com/chewxy/hm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Jitter changes the colours of each picture: brightness is added, then the
// distance of every channel from the pixel's mean is multiplied by saturation,
// then that of every number from the picture's mean by contrast (Zhao et al.
// 2020, "Differentiable Augmentation", the colour part).
// Inputs: x (N,C,H,W), factors (N,3): brightness, saturation, contrast.
// The factors have no gradient. With Still brightness is not added: as the
// other two are symmetric and commute, that is the gradient itself.
type Jitter struct{ Still bool }

// Arity implements Spec.
func (Jitter) Arity() int { return 2 }

// Result implements Spec.
func (Jitter) Result() hm.Type { return nil }

// Infer implements Spec.
func (Jitter) Infer(in []tensor.Shape) (tensor.Shape, error) {
	if err := ranks("jitter", in, 4, 2); err != nil {
		return nil, err
	}
	if in[1][0] != in[0][0] || in[1][1] != 3 {
		return nil, bad("jitter", "factors %v for x %v, want (N,3)", in[1], in[0])
	}
	return in[0].Clone(), nil
}

// Do implements Spec.
func (j Jitter) Do(in []Tensor, out Tensor) {
	x := in[0]
	channels, size := x.Shape[1], x.Shape[2]*x.Shape[3]
	for n := range x.Shape[0] {
		p := in[1].F[3*n:][:3]
		from, to := x.F[n*channels*size:][:channels*size], out.F[n*channels*size:][:channels*size]
		var mean float64
		for _, v := range from {
			mean += float64(v)
		}
		m := float32(mean / float64(len(from)))
		plus := p[0]
		if j.Still {
			plus = 0
		}
		for i := range size {
			var pixel float32
			for c := range channels {
				pixel += from[c*size+i]
			}
			pixel /= float32(channels)
			for c := range channels {
				to[c*size+i] = p[2]*(p[1]*(from[c*size+i]-pixel)+pixel-m) + m + plus
			}
		}
	}
}

// Diffable implements Differ.
func (Jitter) Diffable(int) []bool { return []bool{true, false} }

// Diff implements Differ.
func (Jitter) Diff(in G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	g, err := Apply(Jitter{Still: true}, grad, in[1])
	return G.Nodes{g, nil}, err
}
