//go:build cgo

package cuda

import (
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gorgonia.org/tensor"

	"github.com/v2v/v2v/models/engine"
	"github.com/v2v/v2v/models/op"
)

// Forget lets the next Open look for the libraries again.
func Forget() {
	opening.Lock()
	defer opening.Unlock()
	if opened != nil {
		opened.close()
		opened = nil
	}
}

// Unit is a part of the kernels as a card's compiler gets it.
type Unit struct {
	Name, Text, Arch string
	Kernels          []string
}

// Units lists those that cards of a capability have.
func Units(capability int) (all []Unit) {
	for _, u := range units() {
		if u.serves(capability) {
			all = append(all, Unit{u.name, u.text, u.arch(capability), u.kernels})
		}
	}
	return all
}

// Compiled is a unit that a card's compiler was given.
type Compiled struct {
	Name  string
	Bytes int // of machine code
	Took  time.Duration
	Known bool   // it was in the cache
	Log   string // of one that does not compile, or that the compiler regrets
	Err   error
}

// CompileUnits has every unit that the first card has compiled, side by side, and
// the driver load them; all are told of, whatever becomes of one.
func CompileUnits() (all []Compiled, err error) {
	d := &Device{notice: func() {}, modules: map[*unit]uint64{}, cache: cacheFolder("")}
	if d.api, err = load(); err != nil {
		return nil, err
	}
	if err := d.about(0); err != nil {
		return nil, err
	}
	var wanted []*unit
	for _, u := range units() {
		if u.serves(d.capability) {
			wanted, all = append(wanted, u), append(all, Compiled{Name: u.name + " for " + u.arch(d.capability)})
		}
	}
	code := make([][]byte, len(wanted))
	sideBySide(len(wanted), func(i int) {
		c, u, began := &all[i], wanted[i], time.Now()
		var from string
		code[i], from, c.Err = d.machineCode(u)
		c.Bytes, c.Took, c.Known = len(code[i]), time.Since(began), from != ""
		_, log, _ := d.api.compile(u, u.arch(d.capability))
		if c.Err != nil || strings.Contains(log, "Performance Loss") { // by products that wait for each other, say
			c.Log = log
		}
	})
	if d.context, err = d.api.ask("cuDevicePrimaryCtxRetain", d.card); err != nil {
		return all, err
	}
	defer d.api.call("cuDevicePrimaryCtxRelease_v2", d.card)
	return all, d.do(func() error {
		for i, u := range wanted {
			if all[i].Err == nil {
				all[i].Err = d.install(u, code[i], "")
			}
		}
		for _, m := range d.modules {
			d.api.call("cuModuleUnload", m)
		}
		return nil
	})
}

// Served counts the steps of an executable that plans of cuDNN serve, and the
// convolutions of own kernels.
func Served(e engine.Executable) (dnn, own int) {
	for _, s := range e.(*executable).steps {
		if strings.HasPrefix(s.kernel, "conv") {
			own++
		}
	}
	return Steps(e, "cudnn"), own
}

// Multiplied counts the steps that cuBLASLt serves.
func Multiplied(e engine.Executable) int { return Steps(e, "cublaslt") }

// ConstantBytes is how much memory the constants of an executable take.
func ConstantBytes(e engine.Executable) (n int) {
	for _, s := range e.(*executable).slots {
		if s.constant != nil {
			n += s.constant.mem.bytes
		}
	}
	return n
}

// ArenaBytes is how much memory the temporaries of an executable take.
func ArenaBytes(e engine.Executable) int { return e.(*executable).arena.bytes }

// Halves counts the temporaries of an executable that lie as bfloat16.
func Halves(e engine.Executable) (n int) {
	for _, s := range e.(*executable).slots {
		if s.half {
			n++
		}
	}
	return n
}

// Steps counts the launches of a kernel in a run.
func Steps(e engine.Executable, kernel string) (n int) {
	for _, s := range e.(*executable).steps {
		if s.kernel == kernel {
			n++
		}
	}
	return n
}

// Tiles names the tiles of a kind of numbers.
func Tiles(kind string) (names []string) {
	for _, t := range everyTile {
		if t.kind == kind {
			names = append(names, t.String())
		}
	}
	return names
}

// Force has the tile of a name serve every convolution that tiles of its kind
// fit; others, and all where the name is empty, have theirs by rule.
func Force(name string) {
	tiling = func(fitting []tile) tile {
		for _, t := range everyTile {
			if t.String() == name && slices.ContainsFunc(fitting, func(f tile) bool { return f.kind == t.kind && (t.form == "" || f.form == t.form) }) {
				return t
			}
		}
		return fitting[0]
	}
}

// ForceHopper has Hopper's kernels serve every convolution that they fit, in a form
// where that fits.
func ForceHopper(form string) {
	tiling = func(fitting []tile) tile {
		if i := slices.IndexFunc(fitting, func(t tile) bool { return t.bulk() && t.form == form }); i >= 0 {
			return fitting[i]
		}
		if i := slices.IndexFunc(fitting, tile.bulk); i >= 0 {
			return fitting[i]
		}
		return fitting[0]
	}
}

// Alone has a device do without cuDNN and cuBLASLt.
func Alone(d engine.Device) error {
	x := d.(*Device)
	return x.do(func() error {
		x.closeLibraries()
		return nil
	})
}

// Hopper says that a device's card has Hopper's instructions.
func Hopper(d engine.Device) bool { return d.(*Device).capability == hopper }

// Fits says that a tile of Hopper's fits a convolution: those by columns do not fit all.
func Fits(o op.Spec, shapes []tensor.Shape, name string) bool {
	c, forward := o.(op.Conv)
	switch {
	case strings.HasSuffix(name, byColumns):
		return forward && c.Stride == 1 && manyColumns(columnsTile(strings.SplitN(name, "_", 2)[0]), shapes[1][3], shapes[1][0])
	case strings.HasSuffix(name, byWinograd):
		w := shapes[1]
		return forward && w[2] == 3 && w[3] == 3 && winograd(geometry{x: shapes[0], y: []int{shapes[0][0], w[0], shapes[0][2], shapes[0][3]}, kh: 3, kw: 3, stride: c.Stride, pad: c.Pad})
	}
	return true
}

// Refused lists the ways to convolve that gave wrong results on a device.
func Refused(d engine.Device) []string { return d.(*Device).refused }

// ByClock has the card's clock choose tiles.
func ByClock() { tiling = nil }

// ConvKernels names the kernels of an executable's convolutions, in their order.
func ConvKernels(e engine.Executable) (names []string) {
	for _, s := range e.(*executable).steps {
		if strings.HasPrefix(s.kernel, "conv") {
			names = append(names, s.kernel)
		}
	}
	return names
}

// Fitting names the tiles that a convolution has on a card, the likeliest first.
func Fitting(kind string, rows, cols, layers, units int) (names []string) {
	for _, t := range fitting(kind, rows, cols, layers, units) {
		names = append(names, t.String())
	}
	return names
}

// Convolution is one that a program has, perhaps several times.
type Convolution struct {
	Label   string
	Times   int
	Kernels string  // what is rounded before, and the one that convolves
	Ms      float32 // of one of them
	Work    int64   // its floating point operations, two to a multiply-add
}

// Convolutions times those of an executable that has run, each distinct one by
// itself: the steps of its first as a captured graph of so many runs.
func Convolutions(e engine.Executable, runs int) (found []Convolution, err error) {
	x, from := e.(*executable), map[string]int{}
	return found, x.d.do(func() error {
		for _, i := range x.p.Code {
			switch i.Op.(type) {
			case op.Conv, op.ConvT:
			default:
				continue
			}
			f := Convolution{Label: label(x.p, i), Times: 1}
			first := from[f.Label]
			for x.steps[first].name != f.Label {
				first++
			}
			last := first
			for !convolvesStep(x.steps[last]) {
				f.Kernels += x.steps[last].kernel + ", "
				last++
			}
			f.Kernels += x.steps[last].kernel
			for last+1 < len(x.steps) && x.steps[last+1].name == f.Label && ends(x.steps[last+1]) {
				last++
			}
			from[f.Label] = last + 1
			if k := slices.IndexFunc(found, func(g Convolution) bool { return g.Label == f.Label && g.Kernels == f.Kernels }); k >= 0 {
				found[k].Times++
				continue
			}
			var shapes []tensor.Shape
			for _, v := range i.In {
				shapes = append(shapes, x.p.Values[v].Shape)
			}
			f.Work = op.Work(i.Op, shapes)
			var err error
			if f.Ms, err = x.clock(x.steps[first:last+1], runs); err != nil {
				return err
			}
			found = append(found, f)
		}
		return nil
	})
}

// convolvesStep says that a step convolves, be it by a library.
func convolvesStep(s step) bool {
	return strings.HasPrefix(s.kernel, "conv") || s.plan != nil
}

// ends says that a step is behind one that convolves: it makes results of products, or
// does what is fused behind.
func ends(s step) bool { return s.kernel == "wino_out" || s.kernel == "map" }

// clock is the milliseconds that steps take on the card.
func (e *executable) clock(steps []step, runs int) (float32, error) {
	graph, err := e.d.captured(func() error {
		for range runs {
			for i := range steps {
				if err := e.d.launch(&steps[i], e.at); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	defer e.d.api.call("cuGraphExecDestroy", graph)
	launch := func() error { return e.d.api.call("cuGraphLaunch", graph, e.d.stream) }
	if err := launch(); err != nil { // the first is not counted
		return 0, err
	}
	ms, err := e.d.clock(1, launch)
	return ms / float32(runs), err
}

// Wait returns when a device has done what it was given.
func Wait(d engine.Device) error {
	x := d.(*Device)
	return x.do(func() error { return x.api.call("cuStreamSynchronize", x.stream) })
}

// Launches is the milliseconds that a run of an executable takes on the card, by
// events around so many.
func Launches(e engine.Executable, runs int) (float64, error) {
	x := e.(*executable)
	var ms float32
	err := x.d.do(func() (err error) {
		for range 2 { // the second run with certain buffers is captured as a graph
			if err := x.run(); err != nil {
				return err
			}
		}
		ms, err = x.d.clock(runs, x.run)
		return err
	})
	return float64(ms), err
}

// InstallAgain gives a device a unit whose file in the cache was damaged and that
// another device has removed.
func InstallAgain(dev engine.Device) error {
	d := dev.(*Device)
	return d.do(func() error { return d.install(units()[1], []byte("damaged"), filepath.Join(d.cache, "removed")) })
}
