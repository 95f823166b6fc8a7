package engine

import (
	"fmt"
	"strings"

	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/op"
)

// Type is the element type of a value.
type Type uint8

// The element types.
const (
	F32 Type = iota
	U8
)

// Bytes is the size of one element.
func (t Type) Bytes() int {
	if t == U8 {
		return 1
	}
	return 4
}

// Role says where a value's memory comes from.
type Role uint8

// The roles.
const (
	Temporary Role = iota // made and used up inside the program
	Input                 // bound by the caller, read only
	Variable              // bound by the caller, updated in place
	Constant              // given once at compile time, packed as the device likes
)

// Value is one numbered tensor of a Program.
type Value struct {
	Name   string // full path of inputs, variables and constants, name of outputs
	Shape  tensor.Shape
	Type   Type
	Role   Role
	Output bool
	Alias  int // the variable that this value is written over, or -1
}

// Size is the number of elements; a scalar has one.
func (v Value) Size() int {
	n := 1
	for _, d := range v.Shape {
		n *= d
	}
	return n
}

// Step is an operator applied to a running result: its first input is that
// result, In the others.
type Step struct {
	Op op.Spec
	In []int
}

// Instr is one instruction: an operator, and the fused steps applied to its
// result before it is stored. A device that cannot do a step in the same pass
// runs it after; the meaning is the same.
type Instr struct {
	Op   op.Spec
	In   []int
	Post []Step
	Out  int
}

// Reads lists every value the instruction reads, duplicates kept.
func (i Instr) Reads() []int {
	r := append([]int(nil), i.In...)
	for _, s := range i.Post {
		r = append(r, s.In...)
	}
	return r
}

// Program is a graph lowered and fused: straight-line instructions over
// numbered values. Code is in an order that is safe for values with an Alias:
// nothing reads the variable after the value is written.
type Program struct {
	Values  []Value
	Code    []Instr
	Outputs []int // in the order asked for
}

// Find returns the number of the bound value or output of that name, or -1.
func (p *Program) Find(name string) int {
	for i, v := range p.Values {
		if v.Name == name && v.Alias < 0 && (v.Role != Temporary || v.Output) {
			return i
		}
	}
	return -1
}

// Work is the number of floating point operations of one run, counting the
// convolutions only, two to a multiply-add.
func (p *Program) Work() int64 {
	var n int64
	for _, c := range p.Code {
		shapes := make([]tensor.Shape, len(c.In))
		for i, v := range c.In {
			shapes[i] = p.Values[v].Shape
		}
		n += op.Work(c.Op, shapes)
	}
	return n
}

// String prints the program, an instruction a line.
func (p *Program) String() string {
	var b strings.Builder
	for _, c := range p.Code {
		fmt.Fprintf(&b, "v%d%v = %T%+v %v", c.Out, p.Values[c.Out].Shape, c.Op, c.Op, c.In)
		for _, s := range c.Post {
			fmt.Fprintf(&b, " -> %T%+v %v", s.Op, s.Op, s.In)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
