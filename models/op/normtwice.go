package op

import G "gorgonia.org/gorgonia"

// NormGradX is what Normalize's derivative does to a vector: it is symmetric, so
// that it pushes a direction forward through the normalisation as it pulls a
// gradient back. Its own derivative is the second one of Normalize.

// Diffable implements Differ. Moments and sums have no gradient of their own:
// that of x and of the vector account for the paths through them.
func (NormGradX) Diffable(inputs int) []bool {
	return []bool{true, false, true, false, true}[:inputs]
}

// Diff implements Differ. With means over a row of statistics, v the vector, w
// the gradient of the result, p = mean(w*xhat) and q = mean(v*xhat), the gradient
// of x is
//
//	-gamma*rstd^2*(q*(w-mean(w)) + p*(v-mean(v)) + xhat*(mean(w*v)-mean(w)*mean(v)-3*p*q)),
//
// which is made of the operators of the first derivative.
func (n NormGradX) Diff(in G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	a := &applied{}
	x, moments, v, sums, gamma := in[0], in[1], in[2], in[3], in[4:]
	stats := NormSums{Batch: n.Batch}
	ofW := a.do(stats, x, moments, grad)
	both := a.do(stats, x, moments, a.do(Mul{}, grad, v))
	if a.err != nil {
		return nil, a.err
	}
	count := float32(x.Shape().TotalSize() / (sums.Shape().TotalSize() / 2))
	meanW, p := a.mean(ofW, 0, count), a.mean(ofW, 1, count)
	meanV, q := a.mean(sums, 0, count), a.mean(sums, 1, count)
	down := a.do(Scale{By: -1}, a.column(moments, 1))
	k := a.do(Sub{}, a.do(Sub{}, a.mean(both, 0, count), a.do(Mul{}, meanW, meanV)), a.do(Scale{By: 3}, a.do(Mul{}, p, q)))
	centred := Normalize{Batch: n.Batch}
	t := a.do(Add{},
		a.do(centred, grad, a.pair(meanW, a.do(Mul{}, down, q))),
		a.do(centred, v, a.pair(meanV, a.do(Mul{}, down, p))))
	along := a.pair(a.do(Scale{}, k), a.do(Scale{By: -count}, a.do(Mul{}, down, k)))
	gx := a.do(n, append(G.Nodes{x, moments, t, along}, gamma...)...)
	gv := a.do(n, append(G.Nodes{x, moments, grad, ofW}, gamma...)...)
	if !n.Affine {
		return G.Nodes{gx, nil, gv, nil}, a.err
	}
	plain := a.do(NormGradX{Batch: n.Batch}, x, moments, v, sums)
	gGamma := a.do(SumsPick{Index: 0}, a.do(stats, x, moments, a.do(Mul{}, grad, plain)))
	return G.Nodes{gx, nil, gv, nil, gGamma}, a.err
}

// applied adds operators to a graph until one fails.
type applied struct{ err error }

func (a *applied) do(s Spec, in ...*G.Node) *G.Node {
	if a.err != nil {
		return nil
	}
	var n *G.Node
	n, a.err = Apply(s, in...)
	return n
}

// column is one of the two statistics of every row.
func (a *applied) column(stats *G.Node, i int) *G.Node {
	return a.do(Slice{Axis: 2, From: i, To: i + 1}, stats)
}

// mean is one of two sums of every row over the number of its elements.
func (a *applied) mean(sums *G.Node, i int, count float32) *G.Node {
	return a.do(Scale{By: 1 / count}, a.column(sums, i))
}

// pair puts two statistics beside each other.
func (a *applied) pair(first, second *G.Node) *G.Node {
	return a.do(Concat{Axis: 2, N: 2}, first, second)
}
