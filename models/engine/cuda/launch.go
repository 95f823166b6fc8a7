//go:build cgo

package cuda

/*
#include "dl.h"
*/
import "C"

import (
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"
)

// slot is a piece of device memory of an executable, looked up when a step
// runs; none is the null pointer.
type slot int

const none slot = -1

// arg is an argument of a kernel: its bytes, and where in them the addresses of
// slots belong.
type arg struct {
	bytes   []byte
	patches []patch
	tensor  *tensorMap // the whole of it, written when its slot's address is known
}

type patch struct {
	offset int
	slot   slot
}

func intArg(x int) arg { return arg{bytes: binary.LittleEndian.AppendUint32(nil, uint32(int32(x)))} }
func floatArg(x float32) arg {
	return arg{bytes: binary.LittleEndian.AppendUint32(nil, math.Float32bits(x))}
}
func addressArg(x uint64) arg { return arg{bytes: binary.LittleEndian.AppendUint64(nil, x)} }
func slotArg(s slot) arg {
	return arg{bytes: make([]byte, 8), patches: []patch{{0, s}}}
}

func boolArg(x bool) arg {
	if x {
		return intArg(1)
	}
	return intArg(0)
}

// mapArg is a kernel's TensorMap.
func mapArg(m tensorMap) arg { return arg{bytes: make([]byte, 128), tensor: &m} }

// structArg joins arguments to a struct; its fields must leave no gaps.
func structArg(fields ...arg) (a arg) {
	for _, f := range fields {
		for _, p := range f.patches {
			a.patches = append(a.patches, patch{p.offset + len(a.bytes), p.slot})
		}
		a.bytes = append(a.bytes, f.bytes...)
	}
	return a
}

// step is one launch, or where kernel is "cudnn" or "cublaslt" what a library
// does, with the slots of each identity and of the workspace as arguments, or
// where it is "memset" or "memcpy" one of these, with the number of bytes and
// the slots.
type step struct {
	kernel string
	name   string // of the operator
	grid   [3]int
	block  int
	shared int
	args   []arg
	plan   *plan // of a library
}

func (s *step) uses() []slot {
	var u []slot
	for _, a := range s.args {
		if a.tensor != nil {
			u = append(u, a.tensor.slot)
		}
		for _, p := range a.patches {
			if p.slot != none {
				u = append(u, p.slot)
			}
		}
	}
	return u
}

// threads is the size of every block.
const threads = 256

// flat is a launch over n elements.
func flat(kernel string, n int, args ...arg) step {
	return step{kernel: kernel, grid: [3]int{min((n+threads-1)/threads, 1<<16), 1, 1}, block: threads, args: args}
}

// launch gives a step to the computation's stream. at holds the slots'
// addresses.
func (d *Device) launch(s *step, at []uint64) error {
	const most = 32
	var c heap
	defer c.free()
	room := 8 * most
	for _, a := range s.args {
		room += (len(a.bytes) + 7) / 8 * 8
	}
	mem := c.bytes(room)
	pointers := unsafe.Slice((*uint64)(mem), most)
	raw := unsafe.Slice((*byte)(mem), room)
	offset := 8 * most
	for i, a := range s.args {
		pointers[i] = uint64(uintptr(mem)) + uint64(offset)
		copy(raw[offset:], a.bytes)
		if a.tensor != nil {
			code, err := a.tensor.encode(d, at[a.tensor.slot])
			if err != nil {
				return fmt.Errorf("launch %s: %w", s.kernel, err)
			}
			copy(raw[offset:], code)
		}
		for _, p := range a.patches {
			address := uint64(0)
			if p.slot != none {
				address = at[p.slot]
			}
			binary.LittleEndian.PutUint64(raw[offset+p.offset:], address)
		}
		offset += (len(a.bytes) + 7) / 8 * 8
	}
	value := func(i int) uint64 { return *(*uint64)(C.v2v_at(C.uint64_t(pointers[i]))) }
	switch s.kernel {
	case "cudnn", "cublaslt":
		var where [idOut + 1]uint64
		for i := range where {
			where[i] = value(i)
		}
		return d.execute(s.plan, where, value(len(where)))
	case "memset":
		return d.api.call("cuMemsetD8Async", value(2), value(1)&255, value(0), d.stream)
	case "memcpy":
		return d.api.call("cuMemcpyDtoDAsync_v2", value(2), value(1), value(0), d.stream)
	}
	f, err := d.kernel(s.kernel, s.shared)
	if err != nil {
		return err
	}
	err = d.api.call("cuLaunchKernel", f, uint64(s.grid[0]), uint64(s.grid[1]), uint64(s.grid[2]),
		uint64(s.block), 1, 1, uint64(s.shared), d.stream, pointers64(pointers), 0)
	if err != nil {
		return fmt.Errorf("launch %s: %w", s.kernel, err)
	}
	return nil
}

func pointers64(p []uint64) uint64 { return uint64(uintptr(unsafe.Pointer(&p[0]))) }
