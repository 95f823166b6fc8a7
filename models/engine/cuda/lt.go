//go:build cgo

package cuda

import (
	"unsafe"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/op"
)

// product is a convolution that is one product of matrices as they lie. Filters
// are o rows of depth numbers, pictures x and y are positions rows of depth and
// of o. cuBLASLt reads a row as a column, so that it makes out (m,n) of a (m,k)
// and b (k,n), one or both of them turned.
type product struct {
	o, depth, positions int
	a, b                int // identities
	turnA, turnB        bool
}

// product says whether a convolution is one: where filters have one tap, or as
// many as the picture has pixels, and nothing is padded.
func (v convolution) product() (p product, ok bool) {
	kh, kw := v.w[2], v.w[3]
	tap := kh == 1 && kw == 1 && v.stride == 1
	whole := v.y[2] == 1 && v.y[3] == 1 && kh == v.x[2] && kw == v.x[3]
	if v.pad != 0 || !tap && !whole {
		return product{}, false
	}
	p = product{o: v.w[0], depth: v.w[1] * kh * kw, positions: v.y[0] * v.y[2] * v.y[3]}
	switch v.kind {
	case ofForward: // y = w x
		p.a, p.turnA, p.b = idW, true, idX
	case ofBackData: // x = w' y; a bias is one number a channel, not a row
		p.a, p.b = idW, idY
		return p, !v.bias || kh*kw == 1
	case ofBackFilter: // w = x y'
		p.a, p.b, p.turnB = idX, idY, true
	}
	return p, true
}

// rows and columns of what has an identity; out is the one that is neither a
// nor b.
func (p product) shape(id int) (rows, columns int) {
	switch id {
	case idW:
		return p.depth, p.o
	case idX:
		return p.depth, p.positions
	case idY:
		return p.o, p.positions
	}
	return p.shape(idX + idW + idY - p.a - p.b)
}

// matmul is a product as cuBLASLt has it described, with an error that sticks;
// what was made is destroyed together.
type matmul struct {
	product
	d         *Device
	c         heap
	err       error
	desc      uint64
	layouts   [3]uint64 // of a, b and out
	algorithm unsafe.Pointer
	numbers   uint64 // alpha and beta
	bias      bool
}

// ltStandIn is the bias that is described; a run puts the real one in its place.
// Without any the description may not be whole.
const ltStandIn = 256

func (d *Device) newMatmul(p product, v convolution, precision engine.Precision) *matmul {
	g := &matmul{product: p, d: d, bias: v.bias}
	compute, typ := ltCompute, ltFloat
	switch precision {
	case engine.TF32:
		compute = ltComputeTF32
	case engine.BFloat16:
		typ = ltBFloat16
	}
	g.algorithm = g.c.bytes(ltAlgorithm)
	one := g.c.bytes(8) // 1 and 0
	*(*float32)(one) = 1
	g.numbers = address(one)
	if g.desc, g.err = d.api.ask("cublasLtMatmulDescCreate", uint64(compute), ltFloat); g.err != nil {
		return g
	}
	for _, turn := range []struct {
		attribute int
		on        bool
	}{{ltTurnA, p.turnA}, {ltTurnB, p.turnB}} {
		if turn.on {
			g.set(turn.attribute, 4, ltTurned)
		}
	}
	if v.bias {
		g.set(ltBias, 8, ltStandIn)
	}
	g.set(ltEpilogue, 4, v.epilogue())
	for i, id := range []int{p.a, p.b, idOut} {
		if rows, columns := p.shape(id); g.err == nil {
			if id == idOut {
				typ = ltFloat
			}
			g.layouts[i], g.err = d.api.ask("cublasLtMatrixLayoutCreate", uint64(typ), uint64(rows), uint64(columns), uint64(rows))
		}
	}
	return g
}

// set gives the description a number of 4 or 8 bytes.
func (g *matmul) set(attribute, bytes int, value uint64) {
	if g.err != nil {
		return
	}
	var c heap
	defer c.free()
	g.err = g.d.api.call("cublasLtMatmulDescSetAttribute", g.desc, uint64(attribute), c.numbers(value), uint64(bytes))
}

func (g *matmul) destroy() {
	for _, l := range g.layouts {
		if l != 0 {
			g.d.api.call("cublasLtMatrixLayoutDestroy", l)
		}
	}
	if g.desc != 0 {
		g.d.api.call("cublasLtMatmulDescDestroy", g.desc)
	}
	g.c.free()
}

// ltPlace is the place of its first way, behind those of cuDNN's two modes.
const ltPlace = 2 * mostConfigs

// mostLTWorkspace is what NVIDIA advises for cards from Hopper on; smaller ones
// ask for less.
const mostLTWorkspace = 32 << 20

// products asks cuBLASLt's heuristics and hands on each way, as plans does.
func (d *Device) products(v convolution, precision engine.Precision, each func(place int, p *plan) (keep bool, err error)) error {
	p, ok := v.product()
	if d.lt == 0 || !ok {
		return nil
	}
	free, _, err := d.room()
	if err != nil {
		return err
	}
	var c heap
	defer c.free()
	results, found := c.bytes(mostConfigs*ltResult), c.bytes(8)
	if err := d.heuristics(v, p, precision, min(free/8, mostLTWorkspace), results, found); err != nil {
		return err
	}
	for i := range int(*(*int32)(found)) {
		result := unsafe.Slice((*byte)(unsafe.Add(results, i*ltResult)), ltResult)
		if *(*int32)(unsafe.Pointer(&result[ltState])) != 0 {
			continue
		}
		m := d.newMatmul(p, v, precision)
		copy(unsafe.Slice((*byte)(m.algorithm), ltAlgorithm), result)
		keep, err := false, m.err
		one := &plan{product: m, workspace: int(*(*uint64)(unsafe.Pointer(&result[ltAlgorithm])))}
		if err == nil {
			keep, err = each(ltPlace+i, one)
		}
		if keep {
			d.kept = append(d.kept, one)
			continue
		}
		one.destroy()
		if err != nil {
			return err
		}
	}
	return nil
}

// heuristics writes their results, and how many there are.
func (d *Device) heuristics(v convolution, p product, precision engine.Precision, workspace uint64, results, found unsafe.Pointer) error {
	preference, err := d.api.ask("cublasLtMatmulPreferenceCreate")
	if err != nil {
		return err
	}
	defer d.api.call("cublasLtMatmulPreferenceDestroy", preference)
	var c heap
	defer c.free()
	if err := d.api.call("cublasLtMatmulPreferenceSetAttribute", preference, ltMostWorkspace, c.numbers(workspace), 8); err != nil {
		return err
	}
	m := d.newMatmul(p, v, precision)
	defer m.destroy()
	if m.err != nil {
		return m.err
	}
	return d.api.call("cublasLtMatmulAlgoGetHeuristic", d.lt, m.desc, m.layouts[0], m.layouts[1], m.layouts[2], m.layouts[2], preference,
		mostConfigs, address(results), address(found))
}

// rectified says that a ReLU comes first behind the sum, which an epilogue does.
func (v convolution) rectified() bool {
	return len(v.post) > 0 && v.post[0] == pointwise{mode: pwRelu}
}

func (v convolution) epilogue() uint64 {
	switch relu := v.rectified(); {
	case relu && v.bias:
		return ltBiasedRelu
	case relu:
		return ltRelu
	case v.bias:
		return ltBiased
	}
	return ltPlain
}

// behind is what no epilogue does.
func (v convolution) behind() []pointwise {
	if v.rectified() {
		return v.post[1:]
	}
	return v.post
}

// size is how many numbers are made.
func (v convolution) size() int {
	made := map[int][]int{ofForward: v.y, ofBackData: v.x, ofBackFilter: v.w}[v.kind]
	return made[0] * made[1] * made[2] * made[3]
}

// step does what is behind a product on its n numbers, where they lie.
func (p pointwise) step(n int, at [idOut + 1]slot) step {
	f, b := mapAct, none
	if p.mode == pwAdd {
		f, b = mapAdd, at[idAdd]
	}
	kind := map[int]op.ActKind{pwTanh: op.Tanh, pwSigmoid: op.Sigmoid}[p.mode]
	if p.mode == pwRelu {
		kind = op.LeakyReLU // of slope 0 too
	}
	return lines("map", n, intArg(f), intArg(int(kind)), intArg(n), floatArg(float32(p.slope)), floatArg(0), slotArg(at[idOut]), slotArg(b), slotArg(none), slotArg(at[idOut]))
}

// multiply gives a product to the computation's stream.
func (d *Device) multiply(g *matmul, where [idOut + 1]uint64, workspace uint64, bytes int) error {
	if g.bias {
		if g.set(ltBias, 8, where[idBias]); g.err != nil {
			return g.err
		}
	}
	return d.api.call("cublasLtMatmul", d.lt, g.desc, g.numbers, where[g.a], g.layouts[0], where[g.b], g.layouts[1],
		g.numbers+4, where[idOut], g.layouts[2], where[idOut], g.layouts[2], address(g.algorithm), workspace, uint64(bytes), d.stream)
}
