//go:build cgo

package cuda

import (
	"strings"

	"github.com/v2v/v2v/models/engine"
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
	for _, t := range tiles {
		if t.kind == kind {
			names = append(names, t.String())
		}
	}
	return names
}

// Force has the tile of a name serve every convolution of its kind; others, and
// all where the name is empty, have theirs by rule.
func Force(name string) {
	tiling = func(fitting []tile) tile {
		for _, t := range tiles {
			if t.String() == name && t.kind == fitting[0].kind {
				return t
			}
		}
		return fitting[0]
	}
}

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
func Fitting(kind string, rows, cols, layers, units, shared int) (names []string) {
	for _, t := range fitting(kind, rows, cols, layers, units, shared) {
		names = append(names, t.String())
	}
	return names
}
