package weights

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
)

// ErrNoConfig is returned by File.Config for a file that carries none: bare
// weights, which need to be told what network they are.
var ErrNoConfig = errors.New("the file carries no v2v configuration")

// ErrNoTensor is returned for a name that the file does not hold.
var ErrNoTensor = errors.New("no such tensor")

// configKey is the metadata key under which a model keeps its configuration.
const configKey = "v2v"

// File is an open safetensors file. Reading it is safe from several goroutines;
// Close must come after them.
type File struct {
	path   string
	m      *mapping
	layout *layout
	index  map[string]int
}

// Open maps a safetensors file and proves its header.
func Open(path string) (*File, error) {
	m, err := mapFile(path)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	l, err := parseLayout(m.data)
	if err != nil {
		err = sniffed(m.data, err)
		return nil, errors.Join(fmt.Errorf("opening %s: %w", path, err), m.close())
	}
	f := &File{path: path, m: m, layout: l, index: make(map[string]int, len(l.entries))}
	for i, e := range l.entries {
		f.index[e.Name] = i
	}
	return f, nil
}

// Path is the path that the file was opened by.
func (f *File) Path() string { return f.path }

// Names lists the tensors in the order of their bytes.
func (f *File) Names() []string {
	names := make([]string, len(f.layout.entries))
	for i, e := range f.layout.entries {
		names[i] = e.Name
	}
	return names
}

// Info describes a tensor; false where the file has none of that name. The
// shape must not be changed.
func (f *File) Info(name string) (Info, bool) {
	i, ok := f.index[name]
	if !ok {
		return Info{}, false
	}
	return f.layout.entries[i].Info, true
}

// Metadata is a copy of the file's free-form strings.
func (f *File) Metadata() map[string]string { return maps.Clone(f.layout.metadata) }

// Config decodes the configuration in the metadata into v. Keys that v does
// not know are an error; a file without a configuration gives ErrNoConfig.
func (f *File) Config(v any) error {
	text, ok := f.layout.metadata[configKey]
	if !ok {
		return fmt.Errorf("reading the configuration of %s: %w", f.path, ErrNoConfig)
	}
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = errors.New("data after the JSON value")
		}
	}
	if err != nil {
		return fmt.Errorf("reading the configuration of %s: %w", f.path, err)
	}
	return nil
}

// SetConfig puts a configuration into the metadata that Write will be given.
func SetConfig(metadata map[string]string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding the configuration: %w", err)
	}
	metadata[configKey] = string(b)
	return nil
}

// Bytes is a tensor as stored, little-endian. It is the mapped file itself:
// read only, and gone after Close.
func (f *File) Bytes(name string) ([]byte, error) {
	e, err := f.find(name)
	if err != nil {
		return nil, err
	}
	return f.m.data[f.layout.data+e.begin : f.layout.data+e.end], nil
}

// Float32 converts a tensor of any floating type into dst, which must have
// exactly its number of elements.
func (f *File) Float32(name string, dst []float32) error {
	e, err := f.find(name)
	if err != nil {
		return err
	}
	if err := checkDst(e.Info, dst); err != nil {
		return fmt.Errorf("reading %s: %w", f.path, err)
	}
	if err := f.m.float32(dst, f.layout.data+e.begin, e.DType); err != nil {
		return fmt.Errorf("reading %s: tensor %q: %w", f.path, name, err)
	}
	return nil
}

// Close unmaps the file. What Bytes returned must not be touched afterwards.
func (f *File) Close() error {
	if err := f.m.close(); err != nil {
		return fmt.Errorf("closing %s: %w", f.path, err)
	}
	return nil
}

func (f *File) find(name string) (entry, error) {
	i, ok := f.index[name]
	if !ok {
		return entry{}, fmt.Errorf("reading %s: tensor %q: %w", f.path, name, ErrNoTensor)
	}
	if f.m.data == nil {
		return entry{}, fmt.Errorf("reading %s: the file is closed", f.path)
	}
	return f.layout.entries[i], nil
}

func checkDst(i Info, dst []float32) error {
	if !i.DType.Float() {
		return fmt.Errorf("tensor %q holds %s, not floating point", i.Name, i.DType)
	}
	if len(dst) != i.Elements() {
		return fmt.Errorf("tensor %q has %d elements %v, not %d", i.Name, i.Elements(), i.Shape, len(dst))
	}
	return nil
}

// window is how much of the mapping a conversion touches before giving its
// pages back: small beside any model, large beside the cost of the call.
const window = 16 << 20

// float32 converts len(dst) elements that begin at offset begin.
func (m *mapping) float32(dst []float32, begin int, t DType) error {
	size := t.Size()
	for len(dst) > 0 {
		n := min(len(dst), window/size)
		end := begin + n*size
		toFloat32(dst[:n], m.data[begin:end], t)
		if err := m.release(begin, end); err != nil {
			return fmt.Errorf("releasing mapped pages: %w", err)
		}
		begin, dst = end, dst[n:]
	}
	return nil
}
