package weights

import (
	"fmt"
	"math"
	"math/bits"
)

// DType is the type of a stored element.
type DType uint8

// The element types of a file. The zero value is the one models are kept in.
const (
	F32 DType = iota
	F16
	BF16
	F64
	I64
	I32
	I16
	I8
	U8
	Bool
)

var dtypes = [...]struct {
	name string
	size int
}{
	F32: {"F32", 4}, F16: {"F16", 2}, BF16: {"BF16", 2}, F64: {"F64", 8},
	I64: {"I64", 8}, I32: {"I32", 4}, I16: {"I16", 2}, I8: {"I8", 1}, U8: {"U8", 1}, Bool: {"BOOL", 1},
}

// String gives the name that safetensors files use.
func (t DType) String() string {
	if !t.valid() {
		return fmt.Sprintf("DType(%d)", uint8(t))
	}
	return dtypes[t].name
}

// Size is the number of bytes of one element.
func (t DType) Size() int { return dtypes[t].size }

// Float reports whether elements convert to float32.
func (t DType) Float() bool { return t <= F64 }

func (t DType) valid() bool { return int(t) < len(dtypes) }

func parseDType(name string) (DType, error) {
	for i, d := range dtypes {
		if d.name == name {
			return DType(i), nil
		}
	}
	return 0, fmt.Errorf("element type %q is not supported", name)
}

// maxDims is PyTorch's own limit on the number of dimensions.
const maxDims = 64

// Info describes one tensor of a file.
type Info struct {
	Name  string
	DType DType
	Shape []int // empty for a scalar
}

// Elements is the product of the shape.
func (i Info) Elements() int {
	n := 1
	for _, d := range i.Shape {
		n *= d
	}
	return n
}

// Bytes is the size of the tensor as stored.
func (i Info) Bytes() int { return i.Elements() * i.DType.Size() }

// checkShape proves that Elements and Bytes cannot overflow.
func checkShape(shape []int, t DType) error {
	if len(shape) > maxDims {
		return fmt.Errorf("%d dimensions are more than %d", len(shape), maxDims)
	}
	n := uint64(t.Size())
	for _, d := range shape {
		if d < 0 {
			return fmt.Errorf("shape %v has a negative dimension", shape)
		}
		if d == 0 {
			continue // the other dimensions must still be sane
		}
		hi, lo := bits.Mul64(n, uint64(d))
		if hi != 0 || lo > math.MaxInt {
			return fmt.Errorf("shape %v overflows", shape)
		}
		n = lo
	}
	return nil
}
