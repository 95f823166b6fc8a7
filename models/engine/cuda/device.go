//go:build cgo

package cuda

import (
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/engine"
)

// Device runs programs on one card. It implements engine.Device.
type Device struct {
	api        *api
	card       uint64
	number     int
	capability int // 90 for 9.0
	units      int // multiprocessors
	context    uint64
	modules    map[*unit]uint64 // of the driver, of those that were wanted
	stream     uint64           // of computation
	kernels    map[string]uint64
	staging    staging
	shared     map[string]*sharedConstant
	memory     map[*block]bool
	dnn        uint64 // handle of cuDNN, or 0
	lt         uint64 // and of cuBLASLt
	kept       []*plan
	choices    map[string]choice // of convolutions
	windows    *bool             // whether tensors may overlap themselves, once it is known
	refused    []string          // ways to convolve that gave wrong results
	cache      string
	without    map[string]bool // ways to convolve that are left out
	tell       func(string)    // what the user should know
	notice     func()          // that this run prepares what later ones find
	model      string          // which card it is

	mu sync.Mutex // one caller at a time
}

// leastCapability is Ampere's: the first with matrix units for bf16 and tf32.
const leastCapability = 80

// Open takes a card: libraries, context, kernels.
func Open(o Options) (engine.Device, error) {
	d, err := open(o)
	if err != nil {
		return nil, fmt.Errorf("open cuda:%d: %w", o.Card, err)
	}
	return d, nil
}

func open(o Options) (*Device, error) {
	api, err := load()
	if err != nil {
		return nil, err
	}
	d := &Device{api: api, number: o.Card, modules: map[*unit]uint64{}, kernels: map[string]uint64{}, shared: map[string]*sharedConstant{}, memory: map[*block]bool{}, choices: map[string]choice{}, cache: cacheFolder(o.Cache)}
	n, err := api.ask("cuDeviceGetCount")
	if err != nil {
		return nil, err
	}
	if o.Card < 0 || o.Card >= int(uint32(n)) {
		return nil, fmt.Errorf("the driver sees %d cards, numbered from 0: %w", uint32(n), engine.ErrUnsupported)
	}
	if d.without, err = without(); err != nil {
		return nil, err
	}
	if err := d.about(o.Card); err != nil {
		return nil, err
	}
	if d.capability < leastCapability {
		return nil, fmt.Errorf("the card has compute capability %d.%d, v2v needs 8.0 (Ampere) or later: %w", d.capability/10, d.capability%10, engine.ErrUnsupported)
	}
	about, _, err := api.card(o.Card)
	if err != nil {
		return nil, err
	}
	if d.context, err = api.ask("cuDevicePrimaryCtxRetain", d.card); err != nil {
		return nil, err
	}
	d.model = fmt.Sprintf("%s %d", about.Name, d.capability)
	if d.tell = o.Notice; d.tell == nil {
		d.tell = func(string) {}
	}
	d.notice = d.noticeFor(about.Name)
	if err := d.do(d.prepare); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// noticeFor tells, once, what takes time that later runs do not need.
func (d *Device) noticeFor(card string) func() {
	return sync.OnceFunc(func() {
		text := fmt.Sprintf("%s: preparing kernels for %s", d.Name(), card)
		if d.cache != "" {
			text += ", once"
		}
		d.tell(text)
	})
}

func (d *Device) about(card int) error {
	number, err := d.api.ask("cuDeviceGet", uint64(card))
	if err != nil {
		return err
	}
	d.card = uint64(uint32(number))
	var value [3]int
	for i, what := range []uint64{capabilityMajor, capabilityMinor, multiprocessors} {
		v, err := d.api.ask("cuDeviceGetAttribute", what, d.card)
		if err != nil {
			return err
		}
		value[i] = int(int32(v))
	}
	d.capability, d.units = 10*value[0]+value[1], max(value[2], 1)
	return nil
}

// prepare makes what every program needs.
func (d *Device) prepare() (err error) {
	if err := d.ready(units()[0].kernels...); err != nil {
		return err
	}
	if d.stream, err = d.api.ask("cuStreamCreate", nonBlocking); err != nil {
		return err
	}
	if err := d.openLibraries(); err != nil {
		return err
	}
	return d.staging.open(d)
}

func (d *Device) loadModule(code []byte) (uint64, error) {
	var c heap
	defer c.free()
	image := c.bytes(len(code) + 1)
	copy(unsafe.Slice((*byte)(image), len(code)), code)
	return d.api.ask("cuModuleLoadData", uint64(uintptr(image)))
}

// usualShared is the shared memory of a block that a kernel has unasked.
const usualShared = 48 << 10

// kernel looks a kernel up, whose launches have so much shared memory.
func (d *Device) kernel(name string, shared int) (uint64, error) {
	if f, ok := d.kernels[name]; ok {
		return f, nil
	}
	if err := d.ready(name); err != nil {
		return 0, err
	}
	var c heap
	defer c.free()
	f, err := d.api.ask("cuModuleGetFunction", d.modules[unitOf()[name]], c.text(name))
	if err != nil {
		return 0, fmt.Errorf("kernel %s: %w", name, err)
	}
	if shared > usualShared {
		if err := d.api.call("cuFuncSetAttribute", f, maxDynamicShared, uint64(shared)); err != nil {
			return 0, fmt.Errorf("%d bytes of shared memory for kernel %s: %w", shared, name, err)
		}
	}
	d.kernels[name] = f
	return f, nil
}

// do calls f with the card's context, one caller at a time.
func (d *Device) do(f func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.onThread(f)
}

// onThread calls f with the card's context.
func (d *Device) onThread(f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := d.api.call("cuCtxSetCurrent", d.context); err != nil {
		return err
	}
	return f()
}

// Name implements engine.Device.
func (d *Device) Name() string { return fmt.Sprintf("cuda:%d", d.number) }

// Close gives the card back. Buffers and executables must be closed before.
func (d *Device) Close() error {
	return d.do(func() error {
		d.staging.close(d)
		d.closeLibraries()
		if d.stream != 0 {
			d.api.call("cuStreamDestroy_v2", d.stream)
		}
		for _, m := range d.modules {
			d.api.call("cuModuleUnload", m)
		}
		return d.api.call("cuDevicePrimaryCtxRelease_v2", d.card)
	})
}

// block is device memory.
type block struct {
	at    uint64
	bytes int
}

// alloc takes device memory; what names what it is for.
func (d *Device) alloc(what string, bytes int) (*block, error) {
	at, err := d.api.ask("cuMemAlloc_v2", uint64(max(bytes, 16)))
	if err == nil {
		b := &block{at: at, bytes: bytes}
		d.memory[b] = true
		return b, nil
	}
	if !isStatus(err, outOfMemory) {
		return nil, err
	}
	free, total, e := d.room()
	if e != nil {
		return nil, err
	}
	return nil, &memoryError{device: d.Name(), what: what, need: uint64(bytes), free: free, total: total}
}

// room is the card's free and whole memory.
func (d *Device) room() (free, total uint64, err error) {
	var out room
	defer out.free()
	err = d.api.call("cuMemGetInfo_v2", out.at(0), out.at(1))
	return out.get(0), out.get(1), err
}

func (d *Device) free(b *block) {
	if b != nil && d.memory[b] {
		delete(d.memory, b)
		d.api.call("cuMemFree_v2", b.at)
	}
}

// buffer is memory that a caller binds. Rank-4 float32 lies as NHWC.
type buffer struct {
	d     *Device
	shape tensor.Shape
	typ   engine.Type
	mem   *block
}

func (d *Device) newBuffer(shape tensor.Shape, t engine.Type) (*buffer, error) {
	b := &buffer{d: d, shape: shape.Clone(), typ: t}
	var err error
	if b.mem, err = d.alloc(fmt.Sprintf("buffer %v", shape), b.size()*t.Bytes()); err != nil {
		return nil, err
	}
	return b, d.api.call("cuMemsetD8Async", b.mem.at, 0, uint64(b.mem.bytes), d.stream)
}

// Alloc implements engine.Device.
func (d *Device) Alloc(shape tensor.Shape, t engine.Type) (engine.Buffer, error) {
	var b *buffer
	err := d.do(func() (err error) {
		b, err = d.newBuffer(shape, t)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("alloc on %s: %w", d.Name(), err)
	}
	return b, nil
}

func (b *buffer) size() int           { return engine.Value{Shape: b.shape}.Size() }
func (b *buffer) Shape() tensor.Shape { return b.shape }
func (b *buffer) Type() engine.Type   { return b.typ }

func (b *buffer) Close() error {
	return b.d.do(func() error {
		b.d.free(b.mem)
		b.mem = nil
		return nil
	})
}

// Read implements engine.Buffer.
func (b *buffer) Read(dst any) error {
	if err := engine.CheckIO(dst, b.size(), b.typ); err != nil {
		return fmt.Errorf("read buffer %v: %w", b.shape, err)
	}
	if err := b.d.download(b, bytesOf(dst)); err != nil {
		return fmt.Errorf("read buffer %v on %s: %w", b.shape, b.d.Name(), err)
	}
	return nil
}

// Write implements engine.Buffer.
func (b *buffer) Write(src any) error {
	if err := engine.CheckIO(src, b.size(), b.typ); err != nil {
		return fmt.Errorf("write buffer %v: %w", b.shape, err)
	}
	if err := b.d.do(func() error { return b.d.staging.upload(b.d, b.mem, b.shape, b.typ, bytesOf(src)) }); err != nil {
		return fmt.Errorf("write buffer %v on %s: %w", b.shape, b.d.Name(), err)
	}
	return nil
}

// bytesOf is the memory of a slice that CheckIO has passed.
func bytesOf(x any) []byte {
	switch s := x.(type) {
	case []float32:
		if len(s) > 0 {
			return unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), 4*len(s))
		}
	case []byte:
		return s
	}
	return nil
}
