package weights

import (
	"bytes"
	"io"
	"os"
)

// Store is an open file of tensors, of either kind.
type Store interface {
	Names() []string
	Info(name string) (Info, bool)
	Float32(name string, dst []float32) error
	CopyTo(w io.Writer, name string, to DType) error
	Close() error
}

// OpenAny opens safetensors or a PyTorch checkpoint, told apart by what the file
// holds.
func OpenAny(path string) (Store, error) {
	if isSafetensors(path) {
		f, err := Open(path)
		if err != nil {
			return nil, err
		}
		return f, nil
	}
	p, err := OpenPTH(path, PTHOptions{})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// isSafetensors reports whether a file begins like one.
func isSafetensors(path string) bool {
	if st, err := os.Stat(path); err != nil || !st.Mode().IsRegular() {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 9)
	if _, err := io.ReadFull(f, head); err != nil {
		return false
	}
	return le.Uint64(head) < 1<<32 && bytes.HasSuffix(head, []byte("{"))
}
