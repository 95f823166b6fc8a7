//go:build cgo

package cuda

/*
#include "dl.h"
*/
import "C"

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"unsafe"

	"github.com/v2v/v2v/models/engine"
)

// ready has kernels there for launches: what is not yet is compiled, units side by
// side, and loaded. Other names are those of steps that launch none.
func (d *Device) ready(kernels ...string) error {
	var wanted []*unit
	for _, name := range kernels {
		if u := unitOf()[name]; u != nil && d.modules[u] == 0 && !slices.Contains(wanted, u) {
			wanted = append(wanted, u)
		}
	}
	made := make([]struct {
		code []byte
		from string
		err  error
	}, len(wanted))
	sideBySide(len(wanted), func(i int) {
		m := &made[i]
		m.code, m.from, m.err = d.machineCode(wanted[i])
	})
	for i, m := range made {
		u, err := wanted[i], m.err
		if err == nil {
			if err = d.install(u, m.code, m.from); err != nil {
				err = fmt.Errorf("load kernels %s: %w", u.name, err)
			}
		}
		if err != nil && u.only == hopper && d.capability == hopper {
			err = fmt.Errorf("%w; V2V_CUDA_WITHOUT=%s leaves it out", err, wayHopper)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sideBySide calls f with each number below n, by as many threads as there are
// processors.
func sideBySide(n int, f func(int)) {
	var all sync.WaitGroup
	turns := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i := range n {
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			f(i)
		})
	}
	all.Wait()
}

// kernels names those of all tiles of the kinds of numbers that are tried, which
// other convolutions of the program will want too.
func (m *measuring) kernels() (names []string) {
	tried := map[string]bool{kindHalf: m.own.kind == kindBF16}
	for _, t := range m.fit {
		tried[t.kind] = true
	}
	for _, t := range everyTile {
		if tried[t.kind] {
			names = append(names, t.kernel(m.own.kernel))
		}
	}
	return names
}

// install loads a unit's machine code. A damaged file of the cache is made again.
func (d *Device) install(u *unit, code []byte, from string) error {
	module, err := d.loadModule(code)
	if err != nil && from != "" {
		if err = os.Remove(from); err != nil && !errors.Is(err, fs.ErrNotExist) { // another device may have
			return err
		}
		if code, _, err = d.machineCode(u); err == nil {
			module, err = d.loadModule(code)
		}
	}
	if err == nil {
		d.modules[u] = module
	}
	return err
}

// compiling has a mutex for each file of a cache: devices that want the same
// unit wait for the one that compiles it.
var compiling sync.Map

// machineCode is a unit's for a card, and the file of the cache that it was
// found in, if it was.
func (d *Device) machineCode(u *unit) (code []byte, from string, err error) {
	arch := u.arch(d.capability)
	if !u.serves(d.capability) {
		return nil, "", fmt.Errorf("kernels %s are for %s alone, the card is sm_%d: %w", u.name, u.arch(u.only), d.capability, engine.ErrUnsupported)
	}
	path := filepath.Join(d.cache, fmt.Sprintf("%x-%s-%d.cubin", sha256.Sum256([]byte(u.text)), arch, d.api.nvrtc))
	if d.cache != "" {
		one, _ := compiling.LoadOrStore(path, new(sync.Mutex))
		one.(*sync.Mutex).Lock()
		defer one.(*sync.Mutex).Unlock()
		if code, err := os.ReadFile(path); err == nil && len(code) > 0 {
			return code, path, nil
		}
	}
	d.notice()
	code, log, err := d.api.compile(u, arch)
	if err != nil {
		if log != "" {
			err = fmt.Errorf("compile kernels for %s with NVRTC %s: %s", arch, version(d.api.nvrtc), complaint(log))
		}
		return nil, "", err
	}
	keepFile(d.cache, path, code)
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

// compile has NVRTC compile a unit. Several threads may at once: its programs share
// nothing. The log has warnings, too.
func (a *api) compile(u *unit, arch string, options ...string) (code []byte, log string, err error) {
	var c heap
	defer c.free()
	program, err := a.ask("nvrtcCreateProgram", c.text(u.text), c.text(u.name+".cu"), 0, 0, 0)
	if err != nil {
		return nil, "", err
	}
	handle := c.numbers(program)
	defer a.call("nvrtcDestroyProgram", handle)
	list := []uint64{c.text("--gpu-architecture=" + arch)}
	for _, o := range options {
		list = append(list, c.text(o))
	}
	failed := a.call("nvrtcCompileProgram", program, uint64(len(list)), c.numbers(list...))
	raw, err := a.fetch(&c, program, "nvrtcGetProgramLogSize", "nvrtcGetProgramLog")
	if log = strings.TrimRight(string(raw), "\x00"); failed != nil || err != nil {
		return nil, log, cmp.Or(failed, err)
	}
	code, err = a.fetch(&c, program, "nvrtcGetCUBINSize", "nvrtcGetCUBIN")
	return code, log, err
}

// complaint is the line of a compiler's log that says what is wrong.
func complaint(log string) string {
	lines := strings.Split(log, "\n")
	for _, line := range lines {
		if strings.Contains(line, "error") {
			return line
		}
	}
	return lines[0]
}

func (a *api) fetch(c *heap, program uint64, size, get string) ([]byte, error) {
	n := c.numbers(0)
	if err := a.call(size, program, n); err != nil {
		return nil, err
	}
	bytes := int(*(*uint64)(C.v2v_at(C.uint64_t(n))))
	p := c.bytes(bytes)
	if err := a.call(get, program, uint64(uintptr(p))); err != nil {
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
