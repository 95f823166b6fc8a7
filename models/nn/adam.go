package nn

import (
	"fmt"

	G "gorgonia.org/gorgonia"

	"github.com/v2v/v2v/models/op"
)

// Update is a variable and what it becomes when the program has run.
type Update struct{ Var, New *G.Node }

// AdamOptions are Adam's constants.
type AdamOptions struct {
	Beta1 float32 // 0 is 0.5, vid2vid's; negative is none
	Beta2 float32 // 0 is 0.999
	Eps   float32 // 0 is 1e-8
	Name  string  // of the optimiser's variables; "" is "adam"
}

func (o AdamOptions) withDefaults() AdamOptions {
	switch { // 0.5 damps the oscillation of a GAN (Radford 2016)
	case o.Beta1 == 0:
		o.Beta1 = 0.5
	case o.Beta1 < 0:
		o.Beta1 = 0
	}
	if o.Beta2 == 0 {
		o.Beta2 = 0.999
	}
	if o.Eps == 0 {
		o.Eps = 1e-8
	}
	if o.Name == "" {
		o.Name = "adam"
	}
	return o
}

// Adam is one step of Adam for every parameter. Its variables are "P.adam_m"
// and "P.adam_v" of P's shape, zeros at the start, for every parameter P; its
// input is "adam.h" (2): lr/(1-beta1^t) and 1/sqrt(1-beta2^t) at step t, from 1.
// A parameter's updates follow each other in the order m, v, P.
func Adam(b *Builder, params []Param, grads G.Nodes, o AdamOptions) []Update {
	if b.err != nil {
		return nil
	}
	o = o.withDefaults()
	if len(params) != len(grads) {
		b.fail(o.Name, fmt.Errorf("%d gradients for %d parameters", len(grads), len(params)))
		return nil
	}
	root := &Builder{built: b.built} // names of parameters are full already
	h := root.Input(o.Name+".h", 2)
	updates := make([]Update, 0, 3*len(params))
	for i, p := range params {
		m := root.Input(p.Name+"."+o.Name+"_m", p.Shape...)
		v := root.Input(p.Name+"."+o.Name+"_v", p.Shape...)
		newM := root.apply(p.Name, op.AdamM{Beta: o.Beta1}, m, grads[i])
		newV := root.apply(p.Name, op.AdamV{Beta: o.Beta2}, v, grads[i])
		newP := root.apply(p.Name, op.AdamP{Eps: o.Eps}, p.Node, newM, newV, h)
		updates = append(updates, Update{m, newM}, Update{v, newV}, Update{p.Node, newP})
	}
	if b.err != nil {
		return nil
	}
	return updates
}
