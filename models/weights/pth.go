package weights

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// PTHOptions says what to take from a PyTorch checkpoint.
type PTHOptions struct {
	// Key names the dictionary to read where a checkpoint holds several, such
	// as "params_ema". By default a single wrapper ("state_dict") is looked
	// through, and of several each becomes a prefix of its tensors' names.
	Key string
	// KeepModule keeps the "module." that DataParallel puts before every name.
	KeepModule bool
}

// PTH is an open PyTorch checkpoint of either format. Nothing in it is run,
// and a tensor's numbers are read when they are asked for. Reading is safe
// from several goroutines; Close must come after them.
type PTH struct {
	path    string
	m       *mapping
	names   []string
	tensors map[string]*pthTensor
}

// OpenPTH maps a .pth file, reads its description of the tensors and proves
// that they lie within the file.
func OpenPTH(path string, o PTHOptions) (*PTH, error) {
	m, err := mapFile(path)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	p := &PTH{path: path, m: m}
	if err := p.read(o); err != nil {
		return nil, errors.Join(fmt.Errorf("opening %s: %w", path, err), m.close())
	}
	return p, nil
}

func (p *PTH) read(o PTHOptions) error {
	data := p.m.data
	var root any
	var err error
	switch {
	case bytes.HasPrefix(data, []byte("PK\x03\x04")):
		root, err = readZip(data)
	case len(data) > 1 && data[0] == 0x80:
		root, err = readLegacy(data)
	default:
		if _, err := parseLayout(data); err == nil {
			return errors.New("it is a safetensors file, which needs no import")
		}
		return sniffed(data, errors.New("it is not a PyTorch checkpoint"))
	}
	if err != nil {
		return err
	}
	p.names, p.tensors, err = stateDict(root, o)
	if err != nil {
		return err
	}
	return p.checkTotal()
}

// expansion is how many times a file's own size its tensors may amount to.
// Tied weights are stored once and counted twice; a bomb is a broadcast view
// of one element, or thousands of views of one storage.
const expansion = 16

func (p *PTH) checkTotal() error {
	left := expansion*len(p.m.data) + 1<<20
	for _, t := range p.tensors {
		n := t.info("").Bytes()
		if n > left {
			return fmt.Errorf("its tensors amount to more than %d times the file: it is damaged or made to fill disks", expansion)
		}
		left -= n
	}
	return nil
}

// Path is the path that the checkpoint was opened by.
func (p *PTH) Path() string { return p.path }

// Names lists the tensors in the checkpoint's own order.
func (p *PTH) Names() []string { return slices.Clone(p.names) }

// Info describes a tensor; false where the checkpoint has none of that name.
// The shape must not be changed.
func (p *PTH) Info(name string) (Info, bool) {
	t, ok := p.tensors[name]
	if !ok {
		return Info{}, false
	}
	return t.info(name), true
}

// Bytes is a tensor's elements in order, little-endian: the mapped file itself
// where they lie so, which is gone after Close, or else a copy. Read only.
func (p *PTH) Bytes(name string) ([]byte, error) {
	t, err := p.find(name)
	if err != nil || t.elements() == 0 {
		return nil, err
	}
	if t.contiguous() {
		begin, end := t.span()
		return p.m.data[begin:end], nil
	}
	b := make([]byte, 0, t.info(name).Bytes())
	err = t.eachRow(p.m.data, func(row []byte) error { b = append(b, row...); return nil })
	return b, err
}

// Float32 converts a tensor of any floating type into dst, which must have
// exactly its number of elements.
func (p *PTH) Float32(name string, dst []float32) error {
	t, err := p.find(name)
	if err != nil {
		return err
	}
	if err := checkDst(t.info(name), dst); err != nil {
		return fmt.Errorf("reading %s: %w", p.path, err)
	}
	if len(dst) == 0 {
		return nil
	}
	begin, end := t.span()
	if t.contiguous() {
		err = p.m.float32(dst, begin, t.storage.dtype)
	} else {
		err = errors.Join(t.eachRow(p.m.data, func(row []byte) error {
			n := len(row) / t.storage.dtype.Size()
			toFloat32(dst[:n], row, t.storage.dtype)
			dst = dst[n:]
			return nil
		}), p.m.release(begin, end))
	}
	if err != nil {
		return fmt.Errorf("reading %s: tensor %q: %w", p.path, name, err)
	}
	return nil
}

// CopyTo writes a tensor's elements in order as type to, which is the tensor's
// own, or another floating type for a floating type. It holds a few megabytes,
// whatever the tensor's size.
func (p *PTH) CopyTo(w io.Writer, name string, to DType) error {
	t, err := p.find(name)
	if err != nil || t.elements() == 0 {
		return err
	}
	c, err := newConverter(w, t.storage.dtype, to)
	if err == nil && t.contiguous() {
		begin, end := t.span()
		err = p.m.copyTo(c, begin, end)
	} else if err == nil {
		begin, end := t.span()
		err = errors.Join(t.eachRow(p.m.data, c.write), p.m.release(begin, end))
	}
	if err != nil {
		return fmt.Errorf("reading %s: tensor %q: %w", p.path, name, err)
	}
	return nil
}

// Close unmaps the file. What Bytes returned must not be touched afterwards.
func (p *PTH) Close() error {
	if err := p.m.close(); err != nil {
		return fmt.Errorf("closing %s: %w", p.path, err)
	}
	return nil
}

func (p *PTH) find(name string) (*pthTensor, error) {
	t, ok := p.tensors[name]
	if !ok {
		return nil, fmt.Errorf("reading %s: tensor %q: %w", p.path, name, ErrNoTensor)
	}
	if p.m.data == nil {
		return nil, fmt.Errorf("reading %s: the file is closed", p.path)
	}
	return t, nil
}

// TrimModule takes "module." off every name if every name has it, as often as
// that is so, as OpenPTH does.
func TrimModule(names []string) []string {
	const prefix = "module."
	for len(names) > 0 {
		trimmed := make([]string, len(names))
		for i, n := range names {
			rest, ok := strings.CutPrefix(n, prefix)
			if !ok || rest == "" {
				return names
			}
			trimmed[i] = rest
		}
		names = trimmed
	}
	return names
}
