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
		if s.kernel == "cudnn" {
			dnn++
		} else if strings.HasPrefix(s.kernel, "conv") {
			own++
		}
	}
	return dnn, own
}

// Multiplied counts the steps that cuBLASLt serves.
func Multiplied(e engine.Executable) (n int) {
	for _, s := range e.(*executable).steps {
		if s.kernel == "cublaslt" {
			n++
		}
	}
	return n
}

// ConstantBytes is how much memory the constants of an executable take.
func ConstantBytes(e engine.Executable) (n int) {
	for _, s := range e.(*executable).slots {
		if s.constant != nil {
			n += s.constant.mem.bytes
		}
	}
	return n
}
