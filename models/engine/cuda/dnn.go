//go:build cgo

package cuda

import (
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"

	"github.com/v2v/v2v/models/engine"
)

// descriptors are cuDNN's, with an error that sticks and C memory; what is not
// kept is destroyed together.
type descriptors struct {
	d    *Device
	c    heap
	made []uint64
	err  error
}

// attribute is one of a descriptor: its name, type and elements.
type attribute struct {
	name, typ, count int
	raw              []byte
}

func ints(name int, xs ...int) attribute {
	a := attribute{name: name, typ: typeInt64, count: len(xs)}
	for _, x := range xs {
		a.raw = binary.LittleEndian.AppendUint64(a.raw, uint64(int64(x)))
	}
	return a
}

func enum(name, typ, x int) attribute {
	return attribute{name, typ, 1, binary.LittleEndian.AppendUint32(nil, uint32(x))}
}

// pointers are of descriptors, handles or memory.
func pointers(name, typ int, ps ...uint64) attribute {
	a := attribute{name: name, typ: typ, count: len(ps)}
	for _, p := range ps {
		a.raw = binary.LittleEndian.AppendUint64(a.raw, p)
	}
	return a
}

func of(name int, ds ...uint64) attribute { return pointers(name, typeDescriptor, ds...) }

// create makes a descriptor without finalising it.
func (g *descriptors) create(kind int, attributes ...attribute) uint64 {
	if g.err != nil {
		return 0
	}
	var out room
	defer out.free()
	if g.err = g.d.api.call("cudnnBackendCreateDescriptor", uint64(kind), out.at(0)); g.err != nil {
		return 0
	}
	desc := out.get(0)
	g.made = append(g.made, desc)
	for _, a := range attributes {
		p := g.c.bytes(len(a.raw))
		copy(unsafe.Slice((*byte)(p), len(a.raw)), a.raw)
		if g.err = g.d.api.call("cudnnBackendSetAttribute", desc, uint64(a.name), uint64(a.typ), uint64(a.count), address(p)); g.err != nil {
			g.err = fmt.Errorf("attribute %d: %w", a.name, g.err)
			return 0
		}
	}
	return desc
}

// finish makes a descriptor and finalises it.
func (g *descriptors) finish(kind int, attributes ...attribute) uint64 {
	desc := g.create(kind, attributes...)
	if g.err == nil {
		g.err = g.d.api.call("cudnnBackendFinalize", desc)
	}
	return desc
}

// list reads an attribute of up to most elements of 8 bytes or fewer, into
// memory that holds what is given.
func (g *descriptors) list(desc uint64, name, typ int, into []uint64, size int) []byte {
	if g.err != nil {
		return nil
	}
	count, at := g.c.bytes(8), g.c.bytes(8*len(into))
	copy(unsafe.Slice((*uint64)(at), len(into)), into)
	if g.err = g.d.api.call("cudnnBackendGetAttribute", desc, uint64(name), uint64(typ), uint64(len(into)), address(count), address(at)); g.err != nil {
		return nil
	}
	n := min(max(int(*(*int64)(count)), 0), len(into))
	return unsafe.Slice((*byte)(at), n*size)
}

func (g *descriptors) destroy() {
	for i := len(g.made) - 1; i >= 0; i-- {
		g.d.api.call("cudnnBackendDestroyDescriptor", g.made[i])
	}
	g.made = nil
	g.c.free()
	g.c = nil
}

// dnnTensor is a picture or filters, (N,C,H,W) that lie as NHWC.
func (g *descriptors) tensor(id int, shape []int, typ int, virtual bool) uint64 {
	n, c, h, w := shape[0], shape[1], shape[2], shape[3]
	v := byte(0)
	if virtual {
		v = 1
	}
	return g.finish(ofTensor, enum(tensorType, typeDataType, typ), ints(tensorShape, n, c, h, w), ints(tensorStrides, h*w*c, 1, w*c, c),
		ints(tensorID, id), ints(tensorAlignment, 16), attribute{tensorVirtual, typeBoolean, 1, []byte{v}})
}

// convolution is what is asked of cuDNN: x (n,c,h,w), w (o,c,kh,kw), y
// (n,o,oh,ow), one of which is made of the others.
type convolution struct {
	kind    int // ofForward, ofBackData or ofBackFilter
	x, w, y []int
	stride  int
	pad     int
	typ     int // of what is read
	bias    bool
	post    []pointwise

	halfIn, half bool // the picture that is read and the result lie as bfloat16
	frame        int  // pixels of mirrored borders that the picture is copied with, as no library does
}

// stored is the type of a picture.
func stored(half bool) int {
	if half {
		return dnnBFloat16
	}
	return dnnFloat
}

type pointwise struct {
	mode  int
	slope float64
}

// The identities of the tensors, which a pack of pointers names.
const (
	idX, idW, idY, idBias, idAdd, idOut = 1, 2, 3, 4, 5, 6
	idVirtual                           = 100
)

// graph describes a convolution with what is fused behind it.
func (g *descriptors) graph(v convolution) uint64 {
	conv := g.finish(ofConvolution, enum(convType, typeDataType, dnnFloat), enum(convMode, typeConvMode, dnnCrossCorrelation), ints(convDims, 2),
		ints(convDilations, 1, 1), ints(convStrides, v.stride, v.stride), ints(convPre, v.pad, v.pad), ints(convPost, v.pad, v.pad))
	steps := v.post
	if v.bias {
		steps = append([]pointwise{{mode: pwAdd}}, steps...)
	}
	alpha, names, shapes, made := forwardAlpha, [3]int{forwardX, forwardW, forwardY}, [3][]int{v.x, v.w, v.y}, 2
	switch v.kind {
	case ofBackData:
		alpha, names, made = dataAlpha, [3]int{dataDX, dataW, dataDY}, 0
	case ofBackFilter:
		alpha, names, made = filterAlpha, [3]int{filterX, filterDW, filterDY}, 1
	}
	one := binary.LittleEndian.AppendUint32(nil, math.Float32bits(1))
	as := []attribute{{alpha, typeFloat, 1, one}, {alpha + 1, typeFloat, 1, make([]byte, 4)}, of(alpha+2, conv)}
	var last uint64
	for i, name := range names {
		id, typ := idX+i, v.typ
		if i == made {
			id, typ = idOut, stored(v.half)
			if len(steps) > 0 {
				id, typ = idVirtual, dnnFloat
			}
		}
		t := g.tensor(id, shapes[i], typ, id == idVirtual)
		if i == made {
			last = t
		}
		as = append(as, of(name, t))
	}
	ops := []uint64{g.finish(v.kind, as...)}
	for k, s := range steps {
		id, typ := idOut, stored(v.half)
		if k < len(steps)-1 {
			id, typ = idVirtual+1+k, dnnFloat
		}
		next := g.tensor(id, shapes[made], typ, id != idOut)
		ops = append(ops, g.pointwise(s, v.bias && k == 0, shapes[made], last, next))
		last = next
	}
	return g.finish(ofGraph, pointers(graphHandle, typeHandle, g.d.dnn), of(graphOps, ops...))
}

func (g *descriptors) pointwise(s pointwise, bias bool, shape []int, x, y uint64) uint64 {
	as := []attribute{enum(pointwiseMode, typePointwise, s.mode), enum(pointwisePrecision, typeDataType, dnnFloat)}
	if s.slope != 0 {
		as = append(as, attribute{pointwiseSlope, typeDouble, 1, binary.LittleEndian.AppendUint64(nil, math.Float64bits(s.slope))})
	}
	op := []attribute{of(pointwiseDescriptor, g.finish(ofPointwise, as...)), of(pointwiseX, x), of(pointwiseY, y)}
	if s.mode == pwAdd && bias {
		op = append(op, of(pointwiseB, g.tensor(idBias, []int{1, shape[1], 1, 1}, dnnFloat, false)))
	} else if s.mode == pwAdd {
		op = append(op, of(pointwiseB, g.tensor(idAdd, shape, dnnFloat, false)))
	}
	return g.finish(ofPointwiseOp, op...)
}

// plan is a convolution that cuDNN can execute, or cuBLASLt where it has a
// product; it lives as long as the device.
type plan struct {
	parts     *descriptors
	at        uint64
	product   *matmul
	workspace int
}

func (p *plan) destroy() {
	if p.product != nil {
		p.product.destroy()
		return
	}
	p.parts.destroy()
}

// mostConfigs bounds how many ways of one heuristic mode are tried.
const mostConfigs = 6

// plans asks the heuristics, the quick ones first, and hands on each way that
// cuDNN can take and that keeps the program's promises, with its place.
func (d *Device) plans(v convolution, precision engine.Precision, each func(place int, p *plan) (keep bool, err error)) error {
	if d.dnn == 0 {
		return nil
	}
	exact := precision == engine.Float32
	g := &descriptors{d: d}
	defer g.destroy()
	graph := g.graph(v)
	if g.err != nil {
		return g.err
	}
	for m, mode := range []int{heurA, heurB} {
		h := &descriptors{d: d}
		defer h.destroy()
		heur := h.finish(ofHeuristic, of(heurGraph, graph), enum(heurMode, typeHeurMode, mode))
		configs := make([]uint64, mostConfigs)
		for i := range configs {
			configs[i] = h.create(ofEngineConfig)
		}
		found := len(h.list(heur, heurResults, typeDescriptor, configs, 8)) / 8
		if h.err != nil {
			continue // this mode knows nothing
		}
		for i, config := range configs[:found] {
			if !d.promised(config, exact) {
				continue
			}
			p := &plan{parts: &descriptors{d: d}}
			p.at = p.parts.finish(ofPlan, pointers(planHandle, typeHandle, d.dnn), of(planConfig, config))
			if raw := p.parts.list(p.at, planWorkspace, typeInt64, []uint64{0}, 8); p.parts.err == nil && len(raw) == 8 {
				p.workspace = int(binary.LittleEndian.Uint64(raw))
				keep, err := each(m*mostConfigs+i, p)
				if keep {
					d.kept = append(d.kept, p)
					continue
				}
				if err != nil {
					p.parts.destroy()
					return err
				}
			}
			p.parts.destroy()
		}
	}
	return nil
}

// promised says that a config's engine gives the same result every time, and in
// float32 that it does not round what it reads.
func (d *Device) promised(config uint64, exact bool) bool {
	g := &descriptors{d: d}
	defer g.destroy()
	e := g.create(ofEngine)
	g.list(config, configEngine, typeDescriptor, []uint64{e}, 8)
	notes := g.list(e, engineNotes, typeNote, make([]uint64, 16), 4)
	for i := 0; i+4 <= len(notes); i += 4 {
		switch int(binary.LittleEndian.Uint32(notes[i:])) {
		case noteRandom:
			return false
		case noteTensorCore, noteDownConvert, noteReduced, noteFFT, noteWinograd:
			if exact {
				return false
			}
		}
	}
	return g.err == nil
}

// execute gives a plan to the computation's stream; where has the memory of
// each identity, 0 for those that the plan has not.
func (d *Device) execute(p *plan, where [idOut + 1]uint64, workspace uint64) error {
	if p.product != nil {
		return d.multiply(p.product, where, workspace, p.workspace)
	}
	g := &descriptors{d: d}
	defer g.destroy()
	var ids []int
	var at []uint64
	for id, a := range where {
		if a != 0 {
			ids, at = append(ids, id), append(at, a)
		}
	}
	pack := g.finish(ofPack, ints(packIDs, ids...), pointers(packPointers, typePointer, at...), pointers(packWorkspace, typePointer, workspace))
	if g.err != nil {
		return g.err
	}
	return d.api.call("cudnnBackendExecute", d.dnn, p.at, pack)
}

// openLibraries takes the handles of cuDNN and cuBLASLt, where the libraries are
// there and take the card. Own kernels serve where they do not; Probe says why.
func (d *Device) openLibraries() (err error) {
	if d.api.lt != 0 && !d.without[wayCuBLASLt] {
		if d.lt, err = d.api.ask("cublasLtCreate"); err != nil {
			d.lt = 0
		}
	}
	if d.api.cudnn == 0 || d.without[wayCuDNN] {
		return nil
	}
	if d.dnn, err = d.api.ask("cudnnCreate"); err != nil {
		d.dnn = 0
		return nil
	}
	return d.api.call("cudnnSetStream", d.dnn, d.stream)
}

func (d *Device) closeLibraries() {
	for _, p := range d.kept {
		p.destroy()
	}
	d.kept = nil
	if d.dnn != 0 {
		d.api.call("cudnnDestroy", d.dnn)
		d.dnn = 0
	}
	if d.lt != 0 {
		d.api.call("cublasLtDestroy", d.lt)
		d.lt = 0
	}
}
