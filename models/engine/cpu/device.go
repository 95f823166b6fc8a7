//go:build cgo

package cpu

/*
#cgo CFLAGS: -O3 -Wall -fopenmp
#cgo amd64 CFLAGS: -march=x86-64-v3
#cgo LDFLAGS: -ldnnl -lgomp -lm
#include <stdlib.h>
#include <string.h>
#include "dnn.h"
#include "kernels.h"
*/
import "C"

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/cpu"
	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/engine"
)

// Options for Open.
type Options struct {
	// Threads that compute; 0 takes every processor that Go may use.
	Threads int
}

// Device runs programs on the processor. It implements engine.Device.
type Device struct {
	thread *thread
	block  int
	half   bool                      // multiplies in bfloat16
	shared map[string]*sharedWeights // touched on the thread alone, as what follows
	arena  unsafe.Pointer            // of the temporaries of whichever executable runs
	size   int                       // of the arena
	users  int                       // executables that it is for
}

// reserve makes the arena large enough for one more executable. What is in it
// does not outlive a run.
func (d *Device) reserve(bytes int) error {
	if bytes > d.size {
		mem, err := alloc(bytes)
		if err != nil {
			return err
		}
		C.free(d.arena)
		d.arena, d.size = mem, bytes
	}
	d.users++
	return nil
}

// release says that an executable is gone; the last one takes the arena along.
func (d *Device) release() {
	if d.users--; d.users == 0 {
		C.free(d.arena)
		d.arena, d.size = nil, 0
	}
}

// sharedWeights are packed weights that several executables read.
type sharedWeights struct {
	mem   unsafe.Pointer
	users int
}

// drop gives back the constants of an executable.
func (d *Device) drop(slots []slotInfo) {
	for _, s := range slots {
		if w := d.shared[s.key]; w != nil && s.key != "" {
			if w.users--; w.users > 0 {
				continue
			}
			delete(d.shared, s.key)
		}
		if s.mem != nil {
			C.free(s.mem)
		}
	}
}

// avx512Core is oneDNN's dnnl_cpu_isa_avx512_core: from there on channels come
// in blocks of 16.
const avx512Core = 0x27

// Open starts the device's thread.
func Open(o Options) (*Device, error) {
	if runtime.GOARCH == "amd64" && !(cpu.X86.HasAVX2 && cpu.X86.HasFMA) {
		return nil, fmt.Errorf("open cpu: the processor lacks AVX2 and FMA: %w", engine.ErrUnsupported)
	}
	if o.Threads == 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	if o.Threads < 1 || o.Threads > 1024 {
		return nil, fmt.Errorf("open cpu: %d threads; give 1 to 1024", o.Threads)
	}
	d := &Device{thread: startThread(), block: 8, shared: map[string]*sharedWeights{}}
	d.thread.do(func() {
		C.v2v_threads(C.int(o.Threads))
		C.v2v_flush_denormals()
		if C.v2v_isa() >= avx512Core {
			d.block = 16
			d.half = cpu.X86.HasAVX512BF16
		}
	})
	return d, nil
}

// Name implements engine.Device.
func (d *Device) Name() string { return "cpu" }

// Close stops the thread. Buffers and executables must be closed before.
func (d *Device) Close() error {
	d.thread.stop()
	return nil
}

// layout is how a value's elements lie in memory.
type layout uint8

const (
	plain   layout = iota
	blocked        // nChw16c or nChw8c
	filter         // OIhw16i16o or OIhw8i8o, of convolution weights
)

// variableLayout is where every program agrees that a variable lies, so that
// a step, its optimiser and an inference share one buffer without copies.
func (d *Device) variableLayout(shape tensor.Shape) layout {
	if len(shape) == 4 && shape[0]%d.block == 0 && shape[1]%d.block == 0 {
		return filter
	}
	return plain
}

// buffer is aligned C memory. Its first binding as a variable fixes its
// layout; Read and Write hide it.
type buffer struct {
	d      *Device
	shape  tensor.Shape
	typ    engine.Type
	layout layout
	mem    unsafe.Pointer
}

const pageAlign = 64

func alloc(bytes int) (unsafe.Pointer, error) {
	p := C.aligned_alloc(pageAlign, C.size_t((bytes+pageAlign)/pageAlign*pageAlign))
	if p == nil {
		return nil, fmt.Errorf("no memory for %d bytes", bytes)
	}
	return p, nil
}

func (d *Device) newBuffer(shape tensor.Shape, t engine.Type) (*buffer, error) {
	b := &buffer{d: d, shape: shape.Clone(), typ: t}
	var err error
	if b.mem, err = alloc(b.bytes()); err != nil {
		return nil, fmt.Errorf("alloc buffer %v on cpu: %w", shape, err)
	}
	C.memset(b.mem, 0, C.size_t(b.bytes()))
	return b, nil
}

// Alloc implements engine.Device.
func (d *Device) Alloc(shape tensor.Shape, t engine.Type) (engine.Buffer, error) {
	return d.newBuffer(shape, t)
}

func (b *buffer) size() int           { return engine.Value{Shape: b.shape}.Size() }
func (b *buffer) bytes() int          { return b.size() * b.typ.Bytes() }
func (b *buffer) Shape() tensor.Shape { return b.shape }
func (b *buffer) Type() engine.Type   { return b.typ }

func (b *buffer) Close() error {
	C.free(b.mem)
	b.mem = nil
	return nil
}

// Read implements engine.Buffer.
func (b *buffer) Read(dst any) error {
	if err := engine.CheckIO(dst, b.size(), b.typ); err != nil {
		return fmt.Errorf("read buffer %v: %w", b.shape, err)
	}
	return b.plainly(func(p unsafe.Pointer) { copyOut(dst, p, b.size()) }, true)
}

// Write implements engine.Buffer.
func (b *buffer) Write(src any) error {
	if err := engine.CheckIO(src, b.size(), b.typ); err != nil {
		return fmt.Errorf("write buffer %v: %w", b.shape, err)
	}
	return b.plainly(func(p unsafe.Pointer) { copyIn(p, src, b.size()) }, false)
}

// plainly calls f with the contents in the plain layout, and stores what f
// left there unless it only reads.
func (b *buffer) plainly(f func(unsafe.Pointer), reads bool) (err error) {
	b.d.thread.do(func() {
		if b.layout == plain {
			f(b.mem)
			return
		}
		var tmp unsafe.Pointer
		if tmp, err = alloc(b.bytes()); err != nil {
			return
		}
		defer C.free(tmp)
		if reads {
			if err = b.d.reorder(b.shape, b.layout, plain, b.mem, tmp); err == nil {
				f(tmp)
			}
			return
		}
		f(tmp)
		err = b.d.reorder(b.shape, plain, b.layout, tmp, b.mem)
	})
	return err
}

// setLayout moves the contents to the layout that programs expect.
func (b *buffer) setLayout(l layout) error {
	if b.layout == l {
		return nil
	}
	mem, err := alloc(b.bytes())
	if err != nil {
		return err
	}
	if err := b.d.reorder(b.shape, b.layout, l, b.mem, mem); err != nil {
		C.free(mem)
		return err
	}
	C.free(b.mem)
	b.mem, b.layout = mem, l
	return nil
}

func copyOut(dst any, p unsafe.Pointer, n int) {
	switch d := dst.(type) {
	case []float32:
		copy(d, unsafe.Slice((*float32)(p), n))
	case []byte:
		copy(d, unsafe.Slice((*byte)(p), n))
	}
}

func copyIn(p unsafe.Pointer, src any, n int) {
	switch s := src.(type) {
	case []float32:
		copy(unsafe.Slice((*float32)(p), n), s)
	case []byte:
		copy(unsafe.Slice((*byte)(p), n), s)
	}
}

// check turns a oneDNN status into an error that says what was being done.
func check(status C.int, what string) error {
	if status == 0 {
		return nil
	}
	names := map[C.int]string{1: "out of memory", 2: "invalid arguments", 3: "it has no kernel for this", 5: "the kernel failed", 6: "not required"}
	return fmt.Errorf("%s: oneDNN: %s (status %d)", what, names[status], int(status))
}

func dims4(shape tensor.Shape) (d [4]C.int) {
	for i, n := range shape {
		d[i] = C.int(n)
	}
	return d
}

var layoutOf = map[layout]C.int{plain: C.V2V_PLAIN, blocked: C.V2V_BLOCKED, filter: C.V2V_FILTER}

func (d *Device) reorder(shape tensor.Shape, from, to layout, src, dst unsafe.Pointer) error {
	var r *C.v2v_reorder
	dims := dims4(shape)
	if err := check(C.v2v_reorder_new(&r, &dims[0], layoutOf[from], layoutOf[to], C.int(d.block)), "reorder"); err != nil {
		return err
	}
	defer C.v2v_reorder_free(r)
	return check(C.v2v_reorder_run(r, (*C.float)(src), (*C.float)(dst)), "reorder")
}
