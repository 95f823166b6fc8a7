//go:build cgo

package cuda

/*
#include "dl.h"
*/
import "C"

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"unsafe"
)

// compileKernels is the machine code of the kernels for a card, and the file of
// the cache that it was found in, if it was.
func (d *Device) compileKernels(folder string) (code []byte, from string, err error) {
	arch := fmt.Sprintf("sm_%d", d.capability)
	d.source = fmt.Sprintf("%x", sha256.Sum256([]byte(Source())))
	name := fmt.Sprintf("%s-%s-%d.cubin", d.source, arch, d.api.nvrtc)
	path := filepath.Join(folder, name)
	if code, err := os.ReadFile(path); err == nil && len(code) > 0 {
		return code, path, nil
	}
	if code, err = d.nvrtc(arch); err != nil {
		return nil, "", err
	}
	keepFile(folder, path, code)
	return code, "", nil
}

// cacheFolder is the folder asked for, or the user's; empty if there is none.
func cacheFolder(asked string) string {
	if asked != "" {
		return asked
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(cache, "v2v", "cuda")
}

// keepFile writes a file whole or not at all; a cache that cannot be written
// costs time, nothing else.
func keepFile(folder, path string, code []byte) {
	if folder == "" || os.MkdirAll(folder, 0o755) != nil {
		return
	}
	f, err := os.CreateTemp(folder, "part-*")
	if err != nil {
		return
	}
	_, err = f.Write(code)
	if f.Close() != nil || err != nil || os.Rename(f.Name(), path) != nil {
		os.Remove(f.Name())
	}
}

// nvrtc compiles the embedded source.
func (d *Device) nvrtc(arch string) ([]byte, error) {
	var c heap
	defer c.free()
	program, err := d.api.ask("nvrtcCreateProgram", c.text(Source()), c.text("kernels.cu"), 0, 0, 0)
	if err != nil {
		return nil, err
	}
	handle := c.numbers(program)
	defer d.api.call("nvrtcDestroyProgram", handle)
	options := c.numbers(c.text("--gpu-architecture=" + arch))
	if err := d.api.call("nvrtcCompileProgram", program, 1, options); err != nil {
		log, e := d.fetch(&c, program, "nvrtcGetProgramLogSize", "nvrtcGetProgramLog")
		if e != nil {
			return nil, err
		}
		return nil, fmt.Errorf("compile kernels for %s with NVRTC %s: %s", arch, version(d.api.nvrtc), firstLine(string(log)))
	}
	return d.fetch(&c, program, "nvrtcGetCUBINSize", "nvrtcGetCUBIN")
}

func firstLine(s string) string {
	for i, r := range s {
		if r == '\n' || r == 0 {
			return s[:i]
		}
	}
	return s
}

func (d *Device) fetch(c *heap, program uint64, size, get string) ([]byte, error) {
	n := c.numbers(0)
	if err := d.api.call(size, program, n); err != nil {
		return nil, err
	}
	bytes := int(*(*uint64)(C.v2v_at(C.uint64_t(n))))
	p := c.bytes(bytes)
	if err := d.api.call(get, program, uint64(uintptr(p))); err != nil {
		return nil, err
	}
	return C.GoBytes(p, C.int(bytes)), nil
}

// heap is C memory that is freed together.
type heap []unsafe.Pointer

func (h *heap) bytes(n int) unsafe.Pointer {
	p := C.calloc(C.size_t(max(n, 1)), 1)
	*h = append(*h, p)
	return p
}

func (h *heap) text(s string) uint64 {
	p := C.CString(s)
	*h = append(*h, unsafe.Pointer(p))
	return uint64(uintptr(unsafe.Pointer(p)))
}

func (h *heap) numbers(xs ...uint64) uint64 {
	p := h.bytes(8 * len(xs))
	copy(unsafe.Slice((*uint64)(p), len(xs)), xs)
	return uint64(uintptr(p))
}

// read is a copy of n bytes of it.
func (h *heap) read(at uint64, n int) []byte { return C.GoBytes(C.v2v_at(C.uint64_t(at)), C.int(n)) }

func (h *heap) free() {
	for _, p := range *h {
		C.free(p)
	}
}
