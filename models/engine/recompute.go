package engine

import (
	"slices"

	"github.com/v2v/v2v/models/op"
)

// recomputeGap is how many instructions a value must lie idle before it is
// worth making again.
const recomputeGap = 16

// Recompute makes values again where they are needed much later than before,
// instead of keeping them: activation checkpointing (Chen et al. 2016, "Training
// Deep Nets with Sublinear Memory Cost") of what costs one pass over memory. Only
// what can be made of values that are there anyway is made again, so that a
// training step keeps the results of its convolutions, for the gradients of
// normalisation, and makes from them what the gradients of weights want. Results
// are the same to the bit.
func Recompute(p *Program) {
	r := &recompute{p: p, reads: make([][]int, len(p.Values)), written: map[int]int{}, before: make([][]Instr, len(p.Code))}
	for k, c := range p.Code {
		for _, v := range c.Reads() {
			r.reads[v] = append(r.reads[v], k)
		}
		if a := p.Values[c.Out].Alias; a >= 0 {
			r.written[a] = k
		}
	}
	for k := range p.Code {
		r.consider(k)
	}
	var code []Instr
	for k, c := range p.Code {
		code = append(append(code, r.before[k]...), c)
	}
	p.Code = code
}

type recompute struct {
	p       *Program
	reads   [][]int     // of each value: where it is read, by the code as it was
	written map[int]int // where a variable is written over
	before  [][]Instr   // what is to be made again before each instruction
	again   map[int]twin
}

// twin is a value made again, and from where on it stands for the first one.
type twin struct{ from, value int }

// cheap says whether making a value takes about one pass over memory.
func cheap(s op.Spec) bool {
	switch s.(type) {
	case op.Normalize, op.Act, op.Add, op.Concat, op.Slice, op.FromBytes, op.OneHot, op.Resize, op.AvgPool, op.Scale, op.Mul:
		return true
	}
	return false
}

// consider makes the result of instruction k again after its longest idle time.
func (r *recompute) consider(k int) {
	c := r.p.Code[k]
	v := r.p.Values[c.Out]
	if v.Role != Temporary || v.Output || v.Alias >= 0 || !cheap(c.Op) {
		return
	}
	last, gap, at := k, 0, 0
	for _, use := range r.reads[c.Out] {
		if use-last > gap {
			gap, at = use-last, use
		}
		last = use
	}
	if gap < recomputeGap {
		return
	}
	made := Instr{Op: c.Op, In: append([]int(nil), c.In...)}
	for i, in := range made.In {
		made.In[i] = r.now(in, at)
	}
	for _, s := range c.Post {
		step := Step{Op: s.Op, In: append([]int(nil), s.In...)}
		for i, in := range step.In {
			step.In[i] = r.now(in, at)
		}
		made.Post = append(made.Post, step)
	}
	for _, in := range made.Reads() {
		if !r.there(in, at, v.Size()) {
			return
		}
	}
	r.p.Values = append(r.p.Values, Value{Shape: v.Shape, Type: v.Type, Alias: -1})
	made.Out = len(r.p.Values) - 1
	r.replace(c.Out, made.Out, at)
	for _, in := range made.Reads() {
		r.reads[in] = insert(r.reads[in], at)
	}
	r.before[at] = append(r.before[at], made)
}

// now is the number that a value goes by at an instruction.
func (r *recompute) now(v, at int) int {
	if t, ok := r.again[v]; ok && at >= t.from {
		return t.value
	}
	return v
}

// there says whether a value that is read before an instruction exists there, or
// is so small that it may be kept.
func (r *recompute) there(v, at, size int) bool {
	val := r.p.Values[v]
	switch {
	case val.Role == Variable:
		k, ok := r.written[v]
		return !ok || k >= at
	case val.Alias >= 0:
		return false
	case val.Role != Temporary || val.Output || val.Size() <= size/16:
		return true
	}
	reads := r.reads[v]
	return len(reads) > 0 && reads[len(reads)-1] >= at
}

// replace lets what reads a value from an instruction on read another.
func (r *recompute) replace(old, by, at int) {
	if r.again == nil {
		r.again = map[int]twin{}
	}
	r.again[old] = twin{at, by}
	swap := func(in []int) {
		for i, v := range in {
			if v == old {
				in[i] = by
			}
		}
	}
	for k := at; k < len(r.p.Code); k++ {
		swap(r.p.Code[k].In)
		for _, s := range r.p.Code[k].Post {
			swap(s.In)
		}
	}
	k, _ := slices.BinarySearch(r.reads[old], at)
	r.reads = append(r.reads, slices.Clone(r.reads[old][k:]))
	r.reads[old] = r.reads[old][:k]
}

// insert keeps reads in order.
func insert(reads []int, at int) []int {
	k, _ := slices.BinarySearch(reads, at)
	return slices.Insert(reads, k, at)
}
