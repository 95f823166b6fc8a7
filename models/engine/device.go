package engine

import (
	"errors"
	"fmt"
	"time"

	"gorgonia.org/tensor"
)

// ErrUnsupported is wrapped by Compile where a device lacks an operator, a
// type or a precision.
var ErrUnsupported = errors.New("not supported on this device")

// Buffer is device memory of one shape. It holds plain row-major elements as
// far as the caller can see, whatever the device makes of them.
type Buffer interface {
	Shape() tensor.Shape
	Type() Type
	// Read copies the contents into a []float32 or []byte of the full size.
	Read(dst any) error
	// Write replaces the contents by a []float32 or []byte of the full size.
	Write(src any) error
	Close() error
}

// Device compiles Programs and owns memory. Its methods may be called from any
// goroutine; the work itself happens on one thread of the device's own.
type Device interface {
	Name() string
	// Alloc makes a buffer of zeros.
	Alloc(shape tensor.Shape, t Type) (Buffer, error)
	Compile(p *Program, o Options) (Executable, error)
	Close() error
}

// Executable is a compiled Program with its memory.
type Executable interface {
	// Bind attaches a buffer of the same device to an input, a variable or an
	// output by name. A bound buffer stays the caller's.
	Bind(name string, b Buffer) error
	// Run executes the program once. Every input and variable must be bound.
	Run() error
	// Output is where the i-th output lies: the bound buffer, or one that the
	// executable owns and overwrites at the next Run. It stays on the device;
	// binding it as another program's input copies nothing.
	Output(i int) Buffer
	Close() error
}

// Timing is what one step of an executable has cost since it was profiled.
type Timing struct {
	Name  string
	Total time.Duration
}

// Profiler is an Executable that can time its steps. Profile starts counting
// anew, or stops; Timings are in the order of execution.
type Profiler interface {
	Profile(on bool)
	Timings() []Timing
}

// Precision is what convolutions compute in.
type Precision uint8

// The precisions.
const (
	Float32 Precision = iota
	BFloat16
	TF32
)

// ParsePrecision reads f32, bf16 or tf32.
func ParsePrecision(s string) (Precision, error) {
	switch s {
	case "", "f32":
		return Float32, nil
	case "bf16":
		return BFloat16, nil
	case "tf32":
		return TF32, nil
	}
	return 0, fmt.Errorf("precision %q is none of f32, bf16, tf32", s)
}

// Options for Compile. The zero value compiles in float32.
type Options struct {
	Precision Precision
	// Constants fills dst with the value of the named constant. It is called
	// once for each; the device keeps its own packed copy only.
	Constants func(name string, dst []float32) error
	// Source names where the constants come from. Executables of one device
	// that name the same source share what they have packed; empty: nothing is
	// shared.
	Source string
}

// CheckIO reports whether x is a slice that fits a buffer of n elements of
// type t; devices share it so that the errors read the same.
func CheckIO(x any, n int, t Type) error {
	switch s := x.(type) {
	case []float32:
		if t == F32 && len(s) == n {
			return nil
		}
		return fmt.Errorf("buffer holds %d elements of %d bytes, not %d float32", n, t.Bytes(), len(s))
	case []byte:
		if t == U8 && len(s) == n {
			return nil
		}
		return fmt.Errorf("buffer holds %d elements of %d bytes, not %d uint8", n, t.Bytes(), len(s))
	}
	return fmt.Errorf("buffers are read and written by []float32 and []byte, not %T", x)
}
