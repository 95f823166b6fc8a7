//go:build cgo

package cuda

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include "dl.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"unsafe"

	"github.com/v2v/v2v/models/engine"
)

// api is a set of opened libraries.
type api struct {
	handles []unsafe.Pointer
	fn      map[string]unsafe.Pointer
	driver  int // CUDA version of the driver
	nvrtc   int // and of the compiler
	cudnn   int // 10000*major + 100*minor + patch, or 0
	lt      int // cuBLASLt's, likewise
	lacking struct{ cudnn, lt error }
}

// statusError is what a function of CUDA has returned.
type statusError struct {
	function string
	status   int
	name     string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%s: %s (status %d)", e.function, e.name, e.status)
}

// statuses are those of an optional library, or nil: those of the driver and of
// the compiler.
func (e *statusError) statuses() map[int]string {
	switch {
	case strings.HasPrefix(e.function, "cudnn"):
		return dnnStatuses
	case strings.HasPrefix(e.function, "cublasLt"):
		return ltStatuses
	}
	return nil
}

// optional says that an error is of a library that own kernels replace.
func optional(err error) bool {
	var s *statusError
	return errors.As(err, &s) && s.statuses() != nil
}

func isStatus(err error, status int) bool {
	var s *statusError
	return errors.As(err, &s) && s.status == status
}

// open opens one library and looks its functions up.
func (a *api) open(l library) error {
	var tried []string
	for _, file := range l.files {
		for _, path := range places(file) {
			found, err := a.openFile(l, path)
			if found || err != nil {
				return err
			}
			tried = append(tried, path)
		}
	}
	return fmt.Errorf("%s is not there (looked for %s; V2V_CUDA_PATH, CUDA_HOME and Python's nvidia folders too); %s: %w",
		l.name, strings.Join(tried, ", "), l.fix, engine.ErrUnsupported)
}

// openFile opens a file as a library, where it can be opened. What the library
// itself looks for by name is opened before, from the same folder: the system's
// linker need not know that.
func (a *api) openFile(l library, path string) (found bool, err error) {
	if l.needs != "" && filepath.IsAbs(path) {
		files, _ := filepath.Glob(filepath.Join(filepath.Dir(path), l.needs))
		for _, file := range files {
			if h := dlopen(file); h != nil {
				a.handles = append(a.handles, h)
			}
		}
	}
	h := dlopen(path)
	if h == nil {
		return false, nil
	}
	if err := a.lookUp(h, l, path); err != nil {
		C.dlclose(h)
		return false, err
	}
	a.handles = append(a.handles, h)
	return true, nil
}

func dlopen(path string) unsafe.Pointer {
	c := C.CString(path)
	defer C.free(unsafe.Pointer(c))
	return C.dlopen(c, C.RTLD_NOW|C.RTLD_LOCAL)
}

func (a *api) lookUp(h unsafe.Pointer, l library, path string) error {
	for _, s := range symbols[l.name] {
		if !a.find(h, s.name) {
			return fmt.Errorf("%s lacks %s, which it has from %s %d.%d on; %s: %w", path, s.name, l.versions(), s.since/1000, s.since%1000/10, l.fix, engine.ErrUnsupported)
		}
	}
	return nil
}

// find looks one function up.
func (a *api) find(h unsafe.Pointer, name string) bool {
	c := C.CString(name)
	defer C.free(unsafe.Pointer(c))
	f := C.dlsym(h, c)
	if f != nil {
		a.fn[name] = f
	}
	return f != nil
}

func (a *api) close() {
	for _, h := range a.handles {
		C.dlclose(h)
	}
}

// raw calls a function and returns its status.
func (a *api) raw(function string, args ...uint64) int {
	var in [16]C.uint64_t
	for i, x := range args {
		in[i] = C.uint64_t(x)
	}
	return int(C.v2v_call(a.fn[function], &in[0]))
}

// call calls a function, whose status other than 0 is an error.
func (a *api) call(function string, args ...uint64) error {
	status := a.raw(function, args...)
	if status == 0 {
		return nil
	}
	e := &statusError{function: function, status: status, name: "unknown status"}
	if names := e.statuses(); names != nil {
		if name, ok := names[status]; ok {
			e.name = name
		}
		return e
	}
	if strings.HasPrefix(function, "nvrtc") {
		e.name = "the compiler failed"
		return e
	}
	var out room
	defer out.free()
	if a.raw("cuGetErrorName", status64(status), out.at(0)) == 0 {
		e.name = C.GoString((*C.char)(C.v2v_at(C.uint64_t(out.get(0)))))
	}
	return e
}

func status64(status int) uint64 { return uint64(uint32(int32(status))) }

// room is a little C memory for results.
type room struct{ p *[64]uint64 }

func (r *room) at(i int) uint64 {
	if r.p == nil {
		r.p = (*[64]uint64)(C.calloc(64, 8))
	}
	return uint64(uintptr(unsafe.Pointer(&r.p[i])))
}

func (r *room) get(i int) uint64 { return r.p[i] }

func (r *room) free() {
	if r.p != nil {
		C.free(unsafe.Pointer(r.p))
	}
}

// ask calls a function whose first argument points at its result.
func (a *api) ask(function string, args ...uint64) (uint64, error) {
	var out room
	defer out.free()
	err := a.call(function, append([]uint64{out.at(0)}, args...)...)
	return out.get(0), err
}

// The libraries stay open from the first use on: a driver does not like to be
// unloaded.
var (
	opened  *api
	opening sync.Mutex
)

// load opens what a device needs, once.
func load() (*api, error) {
	opening.Lock()
	defer opening.Unlock()
	if opened != nil {
		return opened, nil
	}
	a := &api{fn: map[string]unsafe.Pointer{}}
	if err := a.start(); err != nil {
		a.close()
		return nil, err
	}
	opened = a
	return a, nil
}

func (a *api) start() error {
	if err := a.open(libcuda); err != nil {
		return err
	}
	v, err := a.ask("cuDriverGetVersion")
	if err != nil {
		return err
	}
	if a.driver = int(v); a.driver < oldest {
		return fmt.Errorf("the driver supports CUDA %s, v2v needs %s; %s: %w", version(a.driver), version(oldest), libcuda.fix, engine.ErrUnsupported)
	}
	if err := a.call("cuInit", 0); isStatus(err, noDevice) {
		return fmt.Errorf("the driver sees no card: %w", engine.ErrUnsupported)
	} else if err != nil {
		return fmt.Errorf("start the driver: %w", err)
	}
	if err := a.open(nvrtc.forDriver(a.driver)); err != nil {
		return err
	}
	var out room
	defer out.free()
	if err := a.call("nvrtcVersion", out.at(0), out.at(1)); err != nil {
		return err
	}
	a.nvrtc = 1000*int(out.get(0)) + 10*int(out.get(1))
	if a.lacking.cudnn = a.open(cudnn); a.lacking.cudnn == nil {
		a.cudnn = a.raw("cudnnGetVersion")
	}
	if a.lacking.lt = a.open(cublasLt.forDriver(a.driver)); a.lacking.lt == nil {
		a.lt = a.raw("cublasLtGetVersion")
	}
	return nil
}

func version(v int) string { return fmt.Sprintf("%d.%d", v/1000, v%1000/10) }

// address and text are a piece of C memory as an argument and as a string.
func address(p unsafe.Pointer) uint64 { return uint64(uintptr(p)) }

func text(p unsafe.Pointer) string { return C.GoString((*C.char)(p)) }
