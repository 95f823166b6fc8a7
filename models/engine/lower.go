package engine

import (
	"errors"
	"fmt"
	"strings"

	"github.com/chewxy/hm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/op"
)

// Named is a graph node and the name it is bound or read by.
type Named struct {
	Name string
	Node *G.Node
}

// Update writes New over the variable Var at the end of its last use.
type Update struct{ Var, New *G.Node }

// Source is what Lower makes a Program of.
type Source struct {
	Outputs []Named
	Updates []Update
	// Constant says which leaves are given at compile time, Variable which are
	// buffers shared with programs that update them; a leaf that an Update
	// names is a variable anyway, and the others are inputs. Nil: none.
	Constant, Variable func(name string) bool
}

// Const is a scalar known when the graph was built.
type Const struct{ Value float32 }

// Arity implements op.Spec.
func (Const) Arity() int { return 0 }

// Result implements op.Spec.
func (Const) Result() hm.Type { return G.Float32 }

// Infer implements op.Spec.
func (Const) Infer([]tensor.Shape) (tensor.Shape, error) { return tensor.ScalarShape(), nil }

// Do implements op.Spec.
func (c Const) Do(_ []op.Tensor, out op.Tensor) { out.F[0] = c.Value }

// Lower translates a graph. Operators it does not know are reported together.
func Lower(s Source) (*Program, error) {
	l := &lowering{src: s, num: map[*G.Node]int{}, names: map[string]int{}, p: &Program{}}
	for _, u := range s.Updates {
		if err := l.update(u); err != nil {
			return nil, err
		}
	}
	for _, o := range s.Outputs {
		if o.Node == nil {
			return nil, fmt.Errorf("lower: output %q is no node", o.Name)
		}
		l.visit(o.Node)
	}
	if len(l.errs) > 0 {
		return nil, fmt.Errorf("lower: %w", errors.Join(l.errs...))
	}
	for _, o := range s.Outputs {
		if err := l.output(o); err != nil {
			return nil, err
		}
	}
	if err := l.schedule(); err != nil {
		return nil, err
	}
	fuse(l.p)
	return l.p, nil
}

type lowering struct {
	src     Source
	p       *Program
	num     map[*G.Node]int // node to value
	names   map[string]int  // leaf name to value
	updates []Instr         // scheduled by hand: each writes over a variable
	errs    []error
}

// update numbers what an update needs and keeps its own instruction apart.
func (l *lowering) update(u Update) error {
	if u.Var == nil || u.New == nil || u.Var.Op() != nil {
		return fmt.Errorf("lower: an update needs a variable and a node")
	}
	if !u.Var.Shape().Eq(u.New.Shape()) {
		return fmt.Errorf("lower: update of %s changes its shape from %v to %v", u.Var.Name(), u.Var.Shape(), u.New.Shape())
	}
	v := l.visit(u.Var)
	l.p.Values[v].Role = Variable
	o, ok := u.New.Op().(op.Op)
	if !ok {
		return fmt.Errorf("lower: the update of %s is no operator of ours", u.Var.Name())
	}
	in := l.inputs(u.New)
	out := l.add(Value{Name: u.Var.Name(), Shape: u.New.Shape(), Alias: v})
	l.num[u.New] = out
	l.updates = append(l.updates, Instr{Op: o.Spec, In: in, Out: out})
	return nil
}

func (l *lowering) add(v Value) int {
	l.p.Values = append(l.p.Values, v)
	return len(l.p.Values) - 1
}

func (l *lowering) inputs(n *G.Node) []int {
	var in []int
	for it := n.Graph().From(n.ID()); it.Next(); {
		in = append(in, l.visit(it.Node().(*G.Node)))
	}
	return in
}

// visit numbers a node after everything it depends on.
func (l *lowering) visit(n *G.Node) int {
	if v, ok := l.num[n]; ok {
		return v
	}
	if n.Op() == nil {
		return l.leaf(n)
	}
	in := l.inputs(n)
	spec, err := translate(n)
	if err != nil {
		l.errs = append(l.errs, err)
	}
	v := Value{Shape: n.Shape(), Alias: -1}
	if spec != nil && op.BytesOut(spec) {
		v.Type = U8
	}
	out := l.add(v)
	l.num[n] = out
	l.p.Code = append(l.p.Code, Instr{Op: spec, In: in, Out: out})
	return out
}

func (l *lowering) leaf(n *G.Node) int {
	name := n.Name()
	if _, dup := l.names[name]; dup {
		l.errs = append(l.errs, fmt.Errorf("two inputs are named %q", name))
	}
	v := Value{Name: name, Shape: n.Shape(), Role: Input, Alias: -1}
	if n.Dtype() == tensor.Uint8 {
		v.Type = U8
	}
	switch {
	case l.src.Constant != nil && l.src.Constant(name):
		v.Role = Constant
	case l.src.Variable != nil && l.src.Variable(name):
		v.Role = Variable
	}
	out := l.add(v)
	l.num[n], l.names[name] = out, out
	return out
}

// translate gives the Spec of a node: ours, or one of the two that Grad adds.
func translate(n *G.Node) (op.Spec, error) {
	switch o := n.Op().(type) {
	case op.Op:
		return o.Spec, nil
	case fmt.Stringer:
		if s := o.String(); s == "+ false" {
			return op.Add{}, nil
		} else if strings.HasPrefix(s, "const ") {
			if f, ok := n.Value().Data().(float32); ok {
				return Const{f}, nil
			}
		}
	}
	return nil, fmt.Errorf("operator %v of node %s is foreign to the engine", n.Op(), n.Name())
}

// output marks a value as an output. A leaf or a value that already is one is
// copied, so that every output has memory of its own.
func (l *lowering) output(o Named) error {
	if _, dup := l.names[o.Name]; dup {
		return fmt.Errorf("lower: output %q has the name of another output or input", o.Name)
	}
	v := l.num[o.Node]
	val := l.p.Values[v]
	if val.Role != Temporary || val.Output || val.Alias >= 0 {
		c := l.add(Value{Shape: val.Shape, Type: val.Type, Alias: -1})
		l.p.Code = append(l.p.Code, Instr{Op: op.Scale{By: 1}, In: []int{v}, Out: c})
		v = c
	}
	l.p.Values[v].Output, l.p.Values[v].Name = true, o.Name
	l.p.Outputs = append(l.p.Outputs, v)
	l.names[o.Name] = v
	return nil
}

// schedule inserts every update as early as it is safe: after what it reads is
// made, and after everybody else has read the variable it writes over.
func (l *lowering) schedule() error {
	left := map[int]int{} // variable to the number of its readers still to come
	for _, c := range append(append([]Instr(nil), l.p.Code...), l.updates...) {
		for _, v := range c.Reads() {
			left[v]++
		}
	}
	made := make([]bool, len(l.p.Values))
	for i, v := range l.p.Values {
		made[i] = v.Role != Temporary
	}
	var code []Instr
	emit := func(c Instr) {
		code = append(code, c)
		made[c.Out] = true
		for _, v := range c.Reads() {
			left[v]--
		}
	}
	pending := append([]Instr(nil), l.updates...)
	flush := func() {
		for again := true; again; {
			again = false
			rest := pending[:0]
			for _, u := range pending {
				if l.ready(u, made, left) {
					emit(u)
					again = true
				} else {
					rest = append(rest, u)
				}
			}
			pending = rest
		}
	}
	for _, c := range l.p.Code {
		emit(c)
		flush()
	}
	flush()
	if len(pending) > 0 {
		return fmt.Errorf("lower: %d updates depend on each other in a circle", len(pending))
	}
	l.p.Code = code
	return nil
}

func (l *lowering) ready(u Instr, made []bool, left map[int]int) bool {
	target := l.p.Values[u.Out].Alias
	own := 0
	for _, v := range u.Reads() {
		if !made[v] {
			return false
		}
		if v == target {
			own++
		}
	}
	return left[target] == own
}
